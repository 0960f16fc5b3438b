//! A node's copy of the visible states that a shared store keeps in buckets: a pure state
//! machine, in production and in the simulation.
//!
//! The store numbers the changes of each bucket without gaps and publishes them over a bus that may
//! lose, repeat and delay. They are applied in their order. When one is missing for too long, or the
//! store turns out to be ahead, the bucket is stale: the caller loads it, and differences are
//! published as changes. Every few seconds the node compares positions, which detects a loss at the
//! end of a burst.

mod bucket;
mod changes;
mod load;
#[cfg(test)]
mod tests;

pub use bucket::{BucketPosition, FeedBody, FeedMessage, LoadedBucket};

use super::{Presence, bucket_of};
use crate::identity::UserId;
use crate::time::Moment;
use bucket::{Bucket, Entry};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The copy of all buckets. An epoch is another one when the store lost a bucket or went back in
/// time; numbers of two epochs are never compared.
#[derive(Debug)]
pub struct BucketFeed<E> {
    buckets: Vec<Bucket<E>>,
    /// Everyone who is shown. Two users of different buckets may have the same `since`.
    order: BTreeMap<(u64, UserId), Arc<Presence>>,
    hold: Duration,
}

impl<E: Clone + Eq> BucketFeed<E> {
    /// A copy that knows nothing yet: every bucket is stale. Users that the store lost stay shown for
    /// `hold`, unless a node announces them.
    #[must_use]
    pub fn new(buckets: usize, hold: Duration) -> Self {
        Self {
            buckets: (0..buckets.max(1)).map(|_| Bucket::default()).collect(),
            order: BTreeMap::new(),
            hold,
        }
    }

    /// How a user is shown.
    #[must_use]
    pub fn get(&self, user: &UserId) -> Option<&Arc<Presence>> {
        self.entry(user)?.shown.as_ref()
    }

    /// Whether a user is to look offline though there is a session.
    #[must_use]
    pub fn is_hidden(&self, user: &UserId) -> bool {
        self.entry(user).is_some_and(|entry| entry.hidden)
    }

    /// Whether a user is shown or hidden.
    #[must_use]
    pub fn is_known(&self, user: &UserId) -> bool {
        self.entry(user).is_some()
    }

    /// How many users are shown.
    #[must_use]
    pub fn count(&self) -> usize {
        self.order.len()
    }

    /// Everyone who is shown, in the order of their arrival.
    pub fn present(&self) -> impl Iterator<Item = &Arc<Presence>> {
        self.order.values()
    }

    /// Those who follow `after` in the order of their arrival.
    pub fn present_after(
        &self,
        after: Option<(u64, UserId)>,
    ) -> impl Iterator<Item = &Arc<Presence>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.order.range((from, Unbounded)).map(|(_, shown)| shown)
    }

    /// At least as high as every version of a user of this bucket.
    #[must_use]
    pub fn version(&self, index: usize) -> u64 {
        self.buckets[index].version
    }

    /// The versions of all buckets.
    #[must_use]
    pub fn versions(&self) -> Vec<u64> {
        self.buckets.iter().map(|held| held.version).collect()
    }

    /// How often the store lost changes of this bucket.
    #[must_use]
    pub fn losses(&self, index: usize) -> u64 {
        self.buckets[index].losses
    }

    /// The latest change of a bucket that was applied, `None` before its first load.
    #[must_use]
    pub fn position(&self, index: usize) -> Option<BucketPosition<E>> {
        let held = &self.buckets[index];
        let epoch = held.epoch.clone()?;
        let number = held.number;
        Some(BucketPosition { epoch, number })
    }

    /// Whether a change was applied.
    #[must_use]
    pub fn has<Q: Eq + ?Sized>(&self, index: usize, epoch: &Q, number: u64) -> bool
    where
        E: std::borrow::Borrow<Q>,
    {
        let held = &self.buckets[index];
        held.number >= number && held.epoch.as_ref().map(E::borrow) == Some(epoch)
    }

    /// Whether every bucket was loaded, and none misses changes.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_whole = |held: &Bucket<E>| held.epoch.is_some() && held.is_current();
        self.buckets.iter().all(is_whole)
    }

    /// Whether a bucket is to be loaded.
    #[must_use]
    pub fn is_stale(&self, index: usize) -> bool {
        self.buckets[index].is_stale
    }

    /// The bus may have lost changes of a bucket: it is to be loaded from now on.
    pub fn mark_stale(&mut self, index: usize) {
        self.buckets[index].is_stale = true;
    }

    /// The same of all buckets.
    pub fn mark_all_stale(&mut self) {
        for held in &mut self.buckets {
            held.is_stale = true;
        }
    }

    /// A bucket to load from now on. Answer by [`BucketFeed::finish_load`] or
    /// [`BucketFeed::fail_load`].
    pub fn begin_load(&mut self) -> Option<usize> {
        let mut buckets = self.buckets.iter_mut();
        let index = buckets.position(|held| held.is_stale && !held.is_loading)?;
        let held = &mut self.buckets[index];
        held.is_loading = true;
        held.is_stale = false;
        Some(index)
    }

    /// A bucket could not be loaded: it is stale again.
    pub fn fail_load(&mut self, index: usize) {
        let held = &mut self.buckets[index];
        held.is_loading = false;
        held.is_stale = true;
    }

    /// Compares with the store's position. `before` is [`BucketFeed::position`] from before the read of
    /// the store, and `earlier` the store's position at the last comparison: changes ahead may be in
    /// transit, so they count as lost only if they have not arrived by the next comparison.
    pub fn compare(
        &mut self,
        now: Moment,
        index: usize,
        before: Option<&BucketPosition<E>>,
        store: &BucketPosition<E>,
        earlier: Option<&BucketPosition<E>>,
    ) {
        let held = &mut self.buckets[index];
        let Some(before) = before else {
            return;
        };
        let is_lost = before.epoch != store.epoch || store.number < before.number;
        held.behind = match held.behind {
            behind @ Some((missing, _)) if missing > held.number => behind,
            _ => (store.number > held.number).then_some((store.number, now)),
        };
        let is_behind = earlier
            .is_some_and(|earlier| earlier.epoch == before.epoch && earlier.number > held.number);
        // A change of another epoch may have been loaded meanwhile.
        if held.epoch.as_ref() == Some(&before.epoch) && (is_lost || is_behind) {
            held.is_stale = true;
        }
    }

    /// For how long the oldest change that the store is known to have has been missing.
    #[must_use]
    pub fn lag(&self, now: Moment) -> Duration {
        let of_bucket = |held: &Bucket<E>| {
            let behind = held.behind.filter(|(missing, _)| *missing > held.number);
            let since = behind.map(|(_, since)| since).into_iter();
            since.chain(held.gap_since).min()
        };
        let oldest = self.buckets.iter().filter_map(of_bucket).min();
        oldest.map_or(Duration::ZERO, |since| now.since(since))
    }

    fn entry(&self, user: &UserId) -> Option<&Entry> {
        self.buckets[self.bucket(user)].users.get(user)
    }

    fn bucket(&self, user: &UserId) -> usize {
        bucket_of(user, self.buckets.len())
    }
}
