//! The roster: which users are online, decided from the set of their sessions.

use super::rules::Rules;
use super::unattached::UnattachedStatuses;
use super::user::{Lifetime, NEVER, User, VisibleState};
use super::{
    Change, ManualStatus, Offline, Presence, RosterSnapshot, SavedStatus, StatusOverride,
    VersionFloors, next_version,
};
use crate::identity::{ConnectionId, Profile, UserId};
use crate::time::{Moment, Now, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The users with sessions, on all nodes that share it.
#[derive(Debug)]
pub struct Roster {
    pub(super) rules: Rules,
    /// The latest version of any user: one counter for all, so that a user who was removed here and
    /// returns has a newer one. Only *visible* changes take one.
    version: u64,
    /// The latest `since`.
    arrival: u64,
    pub(super) users: HashMap<UserId, User>,
    pub(super) sessions: HashMap<ConnectionId, UserId>,
    /// Everyone who is shown as online, by `since`.
    visible: BTreeMap<u64, Arc<Presence>>,
    timers: BTreeSet<(Moment, UserId)>,
    /// Statuses of users without a session, for a session whose status was read before the write.
    pub(super) unattached: UnattachedStatuses,
}

impl Roster {
    /// An empty roster. Its versions are higher than `version`, the highest that was used before,
    /// whatever the clock shows.
    #[must_use]
    pub fn new(rules: Rules, version: u64) -> Self {
        Self {
            rules,
            version,
            arrival: version,
            users: HashMap::new(),
            sessions: HashMap::new(),
            visible: BTreeMap::new(),
            timers: BTreeSet::new(),
            unattached: UnattachedStatuses::default(),
        }
    }

    /// The version of the latest visible change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The number of users who are shown as online.
    #[must_use]
    pub fn count(&self) -> usize {
        self.visible.len()
    }

    /// The number of sessions, those in their grace period and of invisible users included, for
    /// metrics.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Entries of the tables of users, timers and statuses, for metrics.
    #[must_use]
    pub fn held(&self) -> usize {
        self.users.len() + self.timers.len() + self.unattached.len()
    }

    /// Everyone who is shown as online with a `since` above `after`, in the order of arrival.
    pub fn list(&self, after: u64) -> impl Iterator<Item = &Arc<Presence>> {
        self.visible
            .range(after.saturating_add(1)..)
            .map(|(_, presence)| presence)
    }

    /// Everyone who is shown as online, and up to which version of each.
    #[must_use]
    pub fn snapshot(&self) -> RosterSnapshot {
        RosterSnapshot {
            present: self.list(0).cloned().collect(),
            floors: VersionFloors::one(self.version),
        }
    }

    /// How `user` is shown, `None` if as offline.
    #[must_use]
    pub fn get(&self, user: &str) -> Option<&Arc<Presence>> {
        self.users.get(user)?.shown.as_ref()
    }

    /// The user of a session that has not ended.
    #[must_use]
    pub fn user_of(&self, session: &ConnectionId) -> Option<&UserId> {
        self.sessions.get(session)
    }

    /// When a user with a session was last seen before.
    #[must_use]
    pub fn last_seen(&self, user: &str) -> Option<Timestamp> {
        self.users.get(user)?.last_seen
    }

    /// The status of a user who has a session.
    #[must_use]
    pub fn chosen(&self, user: &str) -> Option<&StatusOverride> {
        Some(&self.users.get(user)?.status.chosen)
    }

    /// Whether `user` has a session and is to look offline all the same.
    #[must_use]
    pub fn is_invisible(&self, user: &str) -> bool {
        self.users
            .get(user)
            .is_some_and(|user| user.status.chosen.status == ManualStatus::Invisible)
    }

    /// The time since the user was last active at any device: since the latest heartbeat of an open
    /// session whose client does not report idle. `None` if there is no such session.
    #[must_use]
    pub fn last_active(&self, now: Now, user: &str) -> Option<Duration> {
        let sessions = self.users.get(user)?.sessions.iter();
        let active = sessions.filter(|held| held.life == Lifetime::Live && !held.idle);
        active.map(|held| now.moment.since(held.last_active)).min()
    }

    /// The user's manual status, for all their devices, unless a newer revision was set before.
    pub fn set_status(&mut self, now: Now, user: &UserId, status: SavedStatus) -> Vec<Change> {
        let Some(held) = self.users.get_mut(user) else {
            self.unattached.put(now.moment, user, now.moment, status);
            return Vec::new();
        };
        held.status_at = now.moment;
        held.save_status(now, status);
        // Also if it is not newer: a store that keeps each user by itself saves the user with the
        // timer that this sets.
        self.settle(now, user).into_iter().collect()
    }

    /// A profile changed.
    pub fn set_profile(&mut self, now: Now, profile: Profile) -> Vec<Change> {
        let id = profile.id.clone();
        let Some(user) = self.users.get_mut(&id) else {
            return Vec::new();
        };
        user.profile = profile;
        self.settle(now, &id).into_iter().collect()
    }

    /// When [`Roster::tick`] has something to do. (A status with an `until` follows the wall clock,
    /// which may jump, so its user is checked every half minute.)
    #[must_use]
    pub fn next_wake(&self) -> Option<Moment> {
        let user = self.timers.first().map(|(moment, _)| *moment);
        user.into_iter().chain(self.unattached.next_wake()).min()
    }

    /// Ends grace periods, sessions and statuses that are over, and shows idle users as away.
    pub fn tick(&mut self, now: Now) -> Vec<Change> {
        let mut changes = Vec::new();
        self.unattached.pass_time(now.moment);
        while let Some((moment, id)) = self.timers.first().cloned() {
            // Strictly later: a refresh at the very moment of expiry wins, even if the tick comes
            // first.
            if moment >= now.moment {
                break;
            }
            self.timers.pop_first();
            if let Some(user) = self.users.get_mut(&id) {
                user.timer = NEVER;
                changes.extend(self.settle(now, &id));
            }
        }
        changes
    }

    pub(super) fn restore_shown(&mut self, shown: &Arc<Presence>) {
        self.arrival = self.arrival.max(shown.since);
        self.visible.insert(shown.since, Arc::clone(shown));
    }

    /// Updates a user's visible state from their sessions and status: the only place that creates a
    /// [`Change`].
    pub(super) fn settle(&mut self, now: Now, id: &UserId) -> Option<Change> {
        let user = self.users.get_mut(id)?;
        let sessions = &mut self.sessions;
        user.pass_time(now, self.rules, |session| {
            sessions.remove(session);
        });
        user.next_update = NEVER;
        let change = match user.visible_state(now, self.rules) {
            VisibleState::Unchanged => None,
            VisibleState::Online { status, activities } => {
                let before = user.shown.as_ref();
                let same = before.is_some_and(|shown| {
                    shown.status == status
                        && shown.text == user.status.chosen.text
                        && shown.activities == activities
                        && shown.profile == user.profile
                        && shown.hides_last_seen == user.status.privacy.hides_last_seen
                });
                let since = before.map(|shown| shown.since);
                if same || (since.is_some() && !user.may_update(now, self.rules)) {
                    None
                } else {
                    self.version = next_version(self.version, now.wall);
                    let is_new = since.is_none();
                    let since = since.unwrap_or(self.arrival + 1);
                    self.arrival = self.arrival.max(since);
                    let presence = Arc::new(Presence {
                        profile: user.profile.clone(),
                        status,
                        text: user.status.chosen.text.clone(),
                        last_active_at: user.last_active_wall,
                        hides_last_seen: user.status.privacy.hides_last_seen,
                        activities,
                        version: self.version,
                        since,
                    });
                    self.visible.insert(since, Arc::clone(&presence));
                    user.shown = Some(Arc::clone(&presence));
                    Some(if is_new {
                        Change::Online(presence)
                    } else {
                        Change::Updated(presence)
                    })
                }
            }
            VisibleState::Offline { reason, seen } => user.shown.take().map(|shown| {
                user.hiding = None;
                user.last_seen = Some(
                    user.last_seen
                        .map_or(seen, |before| before.advance_to(seen)),
                );
                self.visible.remove(&shown.since);
                self.version = next_version(self.version, now.wall);
                Change::Offline(Offline {
                    user: id.clone(),
                    last_seen_at: user
                        .last_seen
                        .filter(|_| !user.status.privacy.hides_last_seen),
                    reason,
                    version: self.version,
                })
            }),
        };
        self.set_timer(now, id);
        change
    }

    /// Sets the timer of a user. A timer that fires too early does no harm and stays, so that a
    /// heartbeat costs no work here.
    fn set_timer(&mut self, now: Now, id: &UserId) {
        let Some(user) = self.users.get_mut(id) else {
            return;
        };
        let due = if user.is_over() {
            None
        } else {
            user.due(now, self.rules)
        };
        if user.timer != NEVER && due.is_none_or(|due| due < user.timer) {
            self.timers.remove(&(user.timer, id.clone()));
            user.timer = NEVER;
        }
        if let Some(due) = due
            && user.timer == NEVER
        {
            user.timer = due;
            self.timers.insert((due, id.clone()));
        }
        if user.is_over()
            && let Some(user) = self.users.remove(id)
        {
            self.unattached
                .put(now.moment, id, user.status_at, user.status);
        }
    }
}
