//! The sockets that a broadcast addresses, here and on other nodes.

use serde::{Deserialize, Serialize};

use crate::Packet;

/// The sockets that a broadcast addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Target {
    /// The namespace's name, with its leading slash.
    pub namespace: Box<str>,
    /// Rooms or socket ids: sockets in any of them are addressed. Empty addresses the whole
    /// namespace.
    pub rooms: Vec<Box<str>>,
    /// Rooms or socket ids: sockets in any of them are excluded.
    pub except: Vec<Box<str>>,
    /// Skip sockets that cannot be written to now: see [`crate::Socket::emit_volatile`].
    pub volatile: bool,
}

/// Sends broadcasts to the server's other nodes. Pass the broadcasts of other nodes to
/// [`crate::SocketIo::deliver`].
pub trait Adapter: Send + Sync + 'static {
    /// Publishes a broadcast of this node that is not [`crate::Broadcast::local`]. Called after delivery
    /// on this node, on the task that sent it; it must not block.
    fn publish(&self, target: &Target, packet: &Packet);
}
