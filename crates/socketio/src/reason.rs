//! Reasons for disconnects and refusals, and the kinds of transport.

use std::fmt;

/// Why a socket was disconnected. [`Self::as_str`] returns the name that Node uses, where Node has
/// the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// `transport close`: the client or the network closed the transport.
    TransportClose,
    /// `transport error`: the transport violated its protocol (an invalid WebSocket frame, two
    /// polls at once, an aborted poll).
    TransportError,
    /// `ping timeout`: no PONG arrived within [`crate::Config::ping_timeout`].
    PingTimeout,
    /// `parse error`: the client sent an invalid packet.
    ParseError,
    /// `client namespace disconnect`: the client left the namespace with a DISCONNECT packet.
    ClientNamespaceDisconnect,
    /// `server namespace disconnect`: the server called [`crate::Socket::disconnect`] or
    /// [`crate::Socket::disconnect_and_close`].
    ServerNamespaceDisconnect,
    /// `forced close`: the server called [`crate::Socket::close_transport`].
    ForcedClose,
    /// `server shutting down`: the server called [`crate::SocketIo::drain`] or
    /// [`crate::SocketIo::close_all`].
    ServerShuttingDown,
    /// `slow reader`: the client read nothing for [`crate::Config::write_timeout`], or the bytes
    /// queued for it or for its address exceeded their limit ([`crate::Config::max_queue_bytes`],
    /// [`crate::Config::max_queue_bytes_per_address`]).
    SlowReader,
    /// `too much received`: the incomplete or unprocessed bytes from the client's address exceeded
    /// [`crate::Config::max_received_bytes_per_address`].
    TooMuchReceived,
    /// `connect timeout`: the client joined no namespace within [`crate::Config::connect_timeout`].
    /// Handlers never receive it, because there was no socket.
    ConnectTimeout,
    /// `moved`: the client has resumed the socket on another node: see
    /// [`crate::Handler::hand_over`].
    Moved,
    /// `displaced`: the connection was in no namespace, had waited longest, and a new connection
    /// exceeded [`crate::Config::max_handshakes`]. Handlers never receive it.
    Displaced,
}

impl DisconnectReason {
    /// The name of the reason, as Node writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TransportClose => "transport close",
            Self::TransportError => "transport error",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
            Self::ForcedClose => "forced close",
            Self::ServerShuttingDown => "server shutting down",
            Self::SlowReader => "slow reader",
            Self::TooMuchReceived => "too much received",
            Self::ConnectTimeout => "connect timeout",
            Self::Moved => "moved",
            Self::Displaced => "displaced",
        }
    }

    /// Whether a socket may be suspended for recovery: neither side intended to end it.
    pub(crate) const fn is_recoverable(self) -> bool {
        matches!(
            self,
            Self::TransportClose
                | Self::TransportError
                | Self::PingTimeout
                | Self::ForcedClose
                | Self::ServerShuttingDown
                | Self::SlowReader
                | Self::TooMuchReceived
        )
    }

    /// Whether queued packets are sent before the transport closes.
    pub(crate) const fn is_graceful(self) -> bool {
        matches!(
            self,
            Self::ForcedClose
                | Self::ServerNamespaceDisconnect
                | Self::ServerShuttingDown
                | Self::ConnectTimeout
        )
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The transport that a connection uses at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// HTTP long-polling.
    Polling,
    /// WebSocket.
    WebSocket,
}

impl TransportKind {
    /// The name as the `transport` parameter of a request's query has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a request, or a TCP connection of [`crate::Serve`], was refused. The number is the HTTP
/// status of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// 400: the `transport` is unknown or not offered.
    UnknownTransport,
    /// 400: the `sid` names no open session.
    UnknownSession,
    /// 400: a request that opens a session must use GET.
    BadMethod,
    /// 400: the request is malformed or not allowed in the session's state.
    BadRequest,
    /// 400: the `EIO` parameter is not 4.
    UnsupportedVersion,
    /// [`crate::Builder::allow_request`] refused the request, with the status that it chose.
    NotAllowed,
    /// 413 or 408: the body of a POST is too large or arrived too slowly. 400: it could not be
    /// read.
    BadBody,
    /// 502: the node that has the session did not answer: see [`crate::Builder::nodes`].
    NodeUnreachable,
    /// 503: the server is stopping.
    Stopping,
    /// 503: the operating system returned no random bytes for a session id.
    NoRandomness,
    /// 503: [`crate::Config::max_handshakes`] connections are being opened and none can be
    /// displaced. [`crate::Serve`] reports it for each TCP connection that it closes to accept a
    /// new one.
    TooManyHandshakes,
    /// 503: [`crate::Config::max_connections`] is reached. [`crate::Serve`] closes the TCP
    /// connection when [`crate::Serve::max_connections`] is reached.
    TooManyConnections,
    /// 429: the address has [`crate::Config::max_connections_per_address`] connections.
    /// [`crate::Serve`] closes the TCP connection when its own limit per address is reached.
    TooManyFromAddress,
    /// 429: the incomplete bytes from the client's address exceed
    /// [`crate::Config::max_received_bytes_per_address`].
    TooMuchReceived,
    /// A TCP connection sent no complete request head in time; it is closed.
    HeadTimeout,
    /// A TLS handshake failed or took too long; the TCP connection is closed.
    TlsHandshake,
}

impl Rejection {
    /// The name of the reason, suitable as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTransport => "unknown transport",
            Self::UnknownSession => "unknown session",
            Self::BadMethod => "bad method",
            Self::BadRequest => "bad request",
            Self::UnsupportedVersion => "unsupported version",
            Self::NotAllowed => "not allowed",
            Self::BadBody => "bad body",
            Self::NodeUnreachable => "node unreachable",
            Self::Stopping => "stopping",
            Self::NoRandomness => "no randomness",
            Self::TooManyHandshakes => "too many handshakes",
            Self::TooManyConnections => "too many connections",
            Self::TooManyFromAddress => "too many from address",
            Self::TooMuchReceived => "too much received",
            Self::HeadTimeout => "head timeout",
            Self::TlsHandshake => "tls handshake",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
