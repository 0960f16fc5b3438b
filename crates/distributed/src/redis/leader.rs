//! Chooses one node of the cluster for a task, by a key that expires.

use super::client::RedisClient;
use super::error::RedisResult;
use super::script::RedisScript;
use std::time::Duration;

/// How long the key lives without being renewed, and so how long a task can be without a node.
const LEASE: Duration = Duration::from_secs(3);
/// How often it is renewed.
pub(crate) const RENEW: Duration = Duration::from_secs(1);

/// A candidate. Two nodes can take themselves for the leader for a moment, so the task has to allow
/// it.
pub(crate) struct Leader {
    client: RedisClient,
    key: String,
    id: String,
    /// Extends the lease of the holder, or takes a free one.
    hold: RedisScript,
    release: RedisScript,
}

impl Leader {
    /// `id` is unique among the candidates.
    pub(crate) fn new(client: RedisClient, key: String, id: String) -> Self {
        Self {
            client,
            key,
            id,
            hold: RedisScript::new(
                "local holder = redis.call('GET', KEYS[1])
                if holder and holder ~= ARGV[1] then return 0 end
                redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
                return 1",
            ),
            release: RedisScript::new(
                "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
                return 0",
            ),
        }
    }

    /// Takes or renews the lease. `false` if another node has it.
    pub(crate) async fn hold(&self) -> RedisResult<bool> {
        let call = self.hold.call().key(&self.key).arg(&self.id);
        let millis = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        let held: i64 = self.client.run(&call.arg(millis)).await?;
        Ok(held == 1)
    }

    /// Lets another node take over at once.
    pub(crate) async fn release(&self) -> RedisResult<()> {
        let call = self.release.call().key(&self.key).arg(&self.id);
        self.client.run::<i64>(&call).await.map(drop)
    }
}
