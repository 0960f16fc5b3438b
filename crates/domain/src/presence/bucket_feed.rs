//! A node's copy of how users are shown, where a shared store keeps them in buckets: a pure state
//! machine.
//!
//! The store numbers the changes of each bucket and publishes them over a bus that may lose, repeat
//! and delay. A change is applied only if it follows the one before it; otherwise the machine asks
//! for a snapshot of that bucket, and keeps the changes that come until it is there. Every few
//! seconds the node reads the buckets' positions, which shows what was lost at the end of a burst.

#[cfg(test)]
mod tests;

use super::{Change, Presence};
use crate::identity::UserId;
use crate::time::Moment;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The most changes of a bucket that wait for a snapshot. When there are more, they are dropped, and
/// what comes after the snapshot shows the gap.
pub const WAITING_AT_MOST: usize = 1_024;

/// A place in the history of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketPosition {
    /// Another one when the store lost the bucket or went back in time.
    pub epoch: u64,
    /// The number of the last change. Numbers of two epochs are never compared.
    pub number: u64,
}

impl BucketPosition {
    /// Whether this is the place of the change right after `before`.
    fn follows(self, before: Self) -> bool {
        self.epoch == before.epoch && self.number == before.number.saturating_add(1)
    }

    fn is_at_or_before(self, other: Self) -> bool {
        self.epoch == other.epoch && self.number <= other.number
    }
}

/// All of one bucket, read in one step.
#[derive(Clone, Debug, Default)]
pub struct BucketSnapshot {
    pub position: BucketPosition,
    /// At least as high as every version that a user of this bucket had until now, and lower than
    /// every later one.
    pub floor: u64,
    /// Everyone who is shown as online.
    pub present: Vec<Arc<Presence>>,
}

/// What to publish on this node.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedChange {
    /// A change as the store published it.
    Change(Change),
    /// A leave that was missed. The caller looks up when the user was last seen. The reason must not
    /// reveal whether the user is invisible, so it is always the same.
    Left { user: UserId, version: u64 },
}

/// What follows from an input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeedStep {
    pub changes: Vec<FeedChange>,
    /// Read a snapshot of the bucket, and pass it to [`BucketFeed::restore`].
    pub needs_snapshot: bool,
    /// The store lost the bucket, or changes of it: the node announces its sessions again, with what
    /// the directory says of their users now.
    pub is_lost: bool,
}

#[derive(Debug, Default)]
struct Bucket {
    /// `None` until there is a snapshot.
    position: Option<BucketPosition>,
    floor: u64,
    present: HashMap<UserId, Arc<Presence>>,
    is_asked: bool,
    /// The changes since the snapshot was asked for.
    waiting: BTreeMap<(u64, u64), Change>,
    /// A position that was read earlier and not reached then.
    expected: Option<BucketPosition>,
    /// Users that the store lost and that nobody has announced since.
    unconfirmed: BTreeSet<UserId>,
    /// When those leave.
    hold_until: Moment,
    /// The floor before the store lost something last.
    lost_floor: u64,
}

/// The copy of all buckets.
#[derive(Debug)]
pub struct BucketFeed {
    buckets: Vec<Bucket>,
    hold: Duration,
}

impl BucketFeed {
    /// A copy that knows nothing yet: ask for each bucket's snapshot by [`BucketFeed::ask`]. Users
    /// that the store lost stay shown for `hold`.
    #[must_use]
    pub fn new(buckets: usize, hold: Duration) -> Self {
        Self {
            buckets: (0..buckets.max(1)).map(|_| Bucket::default()).collect(),
            hold,
        }
    }

    /// How a user of this bucket is shown, and the version at which that holds.
    #[must_use]
    pub fn get(&self, bucket: usize, user: &str) -> (Option<&Arc<Presence>>, u64) {
        let Some(held) = self.buckets.get(bucket) else {
            return (None, 0);
        };
        let shown = held.present.get(user);
        (shown, shown.map_or(held.floor, |shown| shown.version))
    }

    /// Everyone of this bucket who is shown as online, in no order.
    pub fn present(&self, bucket: usize) -> impl Iterator<Item = &Arc<Presence>> {
        let bucket = self.buckets.get(bucket);
        bucket.into_iter().flat_map(|held| held.present.values())
    }

    /// The version up to which this bucket is known.
    #[must_use]
    pub fn floor(&self, bucket: usize) -> u64 {
        self.buckets.get(bucket).map_or(0, |held| held.floor)
    }

    /// Whether watchers may know something newer of a user of this bucket than this version, because
    /// the store went back to it: it needs a new version when the user is announced.
    #[must_use]
    pub fn is_outdated(&self, bucket: usize, version: u64) -> bool {
        let held = self.buckets.get(bucket);
        held.is_some_and(|held| version <= held.lost_floor)
    }

    /// Where this bucket has got, `None` before its first snapshot.
    #[must_use]
    pub fn position(&self, bucket: usize) -> Option<BucketPosition> {
        self.buckets.get(bucket)?.position
    }

    /// The buckets whose snapshot is missing or was asked for: what is shown of them may be old.
    pub fn stale(&self) -> impl Iterator<Item = usize> {
        let buckets = self.buckets.iter().enumerate();
        buckets
            .filter(|(_, held)| held.is_asked || held.position.is_none())
            .map(|(index, _)| index)
    }

    /// The bus may have lost changes of this bucket, or its store has come back: changes wait for a
    /// snapshot that is read from now on. Also after a read that failed.
    pub fn ask(&mut self, bucket: usize) {
        if let Some(held) = self.buckets.get_mut(bucket) {
            held.is_asked = true;
            held.expected = None;
        }
    }

    /// Takes a change from the bus.
    pub fn push(&mut self, bucket: usize, at: BucketPosition, change: Change) -> FeedStep {
        let mut step = FeedStep::default();
        let Some(held) = self.buckets.get_mut(bucket) else {
            return step;
        };
        if held.is_asked {
            held.wait(at, change);
            return step;
        }
        match held.position {
            Some(position) if at.is_at_or_before(position) => {}
            Some(position) if at.follows(position) => held.apply(at, change, &mut step.changes),
            _ => {
                held.wait(at, change);
                held.is_asked = true;
                step.needs_snapshot = true;
            }
        }
        step
    }

    /// Compares with a position that was read from the store, where the machine was at `asked` when
    /// the node sent the read. What is ahead may be on its way, so it counts as lost only if it has
    /// not come by the next comparison.
    pub fn compare(
        &mut self,
        bucket: usize,
        asked: Option<BucketPosition>,
        read: BucketPosition,
    ) -> FeedStep {
        let mut step = FeedStep::default();
        let Some(held) = self.buckets.get_mut(bucket) else {
            return step;
        };
        if held.is_asked {
            return step;
        }
        let has_reached = |wanted: BucketPosition| {
            let position = held.position;
            position.is_some_and(|position| wanted.is_at_or_before(position))
        };
        // The store went back: it is behind a place that this copy had reached before.
        let went_back = asked.is_some_and(|asked| !asked.is_at_or_before(read));
        let is_late = held.expected.is_some_and(|expected| !has_reached(expected));
        if went_back || is_late || held.position.is_none() {
            held.is_asked = true;
            held.expected = None;
            step.needs_snapshot = true;
        } else {
            held.expected = Some(read).filter(|read| !has_reached(*read));
        }
        step
    }

    /// Takes a snapshot that was asked for, and then the changes that came meanwhile.
    pub fn restore(&mut self, now: Moment, bucket: usize, snapshot: BucketSnapshot) -> FeedStep {
        let mut step = FeedStep::default();
        let Some(held) = self.buckets.get_mut(bucket) else {
            return step;
        };
        let mut present: HashMap<UserId, Arc<Presence>> = HashMap::new();
        for shown in &snapshot.present {
            present.insert(shown.profile.id.clone(), Arc::clone(shown));
        }
        let is_lost = held
            .position
            .is_some_and(|position| !position.is_at_or_before(snapshot.position));
        step.is_lost = is_lost;
        if is_lost {
            held.hold_until = now.plus(self.hold);
            held.lost_floor = held.floor;
        }
        let mut missing: Vec<UserId> = held
            .present
            .keys()
            .filter(|user| !present.contains_key(*user))
            .cloned()
            .collect();
        missing.sort();
        held.unconfirmed.retain(|user| !present.contains_key(user));
        for user in missing {
            if (is_lost || held.unconfirmed.contains(&user))
                && let Some(shown) = held.present.get(&user)
            {
                present.insert(user.clone(), Arc::clone(shown));
                held.unconfirmed.insert(user);
            } else {
                step.changes.push(FeedChange::Left {
                    user,
                    version: held.floor.max(snapshot.floor),
                });
            }
        }
        for shown in snapshot.present {
            let change = match held.present.get(&shown.profile.id) {
                Some(before) if before.version == shown.version => continue,
                Some(_) => Change::Updated(shown),
                None => Change::Online(shown),
            };
            step.changes.push(FeedChange::Change(change));
        }
        held.present = present;
        held.position = Some(snapshot.position);
        held.floor = held.floor.max(snapshot.floor);
        held.expected = None;
        held.is_asked = false;
        let waiting = std::mem::take(&mut held.waiting);
        for ((epoch, number), change) in waiting {
            let at = BucketPosition { epoch, number };
            // Of another epoch: older than the snapshot, or the next comparison finds it.
            if epoch != snapshot.position.epoch || at.is_at_or_before(snapshot.position) {
                continue;
            }
            let pushed = self.push(bucket, at, change);
            step.changes.extend(pushed.changes);
            step.needs_snapshot |= pushed.needs_snapshot;
        }
        step
    }

    /// Hides the users that a store lost and that nobody announced in time.
    pub fn pass_time(&mut self, now: Moment) -> Vec<FeedChange> {
        let mut changes = Vec::new();
        for held in &mut self.buckets {
            if held.is_asked || held.unconfirmed.is_empty() || held.hold_until > now {
                continue;
            }
            for user in std::mem::take(&mut held.unconfirmed) {
                if let Some(shown) = held.present.remove(&user) {
                    held.floor = held.floor.max(shown.version + 1);
                    let version = held.floor;
                    changes.push(FeedChange::Left { user, version });
                }
            }
        }
        changes
    }
}

impl Bucket {
    fn apply(&mut self, at: BucketPosition, change: Change, changes: &mut Vec<FeedChange>) {
        self.position = Some(at);
        self.floor = self.floor.max(change.version());
        self.unconfirmed.remove(change.user());
        match &change {
            Change::Online(shown) | Change::Updated(shown) => {
                self.present
                    .insert(shown.profile.id.clone(), Arc::clone(shown));
            }
            Change::Offline(offline) => {
                self.present.remove(&offline.user);
            }
        }
        changes.push(FeedChange::Change(change));
    }

    fn wait(&mut self, at: BucketPosition, change: Change) {
        self.waiting.insert((at.epoch, at.number), change);
        if self.waiting.len() > WAITING_AT_MOST {
            self.waiting.clear();
        }
    }
}
