//! What one node knows of all users: a copy of what is shown, bucket by bucket.
//!
//! Changes of a bucket are numbered without gaps. They are applied in their order; after a gap the
//! bucket is loaded again, and what is different is published.

use super::super::change::{Body, Message, Moved};
use super::super::keys::{BUCKETS, bucket};
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{Change, Offline, OfflineReason, Presence};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The most changes that wait in one bucket for a gap to close; past it the bucket is loaded.
const MAX_PENDING: usize = 4_096;

/// What is known of a user who is shown or hidden.
#[derive(Debug, Default)]
struct Entry {
    shown: Option<Arc<Presence>>,
    /// Is to look offline though there is a session.
    hidden: bool,
    /// Redis does not say so: it lost the user, or this node showed the user while Redis was away.
    /// The user leaves if no node announces them in time.
    unconfirmed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// `None` until it was loaded for the first time.
    epoch: Option<Arc<str>>,
    /// The latest change that was applied.
    number: u64,
    /// At least as high as every version of a user of this bucket.
    version: u64,
    users: HashMap<UserId, Entry>,
    /// Changes that came before one that is missing, or while the bucket is loaded.
    pending: BTreeMap<u64, Message>,
    pub(super) is_loading: bool,
    /// A load is due.
    pub(super) is_stale: bool,
    gap_since: Option<Instant>,
    /// Redis had a change with this number, and since then it is not here.
    behind: Option<(u64, Instant)>,
    /// Until then users who are unconfirmed stay.
    hold_until: Option<Instant>,
    /// How often Redis lost changes of this bucket.
    losses: u64,
}

/// A bucket as Redis has it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) epoch: Arc<str>,
    /// Before the first page was read.
    pub(super) number: u64,
    pub(super) version: u64,
    pub(super) users: HashMap<UserId, (Option<Arc<Presence>>, bool)>,
}

/// An epoch, and the number of a change in it.
pub(in super::super) type Position = Option<(Arc<str>, u64)>;

/// What the copy asks and tells its node. Called under the lock of the copy.
pub(in super::super) trait Own: Send + Sync {
    /// Whether a user has a session on this node.
    fn has(&self, user: &UserId) -> bool;
    /// An incarnation took over sessions.
    fn moved(&self, moved: &Moved);
}

pub(super) struct State {
    pub(super) buckets: Vec<Bucket>,
    /// Everyone who is shown. Two users of different buckets may have the same `since`.
    pub(super) order: BTreeMap<(u64, UserId), Arc<Presence>>,
    /// For how long users whom Redis lost stay, unless a node announces them.
    hold: Duration,
    pub(super) own: Option<Arc<dyn Own>>,
}

impl State {
    pub(super) fn new(hold: Duration) -> Self {
        let mut buckets = Vec::new();
        buckets.resize_with(BUCKETS, Bucket::default);
        for bucket in &mut buckets {
            bucket.is_stale = true;
        }
        Self {
            buckets,
            order: BTreeMap::new(),
            hold,
            own: None,
        }
    }

    pub(super) fn get(&self, user: &UserId) -> Option<&Arc<Presence>> {
        self.entry(user)?.shown.as_ref()
    }

    pub(super) fn is_hidden(&self, user: &UserId) -> bool {
        self.entry(user).is_some_and(|entry| entry.hidden)
    }

    /// Whether the user is shown or hidden.
    pub(super) fn is_known(&self, user: &UserId) -> bool {
        self.entry(user).is_some()
    }

    fn is_own(&self, user: &UserId) -> bool {
        self.own.as_ref().is_some_and(|own| own.has(user))
    }

    fn entry(&self, user: &UserId) -> Option<&Entry> {
        self.buckets[bucket(user)].users.get(user)
    }

    pub(super) fn version(&self, bucket: usize) -> u64 {
        self.buckets[bucket].version
    }

    pub(super) fn losses(&self, bucket: usize) -> u64 {
        self.buckets[bucket].losses
    }

    /// Whether every bucket was loaded, and none misses changes.
    pub(super) fn is_whole(&self) -> bool {
        self.buckets
            .iter()
            .all(|bucket| bucket.epoch.is_some() && !bucket.is_stale && !bucket.is_loading)
    }

    /// Whether a change was applied.
    pub(super) fn has(&self, bucket: usize, epoch: &str, number: u64) -> bool {
        let bucket = &self.buckets[bucket];
        bucket.epoch.as_deref() == Some(epoch) && bucket.number >= number
    }

    /// Takes a change; returns what is different now.
    pub(super) fn apply(&mut self, now: Instant, message: Message) -> Vec<Change> {
        let index = message.bucket;
        let held = &mut self.buckets[index];
        if held.epoch.as_ref() != Some(&message.epoch) {
            // It may be of the epoch that is just being loaded.
            held.is_stale |= !held.is_loading;
        } else if message.number <= held.number {
            return Vec::new();
        }
        if held.pending.len() >= MAX_PENDING {
            held.pending.clear();
            held.is_stale = true;
            return Vec::new();
        }
        held.pending.insert(message.number, message);
        let changes = self.drain(now, index);
        let held = &mut self.buckets[index];
        held.gap_since = if held.pending.is_empty() {
            None
        } else {
            held.gap_since.or(Some(now))
        };
        changes
    }

    /// Applies the changes that follow without a gap.
    fn drain(&mut self, now: Instant, index: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        loop {
            let held = &mut self.buckets[index];
            if held.is_loading {
                return changes;
            }
            let next = held.number + 1;
            let fits = |message: &Message| held.epoch.as_ref() == Some(&message.epoch);
            if !held.pending.get(&next).is_some_and(fits) {
                return changes;
            }
            let Some(message) = held.pending.remove(&next) else {
                return changes;
            };
            held.number = next;
            changes.extend(self.take(now, message));
        }
    }

    fn take(&mut self, now: Instant, message: Message) -> Option<Change> {
        let held = &mut self.buckets[message.bucket];
        held.version = held.version.max(message.version);
        if !message.moved.is_empty()
            && let Some(own) = &self.own
        {
            own.moved(&message.moved);
        }
        match message.body {
            Body::Shown(presence) => {
                let held = &mut self.buckets[message.bucket];
                // A node is announcing its users, and may need longer than the hold for all of them.
                if held
                    .users
                    .get(&message.user)
                    .is_some_and(|entry| entry.unconfirmed)
                {
                    held.hold_until = held.hold_until.max(Some(now + self.hold));
                }
                self.show(&message.user, presence, message.hidden, false)
            }
            // This node was given up for dead and knows better: it announces the user again.
            Body::Gone(offline)
                if offline.reason == OfflineReason::NodeLost && self.is_own(&message.user) =>
            {
                self.keep_unconfirmed(now, &message.user);
                None
            }
            Body::Gone(offline) => {
                let change = self.hide(&message.user, message.hidden, offline.version);
                change.map(|_| Change::Offline(offline))
            }
            Body::Same => {
                let users = &mut self.buckets[message.bucket].users;
                let entry = users.entry(message.user.clone()).or_default();
                // Redis lost the user and shows them no more, so no leave will follow.
                let leaves = message.hidden && entry.unconfirmed;
                let change = leaves
                    .then(|| self.leave(&message.user, OfflineReason::Closed))
                    .flatten();
                self.set_hidden_locally(&message.user, message.hidden);
                change
            }
        }
    }

    pub(super) fn hold_unconfirmed(&mut self, now: Instant) {
        for held in &mut self.buckets {
            if held.users.values().any(|entry| entry.unconfirmed) {
                held.hold_until = held.hold_until.max(Some(now + self.hold));
            }
        }
    }

    fn keep_unconfirmed(&mut self, now: Instant, user: &UserId) {
        let hold = self.hold;
        let held = &mut self.buckets[bucket(user)];
        if let Some(entry) = held.users.get_mut(user) {
            entry.unconfirmed = true;
            held.hold_until = held.hold_until.max(Some(now + hold));
        }
    }

    /// Shows a user, unless what is known is newer.
    fn show(
        &mut self,
        user: &UserId,
        presence: Arc<Presence>,
        hidden: bool,
        unconfirmed: bool,
    ) -> Option<Change> {
        let held = &mut self.buckets[bucket(user)];
        held.version = held.version.max(presence.version);
        let entry = held.users.entry(user.clone()).or_default();
        let before = entry.shown.clone();
        if before
            .as_ref()
            .is_some_and(|before| before.version >= presence.version)
        {
            entry.unconfirmed &= unconfirmed;
            return None;
        }
        entry.shown = Some(Arc::clone(&presence));
        entry.hidden = hidden;
        entry.unconfirmed = unconfirmed;
        if let Some(before) = &before {
            self.order.remove(&(before.since, user.clone()));
        }
        self.order
            .insert((presence.since, user.clone()), Arc::clone(&presence));
        match before {
            None => Some(Change::Online(presence)),
            Some(before) if looks_the_same(&before, &presence) => None,
            Some(_) => Some(Change::Updated(presence)),
        }
    }

    /// Hides a user who is shown at an older version; returns how they were shown.
    fn hide(&mut self, user: &UserId, hidden: bool, version: u64) -> Option<Arc<Presence>> {
        let held = &mut self.buckets[bucket(user)];
        held.version = held.version.max(version);
        let entry = held.users.get_mut(user)?;
        if entry
            .shown
            .as_ref()
            .is_some_and(|shown| shown.version >= version)
        {
            return None;
        }
        entry.hidden = hidden;
        entry.unconfirmed = false;
        let before = entry.shown.take();
        if let Some(before) = &before {
            self.order.remove(&(before.since, user.clone()));
        }
        self.forget_if_empty(user);
        before
    }

    fn forget_if_empty(&mut self, user: &UserId) {
        let users = &mut self.buckets[bucket(user)].users;
        if users
            .get(user)
            .is_some_and(|entry| entry.shown.is_none() && !entry.hidden)
        {
            users.remove(user);
        }
    }

    /// Replaces a bucket by what was loaded, and applies the changes that came meanwhile. Users who
    /// are missing left, unless Redis lost them: then they stay for a while.
    pub(super) fn finish_load(
        &mut self,
        now: Instant,
        index: usize,
        loaded: Loaded,
    ) -> Vec<Change> {
        let hold = self.hold;
        let held = &mut self.buckets[index];
        held.is_loading = false;
        // No change is applied while a bucket is loaded, so the number can only have grown.
        let is_lost = held
            .epoch
            .as_ref()
            .is_some_and(|epoch| *epoch != loaded.epoch || loaded.number < held.number);
        if is_lost {
            held.losses += 1;
        }
        held.epoch = Some(Arc::clone(&loaded.epoch));
        held.number = loaded.number;
        held.behind = None;
        let floor = held.version;
        held.version = held.version.max(loaded.version);
        held.pending
            .retain(|number, message| message.epoch == loaded.epoch && *number > loaded.number);
        held.gap_since = None;
        let missing: Vec<UserId> = held
            .users
            .keys()
            .filter(|user| !loaded.users.contains_key(*user))
            .cloned()
            .collect();
        let mut changes = Vec::new();
        for (user, (shown, hidden)) in loaded.users {
            match shown {
                Some(shown) => {
                    let shown = if is_lost {
                        self.raise(shown, floor)
                    } else {
                        shown
                    };
                    changes.extend(self.show(&user, shown, hidden, false));
                }
                None => changes.extend(self.drop_unless_held(&user, hidden, is_lost)),
            }
        }
        for user in missing {
            changes.extend(self.drop_unless_held(&user, false, is_lost));
        }
        let held = &mut self.buckets[index];
        if held.users.values().any(|entry| entry.unconfirmed) {
            held.hold_until = held.hold_until.max(Some(now + hold));
        }
        changes.extend(self.drain(now, index));
        let held = &mut self.buckets[index];
        held.gap_since = (!held.pending.is_empty()).then_some(now);
        changes
    }

    /// Redis went back in time: what it has is true now, though its version may be lower than one
    /// that the user had. `floor` is at least as high as all of those.
    fn raise(&self, shown: Arc<Presence>, floor: u64) -> Arc<Presence> {
        let known = self.get(&shown.profile.id);
        if shown.version > floor || known.is_some_and(|known| looks_the_same(known, &shown)) {
            return shown;
        }
        let held = &self.buckets[bucket(&shown.profile.id)];
        Arc::new(Presence {
            version: held.version + 1,
            since: known.map_or(shown.since, |known| known.since),
            ..(*shown).clone()
        })
    }

    /// Hides a user whom Redis does not show.
    fn drop_unless_held(&mut self, user: &UserId, hidden: bool, is_lost: bool) -> Option<Change> {
        let is_own = self.is_own(user);
        let users = &mut self.buckets[bucket(user)].users;
        let entry = users.entry(user.clone()).or_default();
        let is_known = entry.shown.is_some() || entry.hidden;
        if is_known && (is_lost || is_own || entry.unconfirmed) && !hidden {
            entry.unconfirmed = true;
            return None;
        }
        let change = self.leave(user, OfflineReason::Closed);
        let users = &mut self.buckets[bucket(user)].users;
        users.entry(user.clone()).or_default().hidden = hidden;
        self.forget_if_empty(user);
        change
    }

    /// A user left, and the change that said so is lost. They were seen at least when they were last
    /// active.
    fn leave(&mut self, user: &UserId, reason: OfflineReason) -> Option<Change> {
        let held = &mut self.buckets[bucket(user)];
        let shown = held.users.get(user)?.shown.clone()?;
        held.version = held.version.max(shown.version + 1);
        let version = held.version;
        self.hide(user, false, version)?;
        Some(Change::Offline(Offline {
            user: user.clone(),
            last_seen_at: Some(shown.last_active_at),
            reason,
            version,
        }))
    }

    /// Ends what waited for long enough: marks buckets with a gap as stale, and hides users who no
    /// node announced again.
    pub(super) fn pass_time(&mut self, now: Instant, patience: Duration) -> Vec<Change> {
        let mut changes = Vec::new();
        for index in 0..self.buckets.len() {
            let held = &mut self.buckets[index];
            if held.gap_since.is_some_and(|since| now > since + patience) && !held.is_loading {
                held.is_stale = true;
            }
            let is_whole = !held.is_stale && !held.is_loading;
            if is_whole && held.hold_until.is_some_and(|until| now > until) {
                held.hold_until = None;
                let unconfirmed = held.users.iter().filter(|(_, entry)| entry.unconfirmed);
                let unconfirmed: Vec<_> = unconfirmed.map(|(user, _)| user.clone()).collect();
                for user in unconfirmed {
                    // This node is about to announce them.
                    if self.is_own(&user) {
                        self.keep_unconfirmed(now, &user);
                        continue;
                    }
                    changes.extend(self.leave(&user, OfflineReason::NodeLost));
                    self.set_hidden_locally(&user, false);
                }
            }
        }
        changes
    }

    /// The latest change of a bucket that was applied.
    pub(super) fn position(&self, index: usize) -> Position {
        let held = &self.buckets[index];
        held.epoch
            .as_ref()
            .map(|epoch| (Arc::clone(epoch), held.number))
    }

    /// For how long the oldest change that Redis is known to have has been missing.
    pub(super) fn lag(&self, now: Instant) -> Duration {
        let of_bucket = |held: &Bucket| {
            let behind = held.behind.filter(|(missing, _)| *missing > held.number);
            let since = behind.map(|(_, since)| since).into_iter();
            since.chain(held.gap_since).min()
        };
        let oldest = self.buckets.iter().filter_map(of_bucket).min();
        oldest.map_or(Duration::ZERO, |since| now.duration_since(since))
    }

    /// Compares with what Redis has. `before` is [`State::position`] from before Redis was asked, and
    /// `earlier` what Redis had the last time.
    pub(super) fn compare(
        &mut self,
        now: Instant,
        index: usize,
        before: &Position,
        redis: &Position,
        earlier: &Position,
    ) {
        let held = &mut self.buckets[index];
        let (Some((known, number)), Some((epoch, theirs))) = (before, redis) else {
            return;
        };
        let is_lost = known != epoch || theirs < number;
        held.behind = match held.behind {
            behind @ Some((missing, _)) if missing > held.number => behind,
            _ => (*theirs > held.number).then_some((*theirs, now)),
        };
        let is_behind = earlier
            .as_ref()
            .is_some_and(|(same, theirs)| same == known && *theirs > held.number);
        // A change of another epoch may have been loaded meanwhile.
        if held.epoch.as_ref() == Some(known) && (is_lost || is_behind) {
            held.is_stale = true;
        }
    }

    /// Shows a user of this node while Redis is away, one version above what is known.
    pub(super) fn show_locally(&mut self, mut presence: Presence) -> Option<Change> {
        let user = presence.profile.id.clone();
        let held = &self.buckets[bucket(&user)];
        presence.version = held.version + 1;
        presence.since = match self.get(&user) {
            Some(shown) if looks_the_same(shown, &presence) => return None,
            Some(shown) => shown.since,
            None => presence.version,
        };
        self.show(&user, Arc::new(presence), false, true)
    }

    pub(super) fn set_hidden_locally(&mut self, user: &UserId, hidden: bool) {
        let users = &mut self.buckets[bucket(user)].users;
        users.entry(user.clone()).or_default().hidden = hidden;
        self.forget_if_empty(user);
    }
}

fn looks_the_same(one: &Presence, other: &Presence) -> bool {
    one.status == other.status
        && one.text == other.text
        && one.activities == other.activities
        && one.profile == other.profile
}
