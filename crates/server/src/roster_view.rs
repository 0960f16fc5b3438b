//! The roster for users from whom others are hidden: hidden users look offline.

use crate::connection::Connection;
use crate::hidden_users::Hidden;
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::Presence;
use lamplight_domain::roster_feed::RosterFeed;
use std::hash::Hash;
use std::sync::Arc;

/// Connections of one user that get what is left of a delivery.
pub(crate) struct Apart {
    pub(crate) connections: Vec<Connection>,
    /// See [`View`].
    pub(crate) is_filled: bool,
}

/// The content of a user's list and counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// How many are online, without those who are hidden.
    pub(crate) count: usize,
    /// Whether the list has fewer than that.
    pub(crate) is_truncated: bool,
    /// How many of those who are hidden are online.
    pub(crate) hidden_online: usize,
    /// Whether others take the places of those who are hidden in a list that is cut off. They do not
    /// where only changes follow the list: the feed has no changes of users past its end.
    is_filled: bool,
}

impl View {
    pub(crate) fn of<K: Clone + Eq + Hash>(
        feed: &RosterFeed<K>,
        hidden: &Hidden,
        is_filled: bool,
    ) -> Self {
        let is_online = |user: &&UserId| feed.get(user.as_str()).is_some();
        let hidden_online = hidden.keys().filter(is_online).count();
        let count = feed.count() - hidden_online;
        let listed = if is_filled {
            feed.listed().len()
        } else {
            let is_listed = |user: &&UserId| feed.is_listed(user.as_str());
            feed.listed().len() - hidden.keys().filter(is_listed).count()
        };
        Self {
            count,
            is_truncated: listed < count,
            hidden_online,
            is_filled,
        }
    }
}

/// The list at one moment.
pub(crate) struct Listed {
    pub(crate) listed: Vec<Arc<Presence>>,
    /// Those who follow its end.
    spare: Vec<Arc<Presence>>,
    pub(crate) count: usize,
    pub(crate) is_truncated: bool,
}

impl Listed {
    /// The list of a feed, with as many as `spare` who follow its end. Empty without `has_list`.
    pub(crate) fn of<K: Clone + Eq + Hash>(
        feed: &RosterFeed<K>,
        has_list: bool,
        spare: usize,
    ) -> Self {
        let (listed, spare) = if has_list {
            let spare = feed.beyond().take(spare).cloned().collect();
            (feed.listed().cloned().collect(), spare)
        } else {
            (Vec::new(), Vec::new())
        };
        Self {
            listed,
            spare,
            count: feed.count(),
            is_truncated: feed.is_truncated(),
        }
    }

    /// The list without those who are hidden.
    pub(crate) fn without(&self, hidden: &Hidden, view: &View) -> Vec<Arc<Presence>> {
        let spare: &[_] = if view.is_filled { &self.spare } else { &[] };
        let all = self.listed.iter().chain(spare);
        let shown = all.filter(|one| !hidden.contains_key(&one.profile.id));
        shown.take(self.listed.len()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_domain::identity::Profile;
    use lamplight_domain::presence::{Change, Status};
    use lamplight_domain::time::Timestamp;
    use std::collections::HashMap;

    fn feed(users: u64, limit: usize) -> RosterFeed<u64> {
        let mut feed = RosterFeed::new(limit);
        for version in 1..=users {
            feed.push(Change::Online(Arc::new(Presence {
                profile: Profile::bare(UserId::trusted(format!("u{version}"))),
                status: Status::Online,
                text: None,
                last_active_at: Timestamp(0),
                hides_last_seen: false,
                activities: Vec::new(),
                since: version,
                version,
            })));
        }
        feed
    }

    fn seen(users: u64, limit: usize, hidden: &[&str], is_filled: bool) -> (Vec<String>, View) {
        let feed = feed(users, limit);
        let hidden: Hidden = HashMap::from_iter(hidden.iter().map(|id| (UserId::trusted(*id), 1)));
        let view = View::of(&feed, &hidden, is_filled);
        let shown = Listed::of(&feed, true, hidden.len()).without(&hidden, &view);
        let ids = shown.iter().map(|one| one.profile.id.to_string());
        (ids.collect(), view)
    }

    #[test]
    fn p11_a_truncated_list_is_as_long_as_if_hidden_users_were_offline() {
        for (hidden, count, expected) in [
            (vec![], 6, ["u1", "u2", "u3"]),
            (vec!["u9"], 6, ["u1", "u2", "u3"]),
            (vec!["u2"], 5, ["u1", "u3", "u4"]),
            (vec!["u5"], 5, ["u1", "u2", "u3"]),
            (vec!["u1", "u4"], 4, ["u2", "u3", "u5"]),
        ] {
            let (shown, view) = seen(6, 3, &hidden, true);
            assert_eq!(
                (shown, view.count),
                (expected.map(str::to_owned).to_vec(), count)
            );
            assert!(view.is_truncated);
        }
        let (shown, view) = seen(6, 3, &["u1", "u4", "u6"], true);
        assert_eq!((shown.len(), view.count, view.is_truncated), (3, 3, false));
        let (shown, view) = seen(3, 3, &["u1"], true);
        assert_eq!((shown.len(), view.count, view.is_truncated), (2, 2, false));
    }

    #[test]
    fn a_list_with_changes_contains_only_users_whose_changes_follow() {
        let (shown, view) = seen(6, 3, &["u2"], false);
        assert_eq!(shown, ["u1", "u3"]);
        assert_eq!((view.count, view.is_truncated), (5, true));
    }
}
