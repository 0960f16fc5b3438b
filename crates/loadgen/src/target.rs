//! The server under load and its protocol.

use std::net::SocketAddr;

/// The server under load.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) server: SocketAddr,
    pub(crate) path: String,
    pub(crate) protocol: Protocol,
}

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// Socket.IO with the events of `bench/peers/README.md`.
    Socketio,
    /// Centrifugo's JSON protocol.
    Centrifugo,
}
