//! A socket as its connection, its rooms and other nodes use it: without the type of its data.

use std::{any::Any, sync::Arc};

use tokio::{sync::oneshot, time::Instant};

use crate::{
    AckError, AckReply, BoxFuture, DisconnectReason, EmitError, Packet,
    codec::json::EventParts,
    event::Attachments,
    id::Id,
    recovery::{Claim, MovedLog, PendingCallbacks, RecoveryRequest},
    session::Session,
};

/// A socket that a handler has accepted. `resumes_after` is the last event that the client has
/// received, if it resumes a socket.
pub(crate) struct Admitted {
    pub(crate) socket: Arc<dyn AnySocket>,
    pub(crate) resumes_after: Option<u64>,
}

/// A socket without the type of its data.
pub(crate) trait AnySocket: Send + Sync {
    /// Queues the reply to the CONNECT. Returns false if another connection has taken the socket in
    /// the meantime, or its recovery window has ended.
    fn admit(self: Arc<Self>, session: &Arc<Session>, resumes_after: Option<u64>) -> bool;
    /// The CONNECT packet that confirms the connection.
    fn connect_reply(&self) -> Packet;
    fn connected(self: Arc<Self>, recovered: bool);
    fn event(
        self: Arc<Self>,
        text: Box<str>,
        parts: &EventParts,
        attachments: Attachments,
        ack: Option<u64>,
    ) -> Option<BoxFuture<'static, ()>>;
    fn takes_attachments(&self) -> bool;
    fn acknowledge(&self, id: u64, reply: AckReply);
    fn has_left(&self) -> bool;
    /// The connection no longer carries this socket: ends the socket and calls the handler, or
    /// suspends it.
    fn detach(self: Arc<Self>, session: &Session, reason: DisconnectReason);
    /// The client has answered a PING.
    fn pong(&self, now: Instant);
    /// Ends the socket if it is suspended and its recovery window has ended by `now`.
    fn expire(self: Arc<Self>, now: Instant);
    /// Suspends the socket for a client that resumes it on another node: see [`crate::Handler::hand_over`].
    fn claim(
        self: Arc<Self>,
        namespace: &str,
        request: &RecoveryRequest,
    ) -> BoxFuture<'static, Option<Claim>>;
    /// Ends the socket here, once it may leave for another node, and returns what it needs there.
    fn leave_node(
        self: Arc<Self>,
        namespace: &str,
        request: &RecoveryRequest,
    ) -> BoxFuture<'static, Option<(MovedLog, PendingCallbacks)>>;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    fn id(&self) -> &Id;
    fn emit(&self, packet: &Packet, volatile: bool) -> Result<(), EmitError>;
    /// Queues a packet that requests an acknowledgement with this id. No other packet to this
    /// socket may have the same id.
    fn emit_with_ack(
        &self,
        packet: &Packet,
        id: u64,
    ) -> Result<oneshot::Receiver<AckReply>, AckError>;
    fn remove_ack(&self, id: u64);
    fn disconnect(self: Arc<Self>);
    /// Like [`Self::disconnect`] for all sockets of the connection; then closes the transport.
    fn disconnect_and_close(self: Arc<Self>);
}
