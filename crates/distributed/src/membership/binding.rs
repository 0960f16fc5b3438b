//! The key `<prefix>:store`: `<store id> <instance>`. The store's id identifies the owner of the prefix. The
//! instance is a random id of this Redis and this prefix, by which nodes find out whether they share
//! both.

use crate::redis::{RedisClient, RedisError, RedisResult, RedisScript};
use std::sync::LazyLock;

pub(super) enum Bound {
    Ours { instance: String, is_new: bool },
    Other { store: String },
}

/// Binds the prefix to this store unless it is bound. `instance` is proposed if a binding was lost;
/// an empty one stands for a new one.
pub(super) async fn bind(
    redis: &RedisClient,
    store_id: &str,
    instance: &str,
) -> RedisResult<Bound> {
    let proposed = if instance.is_empty() {
        random_hex()
    } else {
        instance.to_owned()
    };
    let mut set = ::redis::cmd("SET");
    set.arg(key(redis))
        .arg(format!("{store_id} {proposed}"))
        .arg("NX")
        .arg("GET");
    let before: Option<String> = redis.query(&set).await?;
    let Some(before) = before else {
        return Ok(Bound::Ours {
            instance: proposed,
            is_new: true,
        });
    };
    match before.split_once(' ') {
        Some((store, instance)) if store == store_id => Ok(Bound::Ours {
            instance: instance.to_owned(),
            is_new: false,
        }),
        Some((store, _)) => Ok(Bound::Other {
            store: store.to_owned(),
        }),
        None => Err(RedisError::Unexpected(format!(
            "{} is not a binding of Lamplight",
            key(redis)
        ))),
    }
}

/// Removes a binding that was made a moment ago, if it is still the same.
pub(super) async fn unbind(redis: &RedisClient, store_id: &str, instance: &str) {
    static UNBIND: LazyLock<RedisScript> = LazyLock::new(|| {
        RedisScript::new(
            "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0",
        )
    });
    let call = UNBIND
        .call()
        .key(key(redis))
        .arg(format!("{store_id} {instance}"));
    if let Err(error) = redis.run::<i64>(&call).await {
        tracing::debug!(%error, "the binding of the prefix was not removed");
    }
}

fn key(redis: &RedisClient) -> String {
    format!("{}:store", redis.options().prefix())
}

fn random_hex() -> String {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the system has random numbers");
    format!("{:016x}", u64::from_le_bytes(random))
}
