//! One task for the timers of all connections.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
};

use tokio::{sync::Notify, time::Instant};

use crate::{engine::Engine, session::Session, timers::TimerKind};

/// Spawns the task, unless it runs. Call this within a tokio runtime. If several runtimes share the
/// server, the task's runtime may shut down before the others; the next connection then spawns the
/// task again.
pub(crate) fn start(engine: &Arc<Engine<Session>>) {
    if engine.timers.start_task() {
        let guard = TaskGuard(Arc::downgrade(engine));
        tokio::spawn(run(guard, engine.timers.changed()));
    }
}

/// Clears `started` when the task ends.
struct TaskGuard(Weak<Engine<Session>>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if let Some(engine) = self.0.upgrade() {
            engine.timers.end_task();
        }
    }
}

async fn run(guard: TaskGuard, changed: Arc<Notify>) {
    let engine = &guard.0;
    let mut last = Instant::now();
    loop {
        let (next, sweep_interval) = match engine.upgrade() {
            Some(engine) => (engine.timers.next(), engine.sweep_interval()),
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
        let Some(engine) = engine.upgrade() else {
            return;
        };
        last = Instant::now();
        sweep(&engine, last);
    }
}

fn sweep(engine: &Arc<Engine<Session>>, now: Instant) {
    let timers = &engine.timers;
    for (ping_due, key) in timers.due(TimerKind::Ping, now) {
        // Counted from when the PING was due, so that small delays do not add up, but not from
        // before the last sweep, so that the client is not charged for a long delay. With an
        // observer it is counted exactly, to measure the latency.
        let sent = if engine.observer.is_some() {
            now
        } else {
            ping_due.max(now.checked_sub(engine.sweep_interval()).unwrap_or(now))
        };
        let due = sent + engine.config.ping_timeout;
        if engine
            .registry
            .get(key)
            .is_some_and(|session| session.ping(due))
        {
            timers.push(TimerKind::Pong, due, key);
        }
    }
    for (_, key) in timers.due(TimerKind::Pong, now) {
        if let Some(again) = engine
            .registry
            .get(key)
            .and_then(|session| session.check_pong(now))
        {
            timers.push(TimerKind::Pong, again, key);
        }
    }
    for (_, key) in timers.due(TimerKind::Connect, now) {
        if let Some(session) = engine.registry.get(key) {
            session.connect_due();
            drop_handshake(engine, &session);
        }
    }
    for (_, key) in timers.due(TimerKind::DropHandshake, now) {
        if let Some(session) = engine.registry.get(key) {
            drop_handshake(engine, &session);
        }
    }
    for (_, key) in timers.due(TimerKind::Linger, now) {
        engine.remove_session(key);
    }
    for (_, key) in timers.due(TimerKind::Stalled, now) {
        if let (Some(session), Some(interval)) =
            (engine.registry.get(key), engine.stall_check_interval())
            && session.check_progress(now)
        {
            timers.push(TimerKind::Stalled, now + interval, key);
        }
    }
    for (_, key) in timers.due(TimerKind::Protocol, now) {
        // This may call a handler; if it panics, the other timers must continue.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| engine.protocol.timer_due(key, now)));
    }
}

/// Drops the handshake request's headers, unless the configuration retains them.
fn drop_handshake(engine: &Engine<Session>, session: &Session) {
    if !engine.config.retain_handshake {
        session.drop_handshake();
    }
}
