//! The time at which a silent HTTP connection is closed.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::sync::Mutex;

/// Minimum interval between two checks of a deadline, however short the limits are.
const MIN_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The time at which a silent HTTP connection is to be closed. [`crate::HttpStream`] reports reads and
/// writes; [`Self::request`] marks requests that are being answered.
///
/// - The head of the first request must arrive within `head_timeout` after the connection was
///   accepted.
/// - After the last byte of a response, the connection may be idle for `keep_alive`. Set it longer
///   than the proxy in front keeps its connections; otherwise the proxy may send a request on a
///   closed connection.
/// - The head of a later request must arrive within `head_timeout` after its first byte.
/// - There is no limit while a request is being answered or a response waits for the client to
///   read: [`crate::WriteTimeout`] limits that.
#[derive(Debug)]
pub struct HttpDeadline {
    head_timeout: Duration,
    keep_alive: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A head is being read.
    Head,
    /// A request is being answered.
    Answering,
    /// A response is being written, or the connection is idle.
    Idle,
}

impl HttpDeadline {
    /// Starts the deadline of a connection that has just been accepted. Without `keep_alive`, it
    /// may be idle forever.
    #[must_use]
    pub fn new(head_timeout: Duration, keep_alive: Option<Duration>) -> Arc<Self> {
        let state = State {
            phase: Phase::Head,
            at: Some(Instant::now() + head_timeout),
        };
        Arc::new(Self {
            head_timeout,
            keep_alive,
            state: Mutex::new(state),
        })
    }

    /// Marks the start of a request. It counts as being answered until the returned guard is
    /// dropped.
    #[must_use]
    pub fn request(self: &Arc<Self>) -> RequestGuard {
        *self.state.lock() = State {
            phase: Phase::Answering,
            at: None,
        };
        RequestGuard(self.clone())
    }

    /// Completes when the connection is to be closed.
    pub async fn passed(&self) {
        loop {
            let now = Instant::now();
            // The earliest time at which a phase that begins from now on can be overdue.
            let soonest = self.keep_alive.map_or(self.head_timeout, |keep_alive| {
                keep_alive.min(self.head_timeout)
            });
            let again = now + soonest.max(MIN_CHECK_INTERVAL);
            let check_at = match self.state.lock().at {
                Some(at) if at <= now => return,
                Some(at) => at.min(again),
                None => again,
            };
            sleep_until(check_at).await;
        }
    }

    pub(crate) fn on_read(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Idle {
            *state = State {
                phase: Phase::Head,
                at: Some(Instant::now() + self.head_timeout),
            };
        }
    }

    pub(crate) fn on_written(&self) {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Answering => {}
            // The next request began to arrive while this response was being written.
            Phase::Head => state.at = Some(Instant::now() + self.head_timeout),
            Phase::Idle => state.at = self.idle_until(),
        }
    }

    /// The client has not read the response: the connection is not idle, and a request head behind
    /// the response is not late.
    pub(crate) fn on_blocked(&self) {
        self.state.lock().at = None;
    }

    fn idle_until(&self) -> Option<Instant> {
        self.keep_alive
            .map(|keep_alive| Instant::now() + keep_alive)
    }
}

/// Marks a request as being answered until it is dropped: see [`HttpDeadline::request`].
#[derive(Debug)]
pub struct RequestGuard(Arc<HttpDeadline>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        *self.0.state.lock() = State {
            phase: Phase::Idle,
            at: self.0.idle_until(),
        };
    }
}
