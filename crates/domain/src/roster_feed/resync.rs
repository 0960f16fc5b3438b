//! Mending a feed that missed changes.

use super::RosterFeed;
use crate::identity::UserId;
use crate::presence::{Change, Offline, OfflineReason, RosterSnapshot};
use crate::time::Timestamp;
use std::collections::HashSet;
use std::hash::Hash;

impl<K: Clone + Eq + Hash> RosterFeed<K> {
    /// Users who are online in this feed and not in the snapshot: the caller looks up their
    /// last-seen times for [`RosterFeed::resync`].
    #[must_use]
    pub fn missing_from(&self, snapshot: &RosterSnapshot) -> Vec<UserId> {
        let present: HashSet<&UserId> = snapshot
            .present
            .iter()
            .map(|presence| &presence.profile.id)
            .collect();
        // Those past the limit first: they must not move up into the list only to leave it.
        let online = self.beyond.values().chain(self.listed.values());
        online
            .filter(|presence| {
                let user = &presence.profile.id;
                // A newer version came after the snapshot was read.
                !present.contains(user) && presence.version < snapshot.floors.of(user)
            })
            .map(|presence| presence.profile.id.clone())
            .collect()
    }

    /// Brings the feed to the state of a snapshot, at the start and after the bus lost changes. Each
    /// user whose state differs is one change, and everyone else none. Changes may arrive before,
    /// between reading the snapshot and this, and after it: the newer version of each user counts.
    ///
    /// The reason of a leave that was missed is unknown and must not reveal whether the user is
    /// invisible, so it is `closed`.
    pub fn resync(
        &mut self,
        snapshot: RosterSnapshot,
        last_seen: impl Fn(&UserId) -> Option<Timestamp>,
    ) {
        for user in self.missing_from(&snapshot) {
            self.push(Change::Offline(Offline {
                last_seen_at: last_seen(&user),
                reason: OfflineReason::Closed,
                version: snapshot.floors.of(&user),
                user,
            }));
        }
        // In the order of arrival, in which the list has room for them.
        let mut present = snapshot.present;
        present.sort_by_key(|presence| presence.since);
        for presence in present {
            self.push(Change::Updated(presence));
        }
    }
}
