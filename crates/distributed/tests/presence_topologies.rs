//! Presence on Redis Cluster, with a password, with TLS, through Sentinel's failover.

mod presence_support;

use lamplight_conformance::servers::{
    RedisConfig, RedisServer, start_cluster, start_sentinel, unique_prefix,
};
use lamplight_distributed::redis::{RedisClient, RedisOptions};
use lamplight_usecases::ports::PresenceStore as _;
use presence_support::{RULES, TestNode, client_at, eventually};
use std::time::Duration;

/// Two nodes live through what nodes live through.
async fn live(start: impl Fn() -> RedisClient) {
    let a = TestNode::start(start(), "a", RULES);
    let b = TestNode::start(start(), "b", RULES);
    a.wait_until_whole().await;
    b.wait_until_whole().await;
    for n in 0..100 {
        let node = if n % 2 == 0 { &a } else { &b };
        node.join(&format!("u{n}"), &format!("t{n}")).await;
    }
    for node in [&a, &b] {
        eventually("everyone is shown", || node.feed.count() == 100).await;
    }
    a.close("t0").await;
    eventually("a leave", || b.feed.count() == 99).await;
    a.stand_still();
    eventually("the dead node is swept", || b.feed.count() == 50).await;
    a.go_on();
    eventually("and comes back", || b.feed.count() == 99).await;
    a.presence.release_lease().await.expect("released");
    for node in [&a, &b] {
        node.check_versions();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c20_presence_on_redis_cluster_is_spread_over_its_nodes() {
    let servers = start_cluster(3);
    let url = format!("redis+cluster://127.0.0.1:{}", servers[0].port());
    live(|| client_at(&url, "clustered")).await;
    // Small keys on every node, none with all users.
    for server in &servers {
        let keys = server.cli(&["--scan", "--pattern", "clustered:*:meta"]);
        assert!(keys.lines().count() >= 10, "{keys}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_with_a_password_and_tls() {
    let server = RedisServer::start(RedisConfig {
        password: Some("secret word".to_owned()),
        tls: true,
        ..RedisConfig::default()
    });
    let url = format!("rediss://:secret%20word@localhost:{}", server.port());
    live(|| {
        let options = RedisOptions::parse(&url).expect("an address");
        let options = options.with_certificate_authority(server.certificate_authority());
        RedisClient::start(options)
    })
    .await;
}

/// A user may be limited to the prefix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_works_for_a_redis_user_limited_to_the_prefix() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let (keys, channels) = (format!("~{prefix}:*"), format!("&{prefix}:*"));
    let rules = [
        "ACL",
        "SETUSER",
        &prefix,
        "reset",
        "on",
        ">word",
        &keys,
        &channels,
        "+@all",
        "-@admin",
        "-@dangerous",
        "+info",
    ];
    assert_eq!(server.cli(&rules), "OK");
    let url = format!("redis://{prefix}:word@127.0.0.1:{}", server.port());
    live(|| client_at(&url, &prefix)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c4_presence_follows_a_failover_by_sentinel() {
    let master = RedisServer::start(RedisConfig::default());
    let replica = RedisServer::start(RedisConfig {
        replica_of: Some(master.port()),
        ..RedisConfig::default()
    });
    let sentinel = start_sentinel("lamplight", &master);
    eventually("the replica is known", || {
        let replicas = sentinel.cli(&["SENTINEL", "REPLICAS", "lamplight"]);
        replicas.contains(&replica.port().to_string())
            && replica
                .cli(&["INFO", "replication"])
                .contains("master_link_status:up")
    })
    .await;
    let url = format!("redis+sentinel://127.0.0.1:{}/lamplight", sentinel.port());
    let a = TestNode::start(client_at(&url, "failover"), "a", RULES);
    let b = TestNode::start(client_at(&url, "failover"), "b", RULES);
    a.wait_until_whole().await;
    b.wait_until_whole().await;
    for n in 0..50 {
        a.join(&format!("u{n}"), &format!("t{n}")).await;
    }
    eventually("everyone is shown", || b.feed.count() == 50).await;
    master.kill();
    eventually("the nodes notice", || a.presence.is_degraded()).await;
    a.join("comes", "c1").await;
    a.close("t0").await;
    for node in [&a, &b] {
        eventually("the failover is over", || {
            !node.presence.is_degraded() && node.feed.count() == 50
        })
        .await;
    }
    tokio::time::sleep(RULES.lease + Duration::from_secs(1)).await;
    for node in [&a, &b] {
        for n in 1..50 {
            assert_eq!(node.log(&format!("u{n}")), ["online"]);
        }
        assert_eq!(node.log("u0"), ["online", "offline"]);
        assert_eq!(node.log("comes"), ["online"]);
    }
}
