//! Connections that follow the roster or watch users.

use super::{Follower, Mode, RosterFeed};
use crate::identity::UserId;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

impl<K: Clone + Eq + Hash> RosterFeed<K> {
    /// A connection begins to follow, or changes its mode; it gets a fresh snapshot at the next
    /// flush. [`Mode::None`] ends following; what the connection watches stays.
    pub fn follow(&mut self, key: K, mode: Mode) {
        match self.followers.get_mut(&key) {
            Some(follower) => {
                if follower.mode == Mode::Full {
                    self.full_count -= 1;
                }
                follower.mode = mode;
                if mode == Mode::None && follower.watched.is_empty() {
                    self.followers.remove(&key);
                }
            }
            None if mode == Mode::None => return,
            None => {
                self.followers.insert(key.clone(), Follower::new(mode));
            }
        }
        if mode == Mode::Full {
            self.full_count += 1;
        }
        if matches!(mode, Mode::Full | Mode::Diff) {
            self.newcomers.insert(key);
        } else {
            self.newcomers.remove(&key);
        }
    }

    /// The mode of a connection and the users that it watches, in no order, for the node to which it
    /// moves.
    #[must_use]
    pub fn followed_by(&self, key: &K) -> (Mode, Vec<UserId>) {
        self.followers
            .get(key)
            .map_or((Mode::None, Vec::new()), |follower| {
                (follower.mode, follower.watched.keys().cloned().collect())
            })
    }

    /// The mode of a connection.
    #[must_use]
    pub fn mode_of(&self, key: &K) -> Mode {
        let follower = self.followers.get(key);
        follower.map_or(Mode::None, |follower| follower.mode)
    }

    /// A connection closed.
    pub fn unfollow(&mut self, key: &K) {
        let Some(follower) = self.followers.remove(key) else {
            return;
        };
        if follower.mode == Mode::Full {
            self.full_count -= 1;
        }
        for user in follower.watched.keys() {
            Self::forget_watcher(&mut self.watchers, user, key);
        }
        self.newcomers.remove(key);
    }

    /// How many users a connection watches.
    #[must_use]
    pub fn watched_count(&self, key: &K) -> usize {
        self.followers
            .get(key)
            .map_or(0, |follower| follower.watched.len())
    }

    /// How many users a connection would watch together with these; those that it watches already
    /// do not count again.
    #[must_use]
    pub fn watched_count_with(&self, key: &K, users: &[UserId]) -> usize {
        let watched = self.followers.get(key).map(|follower| &follower.watched);
        let fresh: HashSet<&UserId> = users
            .iter()
            .filter(|user| !watched.is_some_and(|watched| watched.contains_key(*user)))
            .collect();
        self.watched_count(key) + fresh.len()
    }

    /// A connection watches these users from now on. The caller answers with their current states,
    /// from [`RosterFeed::get`], before anything else is pushed; changes gathered so far are in those
    /// states and are not sent again.
    pub fn watch(&mut self, key: &K, users: impl IntoIterator<Item = UserId>) {
        let mut users = users.into_iter().peekable();
        if users.peek().is_none() {
            return; // A follower of nothing would never be removed.
        }
        let follower = self
            .followers
            .entry(key.clone())
            .or_insert_with(|| Follower::new(Mode::None));
        for user in users {
            follower
                .watched
                .insert(user.clone(), self.pending_watched.version_of(&user));
            self.watchers.entry(user).or_default().insert(key.clone());
        }
    }

    /// A connection no longer watches these users.
    pub fn unwatch<'a>(&mut self, key: &K, users: impl IntoIterator<Item = &'a UserId>) {
        let Some(follower) = self.followers.get_mut(key) else {
            return;
        };
        for user in users {
            if follower.watched.remove(user).is_some() {
                Self::forget_watcher(&mut self.watchers, user, key);
            }
        }
        if follower.mode == Mode::None && follower.watched.is_empty() {
            self.followers.remove(key);
        }
    }

    fn forget_watcher(watchers: &mut HashMap<UserId, HashSet<K>>, user: &UserId, key: &K) {
        if let Some(keys) = watchers.get_mut(user) {
            keys.remove(key);
            if keys.is_empty() {
                watchers.remove(user);
            }
        }
    }
}
