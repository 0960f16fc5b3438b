//! Nodes die, stand still and are cut off from Redis; messages are lost on the way to them.

use crate::HEALED;
use crate::presence_support::{Proxy, RULES, TestNode, eventually, tab, user};
use lamplight_conformance::servers::{RedisConfig, RedisServer, unique_prefix};
use lamplight_domain::presence::{Change, OfflineReason};
use lamplight_usecases::ports::PresenceStore as _;
use std::time::Duration;
use tokio::time::Instant;

fn offline_of(node: &TestNode, who: &str) -> Vec<OfflineReason> {
    let changes = node.changes().into_iter();
    changes
        .filter_map(|change| match change {
            Change::Offline(offline) if offline.user.as_str() == who => Some(offline.reason),
            _ => None,
        })
        .collect()
}

pub(crate) async fn p1_c1_c2_a_killed_node_is_swept_and_returning_users_do_not_flicker((): ()) {
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
    eventually("users who left are hidden", || c.feed.count() == 20).await;
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

pub(crate) async fn c5_a_stalled_node_is_fenced_and_announces_its_users_again((): ()) {
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
pub(crate) async fn p7_c12_c4_a_node_cut_off_from_redis_agrees_with_the_others_after_it_heals(
    (): (),
) {
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
        // This node never published that users who stayed had left.
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

/// P12: the number of a bucket shows that a message is missing.
pub(crate) async fn p12_a_lost_bus_message_is_repaired_within_seconds((): ()) {
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
    // A change that no node received: the number grew without a message.
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

/// C3: the background work of a node that leaves does not bring it back.
pub(crate) async fn c3_a_node_that_stops_hands_its_users_over((): ()) {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let a = TestNode::up(server, &prefix, "a").await;
    let b = TestNode::up(server, &prefix, "b").await;
    for n in 0..20 {
        a.join(&format!("u{n}"), &format!("a{n}")).await;
    }
    eventually("everyone is shown", || b.feed.count() == 20).await;
    a.presence.release_lease().await.expect("released");
    for n in 0..10 {
        b.join(&format!("u{n}"), &format!("b{n}")).await;
    }
    eventually("the others left", || b.feed.count() == 10).await;
    tokio::time::sleep(RULES.lease + HEALED).await;
    for n in 0..20 {
        let who = format!("u{n}");
        let expected = if n < 10 {
            vec![]
        } else {
            vec![OfflineReason::Closed]
        };
        assert_eq!(offline_of(&b, &who), expected);
    }
    assert_eq!(b.feed.count(), 10);
}
