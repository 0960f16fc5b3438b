//! The client's view of the roster.

use crate::messages::Shown;
use crate::names::CLIENTS;
use crate::world::World;

/// After this long in one state, everyone must know it.
const KNOWN_AFTER: u64 = 45_000;

impl World {
    pub(super) fn show(&mut self, c: usize, states: &[Shown]) {
        for (user, version, status) in states {
            let before = self.clients[c].view.insert(*user, (*version, *status));
            let was_shown = before.is_some_and(|(_, status)| status.is_some());
            if status.is_none() && was_shown {
                self.left_view(c, *user);
            }
            let invisible_since = self.truth.invisible_since[*user];
            if status.is_some()
                && invisible_since.saturating_add(KNOWN_AFTER) < self.now
                && self.truth.old_until < self.now
            {
                self.violate("P11", || {
                    format!("client {c} sees u{user}, who is invisible since {invisible_since}")
                });
            }
        }
    }

    /// A user leaves a client's view, who must not if they have stayed.
    pub(super) fn left_view(&mut self, c: usize, user: usize) {
        if let Some(since) = self.truth.stable_since(user, &CLIENTS)
            && since.saturating_add(KNOWN_AFTER) < self.now
        {
            self.violate("P8", || {
                format!("client {c} sees u{user} leave, who is online since {since}")
            });
        }
    }
}
