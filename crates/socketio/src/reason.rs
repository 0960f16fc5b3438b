//! Why a socket is gone, or was never let in, and over what it spoke.

use std::fmt;

/// Why a socket was disconnected. Names are Node's wherever Node has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client closed its transport, or the network did: `transport close`.
    TransportClose,
    /// The transport broke its own rules (a bad WebSocket frame, a second poll, a poll cut off):
    /// `transport error`.
    TransportError,
    /// No pong came within the ping timeout: `ping timeout`.
    PingTimeout,
    /// A packet made no sense: `parse error`.
    ParseError,
    /// The client left the namespace with a DISCONNECT: `client namespace disconnect`.
    ClientNamespaceDisconnect,
    /// [`crate::Socket::disconnect`] or [`crate::Socket::disconnect_and_close`]: `server namespace
    /// disconnect`.
    ServerNamespaceDisconnect,
    /// [`crate::Socket::close_transport`]: `forced close`.
    ForcedClose,
    /// [`crate::SocketIo::drain`]: `server shutting down`.
    ServerShuttingDown,
    /// The client took nothing of what was sent for [`crate::Config::write_timeout`], or more
    /// waited for it, or for its address, than may: `slow reader`.
    SlowReader,
    /// More of what the client, and others of its address, had sent in part or ahead was held than
    /// [`crate::Config::max_received_bytes_per_address`]: `too much received`.
    TooMuchReceived,
    /// No namespace was joined in time: `connect timeout`. Handlers never see it, since there was
    /// no socket.
    ConnectTimeout,
    /// It was in no namespace yet, had waited longest, and there were
    /// [`crate::Config::max_handshakes`]: `displaced`. Handlers never see it.
    Displaced,
}

impl DisconnectReason {
    /// The name as Node has it.
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
            Self::Displaced => "displaced",
        }
    }

    /// Whether a socket may outlive this: nobody meant it to end.
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

    /// Whether what is still queued should reach the client before the transport closes.
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

/// What a connection speaks over at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// HTTP long-polling.
    Polling,
    /// WebSocket.
    WebSocket,
}

impl TransportKind {
    /// The name as it stands in a request's query.
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

/// Why a request, or a TCP connection of [`crate::Serve`], was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// It asked for a transport that is not offered: 400.
    UnknownTransport,
    /// It named a session that is not there (any more): 400.
    UnknownSession,
    /// It would open a session by another method than GET: 400.
    BadMethod,
    /// It made no sense: 400.
    BadRequest,
    /// It spoke another version of Engine.IO: 400.
    UnsupportedVersion,
    /// [`crate::Builder::allow_request`] said no: its own status.
    NotAllowed,
    /// A body was too large, or too slow: 413 or 408.
    BadBody,
    /// The server stops: 503.
    Stopping,
    /// The system gives no random bytes to make an id of: 503.
    NoRandomness,
    /// There are [`crate::Config::max_handshakes`] on their way in, all of them in the middle of a
    /// request: 503; and the TCP connection that has waited longest is closed.
    TooManyHandshakes,
    /// There are [`crate::Config::max_connections`], or [`crate::Serve::max_connections`]: 503, or
    /// the TCP connection is closed.
    TooManyConnections,
    /// The address has [`crate::Config::max_connections_per_address`]: 429, or the TCP connection
    /// is closed.
    TooManyFromAddress,
    /// More of what clients of its address had sent in part was held than
    /// [`crate::Config::max_received_bytes_per_address`]: 429.
    TooMuchReceived,
    /// A TCP connection went without a request for too long.
    HeadTimeout,
    /// A TLS handshake failed, or took too long.
    TlsHandshake,
}

impl Rejection {
    /// A name for a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTransport => "unknown transport",
            Self::UnknownSession => "unknown session",
            Self::BadMethod => "bad method",
            Self::BadRequest => "bad request",
            Self::UnsupportedVersion => "unsupported version",
            Self::NotAllowed => "not allowed",
            Self::BadBody => "bad body",
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
