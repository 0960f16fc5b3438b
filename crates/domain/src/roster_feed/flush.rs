//! Flushes: which deliveries are due, when, and to which connections.

use super::{Delivery, FLUSH_INTERVAL, MAX_FLUSH_INTERVAL, Mode, RosterFeed};
use crate::identity::UserId;
use crate::presence::Change;
use crate::time::Moment;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

/// A batch of this many changes is a storm.
const STORM: usize = 20;
/// A `full` connection gets the whole list at most this often …
const LIST_EVERY: Duration = Duration::from_secs(1);
/// … less often by this much for each entry of it …
const LIST_EVERY_ENTRY: Duration = Duration::from_millis(10);
/// … and at most this often in a storm.
const LIST_EVERY_IN_A_STORM: Duration = Duration::from_secs(2);

impl<K: Clone + Eq + Hash> RosterFeed<K> {
    /// When [`RosterFeed::flush`] has something to do: at once if nothing was sent for a while,
    /// otherwise when the pause after the last batch is over.
    #[must_use]
    pub fn next_flush(&self) -> Option<Moment> {
        let soon = self.has_gathered().then(|| {
            self.flushed_at
                .map_or(Moment(0), |at| at.plus(self.gathering()))
        });
        let lists = self.lists_may_go().then_some(self.lists_at);
        [soon, lists].into_iter().flatten().min()
    }

    /// Returns the deliveries due at `now`.
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

    /// A newcomer who waits only for the list does not wait for the end of a storm.
    fn gathering(&self) -> Duration {
        if self.pending.is_empty() && self.pending_watched.is_empty() {
            FLUSH_INTERVAL
        } else {
            self.gather
        }
    }

    /// Sets the pause after a batch.
    fn pace(&mut self, now: Moment, changes: usize) {
        let quiet = self.flushed_at.map_or(Duration::MAX, |at| now.since(at));
        // A single change after a second of quiet ends a storm, though it may have waited; after two
        // seconds none can have waited.
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

    /// A list holds every change up to now, so it is sent after the gathered ones: sent before
    /// them, its receivers would get those a second time.
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

    /// Gives each watcher the changes of the users that it watches. Watchers with the same changes
    /// share one delivery.
    fn flush_watched(
        &self,
        pending: &[Change],
        watched: Vec<Change>,
        newcomers: &HashSet<K>,
        out: &mut Vec<Delivery<K>>,
    ) {
        // Two changes of one user are in order, so the newer one stays in the map.
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
                // A follower of the list gets this change, or a newer one, by the list. A newcomer
                // does not: a list that is cut off leaves users out.
                let from_list = matches!(follower.mode, Mode::Full | Mode::Diff)
                    && !newcomers.contains(key)
                    && in_pending
                        .get(change.user())
                        .is_some_and(|version| *version >= change.version());
                let is_known = follower
                    .watched
                    .get(change.user())
                    .is_some_and(|known| *known >= change.version());
                if !from_list && !is_known {
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
        let mut has_waiting = false;
        let mut due = Vec::new();
        for (key, follower) in &mut self.followers {
            if follower.mode != Mode::Full
                || follower.listed_changes >= changes
                || self.newcomers.contains(key)
            {
                continue;
            }
            if follower.listed_at.plus(pause) > now {
                has_waiting = true;
                continue;
            }
            follower.listed_at = now;
            follower.listed_changes = changes;
            due.push(key.clone());
        }
        if !has_waiting {
            self.lists_changes = changes;
        }
        if !due.is_empty() {
            out.push(Delivery::Snapshot(due));
        }
    }
}
