//! Who is told what of the roster: a pure state machine.
//!
//! Changes go in as they happen; what comes out is gathered, so that a storm of a thousand arrivals
//! is a handful of shared deliveries and not a million small ones. The cost of a change follows
//! those who follow it: nobody looks at a socket that asked for nothing.
//!
//! The rule that keeps snapshots and streams together (nothing lost, nothing twice): a newcomer's
//! snapshot is taken at a flush, *after* the changes gathered until then went to those who were
//! there before, and holds them all.

mod batch;
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

/// How much of the roster a socket wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The list at once, each change as it happens, and the whole list again now and then.
    #[default]
    Full,
    /// The list once, then only changes.
    Diff,
    /// Only the users it names.
    Watch,
    /// Nothing.
    None,
}

/// Changes are gathered for this long after others were told …
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// … twice as long with each time that more follow, up to this: in a storm nobody gets more than
/// one batch a second.
pub const MAX_FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// A batch of this many is a storm.
const STORM: usize = 20;
/// A `full` client gets the whole list at most this often.
const LIST_EVERY: Duration = Duration::from_secs(1);
/// … and this much less often for each entry of it …
const LIST_EVERY_ENTRY: Duration = Duration::from_millis(10);
/// … and at most this often in a storm.
const LIST_EVERY_IN_A_STORM: Duration = Duration::from_secs(2);

/// What is to be sent, and to whom.
#[derive(Debug, PartialEq)]
pub enum Delivery<K> {
    /// The list as it is now: encode [`RosterFeed::listed`] once for all of them.
    Snapshot(Vec<K>),
    /// Each change as an event of its own, to `full` sockets.
    Events(Vec<K>, Vec<Change>),
    /// The changes in one batch, to `diff` and `watch` sockets.
    Changes(Vec<K>, Vec<Change>),
}

#[derive(Debug)]
struct Follower {
    mode: Mode,
    /// For `full`: when it last got the whole list.
    listed_at: Moment,
    /// For `full`: the changes that list holds.
    listed_changes: u64,
    /// The users it watches, each with the version up to which it was told already.
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

/// The feed of one node. `K` names a socket.
#[derive(Debug)]
pub struct RosterFeed<K> {
    limit: usize,
    followers: HashMap<K, Follower>,
    watchers: HashMap<UserId, HashSet<K>>,
    /// Those in the list, by when they came. The user is part of the key, for two nodes may give
    /// out the same version.
    listed: BTreeMap<(u64, UserId), Arc<Presence>>,
    /// Those past the limit.
    beyond: BTreeMap<(u64, UserId), Arc<Presence>>,
    /// When each came, for both.
    since: HashMap<UserId, u64>,
    gone: Tombstones,
    /// The newest version of anyone's.
    version: u64,
    /// How many changes there were: what tells whether a list is as it was, for versions of two
    /// users are not compared.
    changes: u64,
    /// Gathered for `full` and `diff`.
    pending: Batch,
    /// Gathered for those who watch, whichever their mode.
    pending_watched: Batch,
    newcomers: HashSet<K>,
    flushed_at: Option<Moment>,
    /// How long after that the next changes are gathered.
    gather: Duration,
    /// The earliest next round of whole lists.
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

    /// The entries of the list, in the order in which they came.
    pub fn listed(&self) -> impl ExactSizeIterator<Item = &Arc<Presence>> {
        self.listed.values()
    }

    /// Entries of the tables that follow who is in and who watches. For metrics.
    #[must_use]
    pub fn held(&self) -> usize {
        self.since.len() + self.watchers.len() + self.newcomers.len()
    }

    /// How many are in, listed or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.listed.len() + self.beyond.len()
    }

    /// Whether the list is shorter than the count.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        !self.beyond.is_empty()
    }

    /// The version of the newest change that the list holds.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many sockets follow anything, for metrics.
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

    /// A socket begins to follow, or changes its mode; it gets a fresh snapshot at the next flush.
    /// Following with [`Mode::None`] is the end of following, but for what it watches.
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

    /// A socket is gone.
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

    /// How many users a socket watches.
    #[must_use]
    pub fn watched_count(&self, key: &K) -> usize {
        self.followers
            .get(key)
            .map_or(0, |follower| follower.watched.len())
    }

    /// How many it would watch with these besides; whom it watches already does not count again.
    #[must_use]
    pub fn watched_count_with(&self, key: &K, users: &[UserId]) -> usize {
        let watched = self.followers.get(key).map(|follower| &follower.watched);
        let fresh: HashSet<&UserId> = users
            .iter()
            .filter(|user| !watched.is_some_and(|watched| watched.contains_key(*user)))
            .collect();
        self.watched_count(key) + fresh.len()
    }

    /// A socket follows these users from now on. Their states as of now are the caller's to answer
    /// with, from [`RosterFeed::get`], before anything else is pushed; changes gathered so far are in
    /// those states already and do not come again.
    pub fn watch(&mut self, key: &K, users: impl IntoIterator<Item = UserId>) {
        let mut users = users.into_iter().peekable();
        if users.peek().is_none() {
            return; // Or there would be a follower of nothing.
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

    /// A socket follows these users no longer.
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

    /// A change happened. A change that is not newer than what is known of its user is dropped: a
    /// bus may repeat and reorder.
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
            Change::Online(presence) | Change::Updated(presence) => {
                self.come_or_change(user, presence)
            }
            Change::Offline(_) => self.go(user, change),
        }
    }

    fn come_or_change(&mut self, user: UserId, presence: Arc<Presence>) {
        self.gone.forget(&user);
        let since = presence.since;
        let known_since = self.since.insert(user.clone(), since);
        let is_new = known_since != Some(since);
        if let Some(known_since) = known_since.filter(|_| is_new) {
            // A leave was missed; the newer stay takes the older one's place.
            self.remove(&(known_since, user.clone()));
        }
        // Whatever it was sent as: an update of someone whose coming was missed, or is late, is
        // their coming.
        let change = if is_new {
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

    fn go(&mut self, user: UserId, change: Change) {
        self.gone.note(user.clone(), change.version());
        if self.watchers.contains_key(&user) {
            self.pending_watched.add(change.clone());
        }
        let Some(since) = self.since.remove(&user) else {
            return;
        };
        if self.remove(&(since, user)) {
            self.pending.add(change);
            // The list has room: who waited longest past its end moves in, and is news to those who
            // follow it.
            if let Some((key, presence)) = self.beyond.pop_first() {
                self.listed.insert(key, Arc::clone(&presence));
                self.pending.add(Change::Online(presence));
            }
        }
    }

    /// Whether they were listed.
    fn remove(&mut self, key: &(u64, UserId)) -> bool {
        self.beyond.remove(key);
        self.listed.remove(key).is_some()
    }

    /// When [`RosterFeed::flush`] has something to do: at once if nothing was sent for a while, else when
    /// enough was gathered.
    #[must_use]
    pub fn next_flush(&self) -> Option<Moment> {
        let soon = self.has_gathered().then(|| {
            self.flushed_at
                .map_or(Moment(0), |at| at.plus(self.gathering()))
        });
        let lists = self.lists_may_go().then_some(self.lists_at);
        [soon, lists].into_iter().flatten().min()
    }

    /// Sends what is due at `now`.
    pub fn flush(&mut self, now: Moment) -> Vec<Delivery<K>> {
        self.gone.pass_time(now);
        let mut out = Vec::new();
        if self.has_gathered()
            && self
                .flushed_at
                .is_none_or(|at| at.plus(self.gathering()) <= now)
        {
            self.flush_gathered(now, &mut out);
        }
        if self.lists_may_go() && self.lists_at <= now {
            self.flush_lists(now, &mut out);
        }
        out
    }

    /// A newcomer who waits for nothing but their list does not wait for the end of a storm.
    fn gathering(&self) -> Duration {
        if self.pending.is_empty() && self.pending_watched.is_empty() {
            FLUSH_INTERVAL
        } else {
            self.gather
        }
    }

    /// Takes note of a batch, for when the next may go.
    fn pace(&mut self, now: Moment, changes: usize) {
        let quiet = self.flushed_at.map_or(Duration::MAX, |at| now.since(at));
        // A single change after a second is no storm's, though it may have waited; two seconds
        // nobody waits.
        let is_calm =
            quiet >= MAX_FLUSH_INTERVAL && changes <= 1 || quiet >= 2 * MAX_FLUSH_INTERVAL;
        self.gather = match changes {
            0 => self.gather,
            STORM.. => MAX_FLUSH_INTERVAL,
            _ if is_calm => FLUSH_INTERVAL,
            _ => MAX_FLUSH_INTERVAL.min(self.gather * 2),
        };
        self.flushed_at = Some(now);
    }

    fn has_gathered(&self) -> bool {
        !self.pending.is_empty() || !self.pending_watched.is_empty() || !self.newcomers.is_empty()
    }

    /// A list holds every change up to now, so it goes out after those that are gathered: before
    /// them, they would come to its receivers a second time.
    fn lists_may_go(&self) -> bool {
        self.full_count > 0 && self.lists_changes < self.changes && self.pending.is_empty()
    }

    fn flush_gathered(&mut self, now: Moment, out: &mut Vec<Delivery<K>>) {
        let newcomers = std::mem::take(&mut self.newcomers);
        let pending = self.pending.take();
        let watched = self.pending_watched.take();
        self.pace(now, pending.len().max(watched.len()));

        if !pending.is_empty() {
            let of = |mode: Mode| -> Vec<K> {
                self.followers
                    .iter()
                    .filter(|(key, follower)| follower.mode == mode && !newcomers.contains(key))
                    .map(|(key, _)| key.clone())
                    .collect()
            };
            let (full, diff) = (of(Mode::Full), of(Mode::Diff));
            if !full.is_empty() {
                out.push(Delivery::Events(full, pending.clone()));
            }
            if !diff.is_empty() {
                out.push(Delivery::Changes(diff, pending.clone()));
            }
        }
        if !watched.is_empty() {
            self.flush_watched(&pending, watched, &newcomers, out);
        }
        if !newcomers.is_empty() {
            for key in &newcomers {
                if let Some(follower) = self.followers.get_mut(key) {
                    follower.listed_at = now;
                    follower.listed_changes = self.changes;
                }
            }
            out.push(Delivery::Snapshot(newcomers.into_iter().collect()));
        }
    }

    /// Hands each watcher the changes of those it watches. Watchers who watch the same users share
    /// one delivery.
    fn flush_watched(
        &self,
        pending: &[Change],
        watched: Vec<Change>,
        newcomers: &HashSet<K>,
        out: &mut Vec<Delivery<K>>,
    ) {
        // Two changes of one user stand in order, so the newer one counts.
        let in_pending: HashMap<&UserId, u64> = pending
            .iter()
            .map(|change| (change.user(), change.version()))
            .collect();
        let mut by_key: HashMap<&K, Vec<usize>> = HashMap::new();
        for (index, change) in watched.iter().enumerate() {
            for key in self.watchers.get(change.user()).into_iter().flatten() {
                let Some(follower) = self.followers.get(key) else {
                    continue;
                };
                // Who follows the list has this change, or a newer one, from there already. (Not so
                // who has just begun to: a list that is cut off says nothing of those it leaves
                // out.)
                let from_list = matches!(follower.mode, Mode::Full | Mode::Diff)
                    && !newcomers.contains(key)
                    && in_pending
                        .get(change.user())
                        .is_some_and(|version| *version >= change.version());
                let told = follower
                    .watched
                    .get(change.user())
                    .is_some_and(|told| *told >= change.version());
                if !from_list && !told {
                    by_key.entry(key).or_default().push(index);
                }
            }
        }
        let mut by_set: HashMap<Vec<usize>, Vec<K>> = HashMap::new();
        for (key, indexes) in by_key {
            by_set.entry(indexes).or_default().push(key.clone());
        }
        for (indexes, keys) in by_set {
            let changes = indexes
                .into_iter()
                .map(|index| watched[index].clone())
                .collect();
            out.push(Delivery::Changes(keys, changes));
        }
    }

    fn flush_lists(&mut self, now: Moment, out: &mut Vec<Delivery<K>>) {
        let usual = if self.gather == MAX_FLUSH_INTERVAL {
            LIST_EVERY_IN_A_STORM
        } else {
            LIST_EVERY
        };
        let pause =
            usual.max(LIST_EVERY_ENTRY * u32::try_from(self.listed.len()).unwrap_or(u32::MAX));
        self.lists_at = now.plus(pause);
        let changes = self.changes;
        let mut left_out = false;
        let mut due = Vec::new();
        for (key, follower) in &mut self.followers {
            if follower.mode != Mode::Full
                || follower.listed_changes >= changes
                || self.newcomers.contains(key)
            {
                continue;
            }
            if follower.listed_at.plus(pause) > now {
                left_out = true;
                continue;
            }
            follower.listed_at = now;
            follower.listed_changes = changes;
            due.push(key.clone());
        }
        if !left_out {
            self.lists_changes = changes;
        }
        if !due.is_empty() {
            out.push(Delivery::Snapshot(due));
        }
    }
}
