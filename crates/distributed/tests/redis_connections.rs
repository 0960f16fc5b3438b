//! Connections to real servers: every kind of address, and what happens when a server goes away.

use lamplight_conformance::servers::{
    RedisConfig, RedisServer, start_cluster, start_sentinel, unique_prefix,
};
use lamplight_distributed::redis::{
    Received, RedisClient, RedisError, RedisOptions, RedisScript, RedisStatus, RedisSubscriber,
};
use redis::cmd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

fn options(url: &str) -> RedisOptions {
    RedisOptions::parse(url).expect("a URL")
}

async fn connect(url: &str) -> RedisClient {
    let client = RedisClient::start(options(url));
    client.connected(PATIENCE).await.expect("a connection");
    client
}

async fn until(client: &RedisClient, reached: impl Fn(&RedisStatus) -> bool) -> RedisStatus {
    let mut status = client.watch();
    let found = timeout(PATIENCE, status.wait_for(|status| reached(status))).await;
    found.expect("in time").expect("a client").clone()
}

/// A write and a read of it.
async fn works(client: &RedisClient) {
    let mut set = cmd("SET");
    let written: String = client
        .query(set.arg("key").arg("value"))
        .await
        .expect("SET");
    assert_eq!(written, "OK");
    let read: String = client.query(cmd("GET").arg("key")).await.expect("GET");
    assert_eq!(read, "value");
}

fn run_id(status: &RedisStatus) -> String {
    match status {
        RedisStatus::Up { run_id, .. } => run_id.clone(),
        RedisStatus::Down { .. } => panic!("down"),
    }
}

#[tokio::test]
async fn every_kind_of_address_connects() {
    let server = RedisServer::start(RedisConfig {
        password: Some("secret".to_owned()),
        ..RedisConfig::default()
    });
    works(&connect(&server.url()).await).await;
    works(&connect(&server.unix_url()).await).await;
    works(&connect(&format!("{}/7", server.url())).await).await;
    assert_eq!(server.cli(&["-n", "7", "GET", "key"]), "value");
}

#[tokio::test]
async fn tls_connects_and_checks_the_certificate() {
    let server = RedisServer::start(RedisConfig {
        tls: true,
        ..RedisConfig::default()
    });
    let authority = server.certificate_authority();
    works(&connect(&format!("{}?ca={}", server.url(), authority.display())).await).await;

    let client = RedisClient::start(options(&server.url()));
    let refused = client.connected(Duration::from_secs(2)).await;
    let text = refused.expect_err("an unknown authority").to_string();
    assert!(text.contains("certificate"), "{text}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_once_and_not_shown() {
    let server = RedisServer::start(RedisConfig {
        password: Some("secret".to_owned()),
        ..RedisConfig::default()
    });
    let url = server.url().replace("secret", "hunter2");
    let client = RedisClient::start(options(&url));
    let began = Instant::now();
    let refusal = client.connected(PATIENCE).await.expect_err("refused");
    assert!(matches!(refusal, RedisError::Refused(_)), "{refusal}");
    assert!(began.elapsed() < PATIENCE);
    assert!(!refusal.to_string().contains("hunter2"), "{refusal}");
}

#[tokio::test]
async fn c17_a_restart_is_survived_and_detected() {
    let server = RedisServer::start(RedisConfig::default());
    let client = connect(&server.url()).await;
    works(&client).await;
    let before = run_id(&client.status());

    server.kill();
    until(&client, |status| !status.is_up()).await;
    let refusal = client.query::<String>(&cmd("PING")).await;
    assert!(matches!(refusal, Err(RedisError::Unavailable(_))));

    server.restart_empty();
    let after = until(&client, RedisStatus::is_up).await;
    assert_ne!(run_id(&after), before);
    works(&client).await;
}

#[tokio::test]
async fn calls_to_a_hanging_server_end_within_a_limit() {
    let server = RedisServer::start(RedisConfig::default());
    let deadline = Duration::from_millis(300);
    let options = options(&server.url()).with_deadlines(deadline, Duration::from_secs(1));
    let client = RedisClient::start(options);
    client.connected(PATIENCE).await.expect("a connection");

    server.pause();
    let began = Instant::now();
    let failed = client
        .query::<String>(&cmd("PING"))
        .await
        .expect_err("no answer");
    assert!(matches!(failed, RedisError::Timeout(300)), "{failed}");
    assert!(began.elapsed() < Duration::from_secs(2));
    until(&client, |status| !status.is_up()).await;

    server.resume();
    until(&client, RedisStatus::is_up).await;
    works(&client).await;
}

#[tokio::test]
async fn a_script_missing_in_redis_is_sent_again() {
    let server = RedisServer::start(RedisConfig::default());
    let client = connect(&server.url()).await;
    let script = RedisScript::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for expected in [2, 4] {
        let sum: i64 = client
            .run(&script.call().key("sum").arg(2))
            .await
            .expect("run");
        assert_eq!(sum, expected);
    }
    server.cli(&["SCRIPT", "FLUSH"]);
    let sum: i64 = client
        .run(&script.call().key("sum").arg(2))
        .await
        .expect("run");
    assert_eq!(sum, 6);
}

#[tokio::test]
async fn c4_the_client_follows_sentinel_to_the_new_primary() {
    let primary = RedisServer::start(RedisConfig::default());
    let replica = RedisServer::start(RedisConfig {
        replica_of: Some(primary.port()),
        ..RedisConfig::default()
    });
    let sentinel = start_sentinel("main", &primary);
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let client = connect(&url).await;
    works(&client).await;
    let (subscriber, mut events) = subscribe(&url, "news");
    subscriber.watch().wait_for(|up| *up).await.expect("up");

    // Sentinel has to know the replica before it can promote it.
    let began = Instant::now();
    while !sentinel
        .cli(&["SENTINEL", "REPLICAS", "main"])
        .contains("slave")
    {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    primary.kill();
    until(&client, |status| !status.is_up()).await;
    until(&client, RedisStatus::is_up).await;
    works(&client).await;
    assert_eq!(replica.cli(&["GET", "key"]), "value");

    assert_eq!(next(&mut events).await, "interrupted");
    assert_eq!(next(&mut events).await, "resumed");
    replica.cli(&["PUBLISH", "news", "after"]);
    assert_eq!(next(&mut events).await, "news after");
}

#[tokio::test]
async fn a_cluster_accepts_commands_for_every_slot_and_forwards_messages() {
    let servers = start_cluster(3);
    let url = format!("redis+cluster://127.0.0.1:{}", servers[0].port());
    let client = connect(&url).await;
    let script = RedisScript::new("return redis.call('INCR', KEYS[1])");
    for number in 0..20 {
        let key = format!("key{number}");
        let sum: i64 = client.run(&script.call().key(&key)).await.expect("run");
        assert_eq!(sum, 1);
    }
    let (subscriber, mut events) = subscribe(&url, "news");
    subscriber.watch().wait_for(|up| *up).await.expect("up");
    for (index, server) in servers.iter().enumerate() {
        server.cli(&["PUBLISH", "news", &index.to_string()]);
        assert_eq!(next(&mut events).await, format!("news {index}"));
    }
}

fn subscribe(url: &str, channel: &str) -> (RedisSubscriber, UnboundedReceiver<String>) {
    let (sender, receiver) = unbounded_channel();
    let channels = [Arc::from(channel)];
    let subscriber = RedisSubscriber::start(options(url), channels, move |received| {
        let text = match received {
            Received::Message { channel, payload } => format!(
                "{} {}",
                String::from_utf8_lossy(channel),
                String::from_utf8_lossy(payload)
            ),
            Received::Interrupted => "interrupted".to_owned(),
            Received::Complete { is_first: true } => return,
            Received::Complete { is_first: false } => "resumed".to_owned(),
        };
        let _ = sender.send(text);
    });
    (subscriber, receiver)
}

async fn next(events: &mut UnboundedReceiver<String>) -> String {
    let next = timeout(PATIENCE, events.recv()).await;
    next.expect("in time").expect("a subscriber")
}

#[tokio::test]
async fn c17_a_disconnected_subscriber_subscribes_again() {
    let server = RedisServer::start(RedisConfig::default());
    let (subscriber, mut events) = subscribe(&server.url(), "first");
    let others: Vec<Arc<str>> = (0..1_200).map(|n| format!("c{n}").into()).collect();
    let waiting: Vec<_> = others.iter().map(|one| subscriber.subscribe(one)).collect();
    for subscribed in waiting {
        timeout(PATIENCE, subscribed)
            .await
            .expect("in time")
            .expect("subscribed");
    }
    server.cli(&["PUBLISH", "c1199", "one"]);
    assert_eq!(next(&mut events).await, "c1199 one");

    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(next(&mut events).await, "interrupted");
    assert_eq!(next(&mut events).await, "resumed");
    assert_eq!(subscriber.len(), 1_201);

    server.restart_empty();
    assert_eq!(next(&mut events).await, "interrupted");
    assert_eq!(next(&mut events).await, "resumed");
    server.cli(&["PUBLISH", "first", "two"]);
    assert_eq!(next(&mut events).await, "first two");

    subscriber.unsubscribe([Arc::clone(&others[0])]);
    let again = subscriber.subscribe(&others[0]);
    timeout(PATIENCE, again)
        .await
        .expect("in time")
        .expect("subscribed");
    server.cli(&["PUBLISH", "c0", "three"]);
    assert_eq!(next(&mut events).await, "c0 three");
}

#[tokio::test]
async fn the_shared_server_serves_several_clients() {
    let url = RedisServer::shared().url();
    let client = connect(&url).await;
    let key = format!("{}:key", unique_prefix());
    let _: String = client
        .query(cmd("SET").arg(&key).arg("1"))
        .await
        .expect("SET");
}
