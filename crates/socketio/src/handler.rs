//! The trait that an application implements.

use std::future::Future;

use crate::{BoxFuture, ConnectError, ConnectRequest, DisconnectReason, Event, Socket};

/// The application's logic for one namespace.
pub trait Handler: Send + Sync + 'static {
    /// Application data of each socket, created by [`Self::connect`] and read with
    /// [`Socket::data`].
    type Data: Send + Sync + 'static;

    /// Accepts or refuses a client's CONNECT, as namespace middleware does in Node. The future is
    /// dropped if the client disconnects, or after [`crate::Config::connect_timeout`], when the
    /// client is refused.
    ///
    /// # Errors
    /// The error that the client receives as CONNECT_ERROR.
    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Self::Data, ConnectError>> + Send;

    /// The socket has joined the namespace. The reply to its CONNECT is queued, so events emitted
    /// here follow it.
    fn connected(&self, socket: &Socket<Self::Data>) {
        let _ = socket;
    }

    /// Handles an event of this socket. Events of one connection arrive in order, one at a time, on
    /// the connection's task: the call must not block.
    ///
    /// If it returns `Some(future)`, the connection's next events wait until the future completes.
    /// Meanwhile the connection still writes, answers PINGs and detects a close. The future belongs
    /// to the socket: when the socket ends (either side leaves the namespace, or the connection
    /// closes), the future and the client's waiting events for that socket are dropped before
    /// [`Self::disconnected`] is called. The connection's other sockets continue. Spawn a task for
    /// work that must outlive the socket.
    fn event(&self, socket: &Socket<Self::Data>, event: Event) -> Option<BoxFuture<'static, ()>>;

    /// A client asks to resume a suspended socket. [`Self::connect`] has accepted it (`fresh` is
    /// what that call returned), and every event that it missed is still stored.
    ///
    /// Return `Ok` to resume the socket, after copying newer data from `fresh` into it; return
    /// `Err(fresh)` to create a new socket. Check here that both belong to the same user: the
    /// recovery secret that the client presents does not prove it, since a page may have signed in
    /// as another user in between. The default resumes every socket.
    ///
    /// # Errors
    /// `fresh`, to create a new socket with it.
    fn recover(&self, socket: &Socket<Self::Data>, fresh: Self::Data) -> Result<(), Self::Data> {
        let _ = (socket, fresh);
        Ok(())
    }

    /// A client resumes this suspended socket on another node ([`crate::Builder::nodes`]). Returns
    /// what [`Self::take_over`] needs there, as text of at most 4 MB in a form of the application's
    /// own; nodes of other versions read it too. `None` (the default) keeps the socket: its client
    /// gets a new one.
    fn hand_over(&self, socket: &Socket<Self::Data>) -> Option<String> {
        let _ = socket;
        None
    }

    /// This suspended socket is about to leave for another node, which receives its events by now
    /// ([`Self::prepare`] has resolved there). Resolves once every event for it that any node
    /// published before this call has been emitted to it here, so that none is lost on the way; to
    /// false if that is unknown, and the socket stays. It has less than a second. The default
    /// resolves to true at once, which is right where nothing but the client's own requests causes
    /// events.
    ///
    /// It is called on the new node too, once the other one has handed the events over: what was
    /// published before must not be emitted there later. False means a new socket for the client.
    ///
    /// On the old node the socket ends then with [`DisconnectReason::Moved`]. An event that both nodes
    /// emitted reaches the client once, if both encode it to the same bytes.
    fn settle(&self, socket: &Socket<Self::Data>) -> impl Future<Output = bool> + Send {
        let _ = socket;
        std::future::ready(true)
    }

    /// A client resumes a socket of another node here. [`Self::connect`] has accepted the client;
    /// `fresh` is what that call returned, `socket_id` is the socket's id, and `state` is what
    /// [`Self::hand_over`] returned on the other node. Returns the socket's data on this node.
    /// `None` (the default) creates a new socket with `fresh`. Check here that both belong to the
    /// same user, as in [`Self::recover`].
    fn take_over(&self, socket_id: &str, state: &str, fresh: &Self::Data) -> Option<Self::Data> {
        let _ = (socket_id, state, fresh);
        None
    }

    /// A socket is about to move here, in its rooms already. Begin to emit events to it; they are
    /// stored until it is here. Resolves once every event for it that any node publishes from then
    /// on will be emitted to it here; to false if that is unknown, and the client gets a new socket.
    /// It has less than two seconds. [`Self::recovered`] follows, or [`Self::disconnected`] if the move
    /// fails.
    fn prepare(&self, socket: &Socket<Self::Data>) -> impl Future<Output = bool> + Send {
        let _ = socket;
        std::future::ready(true)
    }

    /// The socket's connection is lost, and its client may resume it: see [`crate::Recovery`].
    /// Events emitted from now on are stored. Called on the connection's task.
    fn suspended(&self, socket: &Socket<Self::Data>, reason: DisconnectReason) {
        let _ = (socket, reason);
    }

    /// The client has resumed a suspended socket. The events that it missed and the reply to its
    /// CONNECT are queued, so events emitted here follow them. Called on the new connection's task,
    /// instead of [`Self::connected`]. The socket may come from another node ([`Self::take_over`]).
    fn recovered(&self, socket: &Socket<Self::Data>) {
        let _ = socket;
    }

    /// The socket is about to leave its rooms: [`Socket::rooms`] still lists them, and
    /// [`Socket::to`] still reaches their members. The socket itself accepts no more events.
    /// [`Self::disconnected`] follows immediately.
    fn disconnecting(&self, socket: &Socket<Self::Data>, reason: DisconnectReason) {
        let _ = (socket, reason);
    }

    /// Whether clients of this namespace may send binary attachments. If false, attachments are
    /// discarded as they arrive, and [`Event::refused_attachments`] gives their number, so that the
    /// handler can reply with an error.
    fn takes_attachments(&self) -> bool {
        true
    }

    /// The socket has ended. Called once for each socket that [`Self::connected`] or
    /// [`Self::prepare`] was called for:
    /// on the connection's task, or for a suspended socket on a task of the server or within the
    /// call of [`Socket::disconnect`].
    fn disconnected(&self, socket: &Socket<Self::Data>, reason: DisconnectReason) {
        let _ = (socket, reason);
    }
}
