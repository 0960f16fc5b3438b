//! A client in a namespace.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    Ack, AckReply, BoxFuture, DisconnectReason, Event, Packet, TransportKind,
    codec::json::EventParts,
    event::AckTarget,
    id::Id,
    namespace::NamespaceOf,
    session::{Item, Session},
};

/// A handle to a client in a namespace: cheap to clone, usable from any thread, harmless after the client has gone. Two handles are
/// equal if they mean the same socket.
pub struct Socket<D> {
    inner: Arc<SocketInner<D>>,
}

/// Why something was not queued for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmitError {
    /// The socket is gone.
    Closed,
    /// The queue was full; the client is cut off as a slow reader.
    Full,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the socket is closed",
            Self::Full => "the client does not read what it is sent",
        })
    }
}

impl std::error::Error for EmitError {}

/// Why no acknowledgement came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckError {
    /// The event was never queued, or the socket went away before it answered.
    Closed,
    /// The queue was full; the client is cut off as a slow reader.
    Full,
    /// The client did not answer in time.
    Timeout,
}

impl fmt::Display for AckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the socket is closed",
            Self::Full => "the client does not read what it is sent",
            Self::Timeout => "the client did not acknowledge in time",
        })
    }
}

impl std::error::Error for AckError {}

impl From<EmitError> for AckError {
    fn from(error: EmitError) -> Self {
        match error {
            EmitError::Closed => Self::Closed,
            EmitError::Full => Self::Full,
        }
    }
}

impl<D: Send + Sync + 'static> Socket<D> {
    /// The public id, which the client has as `socket.id`. Random, and not the transport's.
    pub fn id(&self) -> &str {
        self.inner.id.as_str()
    }

    /// A number that no other socket of this server has had.
    pub fn key(&self) -> u64 {
        self.inner.key
    }

    /// What [`crate::Handler::connect`] decided on.
    pub fn data(&self) -> &D {
        &self.inner.data
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        self.inner.namespace.name()
    }

    /// Who the application said was asking.
    pub fn peer(&self) -> SocketAddr {
        self.inner.session.peer
    }

    /// What the client speaks over at the moment.
    pub fn transport(&self) -> TransportKind {
        self.inner.session.transport()
    }

    /// Whether the client is still in, as far as is known here.
    pub fn is_connected(&self) -> bool {
        !self.inner.left.load(Ordering::Acquire) && self.inner.session.is_open()
    }

    /// Queues an event with one argument.
    ///
    /// # Errors
    /// When the socket is gone or its queue is full. A value that cannot be written as JSON is sent as `null`.
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, arg: &T) -> Result<(), EmitError> {
        let args = serde_json::to_string(arg).unwrap_or_else(|_| "null".to_owned());
        self.emit_packet(&Packet::event(self.namespace(), name, &args))
    }

    /// Queues a packet (of this socket's namespace: that is not checked).
    ///
    /// # Errors
    /// When the socket is gone or its queue is full.
    pub fn emit_packet(&self, packet: &Packet) -> Result<(), EmitError> {
        self.inner.push(packet.clone())
    }

    /// Queues a packet, and calls `on_written` once its bytes were handed to the operating system (WebSocket) or to the
    /// response that carries them (polling). If the socket is or goes away before that, it is dropped uncalled. It is called
    /// on the connection's task and must not block.
    ///
    /// # Errors
    /// When the socket is gone or its queue is full.
    pub fn emit_then(&self, packet: &Packet, on_written: impl FnOnce() + Send + 'static) -> Result<(), EmitError> {
        if self.inner.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        self.inner.session.push(packet.clone().into_frames(), Some(Item::Written(Box::new(on_written))))
    }

    /// Emits an event and waits for the client to acknowledge it. `args` and `attachments` are as for
    /// [`Packet::binary_event`]. The event is queued by the call itself; the future only waits.
    pub fn emit_with_ack(
        &self,
        name: &str,
        args: &str,
        attachments: &[Bytes],
        timeout: Duration,
    ) -> impl Future<Output = Result<AckReply, AckError>> + Send + use<D> {
        let (id, reply) = self.inner.await_ack();
        let packet = Packet::encode_event(self.namespace(), Some(id), name, args, attachments);
        let queued = self.inner.push(packet);
        let forget = ForgetAck { socket: Arc::downgrade(&self.inner), id };
        async move {
            let _forget = forget;
            queued?;
            match tokio::time::timeout(timeout, reply).await {
                Ok(reply) => reply.map_err(|_| AckError::Closed),
                Err(_) => Err(AckError::Timeout),
            }
        }
    }

    /// Takes the client out of the namespace with a DISCONNECT. Node's clients do not come back by themselves after it.
    pub fn disconnect(&self) {
        self.inner.disconnect();
    }

    /// Closes the transport under this socket, after what is queued has been sent. Clients come back by themselves after it.
    pub fn close_transport(&self) {
        self.inner.session.close(DisconnectReason::ForcedClose);
    }

    /// Bytes that wait to be sent to this client, over all its namespaces.
    pub fn queued_bytes(&self) -> usize {
        self.inner.session.queued_bytes()
    }
}

impl<D> Clone for Socket<D> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<D> PartialEq for Socket<D> {
    fn eq(&self, other: &Self) -> bool {
        self.inner.key == other.inner.key
    }
}

impl<D> Eq for Socket<D> {}

impl<D> Hash for Socket<D> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.key.hash(state);
    }
}

impl<D> fmt::Debug for Socket<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("id", &self.inner.id.as_str()).finish_non_exhaustive()
    }
}

pub(crate) struct SocketInner<D> {
    session: Arc<Session>,
    namespace: Arc<dyn NamespaceOf<D>>,
    id: Id,
    key: u64,
    /// Set once, by whoever ends this socket's time in the namespace.
    left: AtomicBool,
    acks: Mutex<Option<Box<Acks>>>,
    data: D,
}

#[derive(Default)]
struct Acks {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<AckReply>>,
}

/// A socket whose data's type is of no concern.
pub(crate) trait AnySocket: Send + Sync {
    fn connected(self: Arc<Self>);
    fn event(
        self: Arc<Self>,
        text: Box<str>,
        parts: &EventParts,
        attachments: Vec<Bytes>,
        ack: Option<u64>,
    ) -> Option<BoxFuture<'static, ()>>;
    fn acknowledged(&self, id: u64, reply: AckReply);
    fn has_left(&self) -> bool;
    /// Ends it and tells the handler.
    fn ended(self: Arc<Self>, reason: DisconnectReason);
}

impl<D: Send + Sync + 'static> SocketInner<D> {
    pub(crate) fn new(session: Arc<Session>, namespace: Arc<dyn NamespaceOf<D>>, id: Id, data: D) -> Arc<Self> {
        let key = session.server.next_socket_key();
        Arc::new(Self { session, namespace, id, key, left: AtomicBool::new(false), acks: Mutex::new(None), data })
    }

    fn push(&self, packet: Packet) -> Result<(), EmitError> {
        if self.left.load(Ordering::Acquire) {
            return Err(EmitError::Closed);
        }
        self.session.push(packet.into_frames(), None)
    }

    fn disconnect(&self) {
        if !self.left.swap(true, Ordering::AcqRel) {
            let _ = self.session.push(Packet::disconnect(self.namespace.name()).into_frames(), None);
            self.session.socket_left();
        }
    }

    fn await_ack(&self) -> (u64, oneshot::Receiver<AckReply>) {
        let (sender, receiver) = oneshot::channel();
        let mut acks = self.acks.lock();
        let acks = acks.get_or_insert_default();
        let id = acks.last;
        acks.last += 1;
        // A socket that has left answers nothing: dropping the sender says so.
        if !self.left.load(Ordering::Acquire) {
            acks.waiting.insert(id, sender);
        }
        (id, receiver)
    }
}

impl<D: Send + Sync + 'static> AnySocket for SocketInner<D> {
    fn connected(self: Arc<Self>) {
        let namespace = self.namespace.clone();
        namespace.connected(&Socket { inner: self });
    }

    fn event(
        self: Arc<Self>,
        text: Box<str>,
        parts: &EventParts,
        attachments: Vec<Bytes>,
        ack: Option<u64>,
    ) -> Option<BoxFuture<'static, ()>> {
        let ack = ack.map(|id| Ack { target: Arc::downgrade(&self) as Weak<dyn AckTarget>, id });
        let event = Event::new(text, parts, attachments, ack);
        let namespace = self.namespace.clone();
        namespace.event(&Socket { inner: self }, event)
    }

    fn acknowledged(&self, id: u64, reply: AckReply) {
        let waiting = self.acks.lock().as_mut().and_then(|acks| acks.waiting.remove(&id));
        // An answer that nobody waits for any more is no fault of the client's.
        if let Some(waiting) = waiting {
            let _ = waiting.send(reply);
        }
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    fn ended(self: Arc<Self>, reason: DisconnectReason) {
        self.left.store(true, Ordering::Release);
        self.acks.lock().take();
        let namespace = self.namespace.clone();
        namespace.disconnected(&Socket { inner: self }, reason);
    }
}

impl<D: Send + Sync + 'static> AckTarget for SocketInner<D> {
    fn send_ack(&self, id: u64, args: &str, attachments: &[Bytes]) -> Result<(), EmitError> {
        self.push(Packet::ack(self.namespace.name(), id, args, attachments))
    }
}

/// Takes a waiting acknowledgement out of the table when its future is over or dropped.
struct ForgetAck<D: Send + Sync + 'static> {
    socket: Weak<SocketInner<D>>,
    id: u64,
}

impl<D: Send + Sync + 'static> Drop for ForgetAck<D> {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.upgrade()
            && let Some(acks) = socket.acks.lock().as_mut()
        {
            acks.waiting.remove(&self.id);
        }
    }
}
