//! Last-seen times that the presence store has and the directory does not have yet.

use lamplight_domain::identity::UserId;
use lamplight_domain::presence::Offline;
use lamplight_domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;
use tokio::sync::Notify;

/// When users were last seen, until the directory has it. Each node's presence store has one, and
/// adds a user when a call of this node ended the user's presence: of all nodes one writes it.
#[derive(Debug, Default)]
pub struct LastSeenQueue {
    pending: Mutex<HashMap<UserId, Timestamp>>,
    added: Notify,
}

impl LastSeenQueue {
    /// Adds a user whose presence ended.
    pub fn add(&self, offline: &Offline) {
        if let Some(at) = offline.last_seen_at {
            self.add_at(&offline.user, at);
        }
    }

    /// Adds a user who was last seen at `at`.
    pub fn add_at(&self, user: &UserId, at: Timestamp) {
        let mut pending = self.pending.lock();
        let latest = pending.entry(user.clone()).or_insert(at);
        *latest = latest.advance_to(at);
        drop(pending);
        self.added.notify_one();
    }

    /// The time that the directory may not have yet.
    #[must_use]
    pub fn pending(&self, user: &UserId) -> Option<Timestamp> {
        self.pending.lock().get(user).copied()
    }

    /// The number of waiting users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.lock().len()
    }

    /// Whether no write waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.lock().is_empty()
    }

    /// Resolves once a user was added.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    pub(crate) fn all(&self) -> Vec<(UserId, Timestamp)> {
        let pending = self.pending.lock();
        pending
            .iter()
            .map(|(user, at)| (user.clone(), *at))
            .collect()
    }

    /// Removes what the directory has now, unless a later time was added meanwhile.
    pub(crate) fn remove(&self, written: Vec<(UserId, Timestamp)>) {
        let mut pending = self.pending.lock();
        for (user, at) in written {
            if pending.get(&user) == Some(&at) {
                pending.remove(&user);
            }
        }
    }
}
