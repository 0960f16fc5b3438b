//! The sessions of this node, for announcing them again: when the node was fenced, and when Redis
//! lost them or was away.

use super::keys::{BUCKETS, bucket};
use lamplight_domain::identity::{ConnectionId, Profile, UserId};
use lamplight_domain::presence::{Activity, ManualStatus, Presence, SavedStatus, Status};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::Person;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// The most statuses and profiles that wait for Redis. Later ones are not lost: the directory has
/// them, and the next session of their user restores them.
const MAX_WAITING: usize = 10_000;

#[derive(Debug)]
pub(super) struct OwnSession {
    pub(super) id: ConnectionId,
    idle: bool,
    active_at: Instant,
    pub(super) activity: Option<Activity>,
    is_sharing: bool,
    /// Redis had this session as one of this node.
    is_committed: bool,
}

impl OwnSession {
    /// Whether this device was idle for `away_after`.
    pub(super) fn is_idle(&self, now: Instant, away_after: Duration) -> bool {
        self.idle || now.duration_since(self.active_at) > away_after
    }
}

/// A user with sessions on this node.
#[derive(Debug)]
struct Own {
    person: Person,
    /// Redis had a session of the user on this node.
    is_counted: bool,
    sessions: Vec<OwnSession>,
}

/// A copy of what is to be announced of a user.
#[derive(Debug)]
pub(super) struct Announcement {
    pub(super) person: Person,
    pub(super) sessions: Vec<AnnouncedSession>,
    pub(super) is_sharing: bool,
}

#[derive(Debug)]
pub(super) struct AnnouncedSession {
    pub(super) id: ConnectionId,
    pub(super) idle: bool,
    pub(super) activity: Option<Activity>,
    pub(super) is_committed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Register {
    users: HashMap<UserId, Own>,
    sessions: HashMap<ConnectionId, UserId>,
    /// By bucket, the number of users that Redis had.
    counts: Vec<usize>,
    /// Users whose state in Redis may be outdated.
    dirty: BTreeSet<UserId>,
    /// Buckets for which Redis may have sessions of this node that ended.
    lost: BTreeSet<usize>,
    statuses: HashMap<UserId, SavedStatus>,
    profiles: HashMap<UserId, Profile>,
}

impl Register {
    pub(super) fn user_of(&self, session: &ConnectionId) -> Option<UserId> {
        self.sessions.get(session).cloned()
    }

    pub(super) fn has_session(&self, session: &ConnectionId) -> bool {
        self.sessions.contains_key(session)
    }

    pub(super) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The number of users in a bucket that Redis is to have. Those who are joining are not counted
    /// yet.
    pub(super) fn count(&self, bucket: usize) -> usize {
        self.counts.get(bucket).copied().unwrap_or(0)
    }

    pub(super) fn users_in(&self, index: usize) -> Vec<UserId> {
        let users = self.users.keys().filter(|user| bucket(user) == index);
        users.cloned().collect()
    }

    /// Adds a session. `false` if it belongs to another user.
    pub(super) fn join(&mut self, session: &ConnectionId, person: Person) -> bool {
        let user = person.profile.id.clone();
        if self
            .sessions
            .get(session)
            .is_some_and(|owner| *owner != user)
        {
            return false;
        }
        let own = self.users.entry(user.clone()).or_insert_with(|| Own {
            person: person.clone(),
            is_counted: false,
            sessions: Vec::with_capacity(1),
        });
        if own.person.status.revision > person.status.revision {
            let status = std::mem::take(&mut own.person.status);
            own.person = Person { status, ..person };
        } else {
            own.person = person;
        }
        let active_at = Instant::now();
        match own.sessions.iter_mut().find(|held| held.id == *session) {
            Some(held) => {
                (held.idle, held.active_at, held.is_committed) = (false, active_at, false);
            }
            None => own.sessions.push(OwnSession {
                id: session.clone(),
                idle: false,
                active_at,
                activity: None,
                is_sharing: false,
                is_committed: false,
            }),
        }
        self.sessions.insert(session.clone(), user);
        true
    }

    pub(super) fn remove(&mut self, session: &ConnectionId) {
        let Some(user) = self.sessions.remove(session) else {
            return;
        };
        let Some(own) = self.users.get_mut(&user) else {
            return;
        };
        own.sessions.retain(|held| held.id != *session);
        if own.sessions.is_empty()
            && let Some(own) = self.users.remove(&user)
            && own.is_counted
        {
            self.counts[bucket(&user)] -= 1;
        }
    }

    /// Another node took the session over after Redis had it from this one.
    pub(super) fn remove_moved(&mut self, session: &str) {
        let session = ConnectionId::trusted(session);
        if self.session(&session).is_some_and(|held| held.is_committed) {
            self.remove(&session);
        }
    }

    fn session(&mut self, session: &ConnectionId) -> Option<&mut OwnSession> {
        let user = self.sessions.get(session)?;
        let own = self.users.get_mut(user)?;
        own.sessions.iter_mut().find(|held| held.id == *session)
    }

    pub(super) fn set_committed(&mut self, session: &ConnectionId) {
        let Some(user) = self.sessions.get(session) else {
            return;
        };
        let Some(own) = self.users.get_mut(user) else {
            return;
        };
        if let Some(held) = own.sessions.iter_mut().find(|held| held.id == *session) {
            held.is_committed = true;
        }
        if !std::mem::replace(&mut own.is_counted, true) {
            self.counts.resize(BUCKETS, 0);
            self.counts[bucket(user)] += 1;
        }
    }

    pub(super) fn set_active(&mut self, session: &ConnectionId, active: bool) {
        if let Some(held) = self.session(session) {
            held.idle = !active;
            if active {
                held.active_at = Instant::now();
            }
        }
    }

    pub(super) fn set_activity(&mut self, session: &ConnectionId, activity: Option<Activity>) {
        if let Some(held) = self.session(session) {
            held.activity = activity;
        }
    }

    /// Returns whether this node has a session of the user.
    pub(super) fn set_sharing(&mut self, user: &UserId, is_sharing: bool) -> bool {
        let Some(own) = self.users.get_mut(user) else {
            return false;
        };
        for held in &mut own.sessions {
            held.is_sharing = is_sharing;
        }
        true
    }

    pub(super) fn set_status(&mut self, user: &UserId, status: &SavedStatus) {
        if let Some(own) = self.users.get_mut(user)
            && own.person.status.revision < status.revision
        {
            own.person.status = status.clone();
        }
    }

    pub(super) fn set_profile(&mut self, profile: &Profile) {
        if let Some(own) = self.users.get_mut(&profile.id) {
            own.person.profile = profile.clone();
        }
    }

    /// A status to report when Redis is back.
    pub(super) fn wait_with_status(&mut self, user: &UserId, status: SavedStatus) {
        if self.statuses.len() < MAX_WAITING || self.statuses.contains_key(user) {
            let held = self.statuses.entry(user.clone()).or_default();
            if held.revision < status.revision {
                *held = status;
            }
        }
    }

    /// A profile to report when Redis is back.
    pub(super) fn wait_with_profile(&mut self, profile: Profile) {
        if self.profiles.len() < MAX_WAITING || self.profiles.contains_key(&profile.id) {
            self.profiles.insert(profile.id.clone(), profile);
        }
    }

    pub(super) fn take_waiting(&mut self) -> (Vec<(UserId, SavedStatus)>, Vec<Profile>) {
        let statuses = std::mem::take(&mut self.statuses).into_iter().collect();
        let profiles = std::mem::take(&mut self.profiles).into_values().collect();
        (statuses, profiles)
    }

    pub(super) fn mark_dirty(&mut self, user: UserId) {
        self.dirty.insert(user);
    }

    pub(super) fn mark_lost(&mut self, bucket: usize) {
        self.lost.insert(bucket);
    }

    pub(super) fn take_lost(&mut self) -> Option<usize> {
        self.lost.pop_first()
    }

    pub(super) fn has_user(&self, user: &UserId) -> bool {
        self.users.contains_key(user)
    }

    pub(super) fn mark_all_dirty(&mut self) {
        self.dirty.extend(self.users.keys().cloned());
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
            || !self.lost.is_empty()
            || !self.statuses.is_empty()
            || !self.profiles.is_empty()
    }

    pub(super) fn take_dirty(&mut self, most: usize) -> Vec<UserId> {
        let taken = std::iter::from_fn(|| self.dirty.pop_first());
        taken.take(most).collect()
    }

    /// The announcement of a user; `None` without a session here.
    pub(super) fn announcement(&self, user: &UserId, away_after: Duration) -> Option<Announcement> {
        let (own, now) = (self.users.get(user)?, Instant::now());
        let sessions = own.sessions.iter().map(|held| AnnouncedSession {
            id: held.id.clone(),
            idle: held.is_idle(now, away_after),
            activity: held.activity.clone(),
            is_committed: held.is_committed,
        });
        Some(Announcement {
            person: own.person.clone(),
            sessions: sessions.collect(),
            is_sharing: own.sessions.iter().any(|held| held.is_sharing),
        })
    }

    /// The visible state of a user of this node while Redis is unreachable; `None` without a
    /// session or if invisible. Its version is not assigned yet.
    pub(super) fn presence(
        &self,
        user: &UserId,
        wall: Timestamp,
        away_after: Duration,
    ) -> Option<Presence> {
        let (own, now) = (self.users.get(user)?, Instant::now());
        let chosen = own.person.status.chosen.clone().at(wall);
        let is_here = || {
            own.sessions
                .iter()
                .any(|held| !held.is_idle(now, away_after))
        };
        let status = match chosen.status {
            ManualStatus::Invisible => return None,
            ManualStatus::Away => Status::Away,
            ManualStatus::Busy => Status::Busy,
            ManualStatus::Online if is_here() => Status::Online,
            ManualStatus::Online => Status::Away,
        };
        let mut activities = Vec::new();
        for one in own.sessions.iter().filter_map(|held| held.activity.clone()) {
            if activities.len() < 16 && !activities.contains(&one) {
                activities.push(one);
            }
        }
        let sharing = Activity::sharing_file();
        if own.sessions.iter().any(|held| held.is_sharing)
            && activities.len() < 16
            && !activities.contains(&sharing)
        {
            activities.push(sharing);
        }
        Some(Presence {
            profile: own.person.profile.clone(),
            status,
            text: chosen.text,
            last_active_at: wall,
            hides_last_seen: own.person.status.privacy.hides_last_seen,
            activities,
            version: 0,
            since: 0,
        })
    }

    pub(super) fn is_invisible(&self, user: &UserId) -> bool {
        let own = self.users.get(user);
        own.is_some_and(|own| own.person.status.chosen.status == ManualStatus::Invisible)
    }
}
