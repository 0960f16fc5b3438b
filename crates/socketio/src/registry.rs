//! The open sessions by the key of their id, sharded to reduce contention. The type of a session is a
//! parameter, so that sessions can name the registry.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use crate::sync::Mutex;

const SHARDS: usize = 16;

/// Keys are random numbers already, so they need no hashing.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

type Shard<S> = HashMap<u64, Arc<S>, BuildHasherDefault<IdentityHasher>>;

pub(crate) struct Registry<S> {
    shards: [Mutex<Shard<S>>; SHARDS],
}

impl<S> Default for Registry<S> {
    fn default() -> Self {
        Self {
            shards: Default::default(),
        }
    }
}

impl<S> Registry<S> {
    fn shard(&self, key: u64) -> &Mutex<Shard<S>> {
        // The map uses the low bits for buckets and the high bits for tags; the shard uses bits
        // between them.
        &self.shards[(key >> 32) as usize % SHARDS]
    }

    /// Returns false and does nothing if the key is taken.
    pub(crate) fn insert(&self, key: u64, session: &Arc<S>) -> bool {
        let mut shard = self.shard(key).lock();
        if shard.contains_key(&key) {
            return false;
        }
        shard.insert(key, session.clone());
        true
    }

    pub(crate) fn get(&self, key: u64) -> Option<Arc<S>> {
        self.shard(key).lock().get(&key).cloned()
    }

    pub(crate) fn remove(&self, key: u64) -> Option<Arc<S>> {
        let mut shard = self.shard(key).lock();
        let removed = shard.remove(&key);
        if shard.capacity() > 256 && shard.len() < shard.capacity() / 4 {
            let capacity = shard.len() * 2;
            shard.shrink_to(capacity);
        }
        drop(shard);
        removed
    }

    /// All open sessions.
    pub(crate) fn all(&self) -> Vec<Arc<S>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>())
            .collect()
    }
}
