//! Which changes of the roster each connection receives: a pure state machine.
//!
//! Changes go in as they happen and are gathered, so that a storm of a thousand arrivals is a handful
//! of shared deliveries and not a million small ones. A change costs as much as it has followers: a
//! connection that asked for nothing costs nothing.
//!
//! One rule keeps snapshots and changes together, so that nothing is lost and nothing comes twice: a
//! newcomer's snapshot is taken at a flush, *after* the changes gathered until then went to the
//! earlier followers, and holds them all.

mod batch;
mod flush;
mod followers;
mod resync;
#[cfg(test)]
mod tests;

use crate::identity::UserId;
use crate::presence::{Change, Presence};
use crate::time::Moment;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use batch::{Batch, Tombstones};

/// How much of the roster a connection receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The list at once, each change as an event, and the whole list again when it has changed.
    #[default]
    Full,
    /// The list once, then only changes.
    Diff,
    /// Only changes of the users that it watches.
    Watch,
    None,
}

/// The pause between two batches, which doubles up to [`MAX_FLUSH_INTERVAL`] while more changes
/// follow.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// In a storm a connection gets at most one batch in this time.
pub const MAX_FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// Something to send.
#[derive(Debug, PartialEq)]
pub enum Delivery<K> {
    /// The current list: encode [`RosterFeed::listed`] once for all of these connections.
    Snapshot(Vec<K>),
    /// Each change as an event of its own, for `full` connections.
    Events(Vec<K>, Vec<Change>),
    /// The changes in one batch, for `diff` connections and watchers.
    Changes(Vec<K>, Vec<Change>),
}

#[derive(Debug)]
struct Follower {
    mode: Mode,
    /// For `full`: when it last got the whole list.
    listed_at: Moment,
    /// For `full`: the changes that list holds.
    listed_changes: u64,
    /// The users that it watches, each with the version that the answer to `watch` held already.
    watched: HashMap<UserId, u64>,
}

impl Follower {
    fn new(mode: Mode) -> Self {
        Self {
            mode,
            listed_at: Moment(0),
            listed_changes: 0,
            watched: HashMap::new(),
        }
    }
}

/// The feed of one node. `K` names a connection.
#[derive(Debug)]
pub struct RosterFeed<K> {
    limit: usize,
    followers: HashMap<K, Follower>,
    watchers: HashMap<UserId, HashSet<K>>,
    /// The list, in the order of arrival. The user is part of the key, because two users of different
    /// nodes may have the same `since`.
    listed: BTreeMap<(u64, UserId), Arc<Presence>>,
    /// Online users past the limit of the list.
    beyond: BTreeMap<(u64, UserId), Arc<Presence>>,
    /// The `since` of each online user, listed or not.
    since: HashMap<UserId, u64>,
    gone: Tombstones,
    /// The highest version pushed, for information: versions of two users are never compared.
    version: u64,
    /// The number of changes so far, which shows whether a list is still current.
    changes: u64,
    /// Gathered for `full` and `diff` followers.
    pending: Batch,
    /// Gathered for watchers, in any mode.
    pending_watched: Batch,
    newcomers: HashSet<K>,
    flushed_at: Option<Moment>,
    /// For how long after that changes are gathered.
    gather: Duration,
    /// When whole lists may be sent next.
    lists_at: Moment,
    lists_changes: u64,
    full_count: usize,
}

impl<K: Clone + Eq + Hash> RosterFeed<K> {
    /// A feed whose lists have at most `limit` entries; 0 means no limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit: if limit == 0 { usize::MAX } else { limit },
            followers: HashMap::new(),
            watchers: HashMap::new(),
            listed: BTreeMap::new(),
            beyond: BTreeMap::new(),
            since: HashMap::new(),
            gone: Tombstones::default(),
            version: 0,
            changes: 0,
            pending: Batch::default(),
            pending_watched: Batch::default(),
            newcomers: HashSet::new(),
            flushed_at: None,
            gather: FLUSH_INTERVAL,
            lists_at: Moment(0),
            lists_changes: 0,
            full_count: 0,
        }
    }

    /// The entries of the list, in the order of arrival.
    pub fn listed(&self) -> impl ExactSizeIterator<Item = &Arc<Presence>> {
        self.listed.values()
    }

    /// Online users past the end of the list, in the order in which they enter it.
    pub fn beyond(&self) -> impl Iterator<Item = &Arc<Presence>> {
        self.beyond.values()
    }

    /// Whether a user is in the list.
    #[must_use]
    pub fn is_listed(&self, user: &str) -> bool {
        self.since
            .get_key_value(user)
            .is_some_and(|(user, since)| self.listed.contains_key(&(*since, user.clone())))
    }

    /// Entries of the tables of online users and watchers, for metrics.
    #[must_use]
    pub fn held(&self) -> usize {
        self.since.len() + self.watchers.len() + self.newcomers.len()
    }

    /// The number of online users, listed or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.listed.len() + self.beyond.len()
    }

    /// Whether the list is shorter than the count.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        !self.beyond.is_empty()
    }

    /// The highest version pushed so far: the informational `version` of lists and batches.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The number of connections that follow anything, for metrics.
    #[must_use]
    pub fn follower_count(&self) -> usize {
        self.followers.len()
    }

    /// How a user is shown, `None` if as offline.
    #[must_use]
    pub fn get(&self, user: &str) -> Option<&Arc<Presence>> {
        let (user, since) = self.since.get_key_value(user)?;
        let key = (*since, user.clone());
        self.listed.get(&key).or_else(|| self.beyond.get(&key))
    }

    /// Applies a change if it is newer than the known state of its user: a bus may repeat and
    /// reorder.
    pub fn push(&mut self, change: Change) {
        let user = change.user().clone();
        let version = change.version();
        let known = self
            .get(user.as_str())
            .map(|presence| presence.version)
            .or_else(|| self.gone.version_of(&user));
        if known.is_some_and(|known| known >= version) {
            return;
        }
        self.version = self.version.max(version);
        self.changes += 1;
        match change {
            Change::Online(presence) | Change::Updated(presence) => self.show(user, presence),
            Change::Offline(_) => self.hide(user, change),
        }
    }

    fn show(&mut self, user: UserId, presence: Arc<Presence>) {
        self.gone.forget(&user);
        let since = presence.since;
        let known_since = self.since.insert(user.clone(), since);
        let is_new = known_since != Some(since);
        if let Some(known_since) = known_since.filter(|_| is_new) {
            // A leave was missed; the newer stay takes the older one's place.
            self.remove(&(known_since, user.clone()));
        }
        // Whatever it was published as: to followers who do not know that the user is online, an
        // update is their arrival; to the others, an arrival whose leave was missed is an update.
        let change = if known_since.is_none() {
            Change::Online(Arc::clone(&presence))
        } else {
            Change::Updated(Arc::clone(&presence))
        };
        if self.watchers.contains_key(&user) {
            self.pending_watched.add(change.clone());
        }
        let key = (since, user);
        let listed = if is_new {
            self.listed.len() < self.limit
        } else {
            self.listed.contains_key(&key)
        };
        if listed {
            self.listed.insert(key, presence);
            self.pending.add(change);
        } else {
            self.beyond.insert(key, presence);
        }
    }

    fn hide(&mut self, user: UserId, change: Change) {
        self.gone.note(user.clone(), change.version());
        if self.watchers.contains_key(&user) {
            self.pending_watched.add(change.clone());
        }
        let Some(since) = self.since.remove(&user) else {
            return;
        };
        if self.remove(&(since, user)) {
            self.pending.add(change);
            // The list has room: add the user who has waited longest past its end.
            if let Some((key, presence)) = self.beyond.pop_first() {
                self.listed.insert(key, Arc::clone(&presence));
                self.pending.add(Change::Online(presence));
            }
        }
    }

    /// Whether the user was listed.
    fn remove(&mut self, key: &(u64, UserId)) -> bool {
        self.beyond.remove(key);
        self.listed.remove(key).is_some()
    }
}
