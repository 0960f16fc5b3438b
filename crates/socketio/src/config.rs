//! What a server may be told.

use std::time::Duration;

/// Limits and timings of a server. `Default` is what the reference server uses, and for what the
/// reference leaves without a limit, a limit that no well-meaning client meets.
#[derive(Debug, Clone)]
pub struct Config {
    /// The path requests come in on, with or without a slash at its end (both are answered).
    /// Default `/socket.io/`.
    pub path: String,
    /// From the opening, and from each pong, to the next ping. Default 25 s.
    pub ping_interval: Duration,
    /// How long a pong may take before the connection counts as dead. Default 20 s.
    pub ping_timeout: Duration,
    /// How long a connection may go without being let into a namespace, and how long
    /// [`crate::Handler::connect`] may take. Default 45 s.
    pub connect_timeout: Duration,
    /// How long an upgrade from polling to WebSocket may take; past it the connection stays on
    /// polling. Default 10 s.
    pub upgrade_timeout: Duration,
    /// How long the body of a polling POST may take to arrive. Default 20 s.
    pub body_timeout: Duration,
    /// How long bytes may wait for a client that takes none of them. Past it the client is cut off
    /// with [`crate::DisconnectReason::SlowReader`]; one that reads slowly, but reads, is not.
    /// [`crate::Serve`] holds answers over HTTP to the same limit. `None` for no limit. Default 20
    /// s.
    pub write_timeout: Option<Duration>,
    /// Bytes in one WebSocket message or one polling payload, counted while reading. Default
    /// 1,000,000.
    pub max_payload: usize,
    /// Bytes that may wait for one client. What would pass it cuts the client off with
    /// [`crate::DisconnectReason::SlowReader`]; nothing is ever skipped. One packet is always taken
    /// by an empty queue, however large; while it is being written, this much may wait behind it.
    /// [`crate::Socket::emit_wait`] waits for room in place of cutting off. Default 4,000,000.
    pub max_queue_bytes: usize,
    /// Bytes that may wait for all clients of one address that do not take them at once; an IPv6
    /// network (/64) counts as one address. The client for which there would be more is cut off
    /// with [`crate::DisconnectReason::SlowReader`]. Memory is counted: what was sent to many at
    /// once is there once and counts once, and a client for which less than 64 KiB waits does not
    /// count. The address is the `peer` that [`crate::SocketIo::handle`] was given when the
    /// connection was opened: see [`Self::max_connections_per_address`]. Default none, since the
    /// library knows of no proxies.
    pub max_queue_bytes_per_address: Option<usize>,
    /// Bytes that may be held of what all clients of one address have sent and nobody has taken:
    /// messages, bodies of POSTs and binary packets that are not whole yet, and what a handler
    /// holds back; an IPv6 network (/64) counts as one address. What is held of a connection counts
    /// in whole pieces of 64 KiB, so that small messages cost nothing. Past it, the one who sends
    /// more is refused: a POST is answered with 429, a WebSocket is closed for
    /// [`crate::DisconnectReason::TooMuchReceived`] with the code 1013 ("try again later"). It
    /// should be several times [`Self::max_payload`]. The address is that of
    /// [`Self::max_queue_bytes_per_address`]; default none, for the same reason. An application can
    /// count by it what it reads by itself: [`crate::SocketIo::received`].
    pub max_received_bytes_per_address: Option<usize>,
    /// Bytes in one WebSocket message from a client that is in no namespace yet, where it is less
    /// than [`Self::max_payload`]: a CONNECT with its `auth` is all that can come. (One polling
    /// payload may hold those for many namespaces.) Default 65,536.
    pub max_connect_bytes: usize,
    /// Binary attachments in one packet. Default 10.
    pub max_attachments: usize,
    /// Fragments in one WebSocket message. Default 1,024.
    pub max_fragments: usize,
    /// Packets in one polling payload. Default 10,000.
    pub max_packets_per_payload: usize,
    /// Packets in one answer to a poll; the rest is for the next. Default 16, which is what
    /// python-engineio takes: its clients end a connection that brings them more at once.
    pub max_packets_per_poll: usize,
    /// Arrays and objects inside one another in the JSON of one packet. Default 127, which is what
    /// `serde_json` reads.
    pub max_nesting: usize,
    /// Namespaces that one connection may be in. Default 100.
    pub max_namespaces: usize,
    /// Rooms that one socket may be in. Default 10,000.
    pub max_rooms: usize,
    /// Acknowledgements that one socket may be waited for at once. Default 10,000.
    pub max_pending_acks: usize,
    /// Connections at once, on either transport, those included that are taking their farewell.
    /// Past it, new ones are answered with
    /// 503. Default 1,000,000.
    pub max_connections: usize,
    /// Connections that are on their way in at once: opened, and in no namespace yet. Past it, the
    /// one that has waited longest makes room for each that comes
    /// ([`crate::DisconnectReason::Displaced`]); those that are in are never touched. (Bare
    /// Engine.IO is in once it is open.) Each [`crate::Serve`] holds TCP connections that have not
    /// said what they are for to the same number, by themselves: past it the one that has waited
    /// longest is closed. Default 10,000.
    pub max_handshakes: usize,
    /// Connections of one address at once, on either transport; the addresses of one IPv6 network
    /// (/64) count as one. Past it, new ones are answered with 429. The address is the `peer` that
    /// [`crate::SocketIo::handle`] is given: behind a proxy that must be the client's and not the
    /// proxy's. No address is special. Default none, since the library knows of no proxies.
    pub max_connections_per_address: Option<usize>,
    /// Which transports are offered. Default both.
    pub transports: Transports,
    /// How packets are written, by this server and by all its clients. Default JSON.
    pub parser: Parser,
    /// Lets clients that lose their connection come back to the socket they had, with what they
    /// missed. Off by default.
    pub recovery: Option<Recovery>,
    /// Compresses messages on WebSocket for clients that offer it. Off by default.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
    /// Keep headers and query of the handshake for as long as the connection lives. Off by default:
    /// they are let go once the client is in every namespace there is, or the connect timeout has
    /// passed, and a CONNECT after that (coming back to a namespace) sees a [`crate::Handshake`]
    /// with its peer only.
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

/// Connection state recovery, as Node's has it since 4.6: `socket.recovered` in the client.
///
/// It is for clients that ask in the handshake, `io({ query: { recovery: 1 } })`, because it adds
/// an argument to every event that they get: a string by which the client says where it stopped.
/// All others cost and get nothing of it.
///
/// Such a socket outlives its connection. When the connection is lost (which neither side's
/// DISCONNECT nor a parse error is), [`crate::Handler::suspended`] is called. What is emitted
/// meanwhile is kept, and kept too is what the client has not shown to have received by answering a
/// later ping. A client that comes back in time gets what it missed, in order and once, before the
/// answer to its CONNECT, and [`crate::Handler::recovered`] is called; it is the same
/// [`crate::Socket`], with the same id and data. If it does not, [`crate::Handler::disconnected`]
/// is called when the time is over. [`crate::Handler::recover`] has a say in who may come back.
///
/// A connection that the server still takes for alive is closed when its client comes back over
/// another. Events that ask for an acknowledgement are not kept: their sender learns that the
/// socket was gone.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// For all clients, whether or not they ask for it, as Node has it. Default false.
    pub for_everybody: bool,
    /// How long a client may be away. Default 2 minutes.
    pub window: Duration,
    /// Bytes kept for one socket. Past it, the oldest are let go; a client that misses one of those
    /// comes back to a fresh socket. Default 256 KiB.
    pub max_bytes: usize,
    /// Bytes kept for all sockets together. Default 64 MiB.
    pub max_total_bytes: usize,
    /// Sockets that may wait for their clients at the same time; what comes on top ends with its
    /// connection. Default 20,000.
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

/// Compression of messages on WebSocket: permessage-deflate (RFC 7692), with the feature `deflate`.
///
/// It is always agreed that neither side keeps a window from one message to the next. A window
/// would be 32 KiB and more for each connection on either side, and a packet for many would have to
/// be compressed for each of them; so a connection costs what it costs without, and what is sent to
/// many is compressed once. What a client sends is inflated up to [`Config::max_payload`] and no
/// further.
///
/// With [`Config::parser`] being msgpack, events of sockets that may be recovered are sent as they
/// are, since each has an offset in the midst of it.
///
/// Secrets do not belong into one message with what a stranger chose: from its length one may be
/// guessed by the other.
#[cfg(feature = "deflate")]
#[derive(Debug, Clone)]
pub struct Deflate {
    /// Bytes below which a message is sent as it is. Default 1,024.
    pub threshold: usize,
    /// From 0 for hardly any work to 9 for the shortest messages. Default 6.
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

/// How Socket.IO packets are written. A client with another parser than its server's is refused for
/// a parse error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Parser {
    /// The protocol's own: JSON, with bytes behind it.
    #[default]
    Json,
    /// That of npm's `socket.io-msgpack-parser`, with the feature `msgpack`: a packet is one binary
    /// message, with bytes in their places. For the application nothing changes: arguments are JSON
    /// with [`crate::Placeholder`]s for bytes, on the way in and on the way out. A packet for many
    /// is turned into msgpack once.
    ///
    /// A date comes as its ISO text, and what JSON has no word for (`undefined`, what is no number)
    /// as `null`, or not at all as the value of a key.
    #[cfg(feature = "msgpack")]
    MsgPack,
}

/// Which transports a server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transports {
    /// HTTP long-polling.
    pub polling: bool,
    /// WebSocket, directly or as an upgrade from polling.
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
