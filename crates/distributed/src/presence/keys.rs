//! The names of the keys. All keys of a bucket share a hash tag, so they are in one hash slot.

use lamplight_domain::identity::UserId;
use lamplight_domain::presence::bucket_of;
use std::sync::Arc;

/// The number of buckets that users fall into. Nodes that share a store must agree on it.
pub(super) const BUCKETS: usize = 64;

#[derive(Debug)]
pub(super) struct BucketKeys {
    /// Epoch, counters and clock.
    pub(super) meta: String,
    /// User -> record.
    pub(super) users: String,
    /// User -> when the next tick is due, on the bucket's clock.
    pub(super) timers: String,
    /// Node -> the incarnation that may write.
    pub(super) nodes: String,
    sessions: String,
}

impl BucketKeys {
    /// The users with sessions of an incarnation.
    pub(super) fn users_of(&self, incarnation: u64) -> String {
        format!("{}{incarnation}", self.sessions)
    }
}

#[derive(Debug)]
pub(super) struct Keys {
    buckets: Vec<BucketKeys>,
    /// Node -> lease.
    pub(super) held_leases: String,
    /// Leases that ended and whose users are not all closed yet.
    pub(super) ended_leases: String,
    pub(super) leases_meta: String,
    /// The channel of all changes.
    pub(super) channel: Arc<str>,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let buckets = (0..BUCKETS).map(|bucket| {
            let key = |name: &str| format!("{prefix}:{{{prefix}:p{bucket}}}:{name}");
            BucketKeys {
                meta: key("meta"),
                users: key("users"),
                timers: key("timers"),
                nodes: key("nodes"),
                sessions: key("of:"),
            }
        });
        let lease = |name: &str| format!("{prefix}:{{{prefix}:leases}}:{name}");
        Self {
            buckets: buckets.collect(),
            held_leases: lease("held"),
            ended_leases: lease("ended"),
            leases_meta: lease("meta"),
            channel: format!("{prefix}:presence").into(),
        }
    }

    pub(super) fn bucket(&self, bucket: usize) -> &BucketKeys {
        &self.buckets[bucket]
    }
}

pub(super) fn bucket(user: &UserId) -> usize {
    bucket_of(user, BUCKETS)
}
