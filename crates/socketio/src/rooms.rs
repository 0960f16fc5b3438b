//! The sockets of a namespace and the rooms they are in.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use crate::{
    Target,
    id::Id,
    socket::AnySocket,
    sync::{Mutex, RwLock},
};

const SHARDS: usize = 8;

type Members = HashMap<u64, Arc<dyn AnySocket>>;

/// Sockets are identified by the key of their public id. All tables are sharded to reduce
/// contention.
///
/// Lock order: a lock in `rooms` (by socket) is taken before a lock in `members` (by room).
#[derive(Default)]
pub(crate) struct Rooms {
    /// All sockets of the namespace.
    all: [Mutex<Members>; SHARDS],
    /// The sockets in each room.
    members: [RwLock<HashMap<Arc<str>, Members>>; SHARDS],
    /// The rooms of each socket. Sockets without rooms have no entry.
    rooms: [Mutex<HashMap<u64, Vec<Arc<str>>>>; SHARDS],
    hasher: RandomState,
}

impl Rooms {
    fn shard(&self, key: u64) -> &Mutex<Members> {
        &self.all[(key >> 32) as usize % SHARDS]
    }

    fn members(&self, room: &str) -> &RwLock<HashMap<Arc<str>, Members>> {
        &self.members[self.hasher.hash_one(room) as usize % SHARDS]
    }

    fn rooms(&self, key: u64) -> &Mutex<HashMap<u64, Vec<Arc<str>>>> {
        &self.rooms[(key >> 32) as usize % SHARDS]
    }

    pub(crate) fn insert(&self, key: u64, socket: Arc<dyn AnySocket>) {
        self.shard(key).lock().insert(key, socket);
    }

    /// Removes a socket that has left from all tables.
    pub(crate) fn remove(&self, key: u64) {
        let mut shard = self.shard(key).lock();
        let removed = shard.remove(&key);
        shrink_if_sparse(&mut shard);
        drop(shard);
        drop(removed);
        let mut rooms = self.rooms(key).lock();
        let Some(joined) = rooms.remove(&key) else {
            return;
        };
        shrink_if_sparse(&mut rooms);
        drop(rooms);
        for room in joined {
            self.remove_member(&room, key);
        }
    }

    /// Returns false if the socket has left, or is in `max` rooms.
    pub(crate) fn join(&self, socket: &Arc<dyn AnySocket>, room: &str, max: usize) -> bool {
        let key = socket.id().key();
        let mut rooms = self.rooms(key).lock();
        // A socket that has left is removed right after the flag is set, and must not be added
        // again.
        if socket.has_left() {
            return false;
        }
        let mut members = self.members(room).write();
        let room = match members.get_key_value(room) {
            Some((_, members)) if members.contains_key(&key) => return true,
            _ if rooms.get(&key).map_or(0, Vec::len) >= max => return false,
            Some((room, _)) => room.clone(),
            None => room.into(),
        };
        members
            .entry(room.clone())
            .or_default()
            .insert(key, socket.clone());
        drop(members);
        rooms.entry(key).or_default().push(room);
        true
    }

    pub(crate) fn leave(&self, key: u64, room: &str) {
        let mut rooms = self.rooms(key).lock();
        let Some(joined) = rooms.get_mut(&key) else {
            return;
        };
        joined.retain(|joined| **joined != *room);
        if joined.is_empty() {
            rooms.remove(&key);
            shrink_if_sparse(&mut rooms);
        }
        // While the socket's lock is held; otherwise a concurrent join would be undone.
        self.remove_member(room, key);
    }

    fn remove_member(&self, room: &str, key: u64) {
        let mut members = self.members(room).write();
        if let Some(members_of_room) = members.get_mut(room) {
            let removed = members_of_room.remove(&key);
            if members_of_room.is_empty() {
                members.remove(room);
                shrink_if_sparse(&mut members);
            } else {
                shrink_if_sparse(members_of_room);
            }
            drop(members);
            drop(removed);
        }
    }

    pub(crate) fn of(&self, key: u64) -> Vec<Arc<str>> {
        self.rooms(key)
            .lock()
            .get(&key)
            .cloned()
            .unwrap_or_default()
    }

    /// The rooms that have sockets, and their number.
    pub(crate) fn sizes(&self) -> Vec<(Arc<str>, usize)> {
        let sizes = |shard: &RwLock<HashMap<Arc<str>, Members>>| {
            shard
                .read()
                .iter()
                .map(|(room, members)| (room.clone(), members.len()))
                .collect::<Vec<_>>()
        };
        self.members.iter().flat_map(sizes).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.iter().all(|shard| shard.lock().is_empty())
    }

    /// The sockets that a broadcast addresses, each once.
    pub(crate) fn find(&self, target: &Target) -> Vec<Arc<dyn AnySocket>> {
        let mut excluded = HashSet::new();
        for room in &target.except {
            // A name in `except` may be a socket id as well as a room that an application named
            // like one, so both are excluded.
            excluded.extend(Id::key_of(room));
            if let Some(members) = self.members(room).read().get(&**room) {
                excluded.extend(members.keys());
            }
        }
        let mut found = Vec::new();
        match &target.rooms[..] {
            [] => {
                for shard in &self.all {
                    let shard = shard.lock();
                    found.reserve(shard.len());
                    found.extend(
                        shard
                            .iter()
                            .filter(|(key, _)| !excluded.contains(key))
                            .map(|(_, socket)| socket.clone()),
                    );
                }
            }
            rooms => {
                let several = rooms.len() > 1 || Id::key_of(&rooms[0]).is_some();
                let mut take = |key: u64, socket: &Arc<dyn AnySocket>| {
                    if !excluded.contains(&key) {
                        found.push(socket.clone());
                        if several {
                            excluded.insert(key);
                        }
                    }
                };
                for room in rooms {
                    if let Some(members) = self.members(room).read().get(&**room) {
                        members.iter().for_each(|(&key, socket)| take(key, socket));
                    }
                    // Each socket is also the only member of the room named by its id.
                    let socket =
                        Id::key_of(room).and_then(|key| self.shard(key).lock().get(&key).cloned());
                    if let Some(socket) = socket.filter(|socket| socket.id().as_str() == &**room) {
                        take(socket.id().key(), &socket);
                    }
                }
            }
        }
        found
    }
}

/// Returns the memory of a table that was large for a while.
fn shrink_if_sparse<K: Eq + Hash, V>(table: &mut HashMap<K, V>) {
    if table.capacity() > 256 && table.len() < table.capacity() / 4 {
        let capacity = table.len() * 2;
        table.shrink_to(capacity);
    }
}
