//! Serializes the writes of one user.

use crate::deadline::{self, STORE_DEADLINE};
use crate::refusal::Refusal;
use lamplight_domain::identity::UserId;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use tokio::sync::Mutex;

/// Shards of the per-user lock. There are more than one commit takes writes, so that in a storm of
/// joins commits are full although the writes of each shard wait for each other.
const USER_LOCK_SHARDS: usize = 1024;

/// A lock for each user, in shards.
pub(crate) struct UserLocks(Box<[Mutex<()>]>);

impl UserLocks {
    pub(crate) fn new() -> Self {
        Self((0..USER_LOCK_SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Runs work that reads or writes the store and then changes the roster, one device of the user
    /// after the other, so that the store and the roster end the same. The wait for the lock and
    /// the work share [`STORE_DEADLINE`], so that a caller behind a stalled store is answered as
    /// soon as the caller that holds the lock. The work must not take the lock again.
    pub(crate) async fn with<T>(
        &self,
        user: &UserId,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        let shard = usize::try_from(hasher.finish() % USER_LOCK_SHARDS as u64).unwrap_or(0);
        let locked = async {
            let _lock = self.0[shard].lock().await;
            work.await
        };
        tokio::time::timeout(STORE_DEADLINE, locked)
            .await
            .unwrap_or_else(|_| Err(deadline::missed()))
    }
}
