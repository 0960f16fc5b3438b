//! All recoverable sockets of a server.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokio::sync::Semaphore;

use super::{moved::MovedSockets, totals::RecoveryTotals};
use crate::{socket::AnySocket, sync::Mutex};

/// Sockets that move to this node at the same time; others wait.
const MAX_MOVES: usize = 256;

/// All recoverable sockets, by the key of their private id.
#[derive(Default)]
pub(crate) struct Recoverable {
    sockets: Mutex<HashMap<u64, Arc<dyn AnySocket>>>,
    totals: Arc<RecoveryTotals>,
    /// Sockets that are moving here from another node, by the key of their private id.
    arriving: Mutex<HashSet<u64>>,
    /// What this node remembers of sockets that moved to another one.
    pub(crate) moved: Mutex<MovedSockets>,
    /// Places for moves to this node.
    pub(crate) moves: Moves,
}

/// Limits how many sockets move to this node at the same time, and so the connections to other nodes.
pub(crate) struct Moves(pub(crate) Semaphore);

impl Default for Moves {
    fn default() -> Self {
        Self(Semaphore::new(MAX_MOVES))
    }
}

/// A socket that is moving here, so that no second move of it begins.
pub(crate) struct Arrival {
    all: Arc<Recoverable>,
    key: u64,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.all.arriving.lock().remove(&self.key);
    }
}

impl Recoverable {
    pub(crate) fn insert(&self, key: u64, socket: Arc<dyn AnySocket>) {
        // Two random ids with the same first 64 bits are too unlikely to handle; the second socket
        // would have no recovery.
        self.sockets.lock().entry(key).or_insert(socket);
    }

    pub(crate) fn get(&self, key: u64) -> Option<Arc<dyn AnySocket>> {
        self.sockets.lock().get(&key).cloned()
    }

    /// Begins to move the socket with this key to this node. `None` if it is here or moving already.
    pub(crate) fn begin_arrival(self: &Arc<Self>, key: u64) -> Option<Arrival> {
        if !self.arriving.lock().insert(key) {
            return None;
        }
        let arrival = Arrival {
            all: self.clone(),
            key,
        };
        self.get(key).is_none().then_some(arrival)
    }

    pub(crate) fn totals(&self) -> Arc<RecoveryTotals> {
        self.totals.clone()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.totals.bytes()
    }

    pub(crate) fn remove(&self, key: u64) {
        let removed = self.sockets.lock().remove(&key);
        drop(removed);
    }
}
