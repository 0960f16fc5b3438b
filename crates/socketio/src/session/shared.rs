//! The locked part of a session.

use std::{any::Any, collections::VecDeque, sync::Arc, task::Waker};

use bytes::Bytes;
use tokio::time::Instant;

use super::{item::Item, unsent::Stall};
use crate::{
    DisconnectReason, Handshake, TransportKind, stopping::AliveGuard, websocket::WebSocket,
};

pub(super) struct Shared {
    pub(super) queue: VecDeque<Item>,
    /// Bytes of frames that are queued, or taken by the driver and not written yet.
    pub(super) queued: usize,
    /// The unwritten part of `queued` that belongs to a packet larger than `max_queue_bytes`. An
    /// empty queue accepts such a packet, so it is written first. It is excluded from the limit;
    /// otherwise the next packet would disconnect a client that reads well.
    pub(super) oversized: usize,
    /// Present while queued bytes wait for the client to read.
    pub(super) stall: Option<Box<Stall>>,
    /// A timer that checks for progress is running.
    pub(super) stall_timer_runs: bool,
    pub(super) driver: Option<Waker>,
    /// The driver is running and will check again before it sleeps, so it need not be woken.
    pub(super) running: bool,
    pub(super) transport: TransportKind,
    pub(super) closing: Option<DisconnectReason>,
    pub(super) ended: bool,
    pub(super) joined: bool,
    pub(super) upgrading: bool,
    /// This WebSocket's client accepts binary messages only as base64 text.
    pub(super) base64: bool,
    pub(super) socket_left: bool,
    /// The driver does not read because the application holds events back. A PONG that is overdue
    /// meanwhile is not the client's fault.
    pub(super) backlogged: bool,
    pub(super) pong_due: Option<Instant>,
    /// At the last PONG check, the client was still reading bytes written before the PING.
    pub(super) was_reading_slowly: bool,
    pub(super) handshake: Option<Arc<Handshake>>,
    pub(super) guard: Option<Arc<dyn Any + Send + Sync>>,
    pub(super) alive: Option<AliveGuard>,
    pub(super) polling: Option<Box<Polling>>,
}

/// State that only a session on polling needs.
#[derive(Default)]
pub(super) struct Polling {
    pub(super) poll_open: bool,
    pub(super) poll: Option<Waker>,
    /// The open poll must be answered at once, for an upgrade.
    pub(super) release: bool,
    pub(super) post_open: bool,
    pub(super) post: Option<Waker>,
    /// Wakes the POST that is reading its body; the body is discarded once the session is closing.
    pub(super) reading: Option<Waker>,
    pub(super) inbox: Option<Bytes>,
    pub(super) handover: Option<Box<WebSocket>>,
    /// Wakes the upgrade in progress, which ends with the session.
    pub(super) probing: Option<Waker>,
    /// The session has ended, so the upgrade cannot continue it.
    pub(super) has_ended: bool,
    /// The next poll is answered with a close packet, although the end was not graceful.
    pub(super) closes_at_next_poll: bool,
    /// Bytes of large poll responses that the client has not read yet, counted as they were in the
    /// queue.
    pub(super) unread: usize,
    /// Queue bytes of the response that was taken last.
    pub(super) taken: usize,
    /// Number of large responses that the client has not read yet.
    pub(super) unread_responses: usize,
    /// When the client last read part of a large response, or was given it.
    pub(super) read_last: Option<Instant>,
    /// The session is no longer in the registry: queued items that no open poll takes are
    /// undeliverable.
    pub(super) removed: bool,
}

impl Shared {
    /// Accounts for bytes that have left the front of the queue.
    pub(super) fn written(&mut self, bytes: usize) {
        self.queued = self.queued.saturating_sub(bytes);
        if let Some(stall) = &mut self.stall {
            stall.written(bytes);
        }
        self.oversized = self.oversized.saturating_sub(bytes);
    }

    /// Whether this many more bytes may be queued.
    pub(super) fn fits(&self, bytes: usize, max: usize) -> bool {
        let unread = self.polling.as_ref().map_or(0, |polling| polling.unread);
        self.queued == 0 && bytes > max || self.queued - self.oversized + unread + bytes <= max
    }

    /// When a client that still has written bytes to read last read some, or was given them.
    pub(super) fn read_last(&self) -> Option<Instant> {
        match (&self.polling, self.transport) {
            (Some(polling), TransportKind::Polling) => {
                polling.read_last.filter(|_| polling.unread_responses > 0)
            }
            (_, TransportKind::Polling) => None,
            (_, TransportKind::WebSocket) => self.stall.as_ref().map(|stall| stall.since),
        }
    }

    /// Whether queued items must wait for a poll.
    pub(super) fn has_no_poll(&self) -> bool {
        self.transport == TransportKind::Polling
            && self
                .polling
                .as_ref()
                .is_some_and(|polling| polling.poll.is_none())
    }

    pub(super) fn wake_driver(&self) {
        if !self.running
            && let Some(driver) = &self.driver
        {
            driver.wake_by_ref();
        }
    }

    pub(super) fn wake_receiver(&self) {
        match (&self.polling, self.transport) {
            (Some(polling), TransportKind::Polling) => {
                if let Some(poll) = &polling.poll {
                    poll.wake_by_ref();
                }
            }
            _ => self.wake_driver(),
        }
    }

    pub(super) fn close(&mut self, reason: DisconnectReason) {
        if self.closing.is_none() {
            self.closing = Some(reason);
            self.wake_closing();
        }
    }

    /// Wakes the tasks that react to a closing session.
    pub(super) fn wake_closing(&mut self) {
        self.wake_driver();
        if let Some(reading) = self
            .polling
            .as_mut()
            .and_then(|polling| polling.reading.take())
        {
            reading.wake();
        }
    }

    /// Takes the queued items if no poll can fetch them any more.
    pub(super) fn take_undeliverable(&mut self) -> VecDeque<Item> {
        let is_lost = self.ended
            && self
                .polling
                .as_ref()
                .is_some_and(|polling| polling.removed && !polling.poll_open);
        if !is_lost {
            return VecDeque::new();
        }
        self.written(usize::MAX);
        self.stall = None;
        std::mem::take(&mut self.queue)
    }

    /// Ends an upgrade in progress: it cannot continue the session.
    pub(super) fn end_upgrade(&mut self) {
        if let Some(polling) = &mut self.polling {
            polling.has_ended = true;
            if let Some(probing) = polling.probing.take() {
                probing.wake();
            }
        }
    }
}
