//! An [Engine.IO 4](https://socket.io/docs/v4/engine-io-protocol/) and [Socket.IO
//! 5](https://socket.io/docs/v4/socket-io-protocol/) server for many idle connections: an idle
//! WebSocket holds its TCP stream and a small task, but no buffer and no timer.
//!
//! Pass the HTTP requests whose path [`SocketIo::matches`] to [`SocketIo::handle`]. If the server
//! has no other routes, [`serve`] is a ready-made accept loop.
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
//! Sockets [join](Socket::join) rooms and send [to](Socket::to) the other members; the server sends
//! to all sockets of a [namespace](SocketIo::of):
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
//! - **Order.** Events of one connection reach the handler one at a time, in the order in which the
//!   client sent them. Emitted events are sent in the order of the calls.
//! - **Bounds.** The bytes queued for a client are limited in size ([`Config::max_queue_bytes`])
//!   and in time ([`Config::write_timeout`]). A client that does not read is disconnected; events
//!   are never skipped. Everything else that a client can make the server store has a limit in
//!   [`Config`] or [`Serve`].
//! - **Threads.** Two connections share no lock on the path of a message, except shards of the
//!   tables that a broadcast reads. Several tokio runtimes may share a server.
//! - **Recovery.** A client that requests it resumes its socket after a lost connection:
//!   [`Recovery`].
//! - **Metrics.** An [`Observer`] receives callbacks about the server's work.
//!
//! Coming from Node? See [`from_node`].
//!
//! # Features
//! All are off by default. Each adds a setting, which is off until you set it.
//! - `deflate`: compressed WebSocket messages (permessage-deflate, RFC 7692), `Config::deflate`.
//! - `msgpack`: the packet encoding of npm `socket.io-msgpack-parser`, `Parser::MsgPack`.
//! - `tls`: TLS in [`Serve`] with rustls, `Serve::tls`.

#![warn(missing_docs)]

mod admission;
mod bare;
mod body;
mod broadcast;
pub mod codec;
mod config;
mod connect;
mod dispatch;
mod driver;
mod engine;
mod error;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod handshake;
mod http_deadline;
mod http_stream;
mod hub;
mod id;
mod incoming;
mod link;
#[cfg(test)]
mod models;
mod moving;
mod namespace;
mod network;
mod nodes;
mod observer;
mod opening;
mod packet;
mod polling;
mod protocol;
mod query;
mod reason;
mod received;
mod recovery;
mod registry;
mod rejection;
mod request;
mod request_body;
mod response;
mod rooms;
mod send_buffer;
mod serve;
mod server;
mod session;
mod socket;
mod stop;
mod stopping;
mod stream;
mod sweep;
mod sync;
mod target;
mod timers;
mod upgrade;
mod websocket;
mod write_timeout;

pub use bare::{EngineConnection, EngineHandler, EngineMessage};
pub use body::Body;
pub use broadcast::Broadcast;
#[cfg(feature = "deflate")]
pub use config::Deflate;
pub use config::{Config, Parser, Recovery, Transports};
pub use connect::{ConnectError, ConnectRequest};
pub use engine::Connections;
pub use error::{AckError, EmitError};
pub use event::{Ack, AckReply, BoxFuture, Event};
pub use handler::Handler;
pub use handshake::{ConnectionGuard, Handshake, Refusal, Secure};
pub use http_deadline::{HttpDeadline, RequestGuard};
pub use http_stream::HttpStream;
pub use nodes::{NodeTag, Nodes};
pub use observer::Observer;
pub use packet::{Packet, Placeholder};
pub use reason::{DisconnectReason, Rejection, TransportKind};
pub use received::Received;
pub use serve::{Serve, serve};
#[cfg(feature = "tls")]
pub use serve::{Tls, TlsError};
pub use server::{Builder, SocketIo};
pub use socket::Socket;
pub use target::{Adapter, Target};
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
pub use write_timeout::WriteTimeout;

#[doc = include_str!("../FROM-NODE.md")]
pub mod from_node {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
