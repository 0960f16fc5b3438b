//! Users who look offline to users whom they have blocked. Most users have not been blocked and
//! have no entry here.

use crate::connection::Connection;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::presence::{Change, Presence};
use lamplight_usecases::ports::HiddenTicket;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The users who look offline to one user, each since a version.
pub(crate) type Hidden = HashMap<UserId, u64>;

/// The latest read of who looks offline to a user that was applied, or was not worth applying.
#[derive(Default)]
pub(crate) struct LatestRead(AtomicU64);

impl LatestRead {
    /// Notes a read. `false` if a later one was noted before.
    pub(crate) fn note(&self, ticket: HiddenTicket) -> bool {
        self.0.fetch_max(ticket.0, Ordering::AcqRel) <= ticket.0
    }
}

/// Of the users who have a connection here.
#[derive(Default)]
pub(crate) struct HiddenUsers {
    from: RwLock<HashMap<UserId, Arc<Hidden>>>,
    /// The content of the last list sent to each connection from which users are hidden: sending
    /// the same list again because a hidden user changed would reveal that user.
    lists: Mutex<HashMap<ConnectionId, ListMark>>,
}

impl HiddenUsers {
    /// Whether no user is hidden from another.
    pub(crate) fn is_empty(&self) -> bool {
        self.from.read().is_empty()
    }

    pub(crate) fn of_connection(&self, connection: &Connection) -> Option<Arc<Hidden>> {
        let from = self.from.read();
        if from.is_empty() {
            return None;
        }
        from.get(connection.data().user()?).cloned()
    }

    /// Applies a read that found no hidden users for a user, if none are hidden from them now.
    /// `note` records the read under the lock of [`set`](Self::set), so that an earlier read is not
    /// applied after it.
    pub(crate) fn is_still_empty(&self, user: &UserId, note: impl FnOnce() -> bool) -> bool {
        let from = self.from.write();
        if from.contains_key(user) {
            return false;
        }
        // A read that changes nothing may be skipped, whether it is the latest or not.
        let _ = note();
        true
    }

    /// Returns the users hidden before; `None` if by `is_latest` a later read was applied.
    pub(crate) fn set(
        &self,
        user: &UserId,
        hidden: Hidden,
        is_latest: impl FnOnce() -> bool,
    ) -> Option<Arc<Hidden>> {
        let mut from = self.from.write();
        if !is_latest() {
            return None;
        }
        let before = if hidden.is_empty() {
            from.remove(user)
        } else {
            from.insert(user.clone(), Arc::new(hidden))
        };
        Some(before.unwrap_or_default())
    }

    /// The most users who are hidden from one.
    pub(crate) fn most(&self) -> usize {
        let from = self.from.read();
        from.values().map(|hidden| hidden.len()).max().unwrap_or(0)
    }

    /// Whether a list differs from the one before on this connection.
    pub(crate) fn is_new_list(&self, connection: &Connection, mark: ListMark) -> bool {
        let id = connection.data().id.clone();
        self.lists.lock().insert(id, mark) != Some(mark)
    }

    /// The next list of a connection is sent in any case.
    pub(crate) fn wants_list(&self, id: &ConnectionId) {
        self.lists.lock().remove(id);
    }

    /// A connection closed, the last one of its user or not.
    pub(crate) fn forget(&self, connection: &Connection, is_last: bool) {
        self.wants_list(&connection.data().id);
        if is_last && let Some(user) = connection.data().user() {
            self.from.write().remove(user);
        }
    }
}

/// A digest of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListMark(u64);

impl ListMark {
    pub(crate) fn of(listed: &[Arc<Presence>], count: usize) -> Self {
        let mut hasher = DefaultHasher::new();
        count.hash(&mut hasher);
        for shown in listed {
            (shown.profile.id.as_str(), shown.version).hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// The changes that are not of hidden users.
pub(crate) fn visible(changes: &[Change], hidden: &Hidden) -> Vec<Change> {
    let is_visible = |change: &&Change| !hidden.contains_key(change.user());
    changes.iter().filter(is_visible).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_an_earlier_read_of_blockers_does_not_replace_a_later_one() {
        let b = UserId::trusted("b");
        let blocked: Hidden = HashMap::from([(UserId::trusted("a"), 7)]);
        let [first, second, third] = [1, 2, 3].map(HiddenTicket);
        // Each read with its result: of two that overlap, the later one is correct.
        for (earlier, later) in [
            (Hidden::new(), blocked.clone()),
            (blocked.clone(), Hidden::new()),
        ] {
            let (users, latest) = (HiddenUsers::default(), LatestRead::default());
            let apply = |ticket, found: &Hidden| {
                let note = || latest.note(ticket);
                if found.is_empty() && users.is_still_empty(&b, note) {
                    return;
                }
                users.set(&b, found.clone(), note);
            };
            let shown = || {
                let from = users.from.read();
                from.get(&b)
                    .map(|hidden| Hidden::clone(hidden))
                    .unwrap_or_default()
            };
            apply(second, &later);
            apply(first, &earlier);
            assert_eq!(shown(), later);
            apply(third, &earlier);
            assert_eq!(shown(), earlier, "the next one counts again");
        }
    }
}
