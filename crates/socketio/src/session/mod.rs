//! What a connection and the rest of the world share about it: what waits to be sent, and why it is to close. The lock is
//! the connection's own, is held for a few instructions at a time, and no foreign code runs under it.

mod form;
mod polling;

pub(crate) use self::polling::TooLate;

use std::{any::Any, collections::VecDeque, net::SocketAddr, sync::Arc, task::Waker};

#[cfg(feature = "deflate")]
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    ConnectionGuard, DisconnectReason, EmitError, Handshake, Packet, TransportKind, driver::Handover, id::Id, observer, packet,
    server::Server, stopping::Alive, sync::Mutex,
};

/// One thing to send, or to do once what came before it has been sent.
pub(crate) enum Item {
    Frames(Bytes),
    Written(Box<dyn FnOnce() + Send>),
}

pub(crate) struct Session {
    pub(crate) sid: Id,
    pub(crate) peer: SocketAddr,
    pub(crate) server: Arc<Server>,
    /// The client has asked for its sockets to be recovered, and may.
    pub(crate) recovers: bool,
    /// It is on a WebSocket whose messages may be compressed. Never taken back, for there is no way back to polling.
    #[cfg(feature = "deflate")]
    compresses: AtomicBool,
    shared: Mutex<Shared>,
}

struct Shared {
    queue: VecDeque<Item>,
    /// Bytes of frames that are queued, or taken by the driver and not written yet.
    queued: usize,
    /// What of that is left of a packet larger than the whole queue may be, which was taken while the queue was empty and is therefore
    /// written first. It is counted apart, or whatever comes next would cut off a client that reads well.
    oversized: usize,
    driver: Option<Waker>,
    /// The driver is in its turn and will look again before it sleeps, so it need not be woken.
    running: bool,
    transport: TransportKind,
    closing: Option<DisconnectReason>,
    ended: bool,
    joined: bool,
    upgrading: bool,
    /// The client takes binary messages as base64 text only, on this WebSocket.
    base64: bool,
    socket_left: bool,
    /// Not reading because the application holds events back: then a missing pong is no fault of the client's.
    backlogged: bool,
    pong_due: Option<Instant>,
    handshake: Option<Arc<Handshake>>,
    guard: Option<Arc<dyn Any + Send + Sync>>,
    alive: Option<Alive>,
    polling: Option<Box<Polling>>,
}

/// What only a session on polling needs.
#[derive(Default)]
struct Polling {
    poll_open: bool,
    poll: Option<Waker>,
    /// The open poll is to be let go, for an upgrade.
    release: bool,
    post_open: bool,
    post: Option<Waker>,
    /// Reads the body of a POST, which nobody takes once the session is to close.
    reading: Option<Waker>,
    inbox: Option<Bytes>,
    handover: Option<Box<Handover>>,
    /// An upgrade that is under way, and ends with the session.
    probing: Option<Waker>,
    /// Nothing of the session is left for an upgrade to go on with.
    over: bool,
    /// The next poll learns that the session is closed, though this was no graceful end.
    tells_next_poll: bool,
}

/// What a turn of the driver starts with.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) closing: Option<DisconnectReason>,
    pub(crate) socket_left: bool,
    pub(crate) handover: Option<Box<Handover>>,
}

/// What is left of a session at its end.
pub(crate) struct Ended {
    /// A poll is there to take all that is queued.
    pub(crate) poll_open: bool,
    /// The next poll is to be told of the end, if it comes in time.
    pub(crate) awaits_poll: bool,
    /// To be sent before the close, on WebSocket.
    pub(crate) rest: Option<VecDeque<Item>>,
    /// A WebSocket that came too late to be driven, and on which the client waits for the end by now.
    pub(crate) handover: Option<Box<Handover>>,
}

/// What a poll is answered with.
pub(crate) enum Polled {
    /// Send this.
    Items(VecDeque<Item>),
    /// Send this, and that the transport is closed.
    Last(VecDeque<Item>),
    /// Send this, or refuse the poll if it is nothing: the server stops, and the session ends with this poll.
    ///
    /// A close packet would say the same to Node's client. Others (python-engineio, rust_engineio) take it for a wish that they leave,
    /// and do not come back by themselves as they do when a poll fails.
    Stopping(VecDeque<Item>),
    /// There is nothing, but the poll must be let go.
    Noop,
    /// The same, and this is the end: the client has closed by itself and has no need to be told.
    Over,
    /// The session has gone on to a WebSocket, by a client that did not wait for its poll.
    Refused,
}

impl Shared {
    /// Accounts for what is queued no more, from the front.
    fn written(&mut self, bytes: usize) {
        self.queued = self.queued.saturating_sub(bytes);
        self.oversized = self.oversized.saturating_sub(bytes);
    }

    fn wake_driver(&self) {
        if !self.running
            && let Some(driver) = &self.driver
        {
            driver.wake_by_ref();
        }
    }

    fn wake_receiver(&self) {
        match (&self.polling, self.transport) {
            (Some(polling), TransportKind::Polling) => {
                if let Some(poll) = &polling.poll {
                    poll.wake_by_ref();
                }
            }
            _ => self.wake_driver(),
        }
    }

    fn close(&mut self, reason: DisconnectReason) {
        if self.closing.is_none() {
            self.closing = Some(reason);
            self.wake_closing();
        }
    }

    /// Wakes those who act on the session's having to close.
    fn wake_closing(&mut self) {
        self.wake_driver();
        if let Some(reading) = self.polling.as_mut().and_then(|polling| polling.reading.take()) {
            reading.wake();
        }
    }

    /// Nothing is left for an upgrade to go on with.
    fn end_upgrade(&mut self) {
        if let Some(polling) = &mut self.polling {
            polling.over = true;
            if let Some(probing) = polling.probing.take() {
                probing.wake();
            }
        }
    }
}

impl Session {
    pub(crate) fn new(server: Arc<Server>, sid: Id, transport: TransportKind, handshake: Arc<Handshake>) -> Arc<Self> {
        let alive = Some(Alive::new(server.clone()));
        let base64 = transport == TransportKind::WebSocket && handshake.wants_base64();
        Arc::new(Self {
            sid,
            peer: handshake.peer,
            recovers: server.config.recovery.is_some() && handshake.query("recovery").as_deref() == Some("1"),
            server,
            #[cfg(feature = "deflate")]
            compresses: AtomicBool::new(false),
            shared: Mutex::new(Shared {
                queue: VecDeque::new(),
                queued: 0,
                oversized: 0,
                driver: None,
                running: false,
                transport,
                closing: None,
                ended: false,
                joined: false,
                upgrading: false,
                base64,
                socket_left: false,
                backlogged: false,
                pong_due: None,
                guard: handshake.extensions.get::<ConnectionGuard>().map(|guard| guard.0.clone()),
                handshake: Some(handshake),
                alive,
                polling: (transport == TransportKind::Polling).then(Box::default),
            }),
        })
    }

    pub(crate) fn transport(&self) -> TransportKind {
        self.shared.lock().transport
    }

    pub(crate) fn is_open(&self) -> bool {
        self.shared.lock().closing.is_none()
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.shared.lock().queued
    }

    /// Queues frames, and what is to follow their being written. Until a connection that is to close gracefully has its last turn,
    /// what comes still goes out.
    pub(crate) fn push(&self, frames: Bytes, mut then: Option<Item>) -> Result<(), EmitError> {
        self.try_push(frames, &mut then)
    }

    /// The same, for a caller with a lock of its own: what is to follow is left where it is if nothing is queued.
    pub(crate) fn try_push(&self, frames: Bytes, then: &mut Option<Item>) -> Result<(), EmitError> {
        self.queue(frames, then, false)
    }

    /// `is_apart`: it is bounded by other means, and does not count for how much may be queued.
    fn queue(&self, frames: Bytes, then: &mut Option<Item>, is_apart: bool) -> Result<(), EmitError> {
        let mut shared = self.shared.lock();
        if shared.ended || shared.closing.is_some_and(|reason| !reason.is_graceful()) {
            return Err(EmitError::Closed);
        }
        let frames = if shared.base64 { packet::base64_frames(frames) } else { frames };
        let max = self.server.config.max_queue_bytes;
        if is_apart || shared.queued == 0 && frames.len() > max {
            shared.oversized += frames.len();
        } else if shared.queued - shared.oversized + frames.len() > max {
            // Also in place of a graceful end: what follows a gap must not be sent.
            shared.closing = Some(DisconnectReason::SlowReader);
            shared.wake_closing();
            return Err(EmitError::Full);
        }
        let was_empty = shared.queue.is_empty();
        shared.queued += frames.len();
        // A batch of nothing is nothing to write.
        if !frames.is_empty() {
            shared.queue.push_back(Item::Frames(frames));
        }
        shared.queue.extend(then.take());
        if was_empty {
            shared.wake_receiver();
        }
        Ok(())
    }

    /// Asks the driver to end the connection.
    pub(crate) fn close(&self, reason: DisconnectReason) {
        self.shared.lock().close(reason);
    }

    /// Asks the driver to look for sockets that the application has taken out of their namespaces.
    pub(crate) fn socket_left(&self) {
        let mut shared = self.shared.lock();
        shared.socket_left = true;
        shared.wake_driver();
    }

    pub(crate) fn handshake(&self) -> Arc<Handshake> {
        let kept = self.shared.lock().handshake.clone();
        kept.unwrap_or_else(|| Arc::new(Handshake::bare(self.peer)))
    }

    pub(crate) fn forget_handshake(&self) {
        let forgotten = self.shared.lock().handshake.take();
        drop(forgotten);
    }

    /// It is where it wanted to be, and no handshake any more.
    pub(crate) fn set_joined(&self) {
        if !std::mem::replace(&mut self.shared.lock().joined, true) {
            self.server.admission.arrived();
        }
    }

    /// Closes the connection to make room for another, if it is in no namespace yet. False if it is, or is on its way out.
    pub(crate) fn displace(&self) -> bool {
        let mut shared = self.shared.lock();
        let waits = !shared.joined && shared.closing.is_none();
        if waits {
            shared.close(DisconnectReason::Displaced);
        }
        waits
    }

    /// Past the connect timeout: closes the connection if it is in no namespace yet.
    pub(crate) fn connect_due(&self) {
        let mut shared = self.shared.lock();
        if !shared.joined {
            shared.close(DisconnectReason::ConnectTimeout);
        }
    }

    /// Sends a ping. False if the connection is over.
    pub(crate) fn ping(&self, pong_due: Instant) -> bool {
        let mut shared = self.shared.lock();
        if shared.closing.is_some() {
            return false;
        }
        let frames = self.server.ping_frames.clone();
        shared.pong_due = Some(pong_due);
        shared.queued += frames.len();
        shared.queue.push_back(Item::Frames(frames));
        shared.wake_receiver();
        true
    }

    /// The client answered. Gives by when it had to; `None` if nothing had been asked.
    pub(crate) fn pong(&self) -> Option<Instant> {
        self.shared.lock().pong_due.take()
    }

    /// Closes the connection if its pong is overdue. When it cannot be told, gives the time to look again.
    pub(crate) fn check_pong(&self, now: Instant) -> Option<Instant> {
        let mut shared = self.shared.lock();
        let due = shared.pong_due?;
        if due > now || shared.closing.is_some() {
            return None;
        }
        if self.keeps_waiting(&shared) {
            let again = now + self.server.config.ping_timeout;
            shared.pong_due = Some(again);
            return Some(again);
        }
        shared.close(DisconnectReason::PingTimeout);
        None
    }

    /// Closes the connection, and says so, if its pong is overdue: what [`Self::check_pong`] would find a moment later.
    pub(crate) fn close_if_overdue(&self, now: Instant) -> bool {
        let mut shared = self.shared.lock();
        let is_overdue = shared.pong_due.is_some_and(|due| due <= now) && !self.keeps_waiting(&shared);
        if is_overdue {
            shared.close(DisconnectReason::PingTimeout);
        }
        is_overdue
    }

    /// Whether it is the server that does not take what the client may have sent.
    fn keeps_waiting(&self, shared: &Shared) -> bool {
        shared.backlogged || self.server.stopping.is_paused() || shared.polling.as_ref().is_some_and(|polling| polling.post.is_some())
    }
}

/// For the driver.
impl Session {
    pub(crate) fn begin_turn(&self, waker: &Waker) -> Turn {
        let mut shared = self.shared.lock();
        shared.running = true;
        if !shared.driver.as_ref().is_some_and(|driver| driver.will_wake(waker)) {
            shared.driver = Some(waker.clone());
        }
        Turn {
            closing: shared.closing,
            socket_left: std::mem::take(&mut shared.socket_left),
            handover: shared.polling.as_mut().and_then(|polling| polling.handover.take()),
        }
    }

    /// Ends the turn, if nothing came up meanwhile that wants another. What is queued counts only if the driver could write it.
    pub(crate) fn end_turn(&self, can_write: bool, can_receive: bool) -> bool {
        let mut shared = self.shared.lock();
        let queue_waits = can_write && shared.transport == TransportKind::WebSocket && !shared.queue.is_empty();
        let polling_waits =
            shared.polling.as_ref().is_some_and(|polling| polling.handover.is_some() || can_receive && polling.inbox.is_some());
        if queue_waits || polling_waits || shared.closing.is_some() || shared.socket_left {
            return false;
        }
        shared.running = false;
        true
    }

    /// Accounts for what was written, and takes what is queued.
    pub(crate) fn take_queue(&self, written: usize) -> VecDeque<Item> {
        let mut shared = self.shared.lock();
        shared.written(written);
        let queue = std::mem::take(&mut shared.queue);
        drop(shared);
        self.observe_sent(TransportKind::WebSocket, &queue);
        queue
    }

    /// Tells of what was taken out of the queue to be written.
    fn observe_sent(&self, transport: TransportKind, items: &VecDeque<Item>) {
        if !items.is_empty() {
            self.server.observe(|observer| {
                let (count, bytes) = observer::messages(items);
                if count > 0 {
                    observer.sent(transport, count, bytes);
                }
            });
        }
    }

    /// Accounts for what was written.
    pub(crate) fn count_written(&self, written: usize) {
        self.shared.lock().written(written);
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

    /// Whether the driver may be in the middle of something.
    pub(crate) fn is_in_turn(&self) -> bool {
        let shared = self.shared.lock();
        shared.running && !shared.ended
    }

    pub(crate) fn take_alive(&self) -> Option<Alive> {
        self.shared.lock().alive.take()
    }

    /// Nobody finds it any more. An upgrade that is under way still has to close its WebSocket.
    pub(crate) fn forgotten(&self) {
        let mut shared = self.shared.lock();
        shared.end_upgrade();
        let alive = if shared.upgrading { None } else { shared.alive.take() };
        drop(shared);
        drop(alive);
    }

    /// The driver is done. What is still queued is sent along if the end is graceful: it is given back on WebSocket, and kept for one
    /// more poll on polling.
    pub(crate) fn end(&self, reason: DisconnectReason, transport: TransportKind) -> Ended {
        let mut shared = self.shared.lock();
        let reason = *shared.closing.get_or_insert(reason);
        shared.ended = true;
        let was_joined = std::mem::replace(&mut shared.joined, true);
        shared.driver = None;
        let kept = (shared.handshake.take(), shared.guard.take());
        let handover = shared.polling.as_mut().and_then(|polling| polling.handover.take());
        let keep_queue = reason.is_graceful() && transport == TransportKind::Polling && handover.is_none();
        let queue = if keep_queue { VecDeque::new() } else { std::mem::take(&mut shared.queue) };
        if !keep_queue {
            shared.written(usize::MAX);
        }
        let fits = shared.fits_into_a_poll(self.max_packets_per_poll());
        let mut poll_open = false;
        let mut awaits_poll = reason.is_graceful() || reason == DisconnectReason::TransportClose;
        if !reason.is_graceful() {
            shared.end_upgrade();
        }
        if let Some(polling) = &mut shared.polling {
            // Its answer says that this is the end only if all that is left fits into it.
            poll_open = polling.poll_open && fits;
            awaits_poll |= polling.tells_next_poll;
            polling.inbox = None;
            for waiting in [polling.poll.take(), polling.post.take(), polling.reading.take()].into_iter().flatten() {
                waiting.wake();
            }
        }
        drop(shared);
        // What is kept is dropped outside of the lock: dropping may run foreign code.
        drop(kept);
        if !was_joined {
            self.server.admission.arrived();
        }
        self.server.admission.left(self.peer.ip());
        let rest = reason.is_graceful().then_some(queue);
        if let Some(rest) = &rest {
            self.observe_sent(transport, rest);
        }
        Ended { poll_open, awaits_poll, rest, handover }
    }
}

/// A bare Engine.IO packet as frames.
pub(crate) fn engine_frames(text: &str) -> Bytes {
    Packet::engine(text).into_frames()
}

#[cfg(test)]
mod tests;
