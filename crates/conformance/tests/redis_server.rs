//! The servers that other tests rely on.

use lamplight_conformance::servers::{RedisConfig, RedisServer, start_cluster};

#[test]
fn the_shared_server_answers() {
    let server = RedisServer::shared();
    assert_eq!(server.cli(&["SET", "key", "value"]), "OK");
    assert_eq!(server.cli(&["GET", "key"]), "value");
    assert!(std::ptr::eq(server, RedisServer::shared()));
}

#[test]
fn a_restart_keeps_the_port_and_what_was_written() {
    let server = RedisServer::start(RedisConfig {
        append_only: true,
        password: Some("secret".to_owned()),
        ..RedisConfig::default()
    });
    assert_eq!(server.cli(&["SET", "key", "value"]), "OK");
    server.restart();
    assert_eq!(server.cli(&["GET", "key"]), "value");
    server.restart_empty();
    assert_eq!(server.cli(&["GET", "key"]), "");
}

#[test]
fn a_server_with_tls_answers() {
    let server = RedisServer::start(RedisConfig {
        tls: true,
        ..RedisConfig::default()
    });
    assert!(server.url().starts_with("rediss://localhost:"));
    assert_eq!(server.cli(&["PING"]), "PONG");
}

#[test]
fn a_cluster_shares_the_slots() {
    let servers = start_cluster(3);
    assert_eq!(servers.len(), 3);
}
