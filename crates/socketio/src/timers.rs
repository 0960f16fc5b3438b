//! The timers of all connections. All timers of a kind have the same duration, so each
//! kind is a queue ordered by due time: starting a timer is a push, and a connection owns no timer.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{sync::Notify, time::Instant};

use crate::sync::Mutex;

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
    /// Call [`crate::protocol::Protocol::timer_due`].
    Protocol,
    /// Check whether a client reads what is queued for it.
    Stalled,
}

const KINDS: usize = 7;

#[derive(Default)]
pub(crate) struct Timers {
    /// Due time and key: of the session, or of what the protocol has set the timer for. A timer does not keep its session alive.
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

    /// Returns true once, to the caller that has to spawn the task.
    pub(crate) fn start_task(&self) -> bool {
        !self.started.load(Ordering::Relaxed) && !self.started.swap(true, Ordering::Relaxed)
    }

    /// The task has ended.
    pub(crate) fn end_task(&self) {
        self.started.store(false, Ordering::Relaxed);
    }

    /// Wakes the task when a timer is due earlier than all others, or these timers are dropped.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// When the next timer is due.
    pub(crate) fn next(&self) -> Option<Instant> {
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
    pub(crate) fn due(&self, kind: TimerKind, now: Instant) -> Vec<(Instant, u64)> {
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
