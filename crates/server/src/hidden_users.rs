//! Users who look offline to some others, because they have blocked them. Most users are blocked by
//! nobody and have no entry here.

use crate::connection::Connection;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::presence::{Change, Presence};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// Who looks offline to one user, each since a version.
pub(crate) type Hidden = HashMap<UserId, u64>;

/// Of the users who have a connection here.
#[derive(Default)]
pub(crate) struct HiddenUsers {
    from: RwLock<HashMap<UserId, Arc<Hidden>>>,
    /// What the last list of a connection held, for connections from which somebody is hidden: a
    /// list that is sent again only because of a hidden user would tell of them.
    lists: Mutex<HashMap<ConnectionId, u64>>,
}

impl HiddenUsers {
    /// Whether nobody is hidden from anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.from.read().is_empty()
    }

    pub(crate) fn of_user(&self, user: &UserId) -> Option<Arc<Hidden>> {
        self.from.read().get(user).cloned()
    }

    pub(crate) fn of_connection(&self, connection: &Connection) -> Option<Arc<Hidden>> {
        let from = self.from.read();
        if from.is_empty() {
            return None;
        }
        from.get(connection.data().user()?).cloned()
    }

    /// Returns what was hidden before.
    pub(crate) fn set(&self, user: &UserId, hidden: Hidden) -> Arc<Hidden> {
        let mut from = self.from.write();
        let before = if hidden.is_empty() {
            from.remove(user)
        } else {
            from.insert(user.clone(), Arc::new(hidden))
        };
        before.unwrap_or_default()
    }

    /// Whether a list differs from the one before on this connection.
    pub(crate) fn is_new_list(
        &self,
        connection: &Connection,
        listed: &[Arc<Presence>],
        count: usize,
    ) -> bool {
        let mut hasher = DefaultHasher::new();
        count.hash(&mut hasher);
        for shown in listed {
            (shown.profile.id.as_str(), shown.version).hash(&mut hasher);
        }
        let hash = hasher.finish();
        let id = connection.data().id.clone();
        self.lists.lock().insert(id, hash) != Some(hash)
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

/// The changes that are not of hidden users.
pub(crate) fn visible(changes: &[Change], hidden: &Hidden) -> Vec<Change> {
    let is_visible = |change: &&Change| !hidden.contains_key(change.user());
    changes.iter().filter(is_visible).cloned().collect()
}
