//! The state of a connection that its task shares with other threads: the queue of what to send,
//! and the reason to close. Its lock belongs to this connection only and is held for a few
//! instructions; no application code runs under it.

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
    polling::EndedSession,
    unsent::{MIN_COUNTED_BYTES, SendBudgets},
};

use crate::{
    ConnectionGuard, DisconnectReason, EmitError, Handshake, Packet, TransportKind,
    driver::Handover, id::Id, observer, packet, received::Received, server::Server,
    stopping::AliveGuard, sync::Mutex, timers::TimerKind,
};

/// An element of the queue: bytes to send, or a callback to run once everything before it has been
/// sent.
pub(crate) enum Item {
    Frames(Bytes),
    Written(Box<dyn FnOnce() + Send>),
}

pub(crate) struct Session {
    pub(crate) sid: Id,
    pub(crate) peer: SocketAddr,
    pub(crate) server: Arc<Server>,
    /// The client has requested recovery, and the server offers it.
    pub(crate) recovers: bool,
    /// The session is on a WebSocket whose messages may be compressed. Never reset: a session does
    /// not return to polling.
    #[cfg(feature = "deflate")]
    compresses: AtomicBool,
    shared: Mutex<Shared>,
}

struct Shared {
    queue: VecDeque<Item>,
    /// Bytes of frames that are queued, or taken by the driver and not written yet.
    queued: usize,
    /// The unwritten part of `queued` that belongs to a packet larger than `max_queue_bytes`. An
    /// empty queue accepts such a packet, so it is written first. It is excluded from the limit;
    /// otherwise the next packet would disconnect a client that reads well.
    oversized: usize,
    /// Present while queued bytes wait for the client to read.
    stall: Option<Box<Stall>>,
    /// A timer that checks for progress is running.
    stall_timer_runs: bool,
    driver: Option<Waker>,
    /// The driver is running and will check again before it sleeps, so it need not be woken.
    running: bool,
    transport: TransportKind,
    closing: Option<DisconnectReason>,
    ended: bool,
    joined: bool,
    upgrading: bool,
    /// This WebSocket's client accepts binary messages only as base64 text.
    base64: bool,
    socket_left: bool,
    /// The driver does not read because the application holds events back. A PONG that is overdue
    /// meanwhile is not the client's fault.
    backlogged: bool,
    pong_due: Option<Instant>,
    /// At the last PONG check, the client was still reading bytes written before the PING.
    was_reading_slowly: bool,
    handshake: Option<Arc<Handshake>>,
    guard: Option<Arc<dyn Any + Send + Sync>>,
    alive: Option<AliveGuard>,
    polling: Option<Box<Polling>>,
}

/// State that only a session on polling needs.
#[derive(Default)]
struct Polling {
    poll_open: bool,
    poll: Option<Waker>,
    /// The open poll must be answered at once, for an upgrade.
    release: bool,
    post_open: bool,
    post: Option<Waker>,
    /// Wakes the POST that is reading its body; the body is discarded once the session is closing.
    reading: Option<Waker>,
    inbox: Option<Bytes>,
    handover: Option<Box<Handover>>,
    /// Wakes the upgrade in progress, which ends with the session.
    probing: Option<Waker>,
    /// The session has ended, so the upgrade cannot continue it.
    has_ended: bool,
    /// The next poll is answered with a close packet, although the end was not graceful.
    closes_at_next_poll: bool,
    /// Bytes of large poll responses that the client has not read yet, counted as they were in the
    /// queue.
    unread: usize,
    /// Queue bytes of the response that was taken last.
    taken: usize,
    /// Number of large responses that the client has not read yet.
    unread_responses: usize,
    /// When the client last read part of a large response, or was given it.
    read_last: Option<Instant>,
    /// The session is no longer in the registry: queued items that no open poll takes are
    /// undeliverable.
    removed: bool,
}

/// What to do with frames that exceed the queue's limits.
#[derive(Clone, Copy, PartialEq)]
enum PushPolicy {
    /// Disconnect the client.
    DisconnectIfFull,
    /// Reject them and do nothing.
    FailIfFull,
    /// Queue them: they are bounded by other limits and do not count towards the queue's.
    Uncounted,
}

/// What a run of the driver starts with.
#[derive(Default)]
pub(crate) struct RunStart {
    pub(crate) closing: Option<DisconnectReason>,
    pub(crate) joined: bool,
    pub(crate) socket_left: bool,
    pub(crate) handover: Option<Box<Handover>>,
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
    pub(crate) handover: Option<Box<Handover>>,
}

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

impl Shared {
    /// Accounts for bytes that have left the front of the queue.
    fn written(&mut self, bytes: usize) {
        self.queued = self.queued.saturating_sub(bytes);
        if let Some(stall) = &mut self.stall {
            stall.written(bytes);
        }
        self.oversized = self.oversized.saturating_sub(bytes);
    }

    /// Whether this many more bytes may be queued.
    fn fits(&self, bytes: usize, max: usize) -> bool {
        let unread = self.polling.as_ref().map_or(0, |polling| polling.unread);
        self.queued == 0 && bytes > max || self.queued - self.oversized + unread + bytes <= max
    }

    /// When a client that still has written bytes to read last read some, or was given them.
    fn read_last(&self) -> Option<Instant> {
        match (&self.polling, self.transport) {
            (Some(polling), TransportKind::Polling) => {
                polling.read_last.filter(|_| polling.unread_responses > 0)
            }
            (_, TransportKind::Polling) => None,
            (_, TransportKind::WebSocket) => self.stall.as_ref().map(|stall| stall.since),
        }
    }

    /// Whether queued items must wait for a poll.
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

    /// Wakes the tasks that react to a closing session.
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

    /// Takes the queued items if no poll can fetch them any more.
    fn take_undeliverable(&mut self) -> VecDeque<Item> {
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
    fn end_upgrade(&mut self) {
        if let Some(polling) = &mut self.polling {
            polling.has_ended = true;
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
        let alive = Some(AliveGuard::new(server.clone()));
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
                stall_timer_runs: false,
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
                was_reading_slowly: false,
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

    /// A counter for bytes buffered of what the client sends.
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

    fn queue(
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
        let max = self.server.config.max_queue_bytes;
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
            && let Some(budget) = self.server.unsent.of(self.peer.ip())
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
    fn watch_stall(&self, shared: &mut Shared) {
        let now = Instant::now();
        shared
            .stall
            .get_or_insert_with(|| Box::new(Stall::new(now)));
        if !shared.stall_timer_runs
            && let Some(interval) = self.server.stall_check_interval()
        {
            shared.stall_timer_runs = true;
            self.server
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
        let (closing, limit) = (shared.closing, self.server.config.write_timeout);
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

    /// Asks the driver to end the connection.
    pub(crate) fn close(&self, reason: DisconnectReason) {
        self.shared.lock().close(reason);
    }

    /// Asks the driver to look for sockets that the application has disconnected.
    pub(crate) fn notice_left_socket(&self) {
        let mut shared = self.shared.lock();
        shared.socket_left = true;
        shared.wake_driver();
    }

    pub(crate) fn handshake(&self) -> Arc<Handshake> {
        let kept = self.shared.lock().handshake.clone();
        kept.unwrap_or_else(|| Arc::new(Handshake::bare(self.peer)))
    }

    pub(crate) fn drop_handshake(&self) {
        let removed = self.shared.lock().handshake.take();
        drop(removed);
    }

    /// The connection has joined its first namespace and is no longer a pending handshake.
    pub(crate) fn set_joined(&self) {
        if !std::mem::replace(&mut self.shared.lock().joined, true) {
            self.server.admission.finish_handshake();
        }
    }

    /// Closes the connection to free its place for another, if it is in no namespace. Returns false
    /// if it is in one or is closing already.
    pub(crate) fn displace(&self) -> bool {
        let mut shared = self.shared.lock();
        let waits = !shared.joined && shared.closing.is_none();
        if waits {
            shared.close(DisconnectReason::Displaced);
        }
        waits
    }

    /// Called after the connect timeout: closes the connection if it is in no namespace.
    pub(crate) fn connect_due(&self) {
        let mut shared = self.shared.lock();
        if !shared.joined {
            shared.close(DisconnectReason::ConnectTimeout);
        }
    }

    /// Queues a PING. Returns false if the connection is closing.
    pub(crate) fn ping(&self, pong_due: Instant) -> bool {
        let mut shared = self.shared.lock();
        if shared.closing.is_some() {
            return false;
        }
        let frames = self.server.ping_frames.clone();
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
            let again = now + self.server.config.ping_timeout;
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
            || self.server.stopping.is_paused()
            || shared
                .polling
                .as_ref()
                .is_some_and(|polling| polling.post.is_some())
    }

    /// Whether a PING may be queued behind other bytes that the client is reading.
    fn is_reading_slowly(&self, shared: &Shared, now: Instant) -> bool {
        self.server
            .config
            .write_timeout
            .is_some_and(|limit| shared.read_last().is_some_and(|read| read + limit > now))
    }
}

/// For the driver.
impl Session {
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

    /// Accounts for written bytes, and for unsent items that the client does not read for now.
    /// Returns false if they exceed the limit of its address.
    pub(crate) fn count_blocked(&self, written: usize, unsent: &VecDeque<Item>) -> bool {
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
        drop(kept);
        if !was_joined {
            self.server.admission.finish_handshake();
        }
        self.server.admission.remove_connection(self.peer.ip());
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

/// The frames of an Engine.IO text packet.
pub(crate) fn engine_frames(text: &str) -> Bytes {
    Packet::engine(text).into_frames()
}

#[cfg(test)]
mod tests;
