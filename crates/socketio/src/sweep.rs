//! One task for all the timers of all the connections. Every timer of a kind runs for the same
//! time, so that each kind is a queue whose front is due first: starting one costs a push, and a
//! connection owns no timer of its own.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{server::Server, session::Session, sync::Mutex};

/// What is to be done when a timer is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lane {
    /// Send a ping.
    Ping,
    /// See whether its pong has come.
    Pong,
    /// See whether a namespace has been joined.
    Connect,
    /// The same for one that was found to have joined before that: only its handshake is to be
    /// forgotten.
    Joined,
    /// Forget a session that has ended.
    Linger,
    /// See whether the client of a suspended socket has come back.
    Suspended,
    /// See whether a client takes what waits for it.
    Stalled,
}

const LANES: usize = 7;

#[derive(Default)]
pub(crate) struct Timers {
    /// When, and the key of the session. A session that is gone by then is not kept alive by it.
    lanes: Mutex<[VecDeque<(Instant, u64)>; LANES]>,
    changed: Arc<Notify>,
    started: AtomicBool,
}

impl Timers {
    /// Starts a timer. `due` must not be earlier than that of the lane's last one by more than the
    /// clock's own doing.
    pub(crate) fn push(&self, lane: Lane, due: Instant, key: u64) {
        let was_empty = {
            let mut lanes = self.lanes.lock();
            let lane = &mut lanes[lane as usize];
            lane.push_back((due, key));
            lane.len() == 1
        };
        if was_empty {
            self.changed.notify_one();
        }
    }

    /// Starts the task, unless there is one. To be called within a runtime. Where there are several
    /// runtimes, the one that it is on may be gone before the others: then the next connection
    /// starts it anew.
    pub(crate) fn start(&self, server: &Arc<Server>) {
        if !self.started.load(Ordering::Relaxed) && !self.started.swap(true, Ordering::Relaxed) {
            let ends = Ends(Arc::downgrade(server));
            tokio::spawn(run(ends, self.changed.clone()));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.lanes
            .lock()
            .iter()
            .filter_map(|lane| Some(lane.front()?.0))
            .min()
    }

    /// Takes the key that has been in [`Lane::Connect`] longest. What is due for it otherwise still
    /// is.
    pub(crate) fn take_waiting(&self) -> Option<u64> {
        let mut lanes = self.lanes.lock();
        let (due, key) = lanes[Lane::Connect as usize].pop_front()?;
        lanes[Lane::Joined as usize].push_back((due, key));
        Some(key)
    }

    /// Takes what is due out of a lane.
    fn due(&self, lane: Lane, now: Instant) -> Vec<(Instant, u64)> {
        let mut lanes = self.lanes.lock();
        let lane = &mut lanes[lane as usize];
        let count = lane.iter().take_while(|(due, _)| *due <= now).count();
        let due = lane.drain(..count).collect();
        // After a storm has passed, its room is given back.
        if lane.capacity() > 1024 && lane.len() < lane.capacity() / 4 {
            lane.shrink_to(lane.len() * 2);
        }
        due
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Says so when the task is no more.
struct Ends(Weak<Server>);

impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(server) = self.0.upgrade() {
            server.timers.started.store(false, Ordering::Relaxed);
        }
    }
}

async fn run(ends: Ends, changed: Arc<Notify>) {
    let server = &ends.0;
    let mut last = Instant::now();
    loop {
        let (next, pause) = match server.upgrade() {
            Some(server) => (server.timers.next(), server.sweep_pause()),
            None => return,
        };
        match next {
            // What is due close together is done together.
            Some(next) => tokio::select! {
                () = tokio::time::sleep_until(next.max(last + pause)) => {}
                () = changed.notified() => {}
            },
            None => changed.notified().await,
        }
        let Some(server) = server.upgrade() else {
            return;
        };
        last = Instant::now();
        sweep(&server, last);
    }
}

fn sweep(server: &Arc<Server>, now: Instant) {
    let timers = &server.timers;
    for (ping_due, key) in timers.due(Lane::Ping, now) {
        // Counted from when the ping was due, so that small delays do not add up; but a client is
        // not made to pay for a large one. An observer wants to know how long the pong took, to the
        // moment.
        let sent = if server.observer.is_some() {
            now
        } else {
            ping_due.max(now.checked_sub(server.sweep_pause()).unwrap_or(now))
        };
        let due = sent + server.config.ping_timeout;
        if server
            .registry
            .get(key)
            .is_some_and(|session| session.ping(due))
        {
            timers.push(Lane::Pong, due, key);
        }
    }
    for (_, key) in timers.due(Lane::Pong, now) {
        if let Some(again) = server
            .registry
            .get(key)
            .and_then(|session| session.check_pong(now))
        {
            timers.push(Lane::Pong, again, key);
        }
    }
    for (_, key) in timers.due(Lane::Connect, now) {
        if let Some(session) = server.registry.get(key) {
            session.connect_due();
            arrived(server, &session);
        }
    }
    for (_, key) in timers.due(Lane::Joined, now) {
        if let Some(session) = server.registry.get(key) {
            arrived(server, &session);
        }
    }
    for (_, key) in timers.due(Lane::Linger, now) {
        server.forget(key);
    }
    for (_, key) in timers.due(Lane::Stalled, now) {
        if let (Some(session), Some(look)) = (server.registry.get(key), server.stall_look())
            && session.check_progress(now)
        {
            timers.push(Lane::Stalled, now + look, key);
        }
    }
    for (_, key) in timers.due(Lane::Suspended, now) {
        if let Some(socket) = server.recoverable.get(key) {
            // This calls a handler; one that panics must not take everybody's timers along.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| socket.expire(now)));
        }
    }
}

/// What it came with is needed no more.
fn arrived(server: &Server, session: &Session) {
    if !server.config.retain_handshake {
        session.forget_handshake();
    }
}

/// How long sweeps may be apart, so that timers are off by a few percent at most.
pub(crate) fn pause(shortest: Duration) -> Duration {
    (shortest / 50).clamp(Duration::from_millis(1), Duration::from_millis(50))
}
