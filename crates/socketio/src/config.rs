//! Settings of a server.

use std::time::Duration;

/// Limits and timeouts of a server.
///
/// `Default` gives the values of the reference implementation (npm `socket.io`). Where the
/// reference has no limit, the default is one that ordinary clients do not reach.
#[derive(Debug, Clone)]
pub struct Config {
    /// Path of the requests, with or without a trailing slash (both are answered). Default
    /// `/socket.io/`.
    pub path: String,
    /// Time from the OPEN packet, and from each PONG, to the next PING (Engine.IO protocol 4,
    /// "Heartbeat"). Default 25 s.
    pub ping_interval: Duration,
    /// Time after a PING within which the PONG must arrive; after it the connection is closed with
    /// [`crate::DisconnectReason::PingTimeout`]. Default 20 s.
    pub ping_timeout: Duration,
    /// Time within which a connection must join its first namespace, and within which
    /// [`crate::Handler::connect`] must decide. Default 45 s.
    pub connect_timeout: Duration,
    /// Time within which an upgrade from polling to WebSocket must complete; after it the
    /// connection stays on polling. Default 10 s.
    pub upgrade_timeout: Duration,
    /// Time within which the body of a polling POST must arrive. Default 20 s.
    pub body_timeout: Duration,
    /// Time that queued bytes may wait while the client reads none of them. After it the client is
    /// disconnected with [`crate::DisconnectReason::SlowReader`]. Each byte that the client reads
    /// restarts the time, so a client that reads slowly stays connected. [`crate::Serve`] applies
    /// the same limit to HTTP responses. `None` means no limit. Default 20 s.
    pub write_timeout: Option<Duration>,
    /// Maximum bytes in one WebSocket message or one polling payload, checked while reading.
    /// Default 1,000,000.
    pub max_payload: usize,
    /// Maximum bytes queued for one client. A packet that would exceed it disconnects the client
    /// with [`crate::DisconnectReason::SlowReader`]; the server never skips a packet. An empty
    /// queue accepts one packet of any size; while that packet is written, this many bytes may wait
    /// behind it. [`crate::Socket::emit_wait`] waits for space instead of disconnecting. Default
    /// 4,000,000.
    pub max_queue_bytes: usize,
    /// Maximum bytes queued for all clients of one address; an IPv6 /64 network counts as one
    /// address. The client whose packet would exceed it is disconnected with
    /// [`crate::DisconnectReason::SlowReader`].
    ///
    /// The limit counts memory: a broadcast that many clients share counts once, and a client with
    /// less than 64 KiB queued does not count. The address is the `peer` that
    /// [`crate::SocketIo::handle`] received when the connection was opened: see
    /// [`Self::max_connections_per_address`]. Default `None`, because the library does not know
    /// about proxies.
    pub max_queue_bytes_per_address: Option<usize>,
    /// Maximum bytes buffered of what all clients of one address have sent and no handler has
    /// received: incomplete messages, request bodies and binary packets, and events that a handler
    /// holds back. An IPv6 /64 network counts as one address. Each connection counts in whole units
    /// of 64 KiB, so small messages count nothing.
    ///
    /// A client that exceeds it is refused: a POST is answered with 429, a WebSocket is closed with
    /// code 1013 ("try again later") and [`crate::DisconnectReason::TooMuchReceived`]. Set it to
    /// several times [`Self::max_payload`]. The address is that of
    /// [`Self::max_queue_bytes_per_address`]; default `None` for the same reason. An application
    /// can count the request bodies that it reads itself towards the same limit:
    /// [`crate::SocketIo::received`].
    pub max_received_bytes_per_address: Option<usize>,
    /// Maximum bytes in one WebSocket message from a client that has not joined a namespace, if
    /// that is less than [`Self::max_payload`]: such a client sends only CONNECT packets with their
    /// `auth`. (A polling payload may hold CONNECT packets for many namespaces and is limited by
    /// [`Self::max_payload`] alone.) Default 65,536.
    pub max_connect_bytes: usize,
    /// Maximum binary attachments in one packet. Default 10.
    pub max_attachments: usize,
    /// Maximum fragments in one WebSocket message (RFC 6455, section 5.4). Default 1,024.
    pub max_fragments: usize,
    /// Maximum packets in one polling payload from a client. Default 10,000.
    pub max_packets_per_payload: usize,
    /// Maximum packets in one response to a poll; the rest waits for the next poll. Default 16, the
    /// limit of python-engineio: its clients close a connection that sends more at once.
    pub max_packets_per_poll: usize,
    /// Maximum depth of nested arrays and objects in the JSON of one packet. Default 127, the limit
    /// of `serde_json`.
    pub max_nesting: usize,
    /// Maximum namespaces that one connection may join. Default 100.
    pub max_namespaces: usize,
    /// Maximum rooms that one socket may join. Default 10,000.
    pub max_rooms: usize,
    /// Maximum acknowledgements that the server may await from one socket at a time. Default
    /// 10,000.
    pub max_pending_acks: usize,
    /// Maximum open connections on both transports, including connections that are closing. Past
    /// it, new connections are answered with 503. Default 1,000,000.
    pub max_connections: usize,
    /// Maximum connections that are open and have not joined a namespace. Past it, each new
    /// connection closes the one that has waited longest ([`crate::DisconnectReason::Displaced`]);
    /// connections in a namespace are never closed for it. (A bare Engine.IO connection counts as
    /// joined once it is open.)
    ///
    /// Each [`crate::Serve`] applies the same number, counted separately, to TCP connections that
    /// have not yet opened or named a session: past it, the one that has waited longest is closed.
    /// Default 10,000.
    pub max_handshakes: usize,
    /// Maximum connections per address on both transports; an IPv6 /64 network counts as one
    /// address. Past it, new connections are answered with 429. The address is the `peer` argument
    /// of [`crate::SocketIo::handle`]: behind a proxy, pass the client's address and not the
    /// proxy's. No address is exempt. Default `None`, because the library does not know about
    /// proxies.
    pub max_connections_per_address: Option<usize>,
    /// Transports that the server offers. Default both.
    pub transports: Transports,
    /// Encoding of Socket.IO packets, for this server and all its clients. Default JSON.
    pub parser: Parser,
    /// Connection state recovery: clients that lose their connection resume the socket they had,
    /// with the events that they missed. Default `None` (off).
    pub recovery: Option<Recovery>,
    /// Compression of WebSocket messages for clients that offer it. Default `None` (off).
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
    /// Keep the headers and the query of the handshake request as long as the connection lives.
    ///
    /// By default (false) the server drops them once the client has joined every namespace of the
    /// server or [`Self::connect_timeout`] has passed. A later CONNECT (a client that rejoins a
    /// namespace) then gets a [`crate::Handshake`] with only the peer address.
    pub retain_handshake: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(45),
            upgrade_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            write_timeout: Some(Duration::from_secs(20)),
            max_payload: 1_000_000,
            max_queue_bytes: 4_000_000,
            max_queue_bytes_per_address: None,
            max_received_bytes_per_address: None,
            max_connect_bytes: 64 << 10,
            max_attachments: 10,
            max_fragments: 1024,
            max_packets_per_payload: 10_000,
            max_packets_per_poll: 16,
            max_nesting: 127,
            max_namespaces: 100,
            max_rooms: 10_000,
            max_pending_acks: 10_000,
            max_connections: 1_000_000,
            max_handshakes: 10_000,
            max_connections_per_address: None,
            transports: Transports::default(),
            parser: Parser::default(),
            recovery: None,
            #[cfg(feature = "deflate")]
            deflate: None,
            retain_handshake: false,
        }
    }
}

/// Connection state recovery, compatible with the Node server since 4.6 (`socket.recovered` in the
/// client).
///
/// A client must request it in the handshake, `io({ query: { recovery: 1 } })`, because recovery
/// appends an argument to every event that the client receives: an offset string with which the
/// client reports its position. For all other clients nothing changes and nothing is stored.
///
/// A recoverable socket outlives its connection. When the connection is lost (a DISCONNECT from
/// either side or a parse error is not a loss), the library calls [`crate::Handler::suspended`]. It
/// stores the events emitted while the client is away, and the events for which the client has not
/// yet confirmed receipt by answering a later PING. A client that returns within [`Self::window`]
/// receives the events that it missed, in order and once, before the reply to its CONNECT, and the
/// library calls [`crate::Handler::recovered`] with the same [`crate::Socket`]: same id, same data.
/// Otherwise the library calls [`crate::Handler::disconnected`] when the window ends.
/// [`crate::Handler::recover`] decides which clients may resume a socket.
///
/// If the server still considers the old connection alive when its client returns over a new one,
/// it closes the old one. Events that request an acknowledgement are not stored: their sender gets
/// [`crate::AckError::Closed`].
#[derive(Debug, Clone)]
pub struct Recovery {
    /// Enable recovery for all clients, as Node does, whether or not they request it. Default
    /// false.
    pub for_everybody: bool,
    /// Time within which a client must return. Default 2 minutes.
    pub window: Duration,
    /// Maximum bytes stored for one socket. Past it the oldest events are dropped; a client that
    /// misses one of them gets a new socket. Default 256 KiB.
    pub max_bytes: usize,
    /// Maximum bytes stored for all sockets together. Default 64 MiB.
    pub max_total_bytes: usize,
    /// Maximum number of suspended sockets. Past it, a socket ends with its connection. Default
    /// 20,000.
    pub max_waiting: usize,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            for_everybody: false,
            window: Duration::from_secs(120),
            max_bytes: 256 << 10,
            max_total_bytes: 64 << 20,
            max_waiting: 20_000,
        }
    }
}

/// Compression of WebSocket messages: permessage-deflate (RFC 7692). Requires the feature
/// `deflate`.
///
/// The server always negotiates `no_context_takeover` for both sides: a compression window would
/// cost each connection 32 KiB or more on either side, and a broadcast would have to be compressed
/// once per receiver. Without one, an idle connection costs no more memory than an uncompressed
/// one, and a broadcast is compressed once. The server inflates a client's message up to
/// [`Config::max_payload`] and no further.
///
/// With [`Parser::MsgPack`], events of recoverable sockets are sent uncompressed, because each
/// contains its own offset.
///
/// Do not put a secret and attacker-controlled text into one compressed message: its length reveals
/// how much they have in common (the CRIME attack).
#[cfg(feature = "deflate")]
#[derive(Debug, Clone)]
pub struct Deflate {
    /// Messages with fewer bytes are sent uncompressed. Default 1,024.
    pub threshold: usize,
    /// Compression level from 0 (fastest) to 9 (smallest). Default 6.
    pub level: u8,
}

#[cfg(feature = "deflate")]
impl Default for Deflate {
    fn default() -> Self {
        Self {
            threshold: 1024,
            level: 6,
        }
    }
}

/// Encoding of Socket.IO packets. A client whose parser differs from the server's is disconnected
/// with a parse error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Parser {
    /// JSON text with binary attachments after it (Socket.IO protocol 5, "Packet encoding").
    #[default]
    Json,
    /// The encoding of npm `socket.io-msgpack-parser`: one binary message per packet, with binary
    /// data inline. Requires the feature `msgpack`. Handlers see no difference: arguments are JSON
    /// with [`crate::Placeholder`]s for binary data in both directions. A broadcast is converted to
    /// msgpack once.
    ///
    /// A date becomes its ISO 8601 text. A value that JSON cannot express (`undefined`, `NaN`)
    /// becomes `null`; an object key with such a value is left out.
    #[cfg(feature = "msgpack")]
    MsgPack,
}

/// The transports that a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transports {
    /// HTTP long-polling.
    pub polling: bool,
    /// WebSocket, opened directly or by an upgrade from polling.
    pub websocket: bool,
}

impl Default for Transports {
    fn default() -> Self {
        Self {
            polling: true,
            websocket: true,
        }
    }
}
