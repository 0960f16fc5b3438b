//! What all namespaces of a server share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{Adapter, recovery::Recoverable};

/// First id of acknowledgements that broadcasts request. One id serves all receivers of a
/// broadcast, so it must differ from the ids that each socket counts for itself. Java and Rust
/// clients read ids as signed 32-bit integers: broadcast ids run from 2^30 to 2^31 - 1 and wrap
/// around.
const FIRST_BROADCAST_ACK: u64 = 1 << 30;

/// What all namespaces of a server share.
pub(crate) struct Hub {
    /// See [`crate::Config::max_rooms`].
    pub(crate) max_rooms: usize,
    pub(crate) adapter: Option<Box<dyn Adapter>>,
    pub(crate) recoverable: Arc<Recoverable>,
    socket_keys: AtomicU64,
    broadcast_acks: AtomicU64,
}

impl Hub {
    pub(crate) fn new(max_rooms: usize, adapter: Option<Box<dyn Adapter>>) -> Self {
        Self {
            max_rooms,
            adapter,
            recoverable: Arc::default(),
            socket_keys: AtomicU64::new(1),
            broadcast_acks: AtomicU64::new(0),
        }
    }

    pub(crate) fn next_broadcast_ack(&self) -> u64 {
        FIRST_BROADCAST_ACK
            + self.broadcast_acks.fetch_add(1, Ordering::Relaxed) % FIRST_BROADCAST_ACK
    }

    pub(crate) fn next_socket_key(&self) -> u64 {
        self.socket_keys.fetch_add(1, Ordering::Relaxed)
    }
}
