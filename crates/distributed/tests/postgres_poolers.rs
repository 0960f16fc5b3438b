//! Through PgBouncer in transaction mode, which (1.18) knows no prepared statements.

mod support;

use lamplight_conformance::Subject;
use lamplight_conformance::servers::{PgBouncer, PostgresServer};
use lamplight_distributed::postgres::PostgresStore;
use std::sync::OnceLock;
use support::{database_of, open};

/// A store behind the pooler that all tests share.
async fn pooled() -> Subject<PostgresStore> {
    static POOLER: OnceLock<PgBouncer> = OnceLock::new();
    let server = PostgresServer::shared();
    let pooler = POOLER.get_or_init(|| PgBouncer::start(server));
    let url = server.fresh_database();
    let (store, events) = open(&pooler.url(database_of(&url))).await.expect("a store");
    Subject {
        store,
        events,
        keep: Box::new(()),
    }
}

mod pgbouncer {
    use super::pooled;

    lamplight_conformance::messages_suite!(pooled);
    lamplight_conformance::directory_suite!(pooled);
    lamplight_conformance::accounts_suite!(pooled);
    lamplight_conformance::deletions_suite!(pooled);
    lamplight_conformance::follower_suite!(pooled);
    lamplight_conformance::nodes_suite!(pooled);
    lamplight_conformance::blocks_suite!(pooled);
}
