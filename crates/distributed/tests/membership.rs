//! Which nodes may share a store and a prefix, on a real Redis and a real PostgreSQL.

mod support;

use lamplight_conformance::servers::{PostgresServer, RedisConfig, RedisServer, unique_prefix};
use lamplight_distributed::membership::{JoinError, Membership, MembershipOptions, Misuse};
use lamplight_distributed::postgres::PostgresStore;
use lamplight_distributed::redis::{RedisClient, RedisOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

async fn store(url: &str) -> Arc<PostgresStore> {
    support::open(url).await.expect("a store").0
}

async fn redis(server: &RedisServer, prefix: &str) -> RedisClient {
    let options = RedisOptions::parse(&server.url()).expect("a URL");
    RedisClient::start(options.with_prefix(prefix).expect("a prefix"))
}

fn sqlite(store_id: &str, redis: RedisClient) -> MembershipOptions {
    MembershipOptions {
        node_id: "node".into(),
        store_id: store_id.into(),
        redis: Some(redis),
        postgres: None,
    }
}

/// A node of a PostgreSQL store; renewed for as long as it is held.
struct Node {
    membership: Arc<Membership>,
    running: JoinHandle<Misuse>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn join(
    name: &str,
    store: &Arc<PostgresStore>,
    redis: Option<RedisClient>,
) -> Result<Node, JoinError> {
    let membership = Arc::new(
        Membership::join(MembershipOptions {
            node_id: name.into(),
            store_id: store.store_id().to_owned(),
            redis,
            postgres: Some(Arc::clone(store)),
        })
        .await?,
    );
    let run = Arc::clone(&membership);
    Ok(Node {
        membership,
        running: tokio::spawn(async move { run.run().await }),
    })
}

fn refusal(joined: Result<Node, JoinError>) -> Misuse {
    match joined {
        Ok(_) => panic!("it joined"),
        Err(JoinError::Misuse(misuse)) => misuse,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn c17_a_prefix_belongs_to_the_store_that_used_it_first() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    Membership::join(sqlite("first", redis(server, &prefix).await))
        .await
        .unwrap();
    // The same store returns.
    Membership::join(sqlite("first", redis(server, &prefix).await))
        .await
        .unwrap();
    let other = Membership::join(sqlite("second", redis(server, &prefix).await)).await;
    let error = other.err().expect("refused").to_string();
    assert!(
        error.contains("LL-123") && error.contains("first") && error.contains("REDIS_PREFIX"),
        "{error}"
    );
}

#[tokio::test]
async fn c17_a_node_that_started_without_redis_stops_if_the_prefix_is_in_use() {
    let (server, prefix) = (RedisServer::start(RedisConfig::default()), unique_prefix());
    let first = redis(&server, &prefix).await;
    Membership::join(sqlite("first", first)).await.unwrap();
    server.save();
    server.kill();
    let late = Membership::join(sqlite("second", redis(&server, &prefix).await))
        .await
        .expect("it starts degraded");
    server.restart();
    let misuse = timeout(PATIENCE, late.run()).await.expect("it stops");
    assert!(
        matches!(misuse, Misuse::PrefixOfAnotherStore { .. }),
        "{misuse}"
    );
}

#[tokio::test]
async fn a_binding_lost_by_redis_is_restored() {
    let (server, prefix) = (RedisServer::start(RedisConfig::default()), unique_prefix());
    let node = Arc::new(
        Membership::join(sqlite("first", redis(&server, &prefix).await))
            .await
            .unwrap(),
    );
    let run = Arc::clone(&node);
    let running = tokio::spawn(async move { run.run().await });
    server.restart_empty();
    let other = redis(&server, &prefix).await;
    let key = format!("{prefix}:store");
    timeout(PATIENCE, async {
        loop {
            let value: Option<String> = other
                .query(redis::cmd("GET").arg(&key))
                .await
                .unwrap_or_default();
            if value.is_some_and(|value| value.starts_with("first ")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("bound again");
    running.abort();
}

#[tokio::test]
async fn nodes_of_one_database_need_the_same_redis() {
    let url = PostgresServer::shared().fresh_database();
    let store = store(&url).await;
    let server = RedisServer::shared();
    let (prefix, wrong) = (unique_prefix(), unique_prefix());
    let _first = join("a", &store, Some(redis(server, &prefix).await))
        .await
        .unwrap();
    let _second = join("b", &store, Some(redis(server, &prefix).await))
        .await
        .unwrap();
    let alone = refusal(join("c", &store, None).await);
    assert!(matches!(alone, Misuse::NeedsRedis { .. }), "{alone}");
    let apart = refusal(join("c", &store, Some(redis(server, &wrong).await)).await);
    assert!(matches!(apart, Misuse::OtherRedis { .. }), "{apart}");
    // What was bound by mistake is free again.
    let free = redis(server, &wrong).await;
    free.connected(PATIENCE).await.unwrap();
    let key = format!("{wrong}:store");
    let value: Option<String> = free.query(redis::cmd("GET").arg(&key)).await.unwrap();
    assert_eq!(value, None);
    let same = refusal(join("a", &store, Some(redis(server, &prefix).await)).await);
    assert_eq!(same, Misuse::SameId("a".into()));
}

#[tokio::test]
async fn a_second_node_without_redis_does_not_start_until_the_first_is_gone() {
    let url = PostgresServer::shared().fresh_database();
    let store = store(&url).await;
    let first = join("a", &store, None).await.unwrap();
    let second = refusal(join("b", &store, None).await);
    assert_eq!(second, Misuse::NeedsRedis { other: "a".into() });
    assert!(second.to_string().contains("LL-124"), "{second}");
    // After a stop, at once.
    first.running.abort();
    first.membership.leave().await;
    let second = join("b", &store, None).await.unwrap();
    // After a crash, once its row was not renewed for a few seconds; under its own name too.
    drop(second);
    let again = timeout(PATIENCE, join("b", &store, None)).await;
    again.expect("in time").unwrap();
}

#[tokio::test]
async fn c5_a_stalled_node_stops_if_another_took_its_name() {
    let url = PostgresServer::shared().fresh_database();
    let store = store(&url).await;
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let first = join("a", &store, Some(redis(server, &prefix).await))
        .await
        .unwrap();
    // It stands still.
    first.running.abort();
    let _second = join("a", &store, Some(redis(server, &prefix).await))
        .await
        .unwrap();
    let misuse = timeout(PATIENCE, first.membership.run()).await.unwrap();
    assert_eq!(misuse, Misuse::Replaced("a".into()));
}

#[tokio::test]
async fn nodes_keep_their_binding_after_redis_was_emptied() {
    let url = PostgresServer::shared().fresh_database();
    let store = store(&url).await;
    let (server, prefix) = (RedisServer::start(RedisConfig::default()), unique_prefix());
    let first = join("a", &store, Some(redis(&server, &prefix).await))
        .await
        .unwrap();
    server.cli(&["FLUSHALL"]);
    // It may be the first to bind the prefix again, under another id.
    let second = join("b", &store, Some(redis(&server, &prefix).await))
        .await
        .unwrap();
    assert!(!first.running.is_finished() && !second.running.is_finished());
}

#[tokio::test]
async fn presence_versions_are_stored_in_the_database() {
    let url = PostgresServer::shared().fresh_database();
    let first = store(&url).await;
    assert_eq!(first.presence_version().await.unwrap(), 0);
    first.keep_presence_version(41 << 40).await.unwrap();
    assert_eq!(
        store(&url).await.presence_version().await.unwrap(),
        41 << 40
    );
}

#[tokio::test]
async fn of_nodes_that_start_together_without_redis_one_runs() {
    let url = PostgresServer::shared().fresh_database();
    let store = store(&url).await;
    let names = ["a", "b", "c", "d", "e", "f"];
    let joins = names.map(|name| join(name, &store, None));
    let joined = futures_util::future::join_all(joins).await;
    let started = joined.iter().filter(|node| node.is_ok()).count();
    assert_eq!(started, 1);
}

#[tokio::test]
async fn c5_the_others_learn_that_a_node_ended_however_it_did() {
    let url = PostgresServer::shared().fresh_database();
    let store = store(&url).await;
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let join = async |name| join(name, &store, Some(redis(server, &prefix).await)).await;
    let watcher = join("a").await.unwrap();
    let mut ends = watcher.membership.ends();
    let mut ended = async || {
        timeout(PATIENCE, ends.changed())
            .await
            .expect("in time")
            .unwrap();
    };
    // Only a node that the watcher has seen can be found to have ended.
    let sees = async |others| {
        let so = async {
            while watcher.membership.others() != others {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, so).await.expect("in time");
    };

    // It stops.
    let node = join("b").await.unwrap();
    sees(1).await;
    node.running.abort();
    node.membership.leave().await;
    ended().await;

    // It is started again, which is noticed before its lease lapses.
    let node = join("b").await.unwrap();
    sees(1).await;
    node.running.abort();
    let again = join("b").await.unwrap();
    ended().await;

    // It dies.
    let _stays = join("c").await.unwrap();
    sees(2).await;
    again.running.abort();
    ended().await;
    let rest = timeout(Duration::from_secs(3), ends.changed()).await;
    assert!(rest.is_err(), "nodes that are there have not ended");
}
