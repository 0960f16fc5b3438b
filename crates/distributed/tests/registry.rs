//! Nodes find each other in a real Redis.

use lamplight_conformance::servers::{RedisConfig, RedisServer, unique_prefix};
use lamplight_distributed::redis::{RedisClient, RedisOptions};
use lamplight_distributed::registry::{NodeRegistry, local_address};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(15);

async fn client(server: &RedisServer, prefix: &str) -> RedisClient {
    let options = RedisOptions::parse(&server.url()).expect("a URL");
    let redis = RedisClient::start(options.with_prefix(prefix).expect("a prefix"));
    redis.connected(PATIENCE).await.expect("a connection");
    redis
}

async fn node(server: &RedisServer, prefix: &str, id: &str) -> Arc<NodeRegistry> {
    let registry = NodeRegistry::new(client(server, prefix).await, id, "1.2.3");
    registry
        .announce(&format!("{id}.example:3000"))
        .await
        .expect("an answer");
    Arc::new(registry)
}

fn run(node: &Arc<NodeRegistry>) {
    let node = Arc::clone(node);
    tokio::spawn(async move { node.run().await });
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

#[tokio::test]
async fn a_node_is_found_as_soon_as_it_is_announced() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let a = node(server, &prefix, "a").await;
    let b = node(server, &prefix, "b").await;
    assert_ne!(a.tag(), b.tag());
    assert_eq!(b.find(a.tag()).await.as_deref(), Some("a.example:3000"));
    // Node a has not read since node b came.
    assert_eq!(a.find(b.tag()).await.as_deref(), Some("b.example:3000"));
    let mut ids: Vec<_> = a.nodes().into_iter().map(|node| node.id).collect();
    ids.sort();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(a.secret(), b.secret());
    assert!(a.secret().expect("a secret").len() >= 40);
    // Another application on the same server.
    let other = node(server, &unique_prefix(), "c").await;
    assert_eq!(other.find(a.tag()).await, None);
    assert_ne!(other.secret(), a.secret());
}

#[tokio::test]
async fn unknown_tags_share_one_read() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let a = node(server, &prefix, "a").await;
    let began = Instant::now();
    let asked = (0..500).map(|number| {
        let a = Arc::clone(&a);
        async move { a.find(&format!("tag{number}")).await }
    });
    for found in futures_util::future::join_all(asked).await {
        assert_eq!(found, None);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{began:?}");
}

#[tokio::test]
async fn c2_each_node_detects_nodes_that_left_or_died() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let a = node(server, &prefix, "a").await;
    let b = node(server, &prefix, "b").await;
    let c = node(server, &prefix, "c").await;
    run(&a);
    run(&b);
    assert!(a.find(b.tag()).await.is_some() && a.find(c.tag()).await.is_some());
    // Node c is silent from the start; node b continues.
    until("node c has expired", || a.nodes().len() == 2).await;
    assert_eq!(a.find(c.tag()).await, None);
    assert!(a.find(b.tag()).await.is_some());
    a.leave().await.expect("an answer");
    let d = node(server, &prefix, "d").await;
    assert_eq!(d.find(a.tag()).await, None);
}

#[tokio::test]
async fn c17_known_nodes_stay_known_while_redis_is_away_and_after_data_loss() {
    let server = RedisServer::start(RedisConfig::default());
    let a = node(&server, "lamplight", "a").await;
    let b = node(&server, "lamplight", "b").await;
    run(&a);
    run(&b);
    assert!(a.find(b.tag()).await.is_some() && b.find(a.tag()).await.is_some());
    let secret = a.secret().expect("a secret");
    server.kill();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(a.find(b.tag()).await.is_some() && b.find(a.tag()).await.is_some());
    // An unknown tag is answered in bounded time.
    let began = Instant::now();
    assert_eq!(a.find("unknown").await, None);
    assert!(began.elapsed() < Duration::from_secs(2));
    // It returns empty.
    server.restart_empty();
    let redis = client(&server, "lamplight").await;
    let listed = async || {
        let mut command = redis::cmd("HLEN");
        command.arg("lamplight:{lamplight:nodes}:list");
        redis.query::<usize>(&command).await.unwrap_or(0)
    };
    let deadline = Instant::now() + PATIENCE;
    while listed().await < 2 {
        assert!(Instant::now() < deadline, "the nodes never came back");
        assert!(a.find(b.tag()).await.is_some() && b.find(a.tag()).await.is_some());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The nodes keep their secret, and one that comes now gets the same.
    let c = node(&server, "lamplight", "c").await;
    assert_eq!(c.secret(), Some(secret.clone()));
    assert!(a.any_secret(|known| *known == secret));
}

#[tokio::test]
async fn entries_of_other_versions_are_ignored() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let a = node(server, &prefix, "a").await;
    let redis = client(server, &prefix).await;
    for (tag, entry) in [
        (
            "later",
            "{\"v\":9,\"id\":\"x\",\"address\":\"x:1\",\"version\":\"9\",\"zone\":{}}",
        ),
        ("other", "{\"id\":\"y\"}"),
        ("broken", "?"),
    ] {
        let mut command = redis::cmd("HSET");
        command
            .arg(format!("{prefix}:{{{prefix}:nodes}}:list"))
            .arg(tag)
            .arg(format!("99999999999999 {entry}"));
        redis.query::<i64>(&command).await.expect("an answer");
    }
    assert_eq!(a.find("later").await.as_deref(), Some("x:1"));
    assert_eq!(a.find("other").await, None);
    assert_eq!(a.find("broken").await, None);
}

#[tokio::test]
async fn the_address_towards_redis_is_loopback_on_one_machine() {
    let redis = client(RedisServer::shared(), &unique_prefix()).await;
    assert!(local_address(&redis).await.is_loopback());
}
