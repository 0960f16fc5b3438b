//! Which nodes may use a store together.

mod support;

use lamplight_conformance::run;
use lamplight_conformance::servers::PostgresServer;
use lamplight_distributed::postgres::NodeClaim;
use support::{database_of, open};

#[test]
fn nodes_without_a_common_redis_are_refused_while_others_are_alive() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let (store, _) = open(&url).await.expect("a store");
        let claim = async |node: &str, redis: Option<&str>| {
            store.claim_node(node, redis).await.expect("an answer")
        };
        let others = |claim: NodeClaim| match claim {
            NodeClaim::Conflict(nodes) => nodes.into_iter().map(|one| one.node).collect(),
            NodeClaim::Claimed { .. } => Vec::new(),
        };
        let incarnation = |claim: NodeClaim| match claim {
            NodeClaim::Claimed { incarnation } => incarnation,
            NodeClaim::Conflict(nodes) => panic!("{nodes:?}"),
        };
        let first = incarnation(claim("a", None).await);
        assert_eq!(others(claim("b", None).await), ["a"]);
        assert_eq!(others(claim("b", Some("redis 1 lamplight")).await), ["a"]);
        // Started again: its earlier self is fenced.
        let second = incarnation(claim("a", None).await);
        assert!(second > first);
        assert!(!store.renew_node("a", first).await.expect("an answer"));
        assert!(store.renew_node("a", second).await.expect("an answer"));
        assert!(store.release_node("a", second).await.expect("an answer"));
        incarnation(claim("b", Some("redis 1 lamplight")).await);
        incarnation(claim("c", Some("redis 1 lamplight")).await);
        assert_eq!(
            others(claim("d", Some("redis 2 lamplight")).await),
            ["b", "c"]
        );
        assert_eq!(others(claim("a", None).await), ["b", "c"]);
        // A node that is silent for longer than its lease is gone.
        let silent = "UPDATE nodes SET renewed_at = now() - interval '16 seconds'";
        server.sql(database_of(&url), silent);
        assert!(incarnation(claim("a", None).await) > second);
    });
}

/// One of them.
#[test]
fn of_nodes_without_redis_that_start_at_once_one_does() {
    run(async {
        let (store, _) = open(&PostgresServer::shared().fresh_database())
            .await
            .expect("a store");
        let claims = (0..8).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.claim_node(&format!("n{n}"), None).await })
        });
        let mut claimed = 0;
        for claim in claims.collect::<Vec<_>>() {
            let claim = claim.await.expect("a task").expect("an answer");
            claimed += i32::from(matches!(claim, NodeClaim::Claimed { .. }));
        }
        assert_eq!(claimed, 1);
    });
}
