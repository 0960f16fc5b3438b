//! The true state, independent of the nodes: for the checks only.

use lamplight_domain::presence::ManualStatus;
use std::collections::VecDeque;

/// A time in the future.
pub(crate) const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Truth {
    /// Since when each user has chosen to be shown, [`NEVER`] while invisible.
    pub(crate) visible_since: Vec<u64>,
    /// The reverse.
    pub(crate) invisible_since: Vec<u64>,
    /// Until when each node was dead, stood still, or did not reach Redis or the database;
    /// [`NEVER`] while that lasts.
    pub(crate) troubled_until: Vec<u64>,
    /// Since when each client is joined, and on which node.
    pub(crate) joined: Vec<Option<(u64, usize)>>,
    /// The newest revision of each user's status that Redis was given. A node that dies between the
    /// directory and Redis leaves a newer one unknown, which was not acknowledged.
    pub(crate) given_revision: Vec<u64>,
    /// Until when Redis may show an old state, because an old snapshot was restored.
    pub(crate) old_until: u64,
    /// How many entries were committed at each time.
    positions: VecDeque<(u64, usize)>,
}

impl Truth {
    pub(crate) fn new(users: usize, nodes: usize, clients: usize) -> Self {
        Self {
            visible_since: vec![0; users],
            invisible_since: vec![NEVER; users],
            troubled_until: vec![0; nodes],
            joined: vec![None; clients],
            given_revision: vec![0; users],
            old_until: 0,
            positions: VecDeque::new(),
        }
    }

    pub(crate) fn status_set(&mut self, user: usize, status: ManualStatus, now: u64) {
        let (since, other) = if status == ManualStatus::Invisible {
            (
                &mut self.invisible_since[user],
                &mut self.visible_since[user],
            )
        } else {
            (
                &mut self.visible_since[user],
                &mut self.invisible_since[user],
            )
        };
        *other = NEVER;
        if *since == NEVER {
            *since = now;
        }
    }

    pub(crate) fn note_position(&mut self, now: u64, position: usize) {
        self.positions.push_back((now, position));
    }

    /// How many entries were committed at a time.
    pub(crate) fn position_at(&self, at: u64) -> usize {
        let after = self.positions.partition_point(|(time, _)| *time <= at);
        after
            .checked_sub(1)
            .and_then(|index| self.positions.get(index))
            .map_or(0, |(_, position)| *position)
    }

    /// Since when every node that knows the user must show them as online, if it must.
    pub(crate) fn stable_since(&self, user: usize, users: &[usize]) -> Option<u64> {
        let clients = self.joined.iter().zip(users);
        let joined = clients.filter(|(_, of)| **of == user);
        joined
            .filter_map(|(joined, _)| *joined)
            .map(|(at, node)| {
                at.max(self.troubled_until[node])
                    .max(self.visible_since[user])
            })
            .filter(|since| *since != NEVER)
            .min()
    }
}
