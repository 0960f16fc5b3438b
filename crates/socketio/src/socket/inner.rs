//! A handle to a socket, and the state that all handles to it share.

use std::{
    any::Any,
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak, atomic::Ordering},
};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::AnySocket;
use crate::{
    Ack, AckError, AckReply, BoxFuture, DisconnectReason, EmitError, Event, Packet,
    codec::json::EventParts,
    event::{AckTarget, Attachments},
    id::Id,
    namespace::TypedNamespace,
    recovery::{Claim, MovedLog, PendingCallbacks, Recovering, RecoveryRequest, SuspendOutcome},
    session::{Item, Session},
    sync::{AtomicBool, Mutex},
    timers::TimerKind,
};

/// A handle to one client in one namespace. Clones are cheap, every method may be called from any
/// thread, and calls after the client has disconnected do nothing or return an error. Two handles
/// are equal if they refer to the same socket.
pub struct Socket<D> {
    pub(super) inner: Arc<SocketInner<D>>,
}

impl<D> Socket<D> {
    pub(crate) fn of(inner: Arc<SocketInner<D>>) -> Self {
        Self { inner }
    }
}

pub(crate) struct SocketInner<D> {
    link: Link,
    pub(super) namespace: Arc<dyn TypedNamespace<Socket<D>>>,
    pub(super) id: Id,
    pub(super) key: u64,
    /// Set once, when either side takes the socket out of its namespace.
    left: AtomicBool,
    acks: Mutex<Option<Box<Acks>>>,
    pub(super) data: D,
}

/// The connection under a socket.
enum Link {
    /// The same connection for the whole life of the socket.
    Fixed(Arc<Session>),
    /// A sequence of connections: the client has requested recovery.
    Recovering(Box<Recovering>),
}

#[derive(Default)]
struct Acks {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<AckReply>>,
}

impl<D: Send + Sync + 'static> SocketInner<D> {
    pub(crate) fn new(
        session: Arc<Session>,
        namespace: Arc<dyn TypedNamespace<Socket<D>>>,
        id: Id,
        data: D,
    ) -> Arc<Self> {
        let hub = namespace.hub();
        let key = hub.next_socket_key();
        let link = if session.recovers {
            match Recovering::new(session.clone(), key, hub.recoverable.totals()) {
                Some(recovering) => Link::Recovering(Box::new(recovering)),
                None => Link::Fixed(session),
            }
        } else {
            Link::Fixed(session)
        };
        Arc::new(Self {
            link,
            namespace,
            id,
            key,
            left: AtomicBool::new(false),
            acks: Mutex::new(None),
            data,
        })
    }

    /// A socket that is moving here from another node, with the private id, its key and the suffix of
    /// offsets that it has there.
    pub(crate) fn arriving(
        session: Arc<Session>,
        namespace: Arc<dyn TypedNamespace<Socket<D>>>,
        id: Id,
        (pid, pid_key, suffix): (&str, u64, String),
        data: D,
    ) -> Arc<Self> {
        let hub = namespace.hub();
        let key = hub.next_socket_key();
        let totals = hub.recoverable.totals();
        let recovering = Recovering::arriving(session, (pid, pid_key, &suffix), totals);
        Arc::new(Self {
            link: Link::Recovering(Box::new(recovering)),
            namespace,
            id,
            key,
            left: AtomicBool::new(false),
            acks: Mutex::new(None),
            data,
        })
    }

    /// Completes the move: see [`Recovering::arrive`]. Returns false if the socket cannot be resumed.
    pub(crate) fn arrive(self: Arc<Self>, log: MovedLog, on_written: Option<Item>) -> bool {
        let Link::Recovering(recovering) = &self.link else {
            return false;
        };
        let (session, key) = (self.session(), recovering.key);
        let due = recovering.arrive(log, on_written);
        let Some(due) = due.filter(|_| !self.has_left()) else {
            return false;
        };
        session.engine.timers.push(TimerKind::Protocol, due, key);
        let hub = self.namespace.hub().clone();
        hub.recoverable.insert(key, self);
        true
    }

    /// The current connection, or the last one of a suspended socket.
    pub(super) fn session(&self) -> Arc<Session> {
        match &self.link {
            Link::Fixed(session) => session.clone(),
            Link::Recovering(recovering) => recovering.session(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        let attached = match &self.link {
            Link::Fixed(session) => session.is_open(),
            Link::Recovering(recovering) => recovering
                .attached()
                .is_some_and(|session| session.is_open()),
        };
        attached && !self.has_left()
    }

    /// Queues a packet that is not stored for recovery.
    pub(super) fn push(&self, packet: &Packet) -> Result<(), EmitError> {
        if self.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        self.report_full(match &self.link {
            Link::Fixed(session) => session.send(packet, None),
            Link::Recovering(recovering) => recovering.push(packet),
        })
    }

    /// Reports a full queue to the observer.
    fn report_full(&self, result: Result<(), EmitError>) -> Result<(), EmitError> {
        if result == Err(EmitError::Full) {
            self.session()
                .engine
                .observe(|observer| observer.queue_full());
        }
        result
    }

    /// Queues events.
    pub(super) fn push_event(
        &self,
        packet: &Packet,
        callback: Option<Item>,
    ) -> Result<(), EmitError> {
        if self.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        self.report_full(match &self.link {
            Link::Fixed(session) => session.send(packet, callback),
            Link::Recovering(recovering) => recovering.push_events(packet, callback),
        })
    }

    /// Queues events if the queue has space for them now; otherwise returns [`EmitError::Full`].
    pub(super) fn try_push_now(&self, packet: &Packet) -> Result<(), EmitError> {
        if self.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        match &self.link {
            Link::Fixed(session) => session.try_send_now(packet),
            Link::Recovering(recovering) => recovering.try_push_now(packet),
        }
    }

    /// Waits until everything that is queued now has been written, or the connection has ended.
    pub(super) async fn written(&self) {
        let (sender, written) = oneshot::channel();
        let callback = Item::Written(Box::new(move || {
            let _ = sender.send(());
        }));
        if self.session().push(Bytes::new(), Some(callback)).is_ok() {
            let _ = written.await;
        }
    }

    /// Queues events if the client has read everything before them.
    pub(super) fn push_volatile(&self, packet: &Packet) -> Result<(), EmitError> {
        if self.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        let session = match &self.link {
            Link::Fixed(session) => session.clone(),
            Link::Recovering(recovering) => recovering.attached().ok_or(EmitError::Closed)?,
        };
        if !session.is_writable() {
            return self.report_full(Err(EmitError::Full));
        }
        self.report_full(match &self.link {
            Link::Fixed(session) => session.send(packet, None),
            Link::Recovering(recovering) => recovering.push_volatile(packet),
        })
    }

    /// Takes the socket out of its namespace. Returns the client's connection, unless the socket
    /// had left already or was suspended.
    pub(super) fn leave_namespace(self: &Arc<Self>) -> Option<Arc<Session>> {
        // A suspended socket ends now: its client cannot be notified, and no events need to be
        // stored for it.
        if self.left.swap(true, Ordering::AcqRel) || self.clone().end_suspension(None) {
            return None;
        }
        let session = self.session();
        let _ = session.send(&Packet::disconnect(self.namespace.name()), None);
        session.notice_left_socket();
        Some(session)
    }

    /// Takes the socket out of its namespace, and closes the transport once the client has been
    /// notified.
    pub(super) fn leave_and_close(self: &Arc<Self>) {
        if let Some(session) = self.leave_namespace() {
            session.close(DisconnectReason::ServerNamespaceDisconnect);
        }
    }

    /// Prepares the socket for a client that asks to resume it. A connection that still carries it
    /// is closed first: the client knows better than the server that it is dead. Returns the last
    /// event that the client has, or `None` if the socket cannot be resumed; then the socket ends.
    pub(crate) async fn reclaim(
        self: &Arc<Self>,
        namespace: &str,
        request: &RecoveryRequest,
    ) -> Option<u64> {
        let Link::Recovering(recovering) = &self.link else {
            return None;
        };
        if *recovering.pid() != *request.pid || self.namespace.name() != namespace {
            return None;
        }
        recovering.close_carrier().await;
        let after = recovering
            .resumes_after(request)
            .filter(|_| !self.has_left());
        if after.is_none() {
            self.clone().end_suspension(None);
        }
        after
    }

    /// Ends the socket if it is suspended: at once, or only if its recovery window has ended by
    /// `now`. Returns whether this call ended it.
    fn end_suspension(self: Arc<Self>, now: Option<Instant>) -> bool {
        let Link::Recovering(recovering) = &self.link else {
            return false;
        };
        let Some(reason) = recovering.end_suspension(now) else {
            return false;
        };
        let reason = if self.has_left() {
            DisconnectReason::ServerNamespaceDisconnect
        } else {
            reason
        };
        self.finish(reason);
        true
    }

    pub(crate) fn finish(self: Arc<Self>, reason: DisconnectReason) {
        self.left.store(true, Ordering::Release);
        self.acks.lock().take();
        if let Link::Recovering(recovering) = &self.link {
            recovering.remove();
            self.namespace.hub().recoverable.remove(recovering.key);
        }
        let namespace = self.namespace.clone();
        let socket = Socket { inner: self };
        // If the handler panics, the panic hook has reported it; the socket must leave its rooms
        // anyway.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| {
            namespace.disconnecting(&socket, reason)
        }));
        namespace.rooms().remove(socket.inner.id.key());
        namespace.disconnected(&socket, reason);
    }

    pub(super) fn register_ack(&self) -> Result<(u64, oneshot::Receiver<AckReply>), AckError> {
        let max = self.max_pending_acks();
        let (sender, receiver) = oneshot::channel();
        let mut acks = self.acks.lock();
        let acks = acks.get_or_insert_default();
        if acks.waiting.len() >= max {
            return Err(AckError::TooMany);
        }
        let id = acks.last;
        acks.last += 1;
        // A socket that has left receives no acknowledgement: the dropped sender reports that.
        if !self.left.load(Ordering::Acquire) {
            acks.waiting.insert(id, sender);
        }
        Ok((id, receiver))
    }

    fn max_pending_acks(&self) -> usize {
        self.session().engine.config.max_pending_acks
    }
}

impl<D: Send + Sync + 'static> AnySocket for SocketInner<D> {
    fn admit(self: Arc<Self>, session: &Arc<Session>, resumes_after: Option<u64>) -> bool {
        let (name, reply) = (self.namespace.name(), self.connect_reply());
        let recovering = match &self.link {
            Link::Fixed(_) => None,
            Link::Recovering(recovering) => Some(recovering),
        };
        match (recovering, resumes_after) {
            (Some(recovering), Some(after)) => {
                let resumed = recovering.resume(session, after, &reply);
                // The application disconnected the socket at the last moment, and may have notified
                // only the old connection.
                if resumed && self.has_left() {
                    let _ = session.send(&Packet::disconnect(name), None);
                    session.notice_left_socket();
                }
                resumed
            }
            (recovering, _) => {
                if let Some(recovering) = recovering {
                    let hub = self.namespace.hub();
                    hub.recoverable.insert(recovering.key, self.clone());
                }
                let _ = session.send(&reply, None);
                // Insert it after the reply is queued, so that broadcasts follow the reply.
                self.namespace.rooms().insert(self.id.key(), self.clone());
                true
            }
        }
    }

    fn connect_reply(&self) -> Packet {
        let pid = match &self.link {
            Link::Fixed(_) => None,
            Link::Recovering(recovering) => Some(recovering.pid()),
        };
        Packet::connected(self.namespace.name(), self.id.as_str(), pid)
    }

    fn connected(self: Arc<Self>, recovered: bool) {
        let namespace = self.namespace.clone();
        let socket = Socket { inner: self };
        if recovered {
            namespace.recovered(&socket);
        } else {
            namespace.connected(&socket);
        }
    }

    fn event(
        self: Arc<Self>,
        text: Box<str>,
        parts: &EventParts,
        attachments: Attachments,
        ack: Option<u64>,
    ) -> Option<BoxFuture<'static, ()>> {
        let ack = ack.map(|id| Ack {
            target: Arc::downgrade(&self) as Weak<dyn AckTarget>,
            id,
        });
        let event = Event::new(text, parts, attachments, ack);
        // Not cloned: the reference count would be a point of contention for every event.
        let socket = Socket { inner: self };
        socket.inner.namespace.event(&socket, event)
    }

    fn takes_attachments(&self) -> bool {
        self.namespace.takes_attachments()
    }

    fn acknowledge(&self, id: u64, reply: AckReply) {
        let waiting = self
            .acks
            .lock()
            .as_mut()
            .and_then(|acks| acks.waiting.remove(&id));
        // An acknowledgement that arrives after its timeout is not an error of the client.
        if let Some(waiting) = waiting {
            let _ = waiting.send(reply);
        }
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    fn detach(self: Arc<Self>, session: &Session, reason: DisconnectReason) {
        if let (Link::Recovering(recovering), false) = (&self.link, self.has_left()) {
            match recovering.suspend(session, reason) {
                SuspendOutcome::Ended => {}
                SuspendOutcome::NotAttached => return,
                SuspendOutcome::Until(due) => {
                    // Pending acknowledgements fail. The id counter continues, so that a late reply
                    // is not taken for the reply to a newer event.
                    let waiting = self
                        .acks
                        .lock()
                        .as_mut()
                        .map(|acks| std::mem::take(&mut acks.waiting));
                    drop(waiting);
                    let key = recovering.key;
                    let namespace = self.namespace.clone();
                    // Start the timer before calling the handler, which may panic.
                    session.engine.timers.push(TimerKind::Protocol, due, key);
                    let socket = Socket { inner: self };
                    namespace.suspended(&socket, reason);
                    // The application disconnected the socket just before it was suspended, when it
                    // still had a connection.
                    if socket.inner.has_left() {
                        socket.inner.end_suspension(None);
                    }
                    return;
                }
            }
        }
        self.finish(reason);
    }

    fn pong(&self, now: Instant) {
        if let Link::Recovering(recovering) = &self.link {
            recovering.pong(now);
        }
    }

    fn expire(self: Arc<Self>, now: Instant) {
        self.end_suspension(Some(now));
    }

    fn claim(
        self: Arc<Self>,
        namespace: &str,
        request: &RecoveryRequest,
    ) -> BoxFuture<'static, Option<Claim>> {
        let (namespace, request) = (namespace.to_owned(), request.clone());
        Box::pin(async move {
            self.reclaim(&namespace, &request).await?;
            let Link::Recovering(recovering) = &self.link else {
                return None;
            };
            let state = self.namespace.hand_over(&Socket::of(self.clone()))?;
            let rooms = self.namespace.rooms().of(self.id.key());
            Some(Claim {
                id: self.id.to_string(),
                suffix: recovering.suffix().to_owned(),
                rooms: rooms.iter().map(|room| (**room).to_owned()).collect(),
                state,
            })
        })
    }

    fn leave_node(
        self: Arc<Self>,
        namespace: &str,
        request: &RecoveryRequest,
    ) -> BoxFuture<'static, Option<(MovedLog, PendingCallbacks)>> {
        let (namespace, request) = (namespace.to_owned(), request.clone());
        Box::pin(async move {
            self.reclaim(&namespace, &request).await?;
            let Link::Recovering(recovering) = &self.link else {
                return None;
            };
            let handle = Socket::of(self.clone());
            if !self.namespace.clone().settle(handle).await || self.has_left() {
                return None;
            }
            let log = recovering.take_log(&request)?;
            self.clone().finish(DisconnectReason::Moved);
            Some(log)
        })
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn id(&self) -> &Id {
        &self.id
    }

    fn emit(&self, packet: &Packet, volatile: bool) -> Result<(), EmitError> {
        if volatile {
            self.push_volatile(packet)
        } else {
            self.push_event(packet, None)
        }
    }

    fn emit_with_ack(
        &self,
        packet: &Packet,
        id: u64,
    ) -> Result<oneshot::Receiver<AckReply>, AckError> {
        let max = self.max_pending_acks();
        let (sender, receiver) = oneshot::channel();
        let mut acks = self.acks.lock();
        let waiting = &mut acks.get_or_insert_default().waiting;
        if waiting.len() >= max {
            return Err(AckError::TooMany);
        }
        waiting.insert(id, sender);
        drop(acks);
        self.push(packet).inspect_err(|_| self.remove_ack(id))?;
        Ok(receiver)
    }

    fn remove_ack(&self, id: u64) {
        if let Some(acks) = self.acks.lock().as_mut() {
            acks.waiting.remove(&id);
        }
    }

    fn disconnect(self: Arc<Self>) {
        let _ = self.leave_namespace();
    }

    fn disconnect_and_close(self: Arc<Self>) {
        self.leave_and_close();
    }
}

impl<D: Send + Sync + 'static> AckTarget for SocketInner<D> {
    fn send_ack(&self, id: u64, args: &str, attachments: &[Bytes]) -> Result<(), EmitError> {
        self.push(&Packet::ack(self.namespace.name(), id, args, attachments))
    }
}

/// Removes a pending acknowledgement when its future completes or is dropped.
pub(super) struct AckGuard<D: Send + Sync + 'static> {
    socket: Weak<SocketInner<D>>,
    id: u64,
}

impl<D: Send + Sync + 'static> AckGuard<D> {
    pub(super) fn new(socket: &Arc<SocketInner<D>>, id: u64) -> Self {
        Self {
            socket: Arc::downgrade(socket),
            id,
        }
    }
}

impl<D: Send + Sync + 'static> Drop for AckGuard<D> {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.upgrade() {
            socket.remove_ack(self.id);
        }
    }
}
