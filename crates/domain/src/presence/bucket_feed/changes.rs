//! Changes, in their order.

use super::BucketFeed;
use super::bucket::{FeedBody, FeedMessage};
use crate::identity::UserId;
use crate::presence::{Change, Offline, OfflineReason, Presence};
use crate::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// The most changes that wait in one bucket for a gap to close; past it the bucket is loaded.
pub(super) const MAX_PENDING: usize = 4_096;

impl<E: Clone + Eq> BucketFeed<E> {
    /// Applies a change; returns the changes to publish. `is_own` returns whether a user has a session
    /// on this node.
    pub fn apply(
        &mut self,
        now: Moment,
        message: FeedMessage<E>,
        is_own: &dyn Fn(&UserId) -> bool,
    ) -> Vec<Change> {
        let (index, number) = (message.bucket, message.position.number);
        let held = &mut self.buckets[index];
        if held.epoch.as_ref() != Some(&message.position.epoch) {
            // It may be of the epoch that is just being loaded.
            held.is_stale |= !held.is_loading;
        } else if number <= held.number {
            return Vec::new();
        }
        if held.pending.len() >= MAX_PENDING {
            held.pending.clear();
            held.is_stale = true;
            return Vec::new();
        }
        held.pending.insert(number, message);
        let changes = self.drain(now, index, is_own);
        let held = &mut self.buckets[index];
        held.gap_since = if held.pending.is_empty() {
            None
        } else {
            held.gap_since.or(Some(now))
        };
        changes
    }

    /// Shows a user of this node while the store is away, one version above the known one.
    pub fn show_locally(&mut self, mut presence: Presence) -> Option<Change> {
        let user = presence.profile.id.clone();
        presence.version = self.version(self.bucket(&user)) + 1;
        presence.since = match self.get(&user) {
            Some(shown) if looks_the_same(shown, &presence) => return None,
            Some(shown) => shown.since,
            None => presence.version,
        };
        self.show(&user, Arc::new(presence), false, true)
    }

    /// Notes whether a user is to look offline.
    pub fn set_hidden(&mut self, user: &UserId, hidden: bool) {
        let index = self.bucket(user);
        let users = &mut self.buckets[index].users;
        users.entry(user.clone()).or_default().hidden = hidden;
        self.forget_if_empty(user);
    }

    /// Starts the time in which nodes must announce the users that only this copy has.
    pub fn hold_unconfirmed(&mut self, now: Moment) {
        let until = now.plus(self.hold);
        for held in &mut self.buckets {
            if held.has_unconfirmed() {
                held.hold(until);
            }
        }
    }

    /// Handles expired waits: marks buckets with a gap as stale, and hides users that no node
    /// announced again.
    pub fn pass_time(
        &mut self,
        now: Moment,
        gap_patience: Duration,
        is_own: &dyn Fn(&UserId) -> bool,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for index in 0..self.buckets.len() {
            let held = &mut self.buckets[index];
            let is_overdue = |since: Moment| now > since.plus(gap_patience);
            if held.gap_since.is_some_and(is_overdue) && !held.is_loading {
                held.is_stale = true;
            }
            if !held.is_current() || held.hold_until.is_none_or(|until| now <= until) {
                continue;
            }
            held.hold_until = None;
            let unconfirmed = held.users.iter().filter(|(_, entry)| entry.unconfirmed);
            let mut unconfirmed: Vec<_> = unconfirmed.map(|(user, _)| user.clone()).collect();
            unconfirmed.sort_unstable();
            for user in unconfirmed {
                if self.is_hidden(&user) {
                    changes.extend(self.leave(&user, OfflineReason::Closed));
                    self.set_hidden(&user, true);
                } else if is_own(&user) {
                    // This node is about to announce them.
                    self.keep_unconfirmed(now, &user);
                } else {
                    changes.extend(self.leave(&user, OfflineReason::NodeLost));
                    self.set_hidden(&user, false);
                }
            }
        }
        changes
    }

    /// Applies the changes that follow without a gap.
    pub(super) fn drain(
        &mut self,
        now: Moment,
        index: usize,
        is_own: &dyn Fn(&UserId) -> bool,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        loop {
            let held = &mut self.buckets[index];
            if held.is_loading {
                return changes;
            }
            let next = held.number + 1;
            let fits =
                |message: &FeedMessage<E>| held.epoch.as_ref() == Some(&message.position.epoch);
            if !held.pending.get(&next).is_some_and(fits) {
                return changes;
            }
            let Some(message) = held.pending.remove(&next) else {
                return changes;
            };
            held.number = next;
            changes.extend(self.take(now, message, is_own));
        }
    }

    fn take(
        &mut self,
        now: Moment,
        message: FeedMessage<E>,
        is_own: &dyn Fn(&UserId) -> bool,
    ) -> Option<Change> {
        let FeedMessage { user, hidden, .. } = message;
        let held = &mut self.buckets[message.bucket];
        held.version = held.version.max(message.version);
        match message.body {
            FeedBody::Shown(presence) => {
                // A node is announcing its users, and may need longer than the hold for all of them.
                if held.users.get(&user).is_some_and(|entry| entry.unconfirmed) {
                    held.hold(now.plus(self.hold));
                }
                self.show(&user, presence, hidden, false)
            }
            // This node was given up for dead and knows better: it announces the user again.
            FeedBody::Gone(offline)
                if offline.reason == OfflineReason::NodeLost && is_own(&user) =>
            {
                self.keep_unconfirmed(now, &user);
                None
            }
            FeedBody::Gone(offline) => {
                let change = self.hide(&user, hidden, offline.version);
                change.map(|_| Change::Offline(offline))
            }
            FeedBody::Same => {
                let entry = held.users.entry(user.clone()).or_default();
                // The store lost the user and shows them no more, so no leave will follow.
                let leaves = hidden && entry.unconfirmed;
                let change = leaves
                    .then(|| self.leave(&user, OfflineReason::Closed))
                    .flatten();
                self.set_hidden(&user, hidden);
                change
            }
        }
    }

    fn keep_unconfirmed(&mut self, now: Moment, user: &UserId) {
        let until = now.plus(self.hold);
        let index = self.bucket(user);
        let held = &mut self.buckets[index];
        if let Some(entry) = held.users.get_mut(user) {
            entry.unconfirmed = true;
            held.hold(until);
        }
    }

    /// Shows a user, unless the known state is newer.
    pub(super) fn show(
        &mut self,
        user: &UserId,
        presence: Arc<Presence>,
        hidden: bool,
        unconfirmed: bool,
    ) -> Option<Change> {
        let index = self.bucket(user);
        let held = &mut self.buckets[index];
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

    /// Hides a user who is shown at an older version; returns the old state.
    fn hide(&mut self, user: &UserId, hidden: bool, version: u64) -> Option<Arc<Presence>> {
        let index = self.bucket(user);
        let held = &mut self.buckets[index];
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
        let index = self.bucket(user);
        let users = &mut self.buckets[index].users;
        if users
            .get(user)
            .is_some_and(|entry| entry.shown.is_none() && !entry.hidden)
        {
            users.remove(user);
        }
    }

    /// A user left, and that change is lost. Their last activity is the best known last-seen time.
    /// The reason must not reveal whether the user is invisible.
    pub(super) fn leave(&mut self, user: &UserId, reason: OfflineReason) -> Option<Change> {
        let index = self.bucket(user);
        let held = &mut self.buckets[index];
        let shown = held.users.get(user)?.shown.clone()?;
        held.version = held.version.max(shown.version + 1);
        let version = held.version;
        self.hide(user, false, version)?;
        Some(Change::Offline(Offline {
            user: user.clone(),
            last_seen_at: Some(shown.last_active_at).filter(|_| !shown.hides_last_seen),
            reason,
            version,
        }))
    }
}

pub(super) fn looks_the_same(one: &Presence, other: &Presence) -> bool {
    one.status == other.status
        && one.text == other.text
        && one.activities == other.activities
        && one.profile == other.profile
        && one.hides_last_seen == other.hides_last_seen
}
