//! Limits count for all nodes together, over a real Redis.

use lamplight_conformance::servers::{RedisConfig, RedisServer, unique_prefix};
use lamplight_distributed::limits::RedisLimits;
use lamplight_distributed::redis::{RedisClient, RedisOptions};
use lamplight_usecases::ports::{SharedLimits, SharedRule};
use std::net::IpAddr;
use std::time::Duration;

const SENDS: SharedRule = SharedRule {
    name: "sends",
    count: 20,
    per: Duration::from_secs(1),
};
const LOGINS: SharedRule = SharedRule {
    name: "accounts",
    count: 10,
    per: Duration::from_secs(60),
};

async fn node(server: &RedisServer, prefix: &str, id: &str) -> RedisLimits {
    let options = RedisOptions::parse(&server.url()).expect("a URL");
    let options = options.with_prefix(prefix).expect("a prefix");
    let redis = RedisClient::start(options);
    redis
        .connected(Duration::from_secs(10))
        .await
        .expect("a connection");
    RedisLimits::new(redis, id)
}

async fn two_nodes() -> (RedisLimits, RedisLimits) {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    (
        node(server, &prefix, "a").await,
        node(server, &prefix, "b").await,
    )
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[tokio::test]
async fn uses_on_two_nodes_add_up() {
    let (a, b) = two_nodes().await;
    a.add(LOGINS, "asha", 7);
    a.report().await;
    assert_eq!(a.wait(LOGINS, "asha"), None, "7 of 10");
    b.add(LOGINS, "asha", 6);
    b.add(LOGINS, "ben", 1);
    b.report().await;
    let wait = b.wait(LOGINS, "asha").expect("13 of 10");
    // Each takes 6 s; a burst of 10 and one second are free.
    let expected = Duration::from_secs((13 + 1) * 6 - 60 - 1);
    assert!(
        wait <= expected && wait + Duration::from_secs(5) > expected,
        "{wait:?} instead of {expected:?}"
    );
    assert_eq!(b.wait(LOGINS, "ben"), None, "another key");
    assert_eq!(b.wait(SENDS, "asha"), None, "another limit");
    // The first node sees it with its next use.
    assert_eq!(a.wait(LOGINS, "asha"), None);
    a.add(LOGINS, "asha", 1);
    a.report().await;
    assert!(a.wait(LOGINS, "asha").is_some());
}

#[tokio::test]
async fn no_user_waits_longer_than_one_period() {
    let (a, _) = two_nodes().await;
    a.add(SENDS, "asha", 1_000_000);
    a.report().await;
    let wait = a.wait(SENDS, "asha").expect("a wait");
    assert!(wait <= SENDS.per + Duration::from_millis(50), "{wait:?}");
    tokio::time::sleep(wait).await;
    assert_eq!(a.wait(SENDS, "asha"), None);
}

#[tokio::test]
async fn a_user_who_uses_one_node_as_much_as_the_limit_allows_never_waits() {
    let (a, b) = two_nodes().await;
    for _ in 0..4 {
        // Half a second's allowance, and a whole burst at first.
        a.add(SENDS, "asha", 10);
        a.report().await;
        b.report().await;
        assert_eq!(a.wait(SENDS, "asha"), None);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn connections_of_an_address_are_known_to_other_nodes() {
    let (a, b) = two_nodes().await;
    let (one, two) = (address("192.0.2.1"), address("2001:db8::"));
    a.set_connections(one, 120);
    a.set_connections(two, 30);
    a.report().await;
    b.set_connections(one, 50);
    b.report().await;
    assert_eq!(b.connections_elsewhere(one), 120);
    assert_eq!(b.connections_elsewhere(two), 0, "it has none here");
    assert_eq!(a.connections_elsewhere(one), 0, "not reported yet");
    a.set_connections(one, 121);
    a.report().await;
    assert_eq!(a.connections_elsewhere(one), 50);
    b.set_connections(one, 0);
    b.report().await;
    a.set_connections(one, 120);
    a.report().await;
    assert_eq!(a.connections_elsewhere(one), 0);
}

#[tokio::test]
async fn limits_work_locally_while_redis_is_away_and_are_shared_again_afterwards() {
    let server = RedisServer::start(RedisConfig::default());
    let prefix = unique_prefix();
    let (a, b) = (
        node(&server, &prefix, "a").await,
        node(&server, &prefix, "b").await,
    );
    a.set_connections(address("192.0.2.1"), 60);
    a.report().await;
    server.kill();
    a.add(LOGINS, "asha", 20);
    tokio::time::timeout(Duration::from_secs(60), a.report())
        .await
        .expect("a report that gives up");
    assert_eq!(a.wait(LOGINS, "asha"), None);
    a.set_connections(address("192.0.2.1"), 61);
    a.report().await;
    server.restart_empty();
    for limits in [&a, &b] {
        loop {
            limits.add(LOGINS, "ben", 8);
            limits.report().await;
            if limits.wait(LOGINS, "ben").is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // Unreported counts are reported again.
    b.set_connections(address("192.0.2.1"), 1);
    b.report().await;
    assert_eq!(b.connections_elsewhere(address("192.0.2.1")), 61);
}

/// A report waits once for a Redis that hangs, and not once for each bucket of keys.
#[tokio::test]
async fn a_redis_that_hangs_delays_a_report_by_one_deadline() {
    const DEADLINE: Duration = Duration::from_secs(1);
    let server = RedisServer::start(RedisConfig::default());
    let options = RedisOptions::parse(&server.url()).expect("a URL");
    let prefix = unique_prefix();
    let options = options.with_prefix(&prefix).expect("a prefix");
    let redis = RedisClient::start(options.with_deadlines(DEADLINE, DEADLINE * 10));
    let connected = redis.connected(Duration::from_secs(20)).await;
    connected.expect("a connection");
    let limits = RedisLimits::new(redis, "a");
    for user in 0..1_000 {
        limits.add(SENDS, &format!("user-{user}"), 1);
        limits.set_connections(address(&format!("192.0.{}.{}", user / 250, user % 250)), 1);
    }
    server.pause();
    let report = tokio::time::timeout(DEADLINE * 8, limits.report()).await;
    server.resume();
    report.expect("one deadline, of the 32 that the buckets would need");
    // Counts are reported again.
    let other = node(&server, &prefix, "b").await;
    other.set_connections(address("192.0.3.7"), 1);
    while other.connections_elsewhere(address("192.0.3.7")) == 0 {
        limits.report().await;
        other.set_connections(address("192.0.3.7"), 1);
        other.report().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
