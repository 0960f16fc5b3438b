//! The queue of what waits to be sent, with its limits.

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Session,
    item::{Item, frames_of},
    shared::Shared,
    unsent::{MIN_COUNTED_BYTES, Stall},
};
use crate::{DisconnectReason, EmitError, packet, timers::TimerKind};

/// What to do with frames that exceed the queue's limits.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum PushPolicy {
    /// Disconnect the client.
    DisconnectIfFull,
    /// Reject them and do nothing.
    FailIfFull,
    /// Queue them: they are bounded by other limits and do not count towards the queue's.
    Uncounted,
}

impl Session {
    /// Whether packets queued now would be written at once, as far as can be known: nothing is
    /// queued, and on polling a poll is open.
    pub(crate) fn is_writable(&self) -> bool {
        let shared = self.shared.lock();
        shared.queued == 0 && !shared.has_no_poll()
    }

    /// Queues frames, and a callback for when they have been written. A session that closes
    /// gracefully accepts frames until the driver's last run.
    pub(crate) fn push(&self, frames: Bytes, mut callback: Option<Item>) -> Result<(), EmitError> {
        self.try_push(frames, &mut callback)
    }

    /// Like [`Self::push`], for a caller that holds a lock: if nothing is queued, the callback
    /// stays in `callback`, to be dropped without the lock.
    pub(crate) fn try_push(
        &self,
        frames: Bytes,
        callback: &mut Option<Item>,
    ) -> Result<(), EmitError> {
        self.queue(frames, callback, PushPolicy::DisconnectIfFull)
    }

    /// Queues frames if the queue has space for them now; otherwise returns [`EmitError::Full`] and
    /// does nothing.
    pub(crate) fn try_push_now(&self, frames: Bytes) -> Result<(), EmitError> {
        self.queue(frames, &mut None, PushPolicy::FailIfFull)
    }

    pub(super) fn queue(
        &self,
        frames: Bytes,
        callback: &mut Option<Item>,
        policy: PushPolicy,
    ) -> Result<(), EmitError> {
        let mut shared = self.shared.lock();
        if shared.ended || shared.closing.is_some_and(|reason| !reason.is_graceful()) {
            return Err(EmitError::Closed);
        }
        let frames = if shared.base64 {
            packet::base64_frames(frames)
        } else {
            frames
        };
        let max = self.engine.config.max_queue_bytes;
        let fits =
            policy == PushPolicy::Uncounted || frames.is_empty() || shared.fits(frames.len(), max);
        // A client that reads everything at once needs no further checks.
        let waits = !frames.is_empty() && (shared.stall.is_some() || shared.has_no_poll());
        if !fits || waits && !self.wait_for_client(&mut shared, &frames) {
            if policy != PushPolicy::FailIfFull {
                // This replaces a graceful close too: the server must not send anything after a
                // gap.
                shared.closing = Some(DisconnectReason::SlowReader);
                shared.wake_closing();
            }
            return Err(EmitError::Full);
        }
        if policy == PushPolicy::Uncounted || shared.queued == 0 && frames.len() > max {
            shared.oversized += frames.len();
        }
        let was_empty = shared.queue.is_empty();
        shared.queued += frames.len();
        // An empty batch needs no write.
        if !frames.is_empty() {
            shared.queue.push_back(Item::Frames(frames));
        }
        shared.queue.extend(callback.take());
        if was_empty {
            shared.wake_receiver();
        }
        Ok(())
    }

    /// Accounts for frames that are about to wait, behind other frames or for a poll. Returns false
    /// if they exceed the limit of the client's address.
    fn wait_for_client(&self, shared: &mut Shared, frames: &[u8]) -> bool {
        self.watch_stall(shared);
        let Shared {
            stall: Some(stall),
            queue,
            queued,
            ..
        } = shared
        else {
            return true;
        };
        if !stall.is_counting()
            && *queued + frames.len() >= MIN_COUNTED_BYTES
            && let Some(budget) = self.engine.unsent.of(self.peer.ip())
        {
            // Frames that the driver has taken are not in this queue.
            let known: usize = frames_of(queue).map(Bytes::len).sum();
            stall.start_counting(budget, *queued - known);
            if !frames_of(queue).all(|frames| stall.count(frames)) {
                stall.stop_counting();
                return false;
            }
        }
        stall.count(frames)
    }

    /// Records that bytes wait for the client, and starts a timer to check its progress.
    pub(super) fn watch_stall(&self, shared: &mut Shared) {
        let now = Instant::now();
        shared
            .stall
            .get_or_insert_with(|| Box::new(Stall::new(now)));
        if !shared.stall_timer_runs
            && let Some(interval) = self.engine.stall_check_interval()
        {
            shared.stall_timer_runs = true;
            self.engine
                .timers
                .push(TimerKind::Stalled, now + interval, self.sid.key());
        }
    }

    /// Closes the connection if the client has read nothing for the write timeout. Returns whether
    /// to check again.
    pub(crate) fn check_progress(&self, now: Instant) -> bool {
        let mut shared = self.shared.lock();
        // A client does not poll while it upgrades to a WebSocket.
        let pauses = shared.upgrading;
        let (closing, limit) = (shared.closing, self.engine.config.write_timeout);
        let (Some(stall), None, Some(limit)) = (&mut shared.stall, closing, limit) else {
            shared.stall_timer_runs = false;
            return false;
        };
        if pauses {
            stall.since = now;
        } else if stall.since + limit <= now {
            shared.close(DisconnectReason::SlowReader);
        }
        true
    }
}
