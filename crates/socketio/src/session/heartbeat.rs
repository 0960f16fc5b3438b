//! PINGs and PONGs (Engine.IO protocol 4, "Heartbeat").

use tokio::time::Instant;

use super::{Session, item::Item, shared::Shared};
use crate::DisconnectReason;

impl Session {
    /// Queues a PING. Returns false if the connection is closing.
    pub(crate) fn ping(&self, pong_due: Instant) -> bool {
        let mut shared = self.shared.lock();
        if shared.closing.is_some() {
            return false;
        }
        let frames = self.engine.ping_frames.clone();
        shared.pong_due = Some(pong_due);
        shared.was_reading_slowly = false;
        shared.queued += frames.len();
        if let Some(stall) = &mut shared.stall {
            stall.skip(frames.len());
        }
        shared.queue.push_back(Item::Frames(frames));
        shared.wake_receiver();
        true
    }

    /// Records a PONG. Returns when it was due; `None` if no PING was outstanding.
    pub(crate) fn pong(&self) -> Option<Instant> {
        self.shared.lock().pong_due.take()
    }

    /// Closes the connection if its PONG is overdue. If it cannot be known yet, returns when to
    /// check again.
    pub(crate) fn check_pong(&self, now: Instant) -> Option<Instant> {
        let mut shared = self.shared.lock();
        let due = shared.pong_due?;
        if due > now || shared.closing.is_some() {
            return None;
        }
        let (reads, was_reading) = (
            self.is_reading_slowly(&shared, now),
            shared.was_reading_slowly,
        );
        shared.was_reading_slowly = reads;
        // A PING that had to wait until now gets its full time from now on.
        if reads || was_reading || self.is_server_behind(&shared) {
            let again = now + self.engine.config.ping_timeout;
            shared.pong_due = Some(again);
            return Some(again);
        }
        shared.close(DisconnectReason::PingTimeout);
        None
    }

    /// Closes the connection if its PONG is overdue, and returns whether it was. It anticipates
    /// what [`Self::check_pong`] would find a moment later.
    pub(crate) fn close_if_overdue(&self, now: Instant) -> bool {
        let mut shared = self.shared.lock();
        let is_overdue = shared.pong_due.is_some_and(|due| due <= now)
            && !(self.is_server_behind(&shared)
                || shared.was_reading_slowly
                || self.is_reading_slowly(&shared, now));
        if is_overdue {
            shared.close(DisconnectReason::PingTimeout);
        }
        is_overdue
    }

    /// Whether it is the server that does not read what the client may have sent.
    fn is_server_behind(&self, shared: &Shared) -> bool {
        shared.backlogged
            || self.engine.stopping.is_paused()
            || shared
                .polling
                .as_ref()
                .is_some_and(|polling| polling.post.is_some())
    }

    /// Whether a PING may be queued behind other bytes that the client is reading.
    fn is_reading_slowly(&self, shared: &Shared, now: Instant) -> bool {
        self.engine
            .config
            .write_timeout
            .is_some_and(|limit| shared.read_last().is_some_and(|read| read + limit > now))
    }
}
