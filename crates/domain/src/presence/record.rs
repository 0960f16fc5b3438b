//! One user's state as plain values, for a store with one record for each user: a step restores a
//! roster of one user, changes it, and saves the user again.

use super::user::{Leave, Lifetime, NEVER, Session, User};
use super::{Activity, Change, NodeIndex, OfflineReason, Presence, Roster, SavedStatus};
use crate::identity::{ConnectionId, Profile, UserId};
use crate::time::{Moment, Now, Timestamp};
use std::sync::Arc;

/// The state of one user in a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRecord {
    /// A user with sessions, or one who is still shown.
    Attached(Box<UserState>),
    /// A status that was set at `at`, while the user had no session.
    Unattached { at: Moment, status: SavedStatus },
}

/// A user with sessions, or one who is still shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserState {
    pub profile: Profile,
    pub status: SavedStatus,
    /// When a status was last reported, `Moment(0)` if none was since the first session joined.
    pub status_at: Moment,
    /// In the order in which their activities are shown.
    pub sessions: Vec<SessionState>,
    /// The state that was published last; `None` for offline.
    pub shown: Option<Arc<Presence>>,
    pub last_seen: Option<Timestamp>,
    pub last_active_at: Timestamp,
    /// Why and when the latest session ended.
    pub last_end: Option<(OfflineReason, Timestamp)>,
    /// The leave of a user who went invisible: when it is published, its reason, and when the user
    /// was last seen.
    pub hiding: Option<(Moment, OfflineReason, Timestamp)>,
    /// The updates so far count until here.
    pub updates_until: Moment,
    /// When an update that waits is published.
    pub next_update: Option<Moment>,
}

/// A session of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    pub id: ConnectionId,
    /// The node that announced it last.
    pub node: NodeIndex,
    pub life: SessionLife,
    pub last_active: Moment,
    /// The client reported that the person is not at this device.
    pub idle: bool,
    pub activity: Option<Activity>,
    pub is_sharing: bool,
}

/// Whether a session counts, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionLife {
    Live,
    /// The connection closed; the session counts until then.
    Ending(Moment),
    /// The connection is open, but no heartbeat came for the time to live.
    Dormant,
}

impl Roster {
    /// The state of a user in the roster, if there is any.
    #[must_use]
    pub fn export(&self, user: &UserId) -> Option<UserRecord> {
        if let Some(held) = self.users.get(user) {
            return Some(UserRecord::Attached(Box::new(held.into())));
        }
        let (at, status) = self.unattached.get(user)?;
        Some(UserRecord::Unattached {
            at: *at,
            status: status.clone(),
        })
    }

    /// Restores what [`Roster::export`] returned, into a roster that holds nothing of this user. The
    /// user's timer is set by the next step of the user, [`Roster::tick_user`] for instance.
    pub fn import(&mut self, user: &UserId, record: UserRecord) {
        match record {
            UserRecord::Attached(state) => {
                for session in &state.sessions {
                    self.sessions.insert(session.id.clone(), user.clone());
                }
                if let Some(shown) = &state.shown {
                    self.restore_shown(shown);
                }
                self.users.insert(user.clone(), User::from(*state));
            }
            UserRecord::Unattached { at, status } => self.unattached.put(at, user, at, status),
        }
    }

    /// Runs the expiries of one user that are due at `now`, even without a due timer.
    pub fn tick_user(&mut self, now: Now, user: &UserId) -> Vec<Change> {
        self.unattached.pass_time(now.moment);
        self.settle(now, user).into_iter().collect()
    }
}

impl From<&User> for UserState {
    fn from(user: &User) -> Self {
        let sessions = user.sessions.iter().map(|held| SessionState {
            id: held.id.clone(),
            node: held.node,
            life: match held.life {
                Lifetime::Live => SessionLife::Live,
                Lifetime::Ending { at } => SessionLife::Ending(at),
                Lifetime::Dormant => SessionLife::Dormant,
            },
            last_active: held.last_active,
            idle: held.idle,
            activity: held.activity.clone(),
            is_sharing: held.is_sharing,
        });
        Self {
            profile: user.profile.clone(),
            status: user.status.clone(),
            status_at: user.status_at,
            sessions: sessions.collect(),
            shown: user.shown.clone(),
            last_seen: user.last_seen,
            last_active_at: user.last_active_wall,
            last_end: user.last_end,
            hiding: user
                .hiding
                .map(|leave| (leave.at, leave.reason, leave.seen)),
            updates_until: user.updates_until,
            next_update: (user.next_update != NEVER).then_some(user.next_update),
        }
    }
}

impl From<UserState> for User {
    fn from(state: UserState) -> Self {
        let sessions = state.sessions.into_iter().map(|held| Session {
            id: held.id,
            node: held.node,
            life: match held.life {
                SessionLife::Live => Lifetime::Live,
                SessionLife::Ending(at) => Lifetime::Ending { at },
                SessionLife::Dormant => Lifetime::Dormant,
            },
            last_active: held.last_active,
            idle: held.idle,
            activity: held.activity,
            is_sharing: held.is_sharing,
        });
        Self {
            profile: state.profile,
            status: state.status,
            status_at: state.status_at,
            sessions: sessions.collect(),
            shown: state.shown,
            last_seen: state.last_seen,
            last_active_wall: state.last_active_at,
            last_end: state.last_end,
            hiding: state
                .hiding
                .map(|(at, reason, seen)| Leave { at, reason, seen }),
            updates_until: state.updates_until,
            next_update: state.next_update.unwrap_or(NEVER),
            timer: NEVER,
        }
    }
}
