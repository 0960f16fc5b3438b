//! One user of a roster: what is known of them, how they look from it, and when to look again.

use super::{
    Activity, ManualStatus, NodeIndex, OfflineReason, Presence, Rules, SavedStatus, Status,
    StatusOverride,
};
use crate::identity::{ConnectionId, Profile};
use crate::time::{Moment, Now, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The most activities that are shown of one user, so that nobody can make everyone's list long.
const MAX_ACTIVITIES: usize = 16;
/// The most bytes of what they are doing that are shown of one user, over all devices.
const MAX_ACTIVITY_BYTES: usize = 2_048;
/// How often at once somebody may look different before [`Rules::update_every`] holds them to its
/// pace.
const UPDATES_AT_ONCE: u32 = 5;
/// A status with an `until` follows the wall clock, which may jump, so its user is looked at this
/// often.
const UNTIL_LOOK: u64 = 30_000;

/// Whether a session counts, and until when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lifetime {
    /// Its socket is open.
    Live,
    /// Its socket is gone; it counts until then.
    Ending {
        /// When it is over.
        at: Moment,
    },
    /// Its socket is open, but no activity came for the time to live; activity revives it.
    Dormant,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: ConnectionId,
    /// The node that announced it last.
    pub(super) node: NodeIndex,
    pub(super) life: Lifetime,
    pub(super) last_active: Moment,
    /// The person said that they are not at this device.
    pub(super) idle: bool,
    pub(super) activity: Option<Activity>,
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
        }
    }

    fn is_live(&self) -> bool {
        self.life == Lifetime::Live
    }

    fn counts(&self) -> bool {
        self.life != Lifetime::Dormant
    }
}

/// A leave that will be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leave {
    at: Moment,
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
    /// What everyone has been told; `None` while they are told "offline".
    pub(super) shown: Option<Arc<Presence>>,
    pub(super) last_seen: Option<Timestamp>,
    pub(super) last_active_wall: Timestamp,
    /// Why the latest session that ended did so, and when, for the leave that may follow.
    pub(super) last_end: Option<(OfflineReason, Timestamp)>,
    /// They have gone invisible and are still shown, exactly as long as someone who closed
    /// everything at that moment.
    pub(super) hiding: Option<Leave>,
    /// When their updates so far are worn off, by [`Rules::update_every`] for each.
    pub(super) worn_off: Moment,
    /// They look different from what is shown, and will be shown so then.
    pub(super) withheld: Option<Moment>,
    /// When this user has to be looked at again, if a tick is due.
    pub(super) wake: Option<Moment>,
}

/// What is to be shown of a user.
pub(super) enum VisibleState {
    /// Whatever is shown stays: they are out, or on their way out and may be back before anyone is
    /// told.
    AsBefore,
    /// They are in, and look like this.
    In {
        /// The status.
        status: Status,
        /// What they are doing, over all devices.
        activities: Vec<Activity>,
    },
    /// They are out.
    Out {
        /// Why.
        reason: OfflineReason,
        /// When they were last seen.
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
            worn_off: Moment(0),
            withheld: None,
            wake: None,
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

    pub(super) fn is_in(&self) -> bool {
        self.sessions.iter().any(Session::is_live)
    }

    /// Takes over a status that is newer than the one held. Whether it was.
    pub(super) fn save_status(&mut self, now: Now, status: SavedStatus) -> bool {
        let is_newer = status.revision > self.status.revision;
        if is_newer {
            self.status.revision = status.revision;
            self.choose(now, status.chosen.at(now.wall));
        }
        is_newer
    }

    /// Takes over a manual status. A user who was invisible and is no longer looks like a newcomer:
    /// an earlier time of last activity, or the status away, would reveal that they had been
    /// connected.
    fn choose(&mut self, now: Now, chosen: StatusOverride) {
        let appears = self.status.chosen.status == ManualStatus::Invisible
            && chosen.status != ManualStatus::Invisible
            && self.shown.is_none();
        self.status.chosen = chosen;
        if appears && self.is_in() {
            self.last_active_wall = self.last_active_wall.advance_to(now.wall);
            for held in self.sessions.iter_mut().filter(|held| held.is_live()) {
                held.last_active = now.moment;
                held.idle = false;
            }
        }
    }

    /// Takes note of what time has ended; `gone` hears of each session that is no longer held.
    pub(super) fn pass_time(
        &mut self,
        now: Now,
        rules: Rules,
        mut gone: impl FnMut(&ConnectionId),
    ) {
        let mut ran_out = false;
        self.sessions.retain_mut(|held| match held.life {
            Lifetime::Ending { at } if at < now.moment => {
                gone(&held.id);
                false
            }
            Lifetime::Live if held.last_active.plus(rules.time_to_live) < now.moment => {
                held.life = Lifetime::Dormant;
                held.activity = None;
                ran_out = true;
                true
            }
            _ => true,
        });
        if ran_out {
            self.last_end = Some((OfflineReason::Timeout, self.last_active_wall));
        }
        let chosen = self.status.chosen.clone().at(now.wall);
        self.choose(now, chosen);
        self.hide_or_not(now, rules);
    }

    /// Going invisible must look like closing every tab at that moment, to the millisecond and in
    /// every answer: told at once it would stand out, for a leave that is told at the very time of
    /// its `lastSeenAt` is no close.
    fn hide_or_not(&mut self, now: Now, rules: Rules) {
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
            self.hiding = Some(match (self.is_in(), ending, self.last_end) {
                // They had closed everything already.
                (false, Some(at), Some((reason, seen))) => Leave { at, reason, seen },
                _ => Leave {
                    at: now.moment.plus(rules.grace),
                    reason: OfflineReason::Closed,
                    seen: now.wall,
                },
            });
        }
    }

    /// How they look, after [`User::pass_time`].
    pub(super) fn look(&self, now: Now, rules: Rules) -> VisibleState {
        if let Some(Leave { at, reason, seen }) = self.hiding {
            return if at < now.moment {
                VisibleState::Out { reason, seen }
            } else {
                VisibleState::AsBefore
            };
        }
        if self.status.chosen.status == ManualStatus::Invisible {
            return VisibleState::AsBefore;
        }
        if !self.is_in() {
            if self.sessions.iter().any(Session::counts) {
                return VisibleState::AsBefore;
            }
            let (reason, seen) = self.last_end.unwrap_or((OfflineReason::Closed, now.wall));
            return VisibleState::Out { reason, seen };
        }
        let counting = || self.sessions.iter().filter(|held| held.counts());
        let status = match self.status.chosen.status {
            ManualStatus::Away => Status::Away,
            ManualStatus::Busy => Status::Busy,
            ManualStatus::Online | ManualStatus::Invisible => {
                let at_a_device = counting().any(|held| {
                    !held.idle && held.last_active.plus(rules.away_after) >= now.moment
                });
                if at_a_device {
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
        VisibleState::In { status, activities }
    }

    /// Whether a new look may be told now, and takes note of it: of one that is told, or of when it
    /// will be.
    pub(super) fn may_update(&mut self, now: Now, rules: Rules) -> bool {
        let earliest = Moment(
            self.worn_off
                .0
                .saturating_sub((rules.update_every * (UPDATES_AT_ONCE - 1)).as_millis() as u64),
        );
        if earliest > now.moment {
            // A tick comes after the moment that it was asked for.
            self.withheld = Some(Moment(earliest.0 - 1));
            return false;
        }
        self.worn_off = self.worn_off.max(now.moment).plus(rules.update_every);
        true
    }

    /// Whether there is nothing left to hold.
    pub(super) fn is_over(&self) -> bool {
        self.sessions.is_empty() && self.shown.is_none()
    }

    /// When they have to be looked at again.
    pub(super) fn due(&self, now: Now, rules: Rules) -> Option<Moment> {
        let can_be_away = self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.status == Status::Online);
        let until = self.status.chosen.until.map(|until| {
            let left = u64::try_from(until.0.saturating_sub(now.wall.0)).unwrap_or(0);
            // A tick comes after the moment it was asked for, so this is one early.
            now.moment.plus(Duration::from_millis(
                left.saturating_sub(1).min(UNTIL_LOOK),
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
            .chain(self.withheld)
            .chain(self.hiding.map(|leave| leave.at))
            .min()
    }
}
