//! A user during one step.

use super::record::Incarnations;
use lamplight_domain::presence::{NodeIndex, Roster, SessionState, UserRecord};
use lamplight_domain::time::Now;

/// A user as they were read, to be changed.
pub(super) struct Step {
    pub(super) roster: Roster,
    pub(super) now: Now,
    pub(super) incarnations: Incarnations,
    pub(super) before: Option<UserRecord>,
    /// The writer.
    pub(super) incarnation: u64,
    /// The timer has to move although nothing else changes.
    pub(super) moves_timer: bool,
    pub(super) is_tick: bool,
}

impl Step {
    pub(super) fn index(&mut self, incarnation: u64) -> NodeIndex {
        self.incarnations.index(incarnation)
    }

    /// The index of the incarnation that writes.
    pub(super) fn mine(&mut self) -> NodeIndex {
        self.index(self.incarnation)
    }

    /// The sessions before the step.
    pub(super) fn sessions(&self) -> Vec<SessionState> {
        match &self.before {
            Some(UserRecord::Attached(state)) => state.sessions.clone(),
            _ => Vec::new(),
        }
    }

    /// The sessions that belong to another node than before.
    pub(super) fn taken_over(&self, after: Option<&UserRecord>) -> Vec<String> {
        let (Some(UserRecord::Attached(before)), Some(UserRecord::Attached(after))) =
            (&self.before, after)
        else {
            return Vec::new();
        };
        let has_moved = |now: &&SessionState| {
            let mut earlier = before.sessions.iter();
            earlier.any(|held| held.id == now.id && held.node != now.node)
        };
        let moved = after.sessions.iter().filter(has_moved);
        moved.map(|held| held.id.to_string()).collect()
    }
}
