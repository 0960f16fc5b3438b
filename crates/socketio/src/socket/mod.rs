//! A client in a namespace.

mod inner;

use std::{
    fmt,
    future::Future,
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;

use self::inner::ForgetAck;
pub(crate) use self::inner::{Admitted, AnySocket, SocketInner};
use crate::{AckReply, Broadcast, DisconnectReason, Packet, TransportKind, session::Item};

/// A handle to a client in a namespace: cheap to clone, usable from any thread, harmless after the
/// client has gone. Two handles are equal if they mean the same socket.
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
    /// Too many answers of this client are waited for already
    /// ([`crate::Config::max_pending_acks`]); the event was not queued.
    TooMany,
}

impl fmt::Display for AckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the socket is closed",
            Self::Full => "the client does not read what it is sent",
            Self::Timeout => "the client did not acknowledge in time",
            Self::TooMany => "too many acknowledgements are waited for",
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
        self.inner.session().peer
    }

    /// What the client speaks over at the moment.
    pub fn transport(&self) -> TransportKind {
        self.inner.session().transport()
    }

    /// Whether the client is in at this moment, as far as is known here. One that may still come
    /// back ([`crate::Config::recovery`]) is not.
    pub fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }

    /// Queues an event with one argument.
    ///
    /// # Errors
    /// When the socket is gone or its queue is full. A value that cannot be written as JSON is sent
    /// as `null`.
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, arg: &T) -> Result<(), EmitError> {
        let args = serde_json::to_string(arg).unwrap_or_else(|_| "null".to_owned());
        self.emit_packet(&Packet::event(self.namespace(), name, &args))
    }

    /// Queues a packet (of this socket's namespace: that is not checked).
    ///
    /// # Errors
    /// When the socket is gone or its queue is full.
    pub fn emit_packet(&self, packet: &Packet) -> Result<(), EmitError> {
        self.inner.push_event(packet, None)
    }

    /// Queues a packet as soon as there is room for it ([`crate::Config::max_queue_bytes`]), where
    /// [`Self::emit_packet`] would cut the client off: for those who have much to send, and a
    /// client that may be slow to read it. A client that reads nothing at all is cut off after
    /// [`crate::Config::write_timeout`], which ends the wait. Emits of several tasks that wait are
    /// queued in no particular order.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn emit_wait(
        &self,
        packet: &Packet,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + use<D> {
        let (inner, packet) = (self.inner.clone(), packet.clone());
        async move {
            loop {
                match inner.push_if_room(&packet) {
                    Err(EmitError::Full) => inner.written().await,
                    queued => return queued,
                }
            }
        }
    }

    /// Queues a packet if it can be written now, and leaves it out otherwise: if anything waits for
    /// the client already or, on polling, no poll is open. For what is soon out of date.
    ///
    /// # Errors
    /// [`EmitError::Full`] when it is left out, which cuts nobody off; [`EmitError::Closed`] when
    /// the socket is gone or away.
    pub fn emit_volatile(&self, packet: &Packet) -> Result<(), EmitError> {
        self.inner.push_volatile(packet)
    }

    /// Puts the socket into a room, of which it hears what is said [`to`](Broadcast::to) it. It
    /// leaves by itself when it is gone. In [`crate::Config::max_rooms`] already, it stays out;
    /// where clients name the rooms, [`Self::try_join`] says so.
    pub fn join(&self, room: &str) {
        self.try_join(room);
    }

    /// The same; false if the socket is gone, or in too many rooms already.
    pub fn try_join(&self, room: &str) -> bool {
        let max = self.inner.session().server.config.max_rooms;
        self.inner
            .namespace
            .rooms()
            .join(&(self.inner.clone() as Arc<dyn AnySocket>), room, max)
    }

    /// Takes the socket out of a room.
    pub fn leave(&self, room: &str) {
        self.inner
            .namespace
            .rooms()
            .leave(self.inner.id.key(), room);
    }

    /// The rooms it is in, in the order it joined them.
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.inner.namespace.rooms().of(self.inner.id.key())
    }

    /// To the others in this room.
    pub fn to(&self, room: &str) -> Broadcast {
        self.broadcast().to(room)
    }

    /// To everybody else in this namespace.
    pub fn broadcast(&self) -> Broadcast {
        self.inner
            .namespace
            .clone()
            .broadcast(self.inner.session().server.clone())
            .except(self.id())
    }

    /// Queues a packet, and calls `on_written` once its bytes were handed to the operating system
    /// (WebSocket; over TLS, to rustls, which holds back 64 KiB at most) or to the response that
    /// carries them (polling). If the socket is or goes away before that, it is dropped uncalled.
    /// It is called on the connection's task and must not block.
    ///
    /// # Errors
    /// When the socket is gone or its queue is full.
    pub fn emit_then(
        &self,
        packet: &Packet,
        on_written: impl FnOnce() + Send + 'static,
    ) -> Result<(), EmitError> {
        self.inner
            .push_event(packet, Some(Item::Written(Box::new(on_written))))
    }

    /// Emits an event and waits for the client to acknowledge it. `args` and `attachments` are as
    /// for [`Packet::binary_event`]. The event is queued by the call itself; the future only waits.
    pub fn emit_with_ack(
        &self,
        name: &str,
        args: &str,
        attachments: &[Bytes],
        timeout: Duration,
    ) -> impl Future<Output = Result<AckReply, AckError>> + Send + use<D> {
        let asked = self.inner.await_ack().map(|(id, reply)| {
            let packet = Packet::encode_event(self.namespace(), Some(id), name, args, attachments);
            let queued = self.inner.push(&packet);
            (queued, reply, ForgetAck::new(&self.inner, id))
        });
        async move {
            let (queued, reply, _forget) = asked?;
            queued?;
            match tokio::time::timeout(timeout, reply).await {
                Ok(reply) => reply.map_err(|_| AckError::Closed),
                Err(_) => Err(AckError::Timeout),
            }
        }
    }

    /// Takes the client out of the namespace with a DISCONNECT. Node's clients do not come back by
    /// themselves after it. One that is away cannot be told, and finds a fresh socket when it comes
    /// back; its socket is over at once, and [`crate::Handler::disconnected`] is called by this
    /// call. The connection stays: a client may ask for the namespace again over it.
    pub fn disconnect(&self) {
        let _ = self.inner.put_out();
    }

    /// Takes the client out of all its namespaces, each with a DISCONNECT, and closes the transport
    /// after what is queued has been sent: Node's `disconnect(true)`. Clients do not come back by
    /// themselves after it, unlike after [`Self::close_transport`], and nothing of them stays.
    /// Handlers are given [`DisconnectReason::ServerNamespaceDisconnect`].
    pub fn disconnect_and_close(&self) {
        self.inner.put_out_and_close();
    }

    /// Closes the transport under this socket, after what is queued has been sent. Clients come
    /// back by themselves after it: to put somebody out, see [`Self::disconnect_and_close`].
    pub fn close_transport(&self) {
        self.inner.session().close(DisconnectReason::ForcedClose);
    }

    /// Bytes that wait to be sent to this client, over all its namespaces.
    pub fn queued_bytes(&self) -> usize {
        self.inner.session().queued_bytes()
    }
}

impl<D> Socket<D> {
    pub(crate) fn of(inner: Arc<SocketInner<D>>) -> Self {
        Self { inner }
    }
}

impl<D> Clone for Socket<D> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
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
        f.debug_struct("Socket")
            .field("id", &self.inner.id.as_str())
            .finish_non_exhaustive()
    }
}
