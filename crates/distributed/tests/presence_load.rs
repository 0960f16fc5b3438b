//! Many sessions: what they cost, and that nobody flickers.

mod presence_support;

use futures_util::stream::{self, StreamExt as _};
use lamplight_conformance::servers::{RedisConfig, RedisServer};
use lamplight_domain::presence::{Change, Rules};
use lamplight_usecases::ports::PresenceStore as _;
use presence_support::{TestNode, client, eventually};
use std::time::Duration;
use tokio::time::Instant;

/// As many calls wait at the same time as connections come at the same time.
const AT_ONCE: usize = 256;

async fn join_all(node: &TestNode, count: usize, tab: &str) {
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |n| async move {
            node.join(&format!("user-{n:06}"), &format!("{tab}-{n:06}"))
                .await;
        })
        .await;
}

async fn close_all(node: &TestNode, count: usize, tab: &str) {
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |n| async move {
            node.close(&format!("{tab}-{n:06}")).await;
        })
        .await;
}

async fn node(server: &RedisServer, id: &str) -> TestNode {
    let node = TestNode::start(client(server, "load"), id, Rules::default());
    node.wait_until_whole().await;
    node
}

/// Calls of scripts so far.
fn calls(server: &RedisServer) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let line = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let calls = line.and_then(|line| line.split(['=', ',']).nth(1));
    calls.and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

fn used_memory(server: &RedisServer) -> u64 {
    let info = server.cli(&["INFO", "memory"]);
    let line = info.lines().find(|line| line.starts_with("used_memory:"));
    let bytes = line.and_then(|line| line.trim().rsplit(':').next());
    bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

fn leaves(node: &TestNode) -> usize {
    let changes = node.changes().into_iter();
    changes
        .filter(|change| matches!(change, Change::Offline(_)))
        .count()
}

/// P10: every connection of one node breaks, and comes back on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p10_eight_thousand_reconnects_show_nobody_as_offline() {
    const USERS: usize = 8_000;
    let server = RedisServer::start(RedisConfig::default());
    let a = node(&server, "a").await;
    let b = node(&server, "b").await;
    join_all(&a, USERS, "a").await;
    eventually("everyone is shown", || b.feed.count() == USERS).await;
    let (began, before) = (Instant::now(), calls(&server));
    // In between users have no connection, for less than the grace period.
    for first in (0..USERS).step_by(1_000) {
        let range = first..first + 1_000;
        stream::iter(range.clone())
            .for_each_concurrent(AT_ONCE, |n| {
                let a = &a;
                async move { a.close(&format!("a-{n:06}")).await }
            })
            .await;
        stream::iter(range)
            .for_each_concurrent(AT_ONCE, |n| {
                let b = &b;
                async move {
                    b.join(&format!("user-{n:06}"), &format!("b-{n:06}")).await;
                }
            })
            .await;
    }
    let took = began.elapsed();
    let each = (calls(&server) - before) as f64 / USERS as f64;
    println!("8,000 reconnects took {took:?}, {each:.2} script calls each");
    // A read and a commit each for the close, the join, and the end of the first session; the rest
    // are the regular looks.
    assert!(each < 7.0, "{each} calls for each");
    tokio::time::sleep(Rules::default().grace + Duration::from_secs(2)).await;
    for node in [&a, &b] {
        assert_eq!((node.feed.count(), leaves(node)), (USERS, 0));
        assert_eq!(node.changes().len(), USERS, "no event at all");
        assert!(!node.presence.is_degraded());
    }
}

/// `cargo test ... -- --ignored --nocapture` prints what 100,000 sessions cost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn c20_c21_a_hundred_thousand_sessions() {
    const USERS: usize = 100_000;
    let server = RedisServer::start(RedisConfig::default());
    let a = node(&server, "a").await;
    let b = node(&server, "b").await;
    let empty = used_memory(&server);
    let (began, before) = (Instant::now(), calls(&server));
    join_all(&a, USERS, "a").await;
    println!(
        "joined in {:?}; degraded: {}",
        began.elapsed(),
        a.presence.is_degraded()
    );
    while b.feed.count() < USERS {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (a, b) = (a.feed.count(), b.feed.count());
        assert!(
            began.elapsed() < Duration::from_secs(240),
            "{a} and {b} shown"
        );
    }
    println!("known on the other node after {:?}", began.elapsed());
    let each = (calls(&server) - before) as f64 / USERS as f64;
    println!("{each:.2} script calls for each join");
    let bytes = (used_memory(&server) - empty) / USERS as u64;
    println!("{bytes} bytes of Redis for each user");
    assert!(bytes < 1_200, "{bytes}");
    let began = Instant::now();
    let c = node(&server, "c").await;
    println!("a third node loaded everyone in {:?}", began.elapsed());
    assert_eq!(c.feed.count(), USERS);
    // Page by page, everyone once.
    let (mut cursor, mut seen) = (None, std::collections::HashSet::new());
    loop {
        let page = c.presence.list(cursor.as_deref(), 1_000, None).await;
        let page = page.expect("a page");
        for shown in page.items {
            assert!(seen.insert(shown.profile.id.clone()));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), USERS);
    let began = Instant::now();
    server.cli(&["FLUSHALL"]);
    eventually("the node notices", || a.presence.is_degraded()).await;
    let healed = || !a.presence.is_degraded() && !b.presence.is_degraded();
    while !healed() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(began.elapsed() < Duration::from_secs(120));
    }
    println!("announced again after FLUSHALL in {:?}", began.elapsed());
    tokio::time::sleep(Duration::from_secs(12)).await;
    for node in [&a, &b, &c] {
        assert_eq!((node.feed.count(), leaves(node)), (USERS, 0));
    }
    let began = Instant::now();
    close_all(&a, USERS, "a").await;
    println!("closed in {:?}", began.elapsed());
    while b.feed.count() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(began.elapsed() < Duration::from_secs(120));
    }
    println!("everyone left after {:?}", began.elapsed());
    let bytes = used_memory(&server).saturating_sub(empty);
    println!("{bytes} bytes more than at the start");
    assert_eq!(server.cli(&["--scan", "--pattern", "load:*:users"]), "");
}
