//! What the application supplies.

use std::{any::Any, borrow::Cow, future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use http::{Extensions, HeaderMap, StatusCode, Uri};
use serde_json::value::RawValue;

use crate::{DisconnectReason, Event, Socket};

/// A future on the heap, as [`Handler::event`] gives it back.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the application does in one namespace.
pub trait Handler: Send + Sync + 'static {
    /// Belongs to each socket, decided when it connects; [`Socket::data`] gives it back.
    type Data: Send + Sync + 'static;

    /// Decides whether a CONNECT is let in: Node's namespace middleware. Past
    /// [`crate::Config::connect_timeout`] it is dropped and the client refused; it is dropped too
    /// when the client goes away meanwhile.
    ///
    /// # Errors
    /// What the client gets as its CONNECT_ERROR.
    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Self::Data, ConnectError>> + Send;

    /// The socket is in: the answer to its CONNECT is queued, and what is emitted here comes after
    /// it.
    fn connected(&self, socket: &Socket<Self::Data>) {
        let _ = socket;
    }

    /// An event of this socket. Called in the order of arrival, one at a time for a connection, on
    /// the connection's own task, so it must not block. `Some(future)` holds back the next events
    /// of this connection until it completes; meanwhile the connection goes on writing, answers
    /// pings and notices that it is closed. The future belongs to the socket: when the socket is
    /// gone, by either side leaving the namespace or by the connection closing, it is dropped
    /// before [`Self::disconnected`] is called, what the client had sent to that socket meanwhile
    /// is dropped too, and the connection's other sockets go on. Work that must outlive its socket
    /// belongs in a task of its own.
    fn event(&self, socket: &Socket<Self::Data>, event: Event) -> Option<BoxFuture<'static, ()>>;

    /// The client of a socket that was suspended is back, was let in by [`Self::connect`] (`fresh`
    /// is what that decided on), and has missed nothing that is not kept. To let it have the socket
    /// back, take what is newer out of `fresh` and give `Ok`; `Err(fresh)` makes it a new socket.
    /// This is the place to see that both are the same user, which the secret that a client comes
    /// back with does not say: a page may sign in as somebody else on its way.
    ///
    /// # Errors
    /// `fresh`, for a new socket.
    fn recover(&self, socket: &Socket<Self::Data>, fresh: Self::Data) -> Result<(), Self::Data> {
        let _ = (socket, fresh);
        Ok(())
    }

    /// The connection of a socket is lost, and its client may come back to it: see
    /// [`crate::Recovery`]. It goes on to take what is emitted. Called on the connection's own
    /// task.
    fn suspended(&self, socket: &Socket<Self::Data>, reason: DisconnectReason) {
        let _ = (socket, reason);
    }

    /// The client of a suspended socket is back on it: what it missed and the answer to its CONNECT
    /// are queued, and what is emitted here comes after them. Called on the new connection's task,
    /// in place of [`Self::connected`].
    fn recovered(&self, socket: &Socket<Self::Data>) {
        let _ = socket;
    }

    /// The socket is about to leave its rooms, which [`Socket::rooms`] still names and which still
    /// can be spoken [to](Socket::to); it takes nothing itself any more. [`Self::disconnected`]
    /// follows at once.
    fn disconnecting(&self, socket: &Socket<Self::Data>, reason: DisconnectReason) {
        let _ = (socket, reason);
    }

    /// Whether events and acknowledgements of this namespace's clients may have binary attachments.
    /// If not, attachments are dropped as they come, and [`Event::refused_attachments`] says how
    /// many there were, so that the handler can say why it does nothing.
    fn takes_attachments(&self) -> bool {
        true
    }

    /// The socket is gone for good. Called once for each socket that [`Self::connected`] was called
    /// for, on the connection's own task, or if the socket was suspended, on a task of the server's
    /// or by the call of [`Socket::disconnect`].
    fn disconnected(&self, socket: &Socket<Self::Data>, reason: DisconnectReason) {
        let _ = (socket, reason);
    }
}

/// A client asking to be let into a namespace.
#[derive(Debug)]
pub struct ConnectRequest {
    /// The id the socket will have, if it is let in. (One that is recovered keeps its own.)
    pub socket_id: String,
    /// The name of the namespace.
    pub namespace: Box<str>,
    /// What the client gave as `auth`: a JSON object. Clients that come back to a socket add `pid`
    /// and `offset`.
    pub auth: Option<Box<RawValue>>,
    /// The HTTP request that opened the connection.
    pub handshake: Arc<Handshake>,
}

/// The HTTP request that opened a connection. See [`crate::Config::retain_handshake`] for how long
/// it is kept.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its path and query.
    pub uri: Uri,
    /// Who the application said was asking.
    pub peer: SocketAddr,
    /// Whether the application said that the request came in encrypted, by a [`Secure`] among the
    /// request's extensions.
    pub secure: bool,
    /// What the application put into the request's extensions before it handed the request over.
    pub extensions: Extensions,
}

impl Handshake {
    pub(crate) fn bare(peer: SocketAddr) -> Self {
        Self {
            headers: HeaderMap::new(),
            uri: Uri::default(),
            peer,
            secure: false,
            extensions: Extensions::new(),
        }
    }

    /// The first parameter of this name in the query, percent-decoded; bytes that are no UTF-8
    /// become U+FFFD.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        crate::query::find(self.uri.query().unwrap_or(""), name)
    }

    pub(crate) fn wants_base64(&self) -> bool {
        crate::query::wants_base64(self.uri.query().unwrap_or(""))
    }
}

/// Put into a request's extensions by the application that knows whether it came in over TLS.
#[derive(Debug, Clone, Copy)]
pub struct Secure(
    /// True for `https` and `wss`.
    pub bool,
);

/// Put into the extensions of a request that opens a connection, it is kept for as long as the
/// connection lives and dropped when it ends, whether or not a namespace was ever joined. For
/// counting connections of an address, say. One in a request that upgrades a connection is kept
/// until the upgrade is done, or its WebSocket is closed: those, too, can be many.
#[derive(Clone)]
pub struct ConnectionGuard(
    /// What is kept.
    pub Arc<dyn Any + Send + Sync>,
);

/// Why a CONNECT is refused: becomes the CONNECT_ERROR's `message` and `data`.
#[derive(Debug)]
pub struct ConnectError {
    /// A sentence; `err.message` in the client.
    pub message: String,
    /// Anything; `err.data` in the client.
    pub data: Option<Box<RawValue>>,
}

impl ConnectError {
    /// A refusal without data.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            data: None,
        }
    }

    /// A refusal with data. Data that cannot be written as JSON is left out.
    pub fn with_data<T: serde::Serialize + ?Sized>(message: impl Into<String>, data: &T) -> Self {
        Self {
            message: message.into(),
            data: serde_json::value::to_raw_value(data).ok(),
        }
    }
}

/// Why a request is refused before it reaches a session: see [`crate::Builder::allow_request`].
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The status to answer with; 403 where in doubt. A WebSocket is refused with 400 whatever this
    /// is, as Node does.
    pub status: StatusCode,
    /// A sentence for whoever reads the answer.
    pub message: String,
}

impl Refusal {
    /// A refusal with status 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            message: message.into(),
        }
    }
}
