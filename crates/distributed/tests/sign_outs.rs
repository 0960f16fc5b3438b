//! Nodes share sign-outs that the store does not have through a real Redis.

use lamplight_conformance::servers::{RedisConfig, RedisServer, unique_prefix};
use lamplight_distributed::redis::{RedisClient, RedisOptions};
use lamplight_distributed::sign_outs::RedisSignOuts;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Exchanged, SharedSignOuts, SignOut};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

async fn node(server: &RedisServer, prefix: &str) -> (RedisClient, RedisSignOuts) {
    let options = RedisOptions::parse(&server.url()).expect("a URL");
    let redis = RedisClient::start(options.with_prefix(prefix).expect("a prefix"));
    redis.connected(PATIENCE).await.expect("a connection");
    (redis.clone(), RedisSignOuts::new(redis))
}

fn session(digest: &str) -> SignOut {
    SignOut::Session {
        user: UserId::trusted("ann \"☃\""),
        credential: digest.into(),
    }
}

fn everywhere(until: i64) -> SignOut {
    SignOut::Everywhere {
        user: UserId::trusted("ann"),
        until: Timestamp(until),
    }
}

async fn exchange(node: &RedisSignOuts, add: &[SignOut], remove: &[SignOut]) -> Exchanged {
    node.exchange(add, remove).await.expect("an answer")
}

fn sorted(exchanged: Exchanged) -> Vec<String> {
    let all = exchanged.all.expect("another list than before");
    let mut all: Vec<_> = all.iter().map(|item| format!("{item:?}")).collect();
    all.sort();
    all
}

fn debug(items: &[SignOut]) -> Vec<String> {
    let mut items: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    items.sort();
    items
}

#[tokio::test]
async fn h11_every_node_finds_a_sign_out_until_one_removes_it() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let (_, a) = node(server, &prefix).await;
    let (_, b) = node(server, &prefix).await;
    assert_eq!(exchange(&b, &[], &[]).await.all, Some(vec![]));
    let both = [session("1"), everywhere(7)];
    assert_eq!(sorted(exchange(&a, &both, &[]).await), debug(&both));
    let again = exchange(&a, &both, &[]).await;
    assert_eq!(
        (again.all, again.began_anew),
        (None, false),
        "known already"
    );
    let found = exchange(&b, &[], &[]).await;
    assert!(!found.began_anew);
    assert_eq!(sorted(found), debug(&both));
    // A node that starts later, when the first is gone.
    drop(a);
    let (_, c) = node(server, &prefix).await;
    assert_eq!(sorted(exchange(&c, &[], &[]).await), debug(&both));
    assert_eq!(
        sorted(exchange(&c, &[], &[session("1")]).await),
        debug(&[everywhere(7)])
    );
    assert_eq!(
        sorted(exchange(&b, &[], &[]).await),
        debug(&[everywhere(7)])
    );
    assert_eq!(exchange(&b, &[], &[everywhere(7)]).await.all, Some(vec![]));
    // Another application on the same server.
    let (_, other) = node(server, &unique_prefix()).await;
    assert_eq!(exchange(&other, &[], &[]).await.all, Some(vec![]));
}

#[tokio::test]
async fn h11_a_list_lost_by_redis_does_not_count_as_stored() {
    let server = RedisServer::start(RedisConfig::default());
    let prefix = unique_prefix();
    let (_, a) = node(&server, &prefix).await;
    let (_, b) = node(&server, &prefix).await;
    exchange(&a, &[session("1")], &[]).await;
    exchange(&b, &[], &[]).await;
    server.cli(&["FLUSHALL"]);
    let anew = exchange(&a, &[session("2")], &[]).await;
    assert!(anew.began_anew);
    assert_eq!(sorted(anew), debug(&[session("2")]));
    let anew = exchange(&b, &[], &[]).await;
    assert!(anew.began_anew, "what a list of another node lacks is lost");
    assert_eq!(sorted(anew), debug(&[session("2")]));
    assert!(!exchange(&b, &[session("1")], &[]).await.began_anew);
}

#[tokio::test]
async fn h11_many_sign_outs_take_several_exchanges_and_expire() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let (_, a) = node(server, &prefix).await;
    let many: Vec<_> = (0..1_500).map(|n| session(&n.to_string())).collect();
    let first = exchange(&a, &many, &[]).await.all.expect("a list");
    assert_eq!(first.len(), 1_000);
    let rest = exchange(&a, &many[1_000..], &[]).await.all.expect("a list");
    assert_eq!(rest.len(), 1_500);
    for key in ["list", "stamp"] {
        let key = format!("{prefix}:{{{prefix}:ended}}:{key}");
        let left: u64 = server.cli(&["PTTL", &key]).trim().parse().expect("a time");
        assert!(left > 29 * 24 * 3_600 * 1_000, "{key}: {left}");
    }
    assert_eq!(exchange(&a, &[], &many).await.all, Some(vec![]));
}
