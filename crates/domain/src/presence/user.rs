//! One user of the roster: sessions, status, and the visible state derived from them.

use super::{
    Activity, ManualStatus, NodeIndex, OfflineReason, Presence, Rules, SavedStatus, Status,
    StatusOverride,
};
use crate::identity::{ConnectionId, Profile};
use crate::time::{Moment, Now, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The most activities that are shown of one user, so that no user can make all lists long.
const MAX_ACTIVITIES: usize = 16;
/// The most bytes of activities that are shown of one user, over all devices.
const MAX_ACTIVITY_BYTES: usize = 2_048;
/// How many updates of a user may follow each other at once, before [`Rules::update_every`] applies.
const UPDATES_AT_ONCE: u32 = 5;
/// How often, in milliseconds, the `until` of a status is checked: it follows the wall clock, which
/// may jump.
const UNTIL_CHECK: u64 = 30_000;

/// Stands for no moment, in half the bytes of an `Option`: there is a [`User`] for each online user.
pub(super) const NEVER: Moment = Moment(u64::MAX);

/// Whether a session counts, and until when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lifetime {
    /// The connection is open.
    Live,
    /// The connection closed; the session counts until then.
    Ending { at: Moment },
    /// The connection is open, but no heartbeat came for the time to live; the next one revives the
    /// session.
    Dormant,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: ConnectionId,
    /// The node that announced it last.
    pub(super) node: NodeIndex,
    pub(super) life: Lifetime,
    pub(super) last_active: Moment,
    /// The client reported that the person is not at this device.
    pub(super) idle: bool,
    pub(super) activity: Option<Activity>,
    /// The person uploads a file.
    pub(super) is_sharing: bool,
}

impl Session {
    pub(super) fn new(id: ConnectionId, node: NodeIndex, now: Now) -> Self {
        Self {
            id,
            node,
            life: Lifetime::Live,
            last_active: now.moment,
            idle: false,
            activity: None,
            is_sharing: false,
        }
    }

    fn is_live(&self) -> bool {
        self.life == Lifetime::Live
    }

    fn counts(&self) -> bool {
        self.life != Lifetime::Dormant
    }
}

/// A leave to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leave {
    pub(super) at: Moment,
    pub(super) reason: OfflineReason,
    pub(super) seen: Timestamp,
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) profile: Profile,
    pub(super) status: SavedStatus,
    /// When a status was last reported, `Moment(0)` if none was since the first session joined.
    pub(super) status_at: Moment,
    pub(super) sessions: Vec<Session>,
    /// The state that was published last; `None` for offline.
    pub(super) shown: Option<Arc<Presence>>,
    pub(super) last_seen: Option<Timestamp>,
    pub(super) last_active_wall: Timestamp,
    /// Why and when the latest session ended, for the leave that may follow.
    pub(super) last_end: Option<(OfflineReason, Timestamp)>,
    /// The user went invisible and is still shown, exactly as long as if every connection had closed
    /// at that moment.
    pub(super) hiding: Option<Leave>,
    /// The updates so far count until here, each for [`Rules::update_every`].
    pub(super) updates_until: Moment,
    /// When an update that waits is published, or [`NEVER`].
    pub(super) next_update: Moment,
    /// When the next tick of this user is due, or [`NEVER`].
    pub(super) timer: Moment,
}

/// The state derived from sessions and status.
pub(super) enum VisibleState {
    /// Keep the visible state: the user is offline, or may return before the leave is published.
    Unchanged,
    Online {
        status: Status,
        /// Of all devices.
        activities: Vec<Activity>,
    },
    Offline {
        reason: OfflineReason,
        seen: Timestamp,
    },
}

impl User {
    pub(super) fn new(profile: Profile, status: SavedStatus, now: Now) -> Self {
        Self {
            profile,
            status,
            status_at: Moment(0),
            sessions: Vec::with_capacity(1),
            shown: None,
            last_seen: None,
            last_active_wall: now.wall,
            last_end: None,
            hiding: None,
            updates_until: Moment(0),
            next_update: NEVER,
            timer: NEVER,
        }
    }

    pub(super) fn session(&mut self, id: &ConnectionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|held| held.id == *id)
    }

    /// The session, unless another node has announced it since.
    pub(super) fn session_on(
        &mut self,
        node: NodeIndex,
        id: &ConnectionId,
    ) -> Option<&mut Session> {
        self.session(id).filter(|held| held.node == node)
    }

    /// Whether a session closed and its grace period has not passed.
    pub(super) fn is_closing(&self) -> bool {
        let mut lives = self.sessions.iter().map(|held| held.life);
        lives.any(|life| matches!(life, Lifetime::Ending { .. }))
    }

    pub(super) fn is_connected(&self) -> bool {
        self.sessions.iter().any(Session::is_live)
    }

    /// Takes over a status that is newer than the one held. Whether it was.
    pub(super) fn save_status(&mut self, now: Now, status: SavedStatus) -> bool {
        let is_newer = status.revision > self.status.revision;
        if is_newer {
            self.status.revision = status.revision;
            self.status.privacy = status.privacy;
            self.choose(now, status.chosen.at(now.wall));
        }
        is_newer
    }

    /// Sets a manual status. A user who is no longer invisible looks like a newcomer:
    /// an earlier time of last activity, or the status away, would reveal that they had been
    /// connected.
    fn choose(&mut self, now: Now, chosen: StatusOverride) {
        let appears = self.status.chosen.status == ManualStatus::Invisible
            && chosen.status != ManualStatus::Invisible
            && self.shown.is_none();
        self.status.chosen = chosen;
        if appears && self.is_connected() {
            self.last_active_wall = self.last_active_wall.advance_to(now.wall);
            for held in self.sessions.iter_mut().filter(|held| held.is_live()) {
                held.last_active = now.moment;
                held.idle = false;
            }
        }
    }

    /// Runs the expiries that are due at `now`; calls `ended` for each session that was removed.
    pub(super) fn pass_time(
        &mut self,
        now: Now,
        rules: Rules,
        mut ended: impl FnMut(&ConnectionId),
    ) {
        let mut ran_out = false;
        self.sessions.retain_mut(|held| match held.life {
            Lifetime::Ending { at } if at < now.moment => {
                ended(&held.id);
                false
            }
            Lifetime::Live if held.last_active.plus(rules.time_to_live) < now.moment => {
                held.life = Lifetime::Dormant;
                held.activity = None;
                held.is_sharing = false;
                ran_out = true;
                true
            }
            _ => true,
        });
        if ran_out {
            self.last_end = Some((OfflineReason::Timeout, self.last_active_wall));
        }
        if self.status.chosen.is_over(now.wall) {
            self.choose(now, StatusOverride::default());
        }
        self.update_hiding(now, rules);
    }

    /// Going invisible must look like closing every tab at that moment, to the millisecond and in
    /// every answer. Published at once it would stand out: the leave of a close is published a grace
    /// period after its `lastSeenAt`.
    fn update_hiding(&mut self, now: Now, rules: Rules) {
        if self.shown.is_none() || self.status.chosen.status != ManualStatus::Invisible {
            self.hiding = None;
        } else if self.hiding.is_none() {
            let ending = self
                .sessions
                .iter()
                .filter_map(|held| {
                    if let Lifetime::Ending { at } = held.life {
                        Some(at)
                    } else {
                        None
                    }
                })
                .max();
            self.hiding = Some(match (self.is_connected(), ending, self.last_end) {
                // Every connection had closed already.
                (false, Some(at), Some((reason, seen))) => Leave { at, reason, seen },
                _ => Leave {
                    at: now.moment.plus(rules.grace),
                    reason: OfflineReason::Closed,
                    seen: now.wall,
                },
            });
        }
    }

    /// The state to show, after [`User::pass_time`].
    pub(super) fn visible_state(&self, now: Now, rules: Rules) -> VisibleState {
        if let Some(Leave { at, reason, seen }) = self.hiding {
            return if at < now.moment {
                VisibleState::Offline { reason, seen }
            } else {
                VisibleState::Unchanged
            };
        }
        if self.status.chosen.status == ManualStatus::Invisible {
            return VisibleState::Unchanged;
        }
        if !self.is_connected() {
            if self.sessions.iter().any(Session::counts) {
                return VisibleState::Unchanged;
            }
            let (reason, seen) = self.last_end.unwrap_or((OfflineReason::Closed, now.wall));
            return VisibleState::Offline { reason, seen };
        }
        let counting = || self.sessions.iter().filter(|held| held.counts());
        let status = match self.status.chosen.status {
            ManualStatus::Away => Status::Away,
            ManualStatus::Busy => Status::Busy,
            ManualStatus::Online | ManualStatus::Invisible => {
                let is_at_a_device = counting().any(|held| {
                    !held.idle && held.last_active.plus(rules.away_after) >= now.moment
                });
                if is_at_a_device {
                    Status::Online
                } else {
                    Status::Away
                }
            }
        };
        let (mut activities, mut bytes) = (Vec::new(), 0);
        for one in counting().filter_map(|held| held.activity.as_ref()) {
            let size = one.bytes();
            if activities.len() < MAX_ACTIVITIES
                && bytes + size <= MAX_ACTIVITY_BYTES
                && !activities.contains(one)
            {
                bytes += size;
                activities.push(one.clone());
            }
        }
        let sharing = Activity::sharing_file();
        if counting().any(|held| held.is_sharing)
            && activities.len() < MAX_ACTIVITIES
            && !activities.contains(&sharing)
        {
            activities.push(sharing);
        }
        VisibleState::Online { status, activities }
    }

    /// Whether an update may be published now. Counts it if so; otherwise sets when it is.
    pub(super) fn may_update(&mut self, now: Now, rules: Rules) -> bool {
        let earliest = Moment(
            self.updates_until
                .0
                .saturating_sub((rules.update_every * (UPDATES_AT_ONCE - 1)).as_millis() as u64),
        );
        if earliest > now.moment {
            // A tick comes after the moment that it is due.
            self.next_update = Moment(earliest.0 - 1);
            return false;
        }
        self.updates_until = self.updates_until.max(now.moment).plus(rules.update_every);
        true
    }

    /// Whether the roster can forget this user.
    pub(super) fn is_over(&self) -> bool {
        self.sessions.is_empty() && self.shown.is_none()
    }

    /// When the next tick is due.
    pub(super) fn due(&self, now: Now, rules: Rules) -> Option<Moment> {
        let can_be_away = self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.status == Status::Online);
        let until = self.status.chosen.until.map(|until| {
            let left = u64::try_from(until.0.saturating_sub(now.wall.0)).unwrap_or(0);
            // A tick comes after the moment that it is due, so this is one early.
            now.moment.plus(Duration::from_millis(
                left.saturating_sub(1).min(UNTIL_CHECK),
            ))
        });
        self.sessions
            .iter()
            .filter_map(|held| {
                let end = match held.life {
                    Lifetime::Ending { at } => at,
                    Lifetime::Live => held.last_active.plus(rules.time_to_live),
                    Lifetime::Dormant => return None,
                };
                let away = held.last_active.plus(rules.away_after);
                Some(if can_be_away && !held.idle && away >= now.moment {
                    end.min(away)
                } else {
                    end
                })
            })
            .chain(until)
            .chain([self.next_update])
            .chain(self.hiding.map(|leave| leave.at))
            .min()
            .filter(|due| *due != NEVER)
    }
}
