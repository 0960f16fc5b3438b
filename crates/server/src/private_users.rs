//! Users of this node who keep from others when they were last seen or how far they have read: they do
//! not see the same of others. Most users keep nothing and have no entry here.

use crate::connection::Connection;
use lamplight_domain::conversation::Receipt;
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{Change, Offline, Privacy};
use lamplight_domain::roster_feed::Delivery;
use parking_lot::RwLock;
use std::collections::HashMap;

#[derive(Default)]
pub(crate) struct PrivateUsers(RwLock<HashMap<UserId, (Privacy, u64)>>);

impl PrivateUsers {
    /// Sets what a user keeps, unless a later revision was set before.
    pub(crate) fn set(&self, user: &UserId, privacy: Privacy, revision: u64) {
        if privacy == Privacy::default() && !self.0.read().contains_key(user) {
            return;
        }
        let mut users = self.0.write();
        let held = users.entry(user.clone()).or_default();
        if revision >= held.1 {
            *held = (privacy, revision);
        }
    }

    pub(crate) fn of(&self, user: &UserId) -> Privacy {
        let users = self.0.read();
        users.get(user).map_or_else(Privacy::default, |held| held.0)
    }

    /// The last connection of a user closed.
    pub(crate) fn forget(&self, user: &UserId) {
        if self.0.read().contains_key(user) {
            self.0.write().remove(user);
        }
    }

    pub(crate) fn sees_last_seen(&self, connection: &Connection) -> bool {
        let user = connection.data().user();
        user.is_none_or(|user| !self.of(user).hides_last_seen)
    }

    /// Takes the connections out of a delivery whose users are not told when others were last seen, with
    /// what is left of the changes for them. `None` if there are none.
    pub(crate) fn take_apart(
        &self,
        delivery: &mut Delivery<Connection>,
    ) -> Option<Delivery<Connection>> {
        if self.0.read().is_empty() {
            return None;
        }
        let (Delivery::Events(connections, changes) | Delivery::Changes(connections, changes)) =
            &mut *delivery
        else {
            return None;
        };
        if !changes.iter().any(tells_last_seen) {
            return None;
        }
        let is_told = |connection: &Connection| self.sees_last_seen(connection);
        let private: Vec<Connection> = connections.extract_if(.., |one| !is_told(one)).collect();
        if private.is_empty() {
            return None;
        }
        let changes = changes.iter().map(without_last_seen).collect();
        Some(match delivery {
            Delivery::Events(..) => Delivery::Events(private, changes),
            _ => Delivery::Changes(private, changes),
        })
    }

    /// Of the receivers of a receipt, those who get it as it is, and those who are not told how far
    /// others have read. `None` if all get it as it is.
    pub(crate) fn split(&self, receipt: &Receipt, to: &[UserId]) -> Option<[Vec<UserId>; 2]> {
        if receipt.read_seq == 0 || self.0.read().is_empty() {
            return None;
        }
        let is_told = |user: &UserId| *user == receipt.user || !self.of(user).hides_reads;
        let (told, private): (Vec<_>, Vec<_>) = to.iter().cloned().partition(is_told);
        (!private.is_empty()).then_some([told, private])
    }
}

fn tells_last_seen(change: &Change) -> bool {
    matches!(change, Change::Offline(offline) if offline.last_seen_at.is_some())
}

fn without_last_seen(change: &Change) -> Change {
    match change {
        Change::Offline(offline) => Change::Offline(Offline {
            last_seen_at: None,
            ..offline.clone()
        }),
        other => other.clone(),
    }
}
