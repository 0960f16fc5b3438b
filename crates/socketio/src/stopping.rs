//! Whether a server is stopping, and the connections that it still has.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::sync::AtomicBool;

/// State of a stop.
#[derive(Default)]
pub(crate) struct Stopping {
    paused: AtomicBool,
    draining: AtomicBool,
    alive: AtomicUsize,
    all_closed: Notify,
}

impl Stopping {
    /// Whether events must no longer be passed to handlers.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// Connections that have not finished, including closing ones.
    pub(crate) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    /// Whether new sessions must be refused.
    pub(crate) fn has_begun(&self) -> bool {
        self.is_paused() || self.draining.load(Ordering::SeqCst)
    }

    /// Passes no more events to handlers.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
    }

    /// Refuses new sessions.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Completes when no connection is left.
    pub(crate) async fn all_closed(&self) {
        loop {
            let all_closed = self.all_closed.notified();
            if self.alive.load(Ordering::SeqCst) == 0 {
                return;
            }
            all_closed.await;
        }
    }
}

/// Counts a connection until everything is done for it, including its close.
pub(crate) struct AliveGuard(Arc<Stopping>);

impl AliveGuard {
    pub(crate) fn new(stopping: Arc<Stopping>) -> Self {
        stopping.alive.fetch_add(1, Ordering::SeqCst);
        Self(stopping)
    }
}

impl Drop for AliveGuard {
    fn drop(&mut self) {
        if self.0.alive.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.all_closed.notify_waiters();
        }
    }
}
