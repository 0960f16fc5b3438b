//! A check of Redis for the doctor. The keys that it writes expire after a few seconds.

use super::client::{RedisClient, RedisStatus};
use super::error::RedisResult;
use super::options::RedisOptions;
use super::script::RedisScript;
use lamplight_domain::time::Timestamp;
use redis::cmd;
use std::time::Duration;
use tokio::time::Instant;

/// Redis' properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisReport {
    /// The address, without user and password.
    pub address: String,
    /// Of Valkey, the version of Redis that it is compatible with.
    pub version: String,
    /// The server's clock.
    pub clock: Timestamp,
    /// Of a command and its answer.
    pub round_trip: Duration,
    /// Bytes used, and the limit, 0 for none.
    pub memory: (u64, u64),
    /// The eviction policy, such as `noeviction`.
    pub eviction: String,
    /// The store that the prefix belongs to, if a node has started with it.
    pub bound_to: Option<String>,
}

/// Writes and runs a script as nodes do, and reads the report. `binding` is the key that names the
/// store of the prefix.
///
/// # Errors
/// When there is no connection in time, or the user may not do what nodes do.
pub async fn probe(
    options: RedisOptions,
    binding: &str,
    patience: Duration,
) -> RedisResult<RedisReport> {
    let prefix = options.prefix().to_owned();
    let address = options.to_string();
    let redis = RedisClient::start(options);
    redis.connected(patience).await?;
    let script = RedisScript::new(
        "redis.call('SET', KEYS[1], ARGV[1], 'PX', 5000); local time = redis.call('TIME'); \
         redis.call('PUBLISH', ARGV[2], ARGV[1]); return time[1] * 1000 + math.floor(time[2] / 1000)",
    );
    let call = script
        .call()
        .key(format!("{prefix}:doctor"))
        .arg("1")
        .arg(format!("{prefix}:doctor"));
    redis.run::<i64>(&call).await?;
    let began = Instant::now();
    let clock = redis.run(&call).await?;
    let round_trip = began.elapsed();
    let bound_to = redis.query(cmd("GET").arg(binding)).await?;
    // A managed Redis may hide this.
    let info: String = redis
        .query(cmd("INFO").arg("memory"))
        .await
        .unwrap_or_default();
    let field = |name: &str| {
        let mut lines = info.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().trim().to_owned()
    };
    let bytes = |name: &str| field(name).parse().unwrap_or(0);
    let version = match redis.status() {
        RedisStatus::Up { version, .. } => version,
        RedisStatus::Down { reason, .. } => return Err(reason),
    };
    Ok(RedisReport {
        address,
        version,
        clock: Timestamp(clock),
        round_trip,
        memory: (bytes("used_memory"), bytes("maxmemory")),
        eviction: field("maxmemory_policy"),
        bound_to,
    })
}
