//! The part of a session that its driver uses.

use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Session,
    item::{Item, frames_of},
    shared::Shared,
    unsent::MIN_COUNTED_BYTES,
};
use crate::{
    DisconnectReason, TransportKind, observer, stopping::AliveGuard, websocket::WebSocket,
};

/// What a run of the driver starts with.
#[derive(Default)]
pub(crate) struct RunStart {
    pub(crate) closing: Option<DisconnectReason>,
    pub(crate) joined: bool,
    pub(crate) socket_left: bool,
    pub(crate) handover: Option<Box<WebSocket>>,
}

/// What remains to be done when a session has ended.
pub(crate) struct Ended {
    /// A poll is open, and its response reports the end.
    pub(crate) poll_open: bool,
    /// The end is reported to the next poll, if one arrives in time.
    pub(crate) awaits_poll: bool,
    /// Items to send before the close, on WebSocket.
    pub(crate) rest: Option<VecDeque<Item>>,
    /// A WebSocket whose upgrade completed too late to be driven; the client now expects the end on
    /// it.
    pub(crate) handover: Option<Box<WebSocket>>,
}

impl Session {
    /// Whether items wait to be written to a WebSocket that stays open, and more of them may follow at
    /// once. If so, the driver counts as running, so that those do not wake it.
    pub(crate) fn awaits_more_items(&self) -> bool {
        let mut shared = self.shared.lock();
        let awaits_more = shared.transport == TransportKind::WebSocket
            && shared.closing.is_none()
            && !shared.queue.is_empty();
        shared.running |= awaits_more;
        awaits_more
    }

    pub(crate) fn begin_run(&self, waker: &Waker) -> RunStart {
        let mut shared = self.shared.lock();
        shared.running = true;
        if !shared
            .driver
            .as_ref()
            .is_some_and(|driver| driver.will_wake(waker))
        {
            shared.driver = Some(waker.clone());
        }
        RunStart {
            closing: shared.closing,
            joined: shared.joined,
            socket_left: std::mem::take(&mut shared.socket_left),
            handover: shared
                .polling
                .as_mut()
                .and_then(|polling| polling.handover.take()),
        }
    }

    /// Ends the run, unless something new requires another. Queued frames count only if the driver
    /// could write them.
    pub(crate) fn end_run(&self, can_write: bool, can_receive: bool) -> bool {
        let mut shared = self.shared.lock();
        let queue_waits =
            can_write && shared.transport == TransportKind::WebSocket && !shared.queue.is_empty();
        let polling_waits = shared.polling.as_ref().is_some_and(|polling| {
            polling.handover.is_some() || can_receive && polling.inbox.is_some()
        });
        if queue_waits || polling_waits || shared.closing.is_some() || shared.socket_left {
            return false;
        }
        shared.running = false;
        true
    }

    /// Writes the queued items as far as possible. Returns whether everything was written.
    ///
    /// # Errors
    /// If the connection has failed.
    pub(crate) fn flush(
        &self,
        websocket: &mut WebSocket,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let mut written = 0;
        loop {
            if websocket.unsent().is_empty() {
                let items = self.take_queue(written);
                written = 0;
                if items.is_empty() {
                    return websocket.flush_buffered(cx);
                }
                websocket.send(items);
            }
            match websocket.write(cx) {
                Poll::Ready(count) => written += count?,
                Poll::Pending => {
                    // Later items stay in the queue, in order behind these.
                    if !self.count_blocked(written, websocket.unsent()) {
                        self.close(DisconnectReason::SlowReader);
                    }
                    return Ok(false);
                }
            }
        }
    }

    /// Accounts for written bytes, and takes the queued items.
    pub(crate) fn take_queue(&self, written: usize) -> VecDeque<Item> {
        let mut shared = self.shared.lock();
        shared.written(written);
        let queue = std::mem::take(&mut shared.queue);
        if queue.is_empty() {
            shared.stall = None;
        } else if let Some(stall) = shared.stall.as_mut().filter(|_| written > 0) {
            stall.since = Instant::now();
        }
        drop(shared);
        self.observe_sent(TransportKind::WebSocket, &queue);
        queue
    }

    /// Reports items that were taken from the queue for writing.
    pub(super) fn observe_sent(&self, transport: TransportKind, items: &VecDeque<Item>) {
        if !items.is_empty() {
            self.engine.observe(|observer| {
                let (count, bytes) = observer::messages(items);
                if count > 0 {
                    observer.sent(transport, count, bytes);
                }
            });
        }
    }

    /// Accounts for written bytes, and for unsent items that the client does not read for now.
    /// Returns false if they exceed the limit of its address.
    pub(super) fn count_blocked(&self, written: usize, unsent: &VecDeque<Item>) -> bool {
        let mut shared = self.shared.lock();
        shared.written(written);
        self.watch_stall(&mut shared);
        let Shared {
            stall: Some(stall),
            queue,
            queued,
            ..
        } = &mut *shared
        else {
            return true;
        };
        if written > 0 {
            stall.since = Instant::now();
        }
        if stall.is_counting() || *queued < MIN_COUNTED_BYTES {
            return true;
        }
        let Some(budget) = self.engine.unsent.of(self.peer.ip()) else {
            return true;
        };
        stall.start_counting(budget, 0);
        frames_of(unsent)
            .chain(frames_of(queue))
            .all(|frames| stall.count(frames))
    }

    pub(crate) fn take_inbox(&self) -> Option<Bytes> {
        let mut shared = self.shared.lock();
        let polling = shared.polling.as_mut()?;
        let inbox = polling.inbox.take()?;
        if let Some(post) = polling.post.take() {
            post.wake();
        }
        Some(inbox)
    }

    pub(crate) fn set_backlogged(&self, backlogged: bool) {
        self.shared.lock().backlogged = backlogged;
    }

    /// Whether the driver may be in the middle of a run.
    pub(crate) fn is_running(&self) -> bool {
        let shared = self.shared.lock();
        shared.running && !shared.ended
    }

    pub(crate) fn take_alive_guard(&self) -> Option<AliveGuard> {
        self.shared.lock().alive.take()
    }

    /// The session has been removed from the registry. An upgrade in progress still has to close
    /// its WebSocket.
    pub(crate) fn on_removed(&self) {
        let mut shared = self.shared.lock();
        shared.end_upgrade();
        let alive = if shared.upgrading {
            None
        } else {
            shared.alive.take()
        };
        if let Some(polling) = &mut shared.polling {
            polling.removed = true;
        }
        let undeliverable = shared.take_undeliverable();
        drop(shared);
        // Dropped without the lock: pending callbacks are dropped here, which may run application
        // code.
        drop((alive, undeliverable));
    }

    /// The driver is done. After a graceful end the queued items are still sent: on WebSocket they
    /// are returned, on polling they wait for one more poll.
    pub(crate) fn end(&self, reason: DisconnectReason, transport: TransportKind) -> Ended {
        let mut shared = self.shared.lock();
        let reason = *shared.closing.get_or_insert(reason);
        shared.ended = true;
        let was_joined = std::mem::replace(&mut shared.joined, true);
        shared.driver = None;
        let dropped_later = (shared.handshake.take(), shared.guard.take());
        let handover = shared
            .polling
            .as_mut()
            .and_then(|polling| polling.handover.take());
        let keep_queue =
            reason.is_graceful() && transport == TransportKind::Polling && handover.is_none();
        let queue = if keep_queue {
            VecDeque::new()
        } else {
            std::mem::take(&mut shared.queue)
        };
        if !keep_queue {
            shared.written(usize::MAX);
            shared.stall = None;
        }
        // A close packet is sent in a poll of its own: see `Shared::poll_items`.
        let is_reported = match reason {
            DisconnectReason::ServerShuttingDown => {
                shared.fits_into_a_poll(self.max_packets_per_poll())
            }
            _ => frames_of(&shared.queue).next().is_none(),
        };
        let mut poll_open = false;
        let mut awaits_poll = reason.is_graceful() || reason == DisconnectReason::TransportClose;
        if !reason.is_graceful() {
            shared.end_upgrade();
        }
        if let Some(polling) = &mut shared.polling {
            poll_open = polling.poll_open && is_reported;
            awaits_poll |= polling.closes_at_next_poll;
            polling.inbox = None;
            for waiting in [
                polling.poll.take(),
                polling.post.take(),
                polling.reading.take(),
            ]
            .into_iter()
            .flatten()
            {
                waiting.wake();
            }
        }
        drop(shared);
        // Dropped without the lock: dropping may run application code.
        drop(dropped_later);
        if !was_joined {
            self.engine.admission.finish_handshake();
        }
        self.engine.admission.remove_connection(self.peer.ip());
        let rest = reason.is_graceful().then_some(queue);
        if let Some(rest) = &rest {
            self.observe_sent(transport, rest);
        }
        Ended {
            poll_open,
            awaits_poll,
            rest,
            handover,
        }
    }
}
