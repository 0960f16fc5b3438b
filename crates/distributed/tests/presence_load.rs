//! Many sessions: their cost, and that no user flickers.

mod presence_support;

use futures_util::stream::{self, StreamExt as _};
use lamplight_conformance::servers::{RedisConfig, RedisServer};
use lamplight_domain::presence::{Change, ManualStatus, Rules, SavedStatus, StatusOverride};
use lamplight_usecases::ports::PresenceStore as _;
use presence_support::{Proxy, TestNode, client, eventually, user};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

/// Calls of a node in a quiet second: it looks at all buckets, and renews and sweeps leases.
const LOOKS: f64 = 65.2;
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

/// P10: every connection of one node breaks, and reconnects to another.
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

/// As many as a debug build manages beside other tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c20_c21_with_ten_thousand_sessions_only_changes_cost() {
    many_sessions(10_000).await;
}

/// `cargo test --release -p lamplight-distributed --test presence_load -- --ignored --nocapture`
/// prints what docs/redis.md says of 100,000 sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes in a debug build"]
async fn c20_c21_with_a_hundred_thousand_sessions_only_changes_cost() {
    many_sessions(100_000).await;
}

async fn many_sessions(users: usize) {
    let server = RedisServer::start(RedisConfig::default());
    // The second node has no sessions and only follows; all that it exchanges with Redis is counted.
    let proxy = Proxy::start(server.port()).await;
    let a = node(&server, "a").await;
    let b = TestNode::start(proxy.client("load"), "b", Rules::default());
    b.wait_until_whole().await;
    let empty = used_memory(&server);
    let (began, before) = (Instant::now(), calls(&server));
    join_all(&a, users, "a").await;
    println!("{users} joined in {:?}", began.elapsed());
    eventually("everyone is known on the other node", || {
        b.feed.count() == users
    })
    .await;
    println!("known on the other node after {:?}", began.elapsed());
    let looks = 2.0 * LOOKS * began.elapsed().as_secs_f64();
    let each = ((calls(&server) - before) as f64 - looks) / users as f64;
    println!("{each:.2} script calls for each join");
    assert!(each < 3.0, "{each}");
    memory(&server, empty, users);

    quiet(&proxy).await;
    changes(&proxy, &a, &b, users).await;
    let before = proxy.bytes();
    let began = Instant::now();
    let c = TestNode::start(proxy.client("load"), "c", Rules::default());
    c.wait_until_whole().await;
    let bytes = (proxy.bytes().1 - before.1) / users as u64;
    println!(
        "a third node read everyone in {:?}, {bytes} bytes for each user",
        began.elapsed()
    );
    assert_eq!(c.feed.count(), users);
    page_by_page(&c, users).await;
    redis_loses_everyone(&server, [&a, &b, &c], users).await;
    everyone_leaves(&server, [&a, &b, &c], (empty, users)).await;
}

/// What Redis holds for each user.
fn memory(server: &RedisServer, empty: u64, users: usize) {
    let bytes = (used_memory(server) - empty) / users as u64;
    let mut line = format!("{bytes} bytes of Redis for each user, of these");
    for (what, keys) in [
        ("records", "*:users"),
        ("timers", "*:timers"),
        ("sets", "*:of:*"),
    ] {
        let script = format!(
            "local sum = 0
            for _, key in ipairs(redis.call('KEYS', '{keys}')) do
              sum = sum + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')
            end
            return sum"
        );
        let sum: u64 = server
            .cli(&["EVAL", &script, "0"])
            .trim()
            .parse()
            .expect("a sum");
        line += &format!(" {what} {}", sum / users as u64);
    }
    println!("{line}");
    assert!(bytes < 1_200, "{bytes}");
}

/// What a node costs while nothing changes.
async fn quiet(proxy: &Proxy) {
    const SECONDS: u64 = 4;
    let before = proxy.bytes();
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let (sent, received) = proxy.bytes();
    let (sent, received) = ((sent - before.0) / SECONDS, (received - before.1) / SECONDS);
    println!("a quiet second of a node: {sent} bytes to Redis, {received} from it");
    assert!(sent < 40_000 && received < 15_000);
}

/// Some users change their status: the other node gets these changes and nothing else.
async fn changes(proxy: &Proxy, a: &TestNode, b: &TestNode, users: usize) {
    let changing = users / 20;
    let (before, events) = (proxy.bytes(), b.changes().len());
    let began = Instant::now();
    stream::iter((0..users).step_by(20))
        .for_each_concurrent(AT_ONCE, |n| async move {
            let status = SavedStatus {
                chosen: StatusOverride {
                    status: ManualStatus::Busy,
                    ..StatusOverride::default()
                },
                revision: 1,
                ..SavedStatus::default()
            };
            let user = user(&format!("user-{n:06}"));
            let set = a.presence.set_status(&user, status).await;
            set.expect("a status");
        })
        .await;
    eventually("all changes came", || {
        b.changes().len() == events + changing
    })
    .await;
    let took = began.elapsed();
    let received = proxy.bytes().1 - before.1;
    let each = received / changing as u64;
    println!("{changing} changes in {took:?}: {each} bytes each to another node");
    // The looks at the buckets are in it too.
    let allowed = 500 * changing as u64 + 20_000 * (1 + took.as_secs());
    assert!(
        received < allowed,
        "{received} bytes for {changing} changes"
    );
}

/// Page by page, everyone once.
async fn page_by_page(node: &TestNode, users: usize) {
    let (mut cursor, mut seen) = (None, HashSet::new());
    loop {
        let page = node
            .presence
            .list(cursor.as_deref(), 1_000, &HashSet::new())
            .await;
        let page = page.expect("a page");
        for shown in page.items {
            assert!(seen.insert(shown.profile.id.clone()));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), users);
}

async fn redis_loses_everyone(server: &RedisServer, nodes: [&TestNode; 3], users: usize) {
    let began = Instant::now();
    server.cli(&["FLUSHALL"]);
    eventually("the node notices", || nodes[0].presence.is_degraded()).await;
    while nodes.iter().any(|node| node.presence.is_degraded()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(began.elapsed() < Duration::from_secs(300));
    }
    println!("announced again after FLUSHALL in {:?}", began.elapsed());
    // Whoever no node announced would leave now.
    tokio::time::sleep(Rules::default().lease * 2 / 3 + Duration::from_secs(1)).await;
    for node in nodes {
        assert_eq!((node.feed.count(), leaves(node)), (users, 0));
    }
}

async fn everyone_leaves(
    server: &RedisServer,
    nodes: [&TestNode; 3],
    (empty, users): (u64, usize),
) {
    let began = Instant::now();
    close_all(nodes[0], users, "a").await;
    println!("closed in {:?}", began.elapsed());
    while nodes.iter().any(|node| node.feed.count() > 0) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(began.elapsed() < Duration::from_secs(300));
    }
    println!("everyone left after {:?}", began.elapsed());
    for node in nodes {
        assert_eq!(leaves(node), users);
    }
    let bytes = used_memory(server).saturating_sub(empty);
    println!("{bytes} bytes more than at the start");
    assert_eq!(server.cli(&["--scan", "--pattern", "load:*:users"]), "");
}
