//! The parts of a session that HTTP requests use: polls and POSTs.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Item, MIN_COUNTED_BYTES, Session, Shared, item::frames_of, unsent::UnreadResponse};
use crate::{DisconnectReason, TransportKind, packet};

/// The response to a poll.
pub(crate) enum Polled {
    /// Send these items.
    Items(VecDeque<Item>),
    /// Send these items, then a close packet.
    Last(VecDeque<Item>),
    /// Send these items, or refuse the poll if there are none: the server is stopping, and the
    /// session ends with this poll.
    ///
    /// A close packet would mean the same to Node's client. Others (python-engineio, rust_engineio)
    /// take it as a request to disconnect and do not reconnect, as they do when a poll fails.
    Stopping(VecDeque<Item>),
    /// Send a NOOP packet: nothing is queued, but the poll must be answered.
    Noop,
    /// Send a NOOP packet: the client closed the session itself.
    ClosedByClient,
    /// Refuse the poll: the session has moved to a WebSocket, and the client did not wait for its
    /// poll.
    Refused,
}

/// For polls.
impl Session {
    /// Opens a poll; returns false if one is open already.
    pub(crate) fn open_poll(&self) -> bool {
        let mut shared = self.shared.lock();
        match &mut shared.polling {
            Some(polling) => !std::mem::replace(&mut polling.poll_open, true),
            None => false,
        }
    }

    pub(crate) fn close_poll(&self) {
        let mut shared = self.shared.lock();
        if let Some(polling) = &mut shared.polling {
            polling.poll_open = false;
            polling.poll = None;
        }
        let undeliverable = shared.take_undeliverable();
        drop(shared);
        drop(undeliverable);
    }

    pub(crate) fn is_upgrading(&self) -> bool {
        self.shared.lock().upgrading
    }

    /// Waits for items to answer the open poll with. The poll is closed once it has them: what is
    /// queued later waits for the next poll.
    pub(crate) fn poll_items(&self, cx: &mut Context<'_>) -> Poll<Polled> {
        let polled = self.try_poll_items(cx);
        if let Poll::Ready(Polled::Items(items) | Polled::Last(items) | Polled::Stopping(items)) =
            &polled
        {
            self.observe_sent(TransportKind::Polling, items);
        }
        polled
    }

    /// Unlimited for clients that request recovery: none of them limits the packets in a response,
    /// and they should receive all missed events together with the CONNECT reply, because Node's
    /// client does not report its offset until it has that reply.
    pub(super) fn max_packets_per_poll(&self) -> usize {
        if self.recovers {
            usize::MAX
        } else {
            self.engine.config.max_packets_per_poll
        }
    }

    /// Keeps the response to a poll until the client has read it. Returns `None` if that exceeds
    /// the limit of its address.
    pub(crate) fn keep_response(self: &Arc<Self>, payload: Vec<u8>) -> Option<Bytes> {
        if payload.len() < MIN_COUNTED_BYTES {
            return Some(payload.into());
        }
        let session = self.clone();
        let unread = self.add_unread();
        let budget = self.engine.unsent.of(self.peer.ip());
        UnreadResponse::keep(payload, budget, move || session.remove_unread(unread))
    }

    /// Items taken last count until they are read, with their size in the queue: neither base64
    /// expansion nor packets that arrive while the client reads an oversized packet must disconnect
    /// it.
    fn add_unread(&self) -> usize {
        let mut shared = self.shared.lock();
        let Some(polling) = &mut shared.polling else {
            return 0;
        };
        polling.unread += polling.taken;
        polling.unread_responses += 1;
        polling.read_last = Some(Instant::now());
        polling.taken
    }

    fn remove_unread(&self, bytes: usize) {
        if let Some(polling) = &mut self.shared.lock().polling {
            polling.unread = polling.unread.saturating_sub(bytes);
            polling.unread_responses = polling.unread_responses.saturating_sub(1);
        }
    }

    /// The client has read part of a response.
    pub(crate) fn on_response_read(&self) {
        let mut shared = self.shared.lock();
        let now = Instant::now();
        if let Some(stall) = &mut shared.stall {
            stall.since = now;
        }
        if let Some(polling) = &mut shared.polling {
            polling.read_last = Some(now);
        }
    }

    fn try_poll_items(&self, cx: &mut Context<'_>) -> Poll<Polled> {
        let mut shared = self.shared.lock();
        let polled = shared.poll_items(cx, self.max_packets_per_poll());
        if let (Poll::Ready(_), Some(polling)) = (&polled, &mut shared.polling) {
            polling.poll_open = false;
            polling.poll = None;
        }
        polled
    }
}

impl Shared {
    fn poll_items(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Polled> {
        if self.ended {
            return Poll::Ready(match self.closing {
                Some(DisconnectReason::TransportClose) => Polled::ClosedByClient,
                reason => match (self.take_packets(max), self.queue.is_empty()) {
                    (items, true) if reason == Some(DisconnectReason::ServerShuttingDown) => {
                        Polled::Stopping(items)
                    }
                    // The next poll reports the end. Node's client closes at once when it reads a
                    // close packet and drops the events before it in the same response, because it
                    // has not dispatched them yet.
                    (items, is_all) if !is_all || frames_of(&items).next().is_some() => {
                        Polled::Items(items)
                    }
                    (items, _) => Polled::Last(items),
                },
            });
        }
        let Some(polling) = &mut self.polling else {
            return Poll::Ready(Polled::Refused);
        };
        let is_current = self.transport == TransportKind::Polling;
        if is_current && !self.queue.is_empty() {
            polling.release = false;
            return Poll::Ready(Polled::Items(self.take_packets(max)));
        }
        if std::mem::take(&mut polling.release) {
            return Poll::Ready(Polled::Noop);
        }
        if !is_current {
            return Poll::Ready(Polled::Refused);
        }
        polling.poll = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether one response holds all queued packets.
    pub(super) fn fits_into_a_poll(&self, max: usize) -> bool {
        let packets = self.queue.iter().map(|item| match item {
            Item::Frames(frames) => packet::first_packets(frames, usize::MAX).0,
            Item::Written(_) => 0,
        });
        packets.sum::<usize>() <= max
    }

    /// Takes up to `max` packets from the front of the queue, with the callbacks that follow them.
    fn take_packets(&mut self, max: usize) -> VecDeque<Item> {
        let (mut taken, mut left, mut bytes) = (VecDeque::new(), max.max(1), 0);
        while left > 0 || matches!(self.queue.front(), Some(Item::Written(_))) {
            match self.queue.pop_front() {
                None => break,
                Some(Item::Frames(mut frames)) => {
                    let (packets, length) = packet::first_packets(&frames, left);
                    let first = frames.split_to(length);
                    if !frames.is_empty() {
                        self.queue.push_front(Item::Frames(frames));
                    }
                    left -= packets;
                    bytes += length;
                    taken.push_back(Item::Frames(first));
                }
                Some(written) => taken.push_back(written),
            }
        }
        let counted = bytes - bytes.min(self.oversized);
        if let Some(polling) = &mut self.polling {
            polling.taken = counted;
        }
        self.written(bytes);
        if self.queue.is_empty() {
            // Returns the memory of a queue that was long for a while.
            self.queue = VecDeque::new();
            self.stall = None;
        } else if let Some(stall) = &mut self.stall {
            stall.since = Instant::now();
        }
        taken
    }
}

/// For POSTs.
impl Session {
    /// Opens a POST; returns false if one is open already.
    pub(crate) fn open_post(&self) -> bool {
        let mut shared = self.shared.lock();
        match &mut shared.polling {
            Some(polling) => !std::mem::replace(&mut polling.post_open, true),
            None => false,
        }
    }

    pub(crate) fn close_post(&self) {
        if let Some(polling) = &mut self.shared.lock().polling {
            polling.post_open = false;
            polling.post = None;
            polling.reading = None;
        }
    }

    /// Completes when the session is closing: then the rest of a POST is not needed.
    pub(crate) fn poll_closing(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.shared.lock();
        let is_closing = shared.closing.is_some();
        match &mut shared.polling {
            Some(polling) if !is_closing => {
                polling.reading = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// The client violated the Socket.IO protocol: the next poll is answered with a close packet,
    /// as in the reference implementation.
    pub(crate) fn close_at_next_poll(&self) {
        if let Some(polling) = &mut self.shared.lock().polling {
            polling.closes_at_next_poll = true;
        }
    }

    /// Waits for space in the inbox, then passes a payload to the driver. Returns false if the
    /// session has ended.
    pub(crate) fn poll_deliver(&self, payload: &Bytes, cx: &mut Context<'_>) -> Poll<bool> {
        let mut shared = self.shared.lock();
        if shared.closing.is_some() {
            return Poll::Ready(false);
        }
        let Some(polling) = &mut shared.polling else {
            return Poll::Ready(false);
        };
        if polling.inbox.is_some() {
            polling.post = Some(cx.waker().clone());
            return Poll::Pending;
        }
        polling.post = None;
        polling.inbox = Some(payload.clone());
        shared.wake_driver();
        Poll::Ready(true)
    }
}
