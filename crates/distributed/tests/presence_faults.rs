//! Nodes die, Redis goes away and comes back, empty or not: nobody who stayed is told offline, and
//! soon everyone agrees.

mod presence_support;

use lamplight_conformance::servers::{RedisConfig, RedisServer, unique_prefix};
use lamplight_domain::presence::{
    Change, ManualStatus, OfflineReason, SavedStatus, StatusOverride,
};
use lamplight_usecases::ports::PresenceStore as _;
use presence_support::{PATIENCE, Proxy, RULES, TestNode, client, eventually, person, tab, user};
use std::time::Duration;
use tokio::time::Instant;

/// Two lease renewals: whatever happened, everyone agrees after this, with some room for a loaded
/// machine.
const HEALED: Duration = Duration::from_secs(2);

fn offline_of(node: &TestNode, who: &str) -> Vec<OfflineReason> {
    let changes = node.changes().into_iter();
    changes
        .filter_map(|change| match change {
            Change::Offline(offline) if offline.user.as_str() == who => Some(offline.reason),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_c1_c2_a_killed_node_is_swept_by_the_others_and_who_came_back_does_not_flicker() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let a = TestNode::up(server, &prefix, "a").await;
    let b = TestNode::up(server, &prefix, "b").await;
    let c = TestNode::up(server, &prefix, "c").await;
    for n in 0..20 {
        a.join(&format!("gone{n}"), &format!("g{n}")).await;
        a.join(&format!("back{n}"), &format!("b{n}")).await;
    }
    a.stand_still();
    let killed = Instant::now();
    for n in 0..20 {
        b.join(&format!("back{n}"), &format!("again{n}")).await;
    }
    eventually("those who are gone are hidden", || c.feed.count() == 20).await;
    let took = killed.elapsed();
    assert!(
        took > RULES.lease - Duration::from_millis(1_100),
        "{took:?}"
    );
    assert!(took < RULES.lease + Duration::from_secs(3), "{took:?}");
    eventually("on the other node too", || b.feed.count() == 20).await;
    tokio::time::sleep(HEALED).await;
    for n in 0..20 {
        let (gone, back) = (format!("gone{n}"), format!("back{n}"));
        for node in [&b, &c] {
            assert_eq!(offline_of(node, &gone), [OfflineReason::NodeLost]);
            assert_eq!(node.log(&back), ["online"]);
        }
        let queued = [&b, &c].map(|node| node.presence.last_seen().pending(&user(&gone)));
        assert_eq!(queued.iter().flatten().count(), 1, "one node writes it");
    }
    // C13: nothing is left of the node in Redis.
    let left = server.cli(&["--scan", "--pattern", &format!("{prefix}:*:of:*")]);
    for key in left.lines() {
        assert_ne!(server.cli(&["SCARD", key]), "0", "{key}");
    }
    assert_eq!(
        server.cli(&["HLEN", &format!("{prefix}:{{{prefix}:leases}}:held")]),
        "2"
    );
    assert_eq!(
        server.cli(&["HLEN", &format!("{prefix}:{{{prefix}:leases}}:ended")]),
        "0"
    );
    assert_eq!(
        server.cli(&["HLEN", &format!("{prefix}:{{{prefix}:p0}}:nodes")]),
        "2"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c5_a_node_that_stood_still_is_fenced_and_announces_its_users_again() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let slow = TestNode::up(server, &prefix, "slow").await;
    let other = TestNode::up(server, &prefix, "other").await;
    for n in 0..10 {
        slow.join(&format!("u{n}"), &format!("t{n}")).await;
    }
    slow.stand_still();
    eventually("the node is swept", || other.feed.count() == 0).await;
    slow.go_on();
    eventually("its users are back", || other.feed.count() == 10).await;
    slow.wait_until_whole().await;
    // Newcomers see them too.
    let late = TestNode::up(server, &prefix, "late").await;
    assert_eq!(late.feed.count(), 10);
    slow.close("t0").await;
    eventually("a leave after that", || late.feed.count() == 9).await;
    for node in [&slow, &other, &late] {
        node.check_versions();
    }
}

/// P7 and C12, with the connection cut and half-open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_c12_c4_a_node_cut_off_from_redis_agrees_with_the_others_after_it_heals() {
    for half_open in [false, true] {
        let (server, prefix) = (RedisServer::shared(), unique_prefix());
        let proxy = Proxy::start(server.port()).await;
        let cut = TestNode::start(proxy.client(&prefix), "cut", RULES);
        cut.wait_until_whole().await;
        let other = TestNode::up(server, &prefix, "other").await;
        cut.join("stays", "s1").await;
        cut.join("goes", "g1").await;
        other.join("there", "t1").await;
        other.join("leaves-there", "l1").await;
        other
            .wait_for_shown(&["goes", "leaves-there", "stays", "there"])
            .await;
        cut.wait_for_shown(&["goes", "leaves-there", "stays", "there"])
            .await;
        if half_open {
            proxy.fall_silent();
        } else {
            proxy.cut();
        }
        eventually("the node notices", || cut.presence.is_degraded()).await;
        // What happens on either side meanwhile; no write takes long or fails.
        let began = Instant::now();
        cut.join("comes", "c1").await;
        cut.close("g1").await;
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
        other.close("l1").await;
        other.wait_for_shown(&["there"]).await;
        cut.wait_for_shown(&["comes", "goes", "leaves-there", "stays", "there"])
            .await;
        proxy.heal();
        let healed = Instant::now();
        other.wait_for_shown(&["comes", "stays", "there"]).await;
        cut.wait_for_shown(&["comes", "stays", "there"]).await;
        cut.wait_until_whole().await;
        let took = healed.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        // This node never told its users that those who stayed had left.
        for who in ["stays", "there", "comes"] {
            assert_eq!(cut.log(who), ["online"], "{who}");
        }
        assert_eq!(cut.log("goes"), ["online", "offline"]);
        assert_eq!(cut.log("leaves-there"), ["online", "offline"]);
        assert_eq!(other.log("there"), ["online"]);
        cut.check_versions();
        other.check_versions();
    }
}

/// Two nodes with users who stay, leave and come while something happens to Redis.
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

    /// Everyone agrees within two lease renewals and a little more, and nobody who stayed was told
    /// offline.
    async fn check_healed(&self) {
        let began = Instant::now();
        for node in &self.nodes {
            node.wait_until_whole().await;
        }
        let whole = began.elapsed();
        assert!(whole < Duration::from_secs(10), "{whole:?}");
        self.wait_for(83).await;
        // Longer than a lease: leaves that come late would be seen.
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
        // And it goes on.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_redis_restarted_empty() {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.kill();
    outage.wait_until_degraded().await;
    outage.change_users().await;
    tokio::time::sleep(RULES.lease).await;
    outage.server.restart_empty();
    outage.check_healed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_redis_restarted_with_its_data() {
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
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_redis_restarted_with_an_old_snapshot() {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_flushall_shows_nobody_as_offline() {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.cli(&["FLUSHALL"]);
    outage.change_users().await;
    outage.check_healed().await;
}

/// P9: nobody could renew while Redis stood still, for longer than the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_redis_stood_still_for_longer_than_the_lease() {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.pause();
    outage.wait_until_degraded().await;
    outage.change_users().await;
    tokio::time::sleep(RULES.lease + Duration::from_secs(4)).await;
    outage.server.resume();
    outage.check_healed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c18_redis_cuts_the_subscribers_off() {
    let outage = Outage::new(RedisConfig::default()).await;
    for _ in 0..3 {
        outage.server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    outage.change_users().await;
    outage.server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    outage.check_healed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_redis_pauses_all_clients() {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.cli(&["CLIENT", "PAUSE", "4000", "ALL"]);
    outage.change_users().await;
    outage.check_healed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_out_of_memory() {
    let outage = Outage::new(RedisConfig::default()).await;
    outage.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    outage.change_users().await;
    outage.wait_until_degraded().await;
    tokio::time::sleep(RULES.lease).await;
    outage.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    outage.check_healed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_read_only() {
    let outage = Outage::new(RedisConfig::default()).await;
    // Nobody answers there, so it keeps its data.
    outage.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    outage.change_users().await;
    outage.wait_until_degraded().await;
    outage.server.cli(&["REPLICAOF", "NO", "ONE"]);
    outage.check_healed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_comes_late() {
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

/// P12: the number of a bucket tells that a message is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_a_lost_bus_message_is_repaired_within_seconds() {
    let server = RedisServer::start(RedisConfig::default());
    let prefix = "repaired";
    let a = TestNode::up(&server, prefix, "a").await;
    let b = TestNode::up(&server, prefix, "b").await;
    for n in 0..100 {
        a.join(&format!("u{n}"), &format!("t{n}")).await;
    }
    eventually("everyone is shown", || b.feed.count() == 100).await;
    let began = Instant::now();
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    for n in 0..50 {
        a.presence
            .sign_out(&tab(&format!("t{n}")))
            .await
            .expect("signed out");
    }
    eventually("the leaves are seen", || b.feed.count() == 50).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    for n in 0..50 {
        assert_eq!(b.log(&format!("u{n}")), ["online", "offline"]);
    }
    // A change that nobody received: the number went on without a message.
    let meta = format!("{prefix}:{{{prefix}:p0}}:meta");
    let epoch = server.cli(&["HGET", &meta, "epoch"]);
    assert!(!epoch.is_empty());
    server.cli(&["HINCRBY", &meta, "number", "1"]);
    eventually("the bucket was loaded again", || {
        b.feed.reloads() > 0 && !b.presence.is_degraded()
    })
    .await;
    assert_eq!(b.feed.count(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_and_profiles_that_were_set_while_redis_was_away_count_afterwards() {
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
            assert_eq!(status, lamplight_domain::presence::Status::Busy, "{who}");
        }
        assert!(
            node.presence
                .is_invisible(&user("invisible"))
                .await
                .expect("an answer")
        );
        assert_eq!(node.log("invisible"), [""; 0]);
    }
    assert!(PATIENCE > HEALED);
}
