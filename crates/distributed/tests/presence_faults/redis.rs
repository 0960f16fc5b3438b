//! Redis stops and returns, empty or not, or refuses writes.

use crate::HEALED;
use crate::presence_support::{RULES, TestNode, client, eventually, person, tab, user};
use lamplight_conformance::servers::{RedisConfig, RedisServer};
use lamplight_domain::presence::{ManualStatus, SavedStatus, Status, StatusOverride};
use lamplight_usecases::ports::PresenceStore as _;
use std::time::Duration;
use tokio::time::Instant;

/// Two nodes with users who stay, leave and join during a fault of Redis.
struct Outage {
    server: RedisServer,
    nodes: [TestNode; 2],
}

impl Outage {
    async fn new(config: RedisConfig) -> Self {
        let server = RedisServer::start(config);
        let a = TestNode::up(&server, "outage", "a").await;
        let b = TestNode::up(&server, "outage", "b").await;
        for n in 0..40 {
            a.join(&format!("a-stays{n}"), &format!("as{n}")).await;
            b.join(&format!("b-stays{n}"), &format!("bs{n}")).await;
        }
        a.join("leaves", "l1").await;
        b.join("moves", "m1").await;
        // On both.
        a.join("both", "ab").await;
        b.join("both", "bb").await;
        let outage = Self {
            server,
            nodes: [a, b],
        };
        outage.wait_for(83).await;
        outage
    }

    async fn wait_for(&self, count: usize) {
        for node in &self.nodes {
            eventually("all are shown", || node.feed.count() == count).await;
        }
    }

    /// What happens to users while Redis is away.
    async fn change_users(&self) {
        let [a, b] = &self.nodes;
        let began = Instant::now();
        a.close("l1").await;
        b.close("m1").await;
        a.join("moves", "m2").await;
        a.close("ab").await;
        b.join("comes", "c1").await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(9), "{took:?}");
        assert!(b.shown().await.contains(&"comes".to_owned()));
    }

    async fn wait_until_degraded(&self) {
        for node in &self.nodes {
            eventually("the node notices", || node.presence.is_degraded()).await;
        }
    }

    /// All nodes agree within two lease renewals and a little more, and no user who stayed was shown
    /// offline.
    async fn check_healed(&self) {
        let began = Instant::now();
        for node in &self.nodes {
            node.wait_until_whole().await;
        }
        let whole = began.elapsed();
        assert!(whole < Duration::from_secs(10), "{whole:?}");
        self.wait_for(83).await;
        // Longer than a lease: late leaves would be seen.
        tokio::time::sleep(RULES.lease + HEALED).await;
        self.wait_for(83).await;
        for node in &self.nodes {
            assert!(!node.presence.is_degraded());
            let shown = node.shown().await;
            assert!(shown.contains(&"comes".to_owned()) && !shown.contains(&"leaves".to_owned()));
            for n in 0..40 {
                for who in [format!("a-stays{n}"), format!("b-stays{n}")] {
                    assert_eq!(node.log(&who), ["online"], "{who}");
                }
            }
            for who in ["moves", "both", "comes"] {
                assert!(
                    !node.log(who).contains(&"offline"),
                    "{who}: {:?}",
                    node.log(who)
                );
            }
            assert_eq!(node.log("leaves"), ["online", "offline"]);
            node.check_versions();
        }
        // And it still works.
        let [a, b] = &self.nodes;
        a.join("new", "n1").await;
        b.close("bb").await;
        for node in &self.nodes {
            eventually("new changes", || {
                node.log("new") == ["online"] && node.log("both").last() == Some(&"offline")
            })
            .await;
        }
    }
}

pub(crate) async fn c17_redis_restarted_empty((): ()) {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.kill();
    outage.wait_until_degraded().await;
    outage.change_users().await;
    tokio::time::sleep(RULES.lease).await;
    outage.server.restart_empty();
    outage.check_healed().await;
}

pub(crate) async fn c17_redis_restarted_with_its_data((): ()) {
    let outage = Outage::new(RedisConfig {
        append_only: true,
        ..RedisConfig::default()
    })
    .await;
    outage.server.kill();
    outage.wait_until_degraded().await;
    outage.change_users().await;
    tokio::time::sleep(RULES.lease * 2).await;
    outage.server.restart();
    outage.check_healed().await;
}

/// It went back in time: users are missing, and others are there who left.
pub(crate) async fn p7_redis_restarted_with_an_old_snapshot((): ()) {
    let server = RedisServer::start(RedisConfig::default());
    let a = TestNode::up(&server, "old", "a").await;
    let b = TestNode::up(&server, "old", "b").await;
    a.join("stays", "s1").await;
    a.join("leaves", "l1").await;
    b.join("leaves-there", "l2").await;
    server.save();
    a.join("comes", "c1").await;
    b.join("comes-there", "c2").await;
    a.close("l1").await;
    b.close("l2").await;
    for node in [&a, &b] {
        node.wait_for_shown(&["comes", "comes-there", "stays"])
            .await;
    }
    server.restart();
    eventually("the nodes notice", || a.presence.is_degraded()).await;
    for node in [&a, &b] {
        node.wait_until_whole().await;
        node.wait_for_shown(&["comes", "comes-there", "stays"])
            .await;
    }
    tokio::time::sleep(RULES.lease + HEALED).await;
    for node in [&a, &b] {
        node.wait_for_shown(&["comes", "comes-there", "stays"])
            .await;
        for who in ["comes", "comes-there", "stays"] {
            assert_eq!(node.log(who), ["online"], "{who}");
        }
        node.check_versions();
    }
}

pub(crate) async fn p7_flushall_shows_nobody_as_offline((): ()) {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.cli(&["FLUSHALL"]);
    outage.change_users().await;
    outage.check_healed().await;
}

/// P9: no lease could be renewed while Redis stalled, for longer than the lease.
pub(crate) async fn p9_redis_stalls_for_longer_than_the_lease((): ()) {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.pause();
    outage.wait_until_degraded().await;
    outage.change_users().await;
    tokio::time::sleep(RULES.lease + Duration::from_secs(4)).await;
    outage.server.resume();
    outage.check_healed().await;
}

/// P9: to the scripts Redis' clock has jumped if what they remember of it is moved.
pub(crate) async fn p9_the_clock_of_redis_jumps_by_an_hour((): ()) {
    for jump in ["-3600000", "3600000"] {
        let outage = Outage::new(RedisConfig::default()).await;
        let metas = outage.server.cli(&["--scan", "--pattern", "outage:*:meta"]);
        assert_eq!(metas.lines().count(), 65, "64 buckets and the leases");
        for key in metas.lines() {
            outage.server.cli(&["HINCRBY", key, "raw", jump]);
        }
        outage.change_users().await;
        outage.check_healed().await;
    }
}

pub(crate) async fn c18_redis_disconnects_the_subscribers((): ()) {
    let outage = Outage::new(RedisConfig::default()).await;
    for _ in 0..3 {
        outage.server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    outage.change_users().await;
    outage.server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    outage.check_healed().await;
}

pub(crate) async fn c17_redis_pauses_all_clients((): ()) {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.cli(&["CLIENT", "PAUSE", "4000", "ALL"]);
    outage.change_users().await;
    outage.check_healed().await;
}

pub(crate) async fn redis_is_out_of_memory((): ()) {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    outage.change_users().await;
    outage.wait_until_degraded().await;
    tokio::time::sleep(RULES.lease).await;
    outage.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    outage.check_healed().await;
}

pub(crate) async fn redis_is_read_only((): ()) {
    let outage = Outage::new(RedisConfig::default()).await;
    // Nobody answers there, so it keeps its data.
    outage.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    outage.change_users().await;
    outage.wait_until_degraded().await;
    outage.server.cli(&["REPLICAOF", "NO", "ONE"]);
    outage.check_healed().await;
}

pub(crate) async fn redis_comes_late((): ()) {
    let server = RedisServer::start(RedisConfig::default());
    server.kill();
    let a = TestNode::start(client(&server, "late"), "a", RULES);
    let b = TestNode::start(client(&server, "late"), "b", RULES);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    a.join("a", "a1").await;
    a.join("short", "s1").await;
    b.join("b", "b1").await;
    assert!(began.elapsed() < Duration::from_secs(4));
    a.close("s1").await;
    assert!(a.presence.is_degraded());
    assert_eq!(
        (a.shown().await, b.shown().await.len()),
        (vec!["a".to_owned(), "short".to_owned()], 1)
    );
    server.restart_empty();
    let returned = Instant::now();
    for node in [&a, &b] {
        node.wait_until_whole().await;
        node.wait_for_shown(&["a", "b"]).await;
    }
    assert!(returned.elapsed() < Duration::from_secs(10));
    assert_eq!((a.log("a"), b.log("b")), (vec!["online"], vec!["online"]));
    assert_eq!(a.log("short"), ["online", "offline"]);
    assert_eq!(b.log("short"), [""; 0]);
}

pub(crate) async fn statuses_and_profiles_set_while_redis_was_away_apply_afterwards((): ()) {
    let server = RedisServer::start(RedisConfig::default());
    let a = TestNode::up(&server, "statuses", "a").await;
    let b = TestNode::up(&server, "statuses", "b").await;
    a.join("here", "h1").await;
    b.join("there", "t1").await;
    b.join("hides", "i1").await;
    a.wait_for_shown(&["here", "hides", "there"]).await;
    server.kill();
    eventually("the node notices", || a.presence.is_degraded()).await;
    let saved = |status, revision| SavedStatus {
        chosen: StatusOverride {
            status,
            text: None,
            until: None,
        },
        revision,
        ..SavedStatus::default()
    };
    for (who, status) in [
        ("here", ManualStatus::Busy),
        ("there", ManualStatus::Busy),
        ("hides", ManualStatus::Invisible),
    ] {
        let who = user(who);
        let set = a.presence.set_status(&who, saved(status, 7));
        set.await.expect("set");
    }
    let mut late = person("invisible");
    late.status = saved(ManualStatus::Invisible, 9);
    a.presence.join(&tab("x1"), late).await.expect("joined");
    assert!(
        a.presence
            .is_invisible(&user("invisible"))
            .await
            .expect("an answer")
    );
    server.restart_empty();
    for node in [&a, &b] {
        node.wait_until_whole().await;
        node.wait_for_shown(&["here", "there"]).await;
        for who in ["here", "there"] {
            let shown = node.presence.get(&user(who)).await.expect("an answer");
            let status = shown.expect("shown").status;
            assert_eq!(status, Status::Busy, "{who}");
        }
        assert!(
            node.presence
                .is_invisible(&user("invisible"))
                .await
                .expect("an answer")
        );
        assert_eq!(node.log("invisible"), [""; 0]);
    }
}
