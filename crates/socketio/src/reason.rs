//! Why a socket is gone, and over what it spoke.

use std::fmt;

/// Why a socket was disconnected. Names are Node's wherever Node has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client closed its transport, or the network did: `transport close`.
    TransportClose,
    /// The transport broke its own rules (a bad WebSocket frame, a second poll, a poll cut off): `transport error`.
    TransportError,
    /// No pong came within the ping timeout: `ping timeout`.
    PingTimeout,
    /// A packet made no sense: `parse error`.
    ParseError,
    /// The client left the namespace with a DISCONNECT: `client namespace disconnect`.
    ClientNamespaceDisconnect,
    /// [`crate::Socket::disconnect`]: `server namespace disconnect`.
    ServerNamespaceDisconnect,
    /// [`crate::Socket::close_transport`]: `forced close`.
    ForcedClose,
    /// [`crate::SocketIo::drain`]: `server shutting down`.
    ServerShuttingDown,
    /// The client did not read what was sent, and its queue was full: `slow reader`.
    SlowReader,
    /// No namespace was joined in time: `connect timeout`. Handlers never see it, since there was no socket.
    ConnectTimeout,
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
            Self::ConnectTimeout => "connect timeout",
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
        )
    }

    /// Whether what is still queued should reach the client before the transport closes.
    pub(crate) const fn is_graceful(self) -> bool {
        matches!(self, Self::ForcedClose | Self::ServerShuttingDown | Self::ConnectTimeout)
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
