//! A bucket as read from the store, and its differences.

use super::BucketFeed;
use super::bucket::LoadedBucket;
use super::changes::looks_the_same;
use crate::identity::UserId;
use crate::presence::{Change, OfflineReason, Presence};
use crate::time::Moment;
use std::sync::Arc;

impl<E: Clone + Eq> BucketFeed<E> {
    /// Replaces a bucket by the loaded one, and applies the changes that arrived meanwhile. Missing users
    /// have left, unless the store lost them: then they stay for a while. `is_own` returns whether a
    /// user has a session on this node.
    pub fn finish_load(
        &mut self,
        now: Moment,
        index: usize,
        loaded: LoadedBucket<E>,
        is_own: &dyn Fn(&UserId) -> bool,
    ) -> Vec<Change> {
        let held = &mut self.buckets[index];
        held.is_loading = false;
        // No change is applied while a bucket is loaded, so the number can only have grown.
        let position = loaded.position;
        let is_lost = held
            .epoch
            .as_ref()
            .is_some_and(|epoch| *epoch != position.epoch || position.number < held.number);
        if is_lost {
            held.losses += 1;
        }
        held.number = position.number;
        held.behind = None;
        let floor = held.version;
        held.version = held.version.max(loaded.version);
        held.pending.retain(|number, message| {
            message.position.epoch == position.epoch && *number > position.number
        });
        held.epoch = Some(position.epoch);
        held.gap_since = None;
        let is_missing = |user: &&UserId| !loaded.users.contains_key(*user);
        let mut missing: Vec<UserId> = held.users.keys().filter(is_missing).cloned().collect();
        missing.sort_unstable();
        let mut users: Vec<_> = loaded.users.into_iter().collect();
        users.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut changes = Vec::new();
        for (user, (shown, hidden)) in users {
            match shown {
                Some(shown) => {
                    let shown = if is_lost {
                        self.raise(shown, floor)
                    } else {
                        shown
                    };
                    changes.extend(self.show(&user, shown, hidden, false));
                }
                None => changes.extend(self.drop_unless_held(&user, hidden, is_lost, is_own)),
            }
        }
        for user in missing {
            changes.extend(self.drop_unless_held(&user, false, is_lost, is_own));
        }
        let until = now.plus(self.hold);
        let held = &mut self.buckets[index];
        if held.has_unconfirmed() {
            held.hold(until);
        }
        changes.extend(self.drain(now, index, is_own));
        let held = &mut self.buckets[index];
        held.gap_since = (!held.pending.is_empty()).then_some(now);
        changes
    }

    /// An older state of the store was restored: its state applies, though its version may be lower than
    /// one that the user had. `floor` is at least as high as all of those.
    fn raise(&self, shown: Arc<Presence>, floor: u64) -> Arc<Presence> {
        let known = self.get(&shown.profile.id);
        if shown.version > floor || known.is_some_and(|known| looks_the_same(known, &shown)) {
            return shown;
        }
        Arc::new(Presence {
            version: self.version(self.bucket(&shown.profile.id)) + 1,
            since: known.map_or(shown.since, |known| known.since),
            ..(*shown).clone()
        })
    }

    /// Hides a user that the store does not show. The last-seen times of a store that lost data may
    /// be outdated too, so all hidden users get the same time.
    fn drop_unless_held(
        &mut self,
        user: &UserId,
        hidden: bool,
        is_lost: bool,
        is_own: &dyn Fn(&UserId) -> bool,
    ) -> Option<Change> {
        let index = self.bucket(user);
        let entry = self.buckets[index].users.entry(user.clone()).or_default();
        let is_known = entry.shown.is_some() || entry.hidden;
        // The store repeats a known state: no change.
        let is_waiting = entry.unconfirmed && (!hidden || entry.hidden);
        if is_known && (is_lost || is_waiting || !hidden && is_own(user)) {
            entry.unconfirmed = true;
            entry.hidden = hidden;
            return None;
        }
        let change = self.leave(user, OfflineReason::Closed);
        self.set_hidden(user, hidden);
        change
    }
}
