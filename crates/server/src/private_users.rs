//! Users of this node who hide when they were last seen or how far they have read: they do not see the
//! same of others. Most users hide nothing and have no entry here. The settings of a new user are
//! unknown until the store has answered: until then the user sees neither.

use crate::connection::Connection;
use lamplight_domain::conversation::Receipt;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::presence::{Change, Offline, Privacy};
use lamplight_domain::roster_feed::Delivery;
use parking_lot::RwLock;
use std::collections::HashMap;

/// The default for users whose settings are not known yet: hide everything.
const EVERYTHING: Privacy = Privacy {
    hides_last_seen: true,
    hides_reads: true,
};

/// The maximum number of receipts that wait until a user's settings are known. The client gets further
/// ones by its next sync.
const WITHHELD_AT_MOST: usize = 64;

/// A receipt on its way to members of its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiptUpdate {
    pub(crate) conversation: ConversationId,
    pub(crate) receipt: Receipt,
    /// Whether the delivered mark moved.
    pub(crate) delivers: bool,
}

impl ReceiptUpdate {
    /// The receipt for a user who must not see read marks of others.
    fn without_read(self) -> Option<Self> {
        let receipt = self.receipt.without_read();
        self.delivers.then_some(Self { receipt, ..self })
    }
}

enum Held {
    Unknown(Vec<ReceiptUpdate>),
    Known(Privacy),
}

#[derive(Default)]
pub(crate) struct PrivateUsers(RwLock<HashMap<UserId, Held>>);

impl PrivateUsers {
    /// Registers a user whose settings are not known yet. `is_known` is called under the lock of
    /// [`set`](Self::set).
    pub(crate) fn expect(&self, user: &UserId, is_known: impl FnOnce() -> bool) {
        let mut users = self.0.write();
        if !is_known() && !matches!(users.get(user), Some(Held::Unknown(_))) {
            users.insert(user.clone(), Held::Unknown(Vec::new()));
        }
    }

    /// Sets a user's settings, if by `note` no later ones were set. Returns the waiting receipts that
    /// the user may get.
    pub(crate) fn set(
        &self,
        user: &UserId,
        privacy: Privacy,
        note: impl FnOnce() -> bool,
    ) -> Vec<ReceiptUpdate> {
        let keeps_nothing = privacy == Privacy::default();
        if keeps_nothing {
            // Nearly always there is no entry.
            let users = self.0.read();
            if !users.contains_key(user) {
                let _ = note();
                return Vec::new();
            }
        }
        let mut users = self.0.write();
        if !note() {
            return Vec::new();
        }
        let before = match keeps_nothing {
            true => users.remove(user),
            false => users.insert(user.clone(), Held::Known(privacy)),
        };
        let Some(Held::Unknown(waited)) = before else {
            return Vec::new();
        };
        let waited = waited.into_iter();
        match privacy.hides_reads {
            true => waited.filter_map(ReceiptUpdate::without_read).collect(),
            false => waited.collect(),
        }
    }

    pub(crate) fn of(&self, user: &UserId) -> Privacy {
        match self.0.read().get(user) {
            None => Privacy::default(),
            Some(Held::Known(privacy)) => *privacy,
            Some(Held::Unknown(_)) => EVERYTHING,
        }
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

    /// Takes the connections out of a delivery whose users do not see when others were last seen, with
    /// the changes as these may see them. `None` if there are none.
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
        if !changes.iter().any(has_last_seen) {
            return None;
        }
        let sees_all = |connection: &Connection| self.sees_last_seen(connection);
        let private: Vec<Connection> = connections.extract_if(.., |one| !sees_all(one)).collect();
        if private.is_empty() {
            return None;
        }
        let changes = changes.iter().map(without_last_seen).collect();
        Some(match delivery {
            Delivery::Events(..) => Delivery::Events(private, changes),
            _ => Delivery::Changes(private, changes),
        })
    }

    /// Splits the receivers of a receipt into those who get it unchanged and those who get it without
    /// the read mark. `None` if all get it unchanged. Receivers whose settings are not known yet get
    /// it later.
    pub(crate) fn split(&self, update: &ReceiptUpdate, to: &[UserId]) -> Option<[Vec<UserId>; 2]> {
        if update.receipt.read_seq == 0 {
            return None;
        }
        {
            let users = self.0.read();
            let is_private = |user: &UserId| match users.get(user) {
                None => false,
                Some(Held::Known(privacy)) => privacy.hides_reads,
                Some(Held::Unknown(_)) => true,
            };
            if users.is_empty() || !to.iter().any(is_private) {
                return None;
            }
        }
        let mut users = self.0.write();
        let (mut whole, mut private) = (Vec::new(), Vec::new());
        for user in to {
            match users.get_mut(user) {
                _ if *user == update.receipt.user => whole.push(user.clone()),
                Some(Held::Unknown(waiting)) => wait(waiting, update),
                Some(Held::Known(privacy)) if privacy.hides_reads => {
                    if update.delivers {
                        private.push(user.clone());
                    }
                }
                _ => whole.push(user.clone()),
            }
        }
        Some([whole, private])
    }
}

/// Of one member in one conversation only the latest receipt counts.
fn wait(waiting: &mut Vec<ReceiptUpdate>, update: &ReceiptUpdate) {
    let is_of = |one: &ReceiptUpdate| {
        one.conversation == update.conversation && one.receipt.user == update.receipt.user
    };
    match waiting.iter().position(is_of) {
        Some(place) => {
            let delivers = waiting[place].delivers || update.delivers;
            waiting[place] = ReceiptUpdate {
                delivers,
                ..update.clone()
            };
        }
        None if waiting.len() < WITHHELD_AT_MOST => waiting.push(update.clone()),
        None => {}
    }
}

fn has_last_seen(change: &Change) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::trusted(id)
    }

    fn update(read_seq: u64, delivers: bool) -> ReceiptUpdate {
        ReceiptUpdate {
            conversation: ConversationId::trusted("c"),
            receipt: Receipt {
                user: user("reader"),
                delivered_seq: 9,
                read_seq,
            },
            delivers,
        }
    }

    fn hides_reads() -> Privacy {
        Privacy {
            hides_reads: true,
            ..Privacy::default()
        }
    }

    #[test]
    fn p11_a_user_who_hides_read_marks_sees_none_of_others() {
        let users = PrivateUsers::default();
        let to = ["open", "private", "reader"].map(user);
        assert_eq!(users.split(&update(5, false), &to), None);
        users.set(&user("private"), hides_reads(), || true);
        users.set(&user("reader"), hides_reads(), || true);
        let [whole, private] = users.split(&update(5, false), &to).expect("two parts");
        assert_eq!(
            whole,
            ["open", "reader"].map(user),
            "also their own devices"
        );
        assert!(
            private.is_empty(),
            "an event without a visible change would reveal a read"
        );
        let [whole, private] = users.split(&update(5, true), &to).expect("two parts");
        assert_eq!((whole.len(), private), (2, vec![user("private")]));
        assert_eq!(
            users.split(&update(0, true), &to),
            None,
            "nothing of reading"
        );
    }

    #[test]
    fn p11_no_read_marks_are_shown_until_the_settings_are_known() {
        for (privacy, gets) in [
            (Privacy::default(), vec![update(7, true)]),
            (hides_reads(), vec![update(0, true)]),
        ] {
            let (users, who) = (PrivateUsers::default(), [user("new")]);
            users.expect(&who[0], || false);
            assert_eq!(users.of(&who[0]), EVERYTHING);
            for receipt in [update(5, true), update(7, false)] {
                let parts = users.split(&receipt, &who);
                assert_eq!(parts, Some([Vec::new(), Vec::new()]));
            }
            assert_eq!(users.set(&who[0], privacy, || true), gets);
            assert_eq!(users.of(&who[0]), privacy);
            assert!(users.set(&who[0], privacy, || true).is_empty(), "once");
            users.expect(&who[0], || true);
            assert_eq!(users.of(&who[0]), privacy, "it is known");
        }
        let users = PrivateUsers::default();
        users.expect(&user("new"), || false);
        users.split(&update(7, false), &[user("new")]);
        assert!(users.set(&user("new"), hides_reads(), || true).is_empty());
    }

    #[test]
    fn p11_an_older_setting_does_not_replace_a_newer_one() {
        let (users, who) = (PrivateUsers::default(), user("a"));
        users.set(&who, hides_reads(), || true);
        users.set(&who, Privacy::default(), || false);
        assert_eq!(users.of(&who), hides_reads());
        users.set(&who, Privacy::default(), || true);
        assert_eq!(users.of(&who), Privacy::default());
        users.set(&who, hides_reads(), || false);
        assert_eq!(users.of(&who), Privacy::default(), "also without an entry");
        users.expect(&who, || false);
        for n in 0..2 * WITHHELD_AT_MOST {
            let mut one = update(5, true);
            one.conversation = ConversationId::trusted(&*n.to_string());
            users.split(&one, std::slice::from_ref(&who));
        }
        let waited = users.set(&who, Privacy::default(), || true);
        assert_eq!(waited.len(), WITHHELD_AT_MOST);
        users.expect(&who, || false);
        users.forget(&who);
        assert_eq!(users.of(&who), Privacy::default());
    }
}
