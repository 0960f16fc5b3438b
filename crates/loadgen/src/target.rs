//! The server under load and its protocol.

use std::net::SocketAddr;

/// The server under load.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) server: SocketAddr,
    /// All nodes of a cluster, `server` among them.
    pub(crate) nodes: Vec<SocketAddr>,
    pub(crate) path: String,
    pub(crate) protocol: Protocol,
}

impl Target {
    /// Node `number` of the cluster, counted round and round.
    pub(crate) fn node(&self, number: usize) -> Self {
        let mut target = self.clone();
        target.server = self.nodes[number % self.nodes.len()];
        target
    }
}

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// Socket.IO with the events of `bench/peers/README.md`.
    Socketio,
    /// Centrifugo's JSON protocol.
    Centrifugo,
}
