//! The roster of one node: who is in, decided from the set of live sessions.

use super::unattached::UnattachedStatuses;
use super::user::{User, VisibleState};
use super::{
    Change, ManualStatus, Offline, Presence, RosterSnapshot, SavedStatus, StatusOverride,
    VersionFloors, next_version,
};
use crate::identity::{ConnectionId, Profile, UserId};
use crate::time::{Moment, Now, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long things last.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a session that closed still counts, so that a reload is no event.
    pub grace: Duration,
    /// How long a node's sessions count after it renewed its lease for the last time.
    pub lease: Duration,
    /// How long a session lives without activity.
    pub time_to_live: Duration,
    /// After how long without activity on any device someone is away by themselves.
    pub away_after: Duration,
    /// Whoever looks different more often than this is shown as they look once in this while, after
    /// a few times at once. Coming and going is always told. Zero for no such limit.
    pub update_every: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            time_to_live: Duration::from_secs(3_600),
            away_after: Duration::from_secs(300),
            update_every: Duration::from_secs(5),
        }
    }
}

/// Who is in.
#[derive(Debug)]
pub struct Roster {
    pub(super) rules: Rules,
    /// The latest version of any user: one counter for all, so that a user who is forgotten here and
    /// comes back has a newer one all the same. Only what is *visible* takes one.
    version: u64,
    /// The latest place in the order of arrival.
    arrival: u64,
    pub(super) users: HashMap<UserId, User>,
    pub(super) sessions: HashMap<ConnectionId, UserId>,
    /// Everyone who is shown as in, by when they came.
    visible: BTreeMap<u64, Arc<Presence>>,
    wakes: BTreeSet<(Moment, UserId)>,
    /// Statuses of users without a session, for a session whose status was read before the write.
    pub(super) unattached: UnattachedStatuses,
}

impl Roster {
    /// An empty roster. No version above `version` was given out in an earlier life of this roster,
    /// whatever the clock said.
    #[must_use]
    pub fn new(rules: Rules, version: u64) -> Self {
        Self {
            rules,
            version,
            arrival: version,
            users: HashMap::new(),
            sessions: HashMap::new(),
            visible: BTreeMap::new(),
            wakes: BTreeSet::new(),
            unattached: UnattachedStatuses::default(),
        }
    }

    /// The version of the latest visible change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many are shown as in.
    #[must_use]
    pub fn count(&self) -> usize {
        self.visible.len()
    }

    /// How many sessions there are, those in their grace period and the invisible included. For
    /// metrics.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// How many users anything is held of, and how many are to be looked at later. For metrics.
    #[must_use]
    pub fn held(&self) -> usize {
        self.users.len() + self.wakes.len() + self.unattached.len()
    }

    /// Everyone who is shown as in and came after whoever has `after` as their `since`, in the
    /// order in which they came.
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

    /// Whose session this is, if it is still held.
    #[must_use]
    pub fn user_of(&self, session: &ConnectionId) -> Option<&UserId> {
        self.sessions.get(session)
    }

    /// When `user` was last seen, if they are held here and were.
    #[must_use]
    pub fn last_seen(&self, user: &str) -> Option<Timestamp> {
        self.users.get(user)?.last_seen
    }

    /// What `user` chose, if they are held here.
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

    /// The user's manual status, for all their devices, unless a newer revision was set before.
    pub fn set_status(&mut self, now: Now, user: &UserId, status: SavedStatus) -> Vec<Change> {
        let Some(held) = self.users.get_mut(user) else {
            self.unattached.put(now.moment, user, now.moment, status);
            return Vec::new();
        };
        held.status_at = now.moment;
        if !held.save_status(now, status) {
            return Vec::new();
        }
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

    /// When [`Roster::tick`] has something to do. (A status with an `until` follows
    /// the wall clock, which may jump, so its user is looked at every half minute.)
    #[must_use]
    pub fn next_wake(&self) -> Option<Moment> {
        let user = self.wakes.first().map(|(moment, _)| *moment);
        user.into_iter().chain(self.unattached.next_wake()).min()
    }

    /// Ends grace periods, lives and statuses that are over, and lets people be away.
    pub fn tick(&mut self, now: Now) -> Vec<Change> {
        let mut changes = Vec::new();
        self.unattached.pass_time(now.moment);
        while let Some((moment, id)) = self.wakes.first().cloned() {
            // Strictly later: a refresh at the very moment of expiry wins, even if the tick comes
            // first.
            if moment >= now.moment {
                break;
            }
            self.wakes.pop_first();
            if let Some(user) = self.users.get_mut(&id) {
                user.wake = None;
                changes.extend(self.settle(now, &id));
            }
        }
        changes
    }

    /// Brings what is shown of a user in line with the facts: the only place that makes a
    /// [`Change`].
    pub(super) fn settle(&mut self, now: Now, id: &UserId) -> Option<Change> {
        let user = self.users.get_mut(id)?;
        let sessions = &mut self.sessions;
        user.pass_time(now, self.rules, |session| {
            sessions.remove(session);
        });
        user.withheld = None;
        let change = match user.look(now, self.rules) {
            VisibleState::AsBefore => None,
            VisibleState::In { status, activities } => {
                let before = user.shown.as_ref();
                let same = before.is_some_and(|shown| {
                    shown.status == status
                        && shown.text == user.status.chosen.text
                        && shown.activities == activities
                        && shown.profile == user.profile
                });
                let came = before.map(|shown| shown.since);
                if same || (came.is_some() && !user.may_update(now, self.rules)) {
                    None
                } else {
                    self.version = next_version(self.version, now.wall);
                    let since = came.unwrap_or(self.arrival + 1);
                    self.arrival = self.arrival.max(since);
                    let is_new = came.is_none();
                    let presence = Arc::new(Presence {
                        profile: user.profile.clone(),
                        status,
                        text: user.status.chosen.text.clone(),
                        last_active_at: user.last_active_wall,
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
            VisibleState::Out { reason, seen } => user.shown.take().map(|shown| {
                user.hiding = None;
                user.last_seen = Some(
                    user.last_seen
                        .map_or(seen, |before| before.advance_to(seen)),
                );
                self.visible.remove(&shown.since);
                self.version = next_version(self.version, now.wall);
                Change::Offline(Offline {
                    user: id.clone(),
                    last_seen_at: user.last_seen,
                    reason,
                    version: self.version,
                })
            }),
        };
        self.plan(now, id);
        change
    }

    /// Notes when the user has to be looked at again. A wake that is too early does no harm and is
    /// left where it is, so that a heartbeat costs no work here.
    fn plan(&mut self, now: Now, id: &UserId) {
        let Some(user) = self.users.get_mut(id) else {
            return;
        };
        let due = if user.is_over() {
            None
        } else {
            user.due(now, self.rules)
        };
        if let Some(wake) = user.wake
            && due.is_none_or(|due| due < wake)
        {
            self.wakes.remove(&(wake, id.clone()));
            user.wake = None;
        }
        if let Some(due) = due
            && user.wake.is_none()
        {
            user.wake = Some(due);
            self.wakes.insert((due, id.clone()));
        }
        if user.is_over()
            && let Some(user) = self.users.remove(id)
        {
            self.unattached
                .put(now.moment, id, user.status_at, user.status);
        }
    }
}
