//! An [Engine.IO 4](https://socket.io/docs/v4/engine-io-protocol/) and [Socket.IO
//! 5](https://socket.io/docs/v4/socket-io-protocol/) server that holds many quiet connections: an
//! idle WebSocket owns its socket, a small task and no buffer.
//!
//! The application serves HTTP with hyper and hands over the requests whose path
//! [`SocketIo::matches`]; [`serve`] is a small loop that does so for a server that has nothing else
//! to serve.
//!
//! ```no_run
//! use socketio::{BoxFuture, Config, ConnectError, ConnectRequest, Event, Handler, Socket, SocketIo};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     type Data = ();
//!
//!     async fn connect(&self, _: ConnectRequest) -> Result<(), ConnectError> {
//!         Ok(())
//!     }
//!
//!     fn event(&self, socket: &Socket<()>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
//!         if let Some(ack) = event.take_ack() {
//!             let _ = ack.send(event.args());
//!         }
//!         let _ = socket.emit("seen", event.name());
//!         None
//!     }
//! }
//!
//! # async fn run() -> std::io::Result<()> {
//! let io = SocketIo::builder(Config::default()).namespace("/", Echo).build();
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! socketio::serve(listener, io).await
//! # }
//! ```
//!
//! Rooms and broadcasts are the library's: a socket [joins](Socket::join) and speaks
//! [to](Socket::to) the others, and the server speaks to all of a [namespace](SocketIo::of).
//!
//! ```no_run
//! # fn example(io: &socketio::SocketIo, socket: &socketio::Socket<()>) -> Option<()> {
//! socket.join("kitchen");
//! socket.to("kitchen").emit("joined", socket.id());
//! io.of("/")?.to("kitchen").except("cooks").emit("bell", &7);
//! # Some(())
//! # }
//! ```
//!
//! **Order.** Events of one connection reach the handler one at a time in the order the client sent
//! them; what the handler emits leaves in the order it was emitted. **Bounds.** What waits for a
//! client is bounded in bytes ([`Config::max_queue_bytes`]) and in time
//! ([`Config::write_timeout`]): a client that does not read is cut off, never skipped. All else
//! that a client can make the server hold has a limit in [`Config`], or in [`Serve`]. **Threads.**
//! No lock is shared by two connections on the path of a message, but for shards of the tables that
//! a broadcast reads; a server may be shared by several runtimes. **Recovery.** A client that asks
//! for it comes back to the socket it had: [`Recovery`]. **Metrics.** An [`Observer`] hears what
//! the server does.
//!
//! # Features
//! None is on by default, and what each adds is off until it is asked for.
//! - `deflate`: compressed messages on WebSocket (permessage-deflate, RFC 7692): `Config::deflate`.
//! - `msgpack`: packets as npm's `socket.io-msgpack-parser` writes them: `Parser::MsgPack`.
//! - `tls`: [`Serve`] speaks TLS, by rustls: `Serve::tls`.

#![warn(missing_docs)]

mod admission;
mod body;
mod broadcast;
pub mod codec;
mod config;
mod dispatch;
mod driver;
mod engine;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod http_stream;
mod id;
#[cfg(test)]
mod models;
mod namespace;
mod namespaces;
mod observer;
mod packet;
mod query;
mod reading;
mod reason;
mod received;
mod recovery;
mod registry;
mod request;
mod rooms;
mod serve;
mod server;
mod session;
mod socket;
mod stopping;
mod stream;
mod sweep;
mod sync;
mod upgrade;
mod websocket;
mod write_timeout;

pub use body::Body;
pub use broadcast::{Adapter, Broadcast, Target};
#[cfg(feature = "deflate")]
pub use config::Deflate;
pub use config::{Config, Parser, Recovery, Transports};
pub use engine::{EngineConnection, EngineHandler, EngineMessage};
pub use event::{Ack, AckReply, Event};
pub use handler::{
    BoxFuture, ConnectError, ConnectRequest, ConnectionGuard, Handler, Handshake, Refusal, Secure,
};
pub use http_stream::{HttpDeadline, HttpStream, UnderWay};
pub use observer::Observer;
pub use packet::{Packet, Placeholder};
pub use reason::{DisconnectReason, Rejection, TransportKind};
pub use received::Received;
pub use serve::{Serve, serve};
#[cfg(feature = "tls")]
pub use serve::{Tls, TlsError};
pub use server::{Builder, Connections, SocketIo};
pub use socket::{AckError, EmitError, Socket};
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
pub use write_timeout::WriteTimeout;

#[doc = include_str!("../FROM-NODE.md")]
pub mod from_node {}
