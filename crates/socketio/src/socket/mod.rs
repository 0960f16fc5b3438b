//! A socket: one client in one namespace.

mod acks;
mod any;
mod awaiting;
mod ending;
mod inner;
mod untyped;

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

use self::awaiting::AckGuard;
pub use self::inner::Socket;
pub(crate) use self::{
    any::{Admitted, AnySocket},
    inner::SocketInner,
};
use crate::{
    AckError, AckReply, DisconnectReason, EmitError, Packet, TransportKind,
    namespace::NamespaceState, session::Item,
};

impl<D: Send + Sync + 'static> Socket<D> {
    /// The socket's public id, `socket.id` in the client. It is random and differs from the
    /// transport's session id.
    pub fn id(&self) -> &str {
        self.inner.id.as_str()
    }

    /// A number that is unique among all sockets that this server has created.
    pub fn key(&self) -> u64 {
        self.inner.key
    }

    /// The data that [`crate::Handler::connect`] returned.
    pub fn data(&self) -> &D {
        &self.inner.data
    }

    /// The namespace's name, with its leading slash.
    pub fn namespace(&self) -> &str {
        self.inner.namespace.name()
    }

    /// The client's address, as the application passed it to [`crate::SocketIo::handle`].
    pub fn peer(&self) -> SocketAddr {
        self.inner.session().peer
    }

    /// The transport that the client uses at the moment.
    pub fn transport(&self) -> TransportKind {
        self.inner.session().transport()
    }

    /// Whether the client is connected, as far as this server knows. A suspended socket
    /// ([`crate::Config::recovery`]) is not connected.
    pub fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }

    /// Queues an event with one argument. A value that does not serialize to JSON is sent as
    /// `null`.
    ///
    /// # Errors
    /// [`EmitError::Closed`] if the socket has ended, [`EmitError::Full`] if its queue is full.
    pub fn emit<T: Serialize + ?Sized>(&self, name: &str, arg: &T) -> Result<(), EmitError> {
        let args = serde_json::to_string(arg).unwrap_or_else(|_| "null".to_owned());
        self.emit_packet(&Packet::event(self.namespace(), name, &args))
    }

    /// Queues a packet, which must be of this socket's namespace (not checked).
    ///
    /// # Errors
    /// [`EmitError::Closed`] if the socket has ended, [`EmitError::Full`] if its queue is full.
    pub fn emit_packet(&self, packet: &Packet) -> Result<(), EmitError> {
        self.inner.push_event(packet, None)
    }

    /// Queues a packet as soon as the queue has space for it ([`crate::Config::max_queue_bytes`]),
    /// where [`Self::emit_packet`] would disconnect the client. Use it to send much data to a
    /// client that may read slowly. A client that reads nothing for
    /// [`crate::Config::write_timeout`] is disconnected, which ends the wait. Packets of several
    /// waiting tasks are queued in no particular order.
    ///
    /// # Errors
    /// [`EmitError::Closed`] if the socket has ended.
    pub fn emit_wait(
        &self,
        packet: &Packet,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + use<D> {
        let (inner, packet) = (self.inner.clone(), packet.clone());
        async move {
            loop {
                match inner.try_push_now(&packet) {
                    Err(EmitError::Full) => inner.written().await,
                    queued => return queued,
                }
            }
        }
    }

    /// Queues a packet only if it can be written now. It is dropped if anything is queued for the
    /// client or, on polling, no poll is open. Use it for data that is soon out of date.
    ///
    /// # Errors
    /// [`EmitError::Full`] if it is dropped (the client stays connected), [`EmitError::Closed`] if
    /// the socket has ended or is suspended.
    pub fn emit_volatile(&self, packet: &Packet) -> Result<(), EmitError> {
        self.inner.push_volatile(packet)
    }

    /// Adds the socket to a room, so that it receives what is sent [`to`](crate::Broadcast::to) that room.
    /// It leaves all rooms when it ends. The call does nothing if the socket is in
    /// [`crate::Config::max_rooms`] rooms: if clients choose the rooms, use [`Self::try_join`].
    pub fn join(&self, room: &str) {
        self.try_join(room);
    }

    /// Like [`Self::join`]; returns false if the socket has ended or is in too many rooms.
    pub fn try_join(&self, room: &str) -> bool {
        let max = self.inner.namespace.hub().max_rooms;
        self.inner
            .namespace
            .rooms()
            .join(&(self.inner.clone() as Arc<dyn AnySocket>), room, max)
    }

    /// Removes the socket from a room.
    pub fn leave(&self, room: &str) {
        self.inner
            .namespace
            .rooms()
            .leave(self.inner.id.key(), room);
    }

    /// The rooms that the socket is in, in the order in which it joined them.
    pub fn rooms(&self) -> Vec<Arc<str>> {
        self.inner.namespace.rooms().of(self.inner.id.key())
    }

    /// Queues a packet, and calls `on_written` once its bytes have been passed to the operating
    /// system (WebSocket; over TLS to rustls, which buffers at most 64 KiB) or to the HTTP response
    /// (polling). If the socket ends before that, the callback is dropped without being called. It
    /// runs on the connection's task and must not block.
    ///
    /// # Errors
    /// [`EmitError::Closed`] if the socket has ended, [`EmitError::Full`] if its queue is full.
    pub fn emit_then(
        &self,
        packet: &Packet,
        on_written: impl FnOnce() + Send + 'static,
    ) -> Result<(), EmitError> {
        self.inner
            .push_event(packet, Some(Item::Written(Box::new(on_written))))
    }

    /// Emits an event and waits until the client acknowledges it. `args` and `attachments` are as
    /// in [`Packet::binary_event`]. The call itself queues the event; the future only waits for the
    /// reply. It resolves to an [`AckError`] if the event was not queued or no acknowledgement
    /// arrives within `timeout`.
    pub fn emit_with_ack(
        &self,
        name: &str,
        args: &str,
        attachments: &[Bytes],
        timeout: Duration,
    ) -> impl Future<Output = Result<AckReply, AckError>> + Send + use<D> {
        let pending = self.inner.register_ack().map(|(id, reply)| {
            let packet = Packet::encode_event(self.namespace(), Some(id), name, args, attachments);
            let queued = self.inner.push(&packet);
            (queued, reply, AckGuard::new(&self.inner, id))
        });
        async move {
            let (queued, reply, _guard) = pending?;
            queued?;
            match tokio::time::timeout(timeout, reply).await {
                Ok(reply) => reply.map_err(|_| AckError::Closed),
                Err(_) => Err(AckError::Timeout),
            }
        }
    }

    /// Disconnects the client from the namespace with a DISCONNECT packet; Node's client does not
    /// reconnect by itself after it. The connection stays open, and the client may join the
    /// namespace again over it.
    ///
    /// A suspended socket ends at once: this call itself calls [`crate::Handler::disconnected`].
    /// Its client gets a new socket when it returns.
    pub fn disconnect(&self) {
        let _ = self.inner.leave_namespace();
    }

    /// Disconnects the client from all its namespaces, each with a DISCONNECT packet, and closes
    /// the transport after the queued bytes have been sent (`disconnect(true)` in Node). Clients do
    /// not reconnect by themselves, unlike after [`Self::close_transport`], and no socket stays
    /// recoverable. Handlers receive [`DisconnectReason::ServerNamespaceDisconnect`].
    pub fn disconnect_and_close(&self) {
        self.inner.leave_and_close();
    }

    /// Closes the socket's transport after the queued bytes have been sent. Clients reconnect by
    /// themselves; to keep a client out, use [`Self::disconnect_and_close`].
    pub fn close_transport(&self) {
        self.inner.session().close(DisconnectReason::ForcedClose);
    }

    /// The namespace without the type of its sockets' data.
    pub(crate) fn namespace_state(&self) -> Arc<dyn NamespaceState> {
        self.inner.namespace.clone()
    }

    /// Bytes queued for this client in all its namespaces.
    pub fn queued_bytes(&self) -> usize {
        self.inner.session().queued_bytes()
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
