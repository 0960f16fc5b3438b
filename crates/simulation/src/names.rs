//! The participants and their ids in the domain.

use crate::messages::Shown;
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use lamplight_domain::presence::{Change, Presence, Rules, bucket_of};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) const NODES: usize = 3;
const BUCKETS: usize = 3;

/// The user of each client: some have several tabs.
pub(crate) const CLIENTS: [usize; 10] = [0, 0, 0, 1, 1, 2, 2, 3, 4, 5];

/// The members of each conversation at the start.
pub(crate) const CONVERSATIONS: [&[usize]; 4] =
    [&[0, 1], &[2, 3], &[0, 1, 2, 3, 4, 5], &[0, 2, 4, 5]];

/// The group with changing members (the first one is its owner), and the users that the host
/// application adds and removes.
pub(crate) const CHANGING: usize = 3;
pub(crate) const COMING_AND_GOING: [usize; 3] = [0, 1, 5];

#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) users: Vec<UserId>,
    pub(crate) conversations: Vec<ConversationId>,
    pub(crate) buckets: usize,
    pub(crate) rules: Rules,
    indexes: BTreeMap<UserId, usize>,
    bucket: Vec<usize>,
}

impl Names {
    pub(crate) fn new() -> Self {
        let count = CLIENTS.iter().max().map_or(0, |last| last + 1);
        let users: Vec<_> = (0..count)
            .map(|user| UserId::trusted(format!("u{user}")))
            .collect();
        Self {
            bucket: users.iter().map(|user| bucket_of(user, BUCKETS)).collect(),
            indexes: users
                .iter()
                .cloned()
                .enumerate()
                .map(|(n, id)| (id, n))
                .collect(),
            users,
            conversations: (0..CONVERSATIONS.len())
                .map(|conversation| ConversationId::trusted(format!("c{conversation}")))
                .collect(),
            buckets: BUCKETS,
            rules: Rules {
                update_every: Duration::from_secs(1),
                ..Rules::default()
            },
        }
    }

    pub(crate) fn bucket(&self, user: usize) -> usize {
        self.bucket[user]
    }

    pub(crate) fn user(&self, id: &UserId) -> usize {
        self.indexes.get(id).copied().unwrap_or(0)
    }

    /// A state without fields that the simulation does not check.
    pub(crate) fn shown(&self, presence: &Presence) -> Shown {
        let user = self.user(&presence.profile.id);
        (user, presence.version, Some(presence.status))
    }

    pub(crate) fn change(&self, change: &Change) -> Shown {
        match change {
            Change::Online(presence) | Change::Updated(presence) => self.shown(presence),
            Change::Offline(offline) => (self.user(&offline.user), offline.version, None),
        }
    }

    pub(crate) fn session(session: u64) -> ConnectionId {
        ConnectionId::trusted(format!("s{session}"))
    }
}
