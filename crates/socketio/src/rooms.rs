//! Who is in a namespace, and in which of its rooms.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    broadcast::Target,
    id::Id,
    socket::AnySocket,
    sync::{Mutex, RwLock},
};

const SHARDS: usize = 8;

/// Sockets are known by the number in their public id.
#[derive(Default)]
pub(crate) struct Rooms {
    /// Everybody; in shards, so that those who come and go at once seldom meet.
    all: [Mutex<HashMap<u64, Arc<dyn AnySocket>>>; SHARDS],
    joined: RwLock<Joined>,
}

/// Costs nothing for those who are in no room.
#[derive(Default)]
struct Joined {
    members: HashMap<Arc<str>, HashMap<u64, Arc<dyn AnySocket>>>,
    rooms: HashMap<u64, Vec<Arc<str>>>,
}

impl Rooms {
    fn shard(&self, key: u64) -> &Mutex<HashMap<u64, Arc<dyn AnySocket>>> {
        &self.all[(key >> 32) as usize % SHARDS]
    }

    pub(crate) fn insert(&self, key: u64, socket: Arc<dyn AnySocket>) {
        self.shard(key).lock().insert(key, socket);
    }

    /// Takes a socket that has left out of everything.
    pub(crate) fn remove(&self, key: u64) {
        let mut shard = self.shard(key).lock();
        let removed = shard.remove(&key);
        if shard.capacity() > 256 && shard.len() < shard.capacity() / 4 {
            let room = shard.len() * 2;
            shard.shrink_to(room);
        }
        drop(shard);
        drop(removed);
        // Most are in no room, and need not keep others from reading.
        if !self.joined.read().rooms.contains_key(&key) {
            return;
        }
        let mut joined = self.joined.write();
        for room in joined.rooms.remove(&key).unwrap_or_default() {
            joined.remove_member(&room, key);
        }
    }

    /// False if the socket is gone, or in so many rooms already.
    pub(crate) fn join(&self, socket: &Arc<dyn AnySocket>, room: &str, max: usize) -> bool {
        let key = socket.id().key();
        let mut joined = self.joined.write();
        // One that has left is taken out once it says so, and must not come in after that.
        if socket.has_left() {
            return false;
        }
        let room = match joined.members.get_key_value(room) {
            Some((_, members)) if members.contains_key(&key) => return true,
            _ if joined.rooms.get(&key).map_or(0, Vec::len) >= max => return false,
            Some((room, _)) => room.clone(),
            None => room.into(),
        };
        joined.members.entry(room.clone()).or_default().insert(key, socket.clone());
        joined.rooms.entry(key).or_default().push(room);
        true
    }

    pub(crate) fn leave(&self, key: u64, room: &str) {
        let mut joined = self.joined.write();
        let Some(rooms) = joined.rooms.get_mut(&key) else { return };
        rooms.retain(|joined| **joined != *room);
        if rooms.is_empty() {
            joined.rooms.remove(&key);
        }
        joined.remove_member(room, key);
    }

    pub(crate) fn of(&self, key: u64) -> Vec<Arc<str>> {
        self.joined.read().rooms.get(&key).cloned().unwrap_or_default()
    }

    /// The rooms that somebody is in, and how many are.
    pub(crate) fn sizes(&self) -> Vec<(Arc<str>, usize)> {
        self.joined.read().members.iter().map(|(room, members)| (room.clone(), members.len())).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.iter().all(|shard| shard.lock().is_empty())
    }

    /// Whom a broadcast is for, each once.
    pub(crate) fn find(&self, target: &Target) -> Vec<Arc<dyn AnySocket>> {
        let joined = self.joined.read();
        let mut passed_over = HashSet::new();
        for room in &target.except {
            match joined.members.get(&**room) {
                Some(members) => passed_over.extend(members.keys()),
                None => passed_over.extend(Id::key_of(room)),
            }
        }
        let mut found = Vec::new();
        match &target.rooms[..] {
            [] => {
                drop(joined);
                for shard in &self.all {
                    let shard = shard.lock();
                    found.reserve(shard.len());
                    found.extend(shard.iter().filter(|(key, _)| !passed_over.contains(key)).map(|(_, socket)| socket.clone()));
                }
            }
            rooms => {
                let several = rooms.len() > 1;
                let mut take = |key: u64, socket: &Arc<dyn AnySocket>| {
                    if !passed_over.contains(&key) {
                        found.push(socket.clone());
                        if several {
                            passed_over.insert(key);
                        }
                    }
                };
                for room in rooms {
                    match joined.members.get(&**room) {
                        Some(members) => members.iter().for_each(|(&key, socket)| take(key, socket)),
                        // Each socket is alone in a room that is called by its id.
                        None => {
                            let socket = Id::key_of(room).and_then(|key| self.shard(key).lock().get(&key).cloned());
                            if let Some(socket) = socket.filter(|socket| socket.id().as_str() == &**room) {
                                take(socket.id().key(), &socket);
                            }
                        }
                    }
                }
            }
        }
        found
    }
}

impl Joined {
    fn remove_member(&mut self, room: &str, key: u64) {
        if let Some(members) = self.members.get_mut(room) {
            members.remove(&key);
            if members.is_empty() {
                self.members.remove(room);
            }
        }
    }
}
