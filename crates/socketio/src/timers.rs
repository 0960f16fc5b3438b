//! One task for the timers of all connections. All timers of a kind have the same duration, so each
//! kind is a queue ordered by due time: starting a timer is a push, and a connection owns no timer.

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

/// What to do when a timer is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TimerKind {
    /// Send a PING.
    Ping,
    /// Check whether the PONG has arrived.
    Pong,
    /// Check whether the connection has joined a namespace.
    Connect,
    /// Drop the handshake of a connection that was displaced from [`Self::Connect`] before it was
    /// due.
    DropHandshake,
    /// Remove a session that has ended.
    Linger,
    /// Check whether the client of a suspended socket has returned.
    Suspended,
    /// Check whether a client reads what is queued for it.
    Stalled,
}

const KINDS: usize = 7;

#[derive(Default)]
pub(crate) struct Timers {
    /// Due time and session key. A timer does not keep its session alive.
    queues: Mutex<[VecDeque<(Instant, u64)>; KINDS]>,
    changed: Arc<Notify>,
    started: AtomicBool,
}

impl Timers {
    /// Starts a timer. Within a kind, `due` must not decrease, except by clock granularity.
    pub(crate) fn push(&self, kind: TimerKind, due: Instant, key: u64) {
        let was_empty = {
            let mut queues = self.queues.lock();
            let queue = &mut queues[kind as usize];
            queue.push_back((due, key));
            queue.len() == 1
        };
        if was_empty {
            self.changed.notify_one();
        }
    }

    /// Spawns the task, unless it runs. Call this within a tokio runtime. If several runtimes share
    /// the server, the task's runtime may shut down before the others; the next connection then
    /// spawns the task again.
    pub(crate) fn start(&self, server: &Arc<Server>) {
        if !self.started.load(Ordering::Relaxed) && !self.started.swap(true, Ordering::Relaxed) {
            let guard = TaskGuard(Arc::downgrade(server));
            tokio::spawn(run(guard, self.changed.clone()));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.queues
            .lock()
            .iter()
            .filter_map(|queue| Some(queue.front()?.0))
            .min()
    }

    /// Removes the key that has been in [`TimerKind::Connect`] longest. Its remaining work moves to
    /// [`TimerKind::DropHandshake`].
    pub(crate) fn take_longest_connecting(&self) -> Option<u64> {
        let mut queues = self.queues.lock();
        let (due, key) = queues[TimerKind::Connect as usize].pop_front()?;
        queues[TimerKind::DropHandshake as usize].push_back((due, key));
        Some(key)
    }

    /// Removes and returns the timers of a kind that are due.
    fn due(&self, kind: TimerKind, now: Instant) -> Vec<(Instant, u64)> {
        let mut queues = self.queues.lock();
        let queue = &mut queues[kind as usize];
        let count = queue.iter().take_while(|(due, _)| *due <= now).count();
        let due = queue.drain(..count).collect();
        // Returns the memory of a queue that was long for a while.
        if queue.capacity() > 1024 && queue.len() < queue.capacity() / 4 {
            queue.shrink_to(queue.len() * 2);
        }
        due
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Clears `started` when the task ends.
struct TaskGuard(Weak<Server>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if let Some(server) = self.0.upgrade() {
            server.timers.started.store(false, Ordering::Relaxed);
        }
    }
}

async fn run(guard: TaskGuard, changed: Arc<Notify>) {
    let server = &guard.0;
    let mut last = Instant::now();
    loop {
        let (next, sweep_interval) = match server.upgrade() {
            Some(server) => (server.timers.next(), server.sweep_interval()),
            None => return,
        };
        match next {
            // Timers that are due close together are handled together.
            Some(next) => tokio::select! {
                () = tokio::time::sleep_until(next.max(last + sweep_interval)) => {}
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
    for (ping_due, key) in timers.due(TimerKind::Ping, now) {
        // Counted from when the PING was due, so that small delays do not add up, but not from
        // before the last sweep, so that the client is not charged for a long delay. With an
        // observer it is counted exactly, to measure the latency.
        let sent = if server.observer.is_some() {
            now
        } else {
            ping_due.max(now.checked_sub(server.sweep_interval()).unwrap_or(now))
        };
        let due = sent + server.config.ping_timeout;
        if server
            .registry
            .get(key)
            .is_some_and(|session| session.ping(due))
        {
            timers.push(TimerKind::Pong, due, key);
        }
    }
    for (_, key) in timers.due(TimerKind::Pong, now) {
        if let Some(again) = server
            .registry
            .get(key)
            .and_then(|session| session.check_pong(now))
        {
            timers.push(TimerKind::Pong, again, key);
        }
    }
    for (_, key) in timers.due(TimerKind::Connect, now) {
        if let Some(session) = server.registry.get(key) {
            session.connect_due();
            drop_handshake(server, &session);
        }
    }
    for (_, key) in timers.due(TimerKind::DropHandshake, now) {
        if let Some(session) = server.registry.get(key) {
            drop_handshake(server, &session);
        }
    }
    for (_, key) in timers.due(TimerKind::Linger, now) {
        server.remove_session(key);
    }
    for (_, key) in timers.due(TimerKind::Stalled, now) {
        if let (Some(session), Some(interval)) =
            (server.registry.get(key), server.stall_check_interval())
            && session.check_progress(now)
        {
            timers.push(TimerKind::Stalled, now + interval, key);
        }
    }
    for (_, key) in timers.due(TimerKind::Suspended, now) {
        if let Some(socket) = server.recoverable.get(key) {
            // This calls a handler; if it panics, the other timers must continue.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| socket.expire(now)));
        }
    }
}

/// Drops the handshake request's headers, unless the configuration retains them.
fn drop_handshake(server: &Server, session: &Session) {
    if !server.config.retain_handshake {
        session.drop_handshake();
    }
}

/// Interval between sweeps: at most 2 % of the shortest timeout.
pub(crate) fn sweep_interval(shortest: Duration) -> Duration {
    (shortest / 50).clamp(Duration::from_millis(1), Duration::from_millis(50))
}
