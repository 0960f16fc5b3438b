//! What a connection and the rest of the world share about it: what waits to be sent, and why it is
//! to close. The lock is the connection's own, is held for a few instructions at a time, and no
//! foreign code runs under it.

mod form;
mod polling;
mod unsent;

use std::{any::Any, collections::VecDeque, net::SocketAddr, sync::Arc, task::Waker};

#[cfg(feature = "deflate")]
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use tokio::time::Instant;

use self::unsent::Stall;
pub(crate) use self::{
    polling::TooLate,
    unsent::{Budgets, COUNTED_FROM},
};

use crate::{
    ConnectionGuard, DisconnectReason, EmitError, Handshake, Packet, TransportKind,
    driver::Handover, id::Id, observer, packet, received::Received, server::Server,
    stopping::Alive, sweep::Lane, sync::Mutex,
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
    /// It is on a WebSocket whose messages may be compressed. Never taken back, for there is no way
    /// back to polling.
    #[cfg(feature = "deflate")]
    compresses: AtomicBool,
    shared: Mutex<Shared>,
}

struct Shared {
    queue: VecDeque<Item>,
    /// Bytes of frames that are queued, or taken by the driver and not written yet.
    queued: usize,
    /// What of that is left of a packet larger than the whole queue may be, which was taken while
    /// the queue was empty and is therefore written first. It is counted apart, or whatever comes
    /// next would cut off a client that reads well.
    oversized: usize,
    /// Something waits that the client does not take at the moment.
    stall: Option<Box<Stall>>,
    /// A timer is under way that looks whether it does so again.
    watched: bool,
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
    /// Not reading because the application holds events back: then a missing pong is no fault of
    /// the client's.
    backlogged: bool,
    pong_due: Option<Instant>,
    /// When it was last looked for that pong, the client was still reading what was written before.
    read_slowly: bool,
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
    /// Bytes of large answers that were given to polls and have not been read yet, as they counted
    /// in the queue.
    unread: usize,
    /// The same of the answer that was taken from the queue last.
    taken: usize,
    /// How many such answers there are.
    unread_answers: usize,
    /// When the client last read some of a large answer, or was given it.
    read_last: Option<Instant>,
    /// Nobody finds the session any more: what no open poll takes is for nobody.
    forgotten: bool,
}

/// How something is queued.
#[derive(Clone, Copy, PartialEq)]
enum Push {
    /// If there is no room for it, the client is cut off.
    OrCutOff,
    /// If there is no room for it, nothing is done.
    IfRoom,
    /// It is bounded by other means, and does not count for how much may be queued.
    Apart,
}

/// What a turn of the driver starts with.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) closing: Option<DisconnectReason>,
    pub(crate) joined: bool,
    pub(crate) socket_left: bool,
    pub(crate) handover: Option<Box<Handover>>,
}

/// What is left of a session at its end.
pub(crate) struct Ended {
    /// A poll is there, and its answer says that this is the end.
    pub(crate) poll_open: bool,
    /// The next poll is to be told of the end, if it comes in time.
    pub(crate) awaits_poll: bool,
    /// To be sent before the close, on WebSocket.
    pub(crate) rest: Option<VecDeque<Item>>,
    /// A WebSocket that came too late to be driven, and on which the client waits for the end by
    /// now.
    pub(crate) handover: Option<Box<Handover>>,
}

/// What a poll is answered with.
pub(crate) enum Polled {
    /// Send this.
    Items(VecDeque<Item>),
    /// Send this, and that the transport is closed.
    Last(VecDeque<Item>),
    /// Send this, or refuse the poll if it is nothing: the server stops, and the session ends with
    /// this poll.
    ///
    /// A close packet would say the same to Node's client. Others (python-engineio, rust_engineio)
    /// take it for a wish that they leave, and do not come back by themselves as they do when a
    /// poll fails.
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
        if let Some(stall) = &mut self.stall {
            stall.written(bytes);
        }
        self.oversized = self.oversized.saturating_sub(bytes);
    }

    /// Whether so much more may be queued.
    fn fits(&self, bytes: usize, max: usize) -> bool {
        let unread = self.polling.as_ref().map_or(0, |polling| polling.unread);
        self.queued == 0 && bytes > max || self.queued - self.oversized + unread + bytes <= max
    }

    /// When a client that has not read yet all that was written to it last did so, or was given it.
    fn read_last(&self) -> Option<Instant> {
        match (&self.polling, self.transport) {
            (Some(polling), TransportKind::Polling) => {
                polling.read_last.filter(|_| polling.unread_answers > 0)
            }
            (_, TransportKind::Polling) => None,
            (_, TransportKind::WebSocket) => self.stall.as_ref().map(|stall| stall.since),
        }
    }

    /// Whether what is queued must wait for a poll to come.
    fn has_no_poll(&self) -> bool {
        self.transport == TransportKind::Polling
            && self
                .polling
                .as_ref()
                .is_some_and(|polling| polling.poll.is_none())
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
        if let Some(reading) = self
            .polling
            .as_mut()
            .and_then(|polling| polling.reading.take())
        {
            reading.wake();
        }
    }

    /// Takes what is queued if nobody can come for it any more.
    fn take_left(&mut self) -> VecDeque<Item> {
        let is_lost = self.ended
            && self
                .polling
                .as_ref()
                .is_some_and(|polling| polling.forgotten && !polling.poll_open);
        if !is_lost {
            return VecDeque::new();
        }
        self.written(usize::MAX);
        self.stall = None;
        std::mem::take(&mut self.queue)
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
    pub(crate) fn new(
        server: Arc<Server>,
        sid: Id,
        transport: TransportKind,
        handshake: Arc<Handshake>,
    ) -> Arc<Self> {
        let alive = Some(Alive::new(server.clone()));
        let base64 = transport == TransportKind::WebSocket && handshake.wants_base64();
        Arc::new(Self {
            sid,
            peer: handshake.peer,
            recovers: server.config.recovery.as_ref().is_some_and(|recovery| {
                recovery.for_everybody || handshake.query("recovery").as_deref() == Some("1")
            }),
            server,
            #[cfg(feature = "deflate")]
            compresses: AtomicBool::new(false),
            shared: Mutex::new(Shared {
                queue: VecDeque::new(),
                queued: 0,
                oversized: 0,
                stall: None,
                watched: false,
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
                read_slowly: false,
                guard: handshake
                    .extensions
                    .get::<ConnectionGuard>()
                    .map(|guard| guard.0.clone()),
                handshake: Some(handshake),
                alive,
                polling: (transport == TransportKind::Polling).then(Box::default),
            }),
        })
    }

    /// To count what is held of something that the client sends.
    pub(crate) fn received(&self) -> Received {
        self.server.received(self.peer.ip())
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

    /// Whether what is queued now is written at once, as far as can be told: nothing waits, and on
    /// polling a poll does.
    pub(crate) fn is_writable(&self) -> bool {
        let shared = self.shared.lock();
        shared.queued == 0 && !shared.has_no_poll()
    }

    /// Queues frames, and what is to follow their being written. Until a connection that is to
    /// close gracefully has its last turn, what comes still goes out.
    pub(crate) fn push(&self, frames: Bytes, mut then: Option<Item>) -> Result<(), EmitError> {
        self.try_push(frames, &mut then)
    }

    /// The same, for a caller with a lock of its own: what is to follow is left where it is if
    /// nothing is queued.
    pub(crate) fn try_push(&self, frames: Bytes, then: &mut Option<Item>) -> Result<(), EmitError> {
        self.queue(frames, then, Push::OrCutOff)
    }

    /// The same if there is room for it; [`EmitError::Full`], and nothing done, if there is none at
    /// the moment.
    pub(crate) fn push_if_room(&self, frames: Bytes) -> Result<(), EmitError> {
        self.queue(frames, &mut None, Push::IfRoom)
    }

    fn queue(&self, frames: Bytes, then: &mut Option<Item>, how: Push) -> Result<(), EmitError> {
        let mut shared = self.shared.lock();
        if shared.ended || shared.closing.is_some_and(|reason| !reason.is_graceful()) {
            return Err(EmitError::Closed);
        }
        let frames = if shared.base64 {
            packet::base64_frames(frames)
        } else {
            frames
        };
        let max = self.server.config.max_queue_bytes;
        let fits = how == Push::Apart || frames.is_empty() || shared.fits(frames.len(), max);
        // A client that takes what it is sent is not looked at any closer.
        let waits = !frames.is_empty() && (shared.stall.is_some() || shared.has_no_poll());
        if !fits || waits && !self.wait_for_client(&mut shared, &frames) {
            if how != Push::IfRoom {
                // Also in place of a graceful end: what follows a gap must not be sent.
                shared.closing = Some(DisconnectReason::SlowReader);
                shared.wake_closing();
            }
            return Err(EmitError::Full);
        }
        if how == Push::Apart || shared.queued == 0 && frames.len() > max {
            shared.oversized += frames.len();
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

    /// Accounts for frames that are about to be queued behind others, or for a poll that is not
    /// there. False if it would be too much for the client's address.
    fn wait_for_client(&self, shared: &mut Shared, frames: &[u8]) -> bool {
        self.watch(shared);
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
            && *queued + frames.len() >= COUNTED_FROM
            && let Some(budget) = self.server.unsent.of(self.peer.ip())
        {
            // What the driver has taken is not to be seen from here.
            let known: usize = frames_of(queue).map(Bytes::len).sum();
            stall.start_counting(budget, *queued - known);
            if !frames_of(queue).all(|frames| stall.count(frames)) {
                stall.stop_counting();
                return false;
            }
        }
        stall.count(frames)
    }

    /// Notes that something waits for the client, and has a timer look after it.
    fn watch(&self, shared: &mut Shared) {
        let now = Instant::now();
        shared
            .stall
            .get_or_insert_with(|| Box::new(Stall::new(now)));
        if !shared.watched
            && let Some(look) = self.server.stall_look()
        {
            shared.watched = true;
            self.server
                .timers
                .push(Lane::Stalled, now + look, self.sid.key());
        }
    }

    /// Closes the connection if the client has taken nothing of what waits for it for too long.
    /// Whether to look again.
    pub(crate) fn check_progress(&self, now: Instant) -> bool {
        let mut shared = self.shared.lock();
        // Until it has gone over to a WebSocket, a client does not poll.
        let pauses = shared.upgrading;
        let (closing, limit) = (shared.closing, self.server.config.write_timeout);
        let (Some(stall), None, Some(limit)) = (&mut shared.stall, closing, limit) else {
            shared.watched = false;
            return false;
        };
        if pauses {
            stall.since = now;
        } else if stall.since + limit <= now {
            shared.close(DisconnectReason::SlowReader);
        }
        true
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

    /// Closes the connection to make room for another, if it is in no namespace yet. False if it
    /// is, or is on its way out.
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
        shared.read_slowly = false;
        shared.queued += frames.len();
        if let Some(stall) = &mut shared.stall {
            stall.pass(frames.len());
        }
        shared.queue.push_back(Item::Frames(frames));
        shared.wake_receiver();
        true
    }

    /// The client answered. Gives by when it had to; `None` if nothing had been asked.
    pub(crate) fn pong(&self) -> Option<Instant> {
        self.shared.lock().pong_due.take()
    }

    /// Closes the connection if its pong is overdue. When it cannot be told, gives the time to look
    /// again.
    pub(crate) fn check_pong(&self, now: Instant) -> Option<Instant> {
        let mut shared = self.shared.lock();
        let due = shared.pong_due?;
        if due > now || shared.closing.is_some() {
            return None;
        }
        let (reads, did_read) = (self.reads_slowly(&shared, now), shared.read_slowly);
        shared.read_slowly = reads;
        // A ping that waited until now has its time from now on.
        if reads || did_read || self.keeps_waiting(&shared) {
            let again = now + self.server.config.ping_timeout;
            shared.pong_due = Some(again);
            return Some(again);
        }
        shared.close(DisconnectReason::PingTimeout);
        None
    }

    /// Closes the connection, and says so, if its pong is overdue: what [`Self::check_pong`] would
    /// find a moment later.
    pub(crate) fn close_if_overdue(&self, now: Instant) -> bool {
        let mut shared = self.shared.lock();
        let is_overdue = shared.pong_due.is_some_and(|due| due <= now)
            && !(self.keeps_waiting(&shared)
                || shared.read_slowly
                || self.reads_slowly(&shared, now));
        if is_overdue {
            shared.close(DisconnectReason::PingTimeout);
        }
        is_overdue
    }

    /// Whether it is the server that does not take what the client may have sent.
    fn keeps_waiting(&self, shared: &Shared) -> bool {
        shared.backlogged
            || self.server.stopping.is_paused()
            || shared
                .polling
                .as_ref()
                .is_some_and(|polling| polling.post.is_some())
    }

    /// Whether a ping may wait behind much else, which the client does read.
    fn reads_slowly(&self, shared: &Shared, now: Instant) -> bool {
        self.server
            .config
            .write_timeout
            .is_some_and(|limit| shared.read_last().is_some_and(|read| read + limit > now))
    }
}

/// For the driver.
impl Session {
    pub(crate) fn begin_turn(&self, waker: &Waker) -> Turn {
        let mut shared = self.shared.lock();
        shared.running = true;
        if !shared
            .driver
            .as_ref()
            .is_some_and(|driver| driver.will_wake(waker))
        {
            shared.driver = Some(waker.clone());
        }
        Turn {
            closing: shared.closing,
            joined: shared.joined,
            socket_left: std::mem::take(&mut shared.socket_left),
            handover: shared
                .polling
                .as_mut()
                .and_then(|polling| polling.handover.take()),
        }
    }

    /// Ends the turn, if nothing came up meanwhile that wants another. What is queued counts only
    /// if the driver could write it.
    pub(crate) fn end_turn(&self, can_write: bool, can_receive: bool) -> bool {
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

    /// Accounts for what was written, and takes what is queued.
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

    /// Accounts for what was written, and for what the client does not take for now. False if that
    /// is too much for its address.
    pub(crate) fn count_blocked(&self, written: usize, unsent: &VecDeque<Item>) -> bool {
        let mut shared = self.shared.lock();
        shared.written(written);
        self.watch(&mut shared);
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
        if stall.is_counting() || *queued < COUNTED_FROM {
            return true;
        }
        let Some(budget) = self.server.unsent.of(self.peer.ip()) else {
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
        let alive = if shared.upgrading {
            None
        } else {
            shared.alive.take()
        };
        if let Some(polling) = &mut shared.polling {
            polling.forgotten = true;
        }
        let left = shared.take_left();
        drop(shared);
        // Outside of the lock: whoever waits for it to be written learns that it is not.
        drop((alive, left));
    }

    /// The driver is done. What is still queued is sent along if the end is graceful: it is given
    /// back on WebSocket, and kept for one more poll on polling.
    pub(crate) fn end(&self, reason: DisconnectReason, transport: TransportKind) -> Ended {
        let mut shared = self.shared.lock();
        let reason = *shared.closing.get_or_insert(reason);
        shared.ended = true;
        let was_joined = std::mem::replace(&mut shared.joined, true);
        shared.driver = None;
        let kept = (shared.handshake.take(), shared.guard.take());
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
        // A close goes with a poll of its own: see `Shared::poll_items`.
        let is_told = match reason {
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
            poll_open = polling.poll_open && is_told;
            awaits_poll |= polling.tells_next_poll;
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
        Ended {
            poll_open,
            awaits_poll,
            rest,
            handover,
        }
    }
}

fn frames_of(items: &VecDeque<Item>) -> impl Iterator<Item = &Bytes> {
    items.iter().filter_map(|item| match item {
        Item::Frames(frames) => Some(frames),
        Item::Written(_) => None,
    })
}

/// A bare Engine.IO packet as frames.
pub(crate) fn engine_frames(text: &str) -> Bytes {
    Packet::engine(text).into_frames()
}

#[cfg(test)]
mod tests;
