//! What the doctor reads from real servers.

mod support;

use lamplight_conformance::servers::{PostgresServer, RedisConfig, RedisServer, unique_prefix};
use lamplight_distributed::postgres::{self, OpenError};
use lamplight_distributed::redis::{self, RedisError, RedisOptions};
use std::time::Duration;
use support::{open, options};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_check_of_a_database_does_not_change_it() {
    let url = PostgresServer::shared().fresh_database();
    let seen = postgres::probe(&options(&url)).await.expect("a report");
    assert_eq!(seen.schema, None, "nothing was made");
    assert!(seen.may_migrate && !seen.is_encrypted, "{seen:?}");
    assert!(seen.connections.0 >= seen.connections.1 && seen.connections.1 > 0);
    let (store, _) = open(&url).await.expect("a store");
    let seen = postgres::probe(&options(&url)).await.expect("a report");
    let (version, id) = seen.schema.expect("a schema");
    assert!(version >= 1);
    assert_eq!(id, store.store_id());
}

#[tokio::test]
async fn an_unreachable_database_is_reported() {
    let away = options("postgres://nobody@127.0.0.1:9/nowhere");
    let error = postgres::probe(&away).await.expect_err("nobody is there");
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_check_of_redis_reports_its_state() {
    let server = RedisServer::start(RedisConfig {
        password: Some("secret".into()),
        max_memory: Some(64 << 20),
        ..RedisConfig::default()
    });
    let prefix = unique_prefix();
    let options = || {
        let options = RedisOptions::parse(&server.url()).expect("a URL");
        options.with_prefix(&prefix).expect("a prefix")
    };
    let binding = format!("{prefix}:store");
    let seen = redis::probe(options(), &binding, PATIENCE).await;
    let seen = seen.expect("a report");
    assert_eq!(seen.bound_to, None);
    assert!(seen.memory.0 > 0 && seen.memory.1 == 64 << 20, "{seen:?}");
    assert_eq!(seen.eviction, "noeviction");
    assert!(
        seen.version
            .starts_with(|digit: char| digit.is_ascii_digit())
    );
    assert!(!seen.address.contains("secret"));

    let wrong = server.url().replace("secret", "wrong");
    let wrong = RedisOptions::parse(&wrong).expect("a URL");
    let error = redis::probe(wrong, &binding, PATIENCE).await;
    let error = error.expect_err("a wrong password");
    assert!(matches!(error, RedisError::Refused(_)), "{error}");
    assert!(!error.to_string().contains("wrong@"), "{error}");
}
