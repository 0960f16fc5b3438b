//! Sessions of the roster: they begin, stay alive by heartbeats, and end by themselves, by their node
//! or with it.

use super::user::{Lifetime, Session, User};
use super::{Activity, Change, NodeIndex, OfflineReason, Roster, SavedStatus};
use crate::identity::{ConnectionId, Profile, UserId};
use crate::time::{Moment, Now, Timestamp};
use std::collections::hash_map::Entry;

impl Roster {
    /// A session begins, or announces itself again. `profile`, `status` and `last_seen` are what
    /// the directory answered. A session belongs to the node that announced it last: a connection
    /// may be recovered on another node than the one that lost it.
    ///
    /// The status may have been read before a newer one was set, also by another node. The newer
    /// revision counts: otherwise a user who has just gone invisible could be shown.
    pub fn join(
        &mut self,
        now: Now,
        node: NodeIndex,
        session: ConnectionId,
        profile: Profile,
        status: SavedStatus,
        last_seen: Option<Timestamp>,
    ) -> Vec<Change> {
        let id = profile.id.clone();
        if self
            .sessions
            .get(&session)
            .is_some_and(|owner| *owner != id)
        {
            return Vec::new(); // One session has one user; the use case has refused this already.
        }
        let unattached = &mut self.unattached;
        let user = match self.users.entry(id.clone()) {
            Entry::Occupied(held) => {
                let user = held.into_mut();
                user.save_status(now, status);
                user
            }
            Entry::Vacant(free) => {
                let mut user = User::new(profile.clone(), status, now);
                if let Some((at, status)) = unattached.take(&id) {
                    user.save_status(now, status);
                    user.status_at = at;
                }
                free.insert(user)
            }
        };
        user.profile = profile;
        user.last_seen = user.last_seen.max(last_seen);
        user.last_active_wall = user.last_active_wall.advance_to(now.wall);
        match user.session(&session) {
            Some(held) => {
                held.node = node;
                held.life = Lifetime::Live;
                held.last_active = now.moment;
                held.idle = false;
            }
            None => user.sessions.push(Session::new(session.clone(), node, now)),
        }
        self.sessions.insert(session, id.clone());
        self.settle(now, &id).into_iter().collect()
    }

    /// The heartbeat: extends the session's life and revives one that ran out. By itself it is no
    /// event for others, unless the user was or becomes away.
    pub fn activity(
        &mut self,
        now: Now,
        node: NodeIndex,
        session: &ConnectionId,
        active: bool,
    ) -> Vec<Change> {
        let Some((id, user)) = self.user_mut(session) else {
            return Vec::new();
        };
        let Some(held) = user.session_on(node, session) else {
            return Vec::new();
        };
        if matches!(held.life, Lifetime::Ending { .. }) {
            return Vec::new(); // A late heartbeat of a connection that closed.
        }
        held.life = Lifetime::Live;
        held.idle = !active;
        // An idle heartbeat still proves that the device is there, though not the person. The life
        // of a session is therefore measured from any heartbeat, being away from `active` ones.
        held.last_active = now.moment;
        if active {
            user.last_active_wall = user.last_active_wall.advance_to(now.wall);
        }
        self.settle(now, &id).into_iter().collect()
    }

    /// The connection of a session closed. The session counts through the grace period.
    pub fn close(
        &mut self,
        now: Now,
        node: NodeIndex,
        session: &ConnectionId,
        reason: OfflineReason,
    ) -> Vec<Change> {
        let at = now.moment.plus(self.rules.grace);
        let Some((id, user)) = self.user_mut(session) else {
            return Vec::new();
        };
        let Some(held) = user.session_on(node, session) else {
            return Vec::new();
        };
        match held.life {
            Lifetime::Live => {
                held.life = Lifetime::Ending { at };
                user.last_end = Some((reason, now.wall));
            }
            Lifetime::Ending { .. } => {} // Closed twice; the first one counts.
            Lifetime::Dormant => {
                // `retain` keeps the order of the sessions, in which activities are shown.
                user.sessions.retain(|held| held.id != *session);
                self.sessions.remove(session);
            }
        }
        self.settle(now, &id).into_iter().collect()
    }

    /// A session ends at once: its user signed out.
    pub fn sign_out(&mut self, now: Now, node: NodeIndex, session: &ConnectionId) -> Vec<Change> {
        let Some((id, user)) = self.user_mut(session) else {
            return Vec::new();
        };
        if user.session_on(node, session).is_none() {
            return Vec::new();
        }
        user.sessions.retain(|held| held.id != *session);
        user.last_end = Some((OfflineReason::SignedOut, now.wall));
        let mut ended = vec![session.clone()];
        if !user.is_connected() {
            // A tab that closed a moment ago does not keep a user online who signs out.
            ended.extend(
                user.sessions
                    .extract_if(.., |held| matches!(held.life, Lifetime::Ending { .. }))
                    .map(|held| held.id),
            );
        }
        for session in &ended {
            self.sessions.remove(session);
        }
        self.settle(now, &id).into_iter().collect()
    }

    /// The activity of the user. It belongs to one session and ends with it.
    pub fn set_activity(
        &mut self,
        now: Now,
        node: NodeIndex,
        session: &ConnectionId,
        activity: Option<Activity>,
    ) -> Vec<Change> {
        let Some((id, user)) = self.user_mut(session) else {
            return Vec::new();
        };
        if let Some(held) = user.session_on(node, session)
            && !matches!(held.life, Lifetime::Ending { .. })
        {
            held.activity = activity; // Otherwise a late call of a connection that closed.
        }
        self.settle(now, &id).into_iter().collect()
    }

    /// Sets whether the user uploads a file, on all sessions that a node has of them; it ends with each
    /// session.
    pub fn set_sharing(
        &mut self,
        now: Now,
        node: NodeIndex,
        user: &UserId,
        is_sharing: bool,
    ) -> Vec<Change> {
        let Some(held) = self.users.get_mut(user) else {
            return Vec::new();
        };
        for session in &mut held.sessions {
            if session.node == node && session.life == Lifetime::Live {
                session.is_sharing = is_sharing;
            }
        }
        self.settle(now, user).into_iter().collect()
    }

    /// Ends the sessions of a dead node at `end`, which may be in the past; sessions whose
    /// connection closed before keep their own end. Its users were last seen at `seen`.
    ///
    /// Scans all sessions: nodes rarely die, and an index would cost memory for each session.
    pub fn close_node(
        &mut self,
        now: Now,
        node: NodeIndex,
        end: Moment,
        reason: OfflineReason,
        seen: Timestamp,
    ) -> Vec<Change> {
        let mut left = Vec::new();
        for (id, user) in &mut self.users {
            let seen = seen.max(user.last_active_wall);
            let closed_later = user.is_closing() && user.last_end.is_some_and(|(_, at)| at > seen);
            let mut has_closed = false;
            for held in user.sessions.iter_mut().filter(|held| held.node == node) {
                let at = match held.life {
                    Lifetime::Live => end,
                    Lifetime::Ending { .. } => continue,
                    Lifetime::Dormant => Moment(0),
                };
                if held.life == Lifetime::Live && !closed_later {
                    user.last_end = Some((reason, seen));
                }
                held.life = Lifetime::Ending { at };
                has_closed = true;
            }
            if has_closed {
                left.push(id.clone());
            }
        }
        left.iter().filter_map(|id| self.settle(now, id)).collect()
    }

    fn user_mut(&mut self, session: &ConnectionId) -> Option<(UserId, &mut User)> {
        let id = self.sessions.get(session)?.clone();
        let user = self.users.get_mut(&id)?;
        Some((id, user))
    }
}
