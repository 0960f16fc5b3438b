//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use lamplight_conformance::servers::PostgresServer;
use lamplight_conformance::{Recorder, Subject};
use lamplight_distributed::postgres::{OpenError, PostgresOptions, PostgresStore};
use std::sync::Arc;
use std::time::Duration;

/// An empty store in a database of its own on the shared server.
pub(crate) async fn fresh() -> Subject<PostgresStore> {
    let url = PostgresServer::shared().fresh_database();
    let (store, events) = open(&url).await.expect("a store");
    Subject {
        store,
        events,
        keep: Box::new(()),
    }
}

pub(crate) async fn open(url: &str) -> Result<(Arc<PostgresStore>, Arc<Recorder>), OpenError> {
    open_with(options(url)).await
}

pub(crate) async fn open_with(
    options: PostgresOptions,
) -> Result<(Arc<PostgresStore>, Arc<Recorder>), OpenError> {
    let events = Arc::new(Recorder::default());
    let store = PostgresStore::open(options, events.clone()).await?;
    Ok((store, events))
}

/// Options that do not wait for a server that is away.
pub(crate) fn options(url: &str) -> PostgresOptions {
    PostgresOptions {
        start_deadline: Duration::ZERO,
        pool_size: 8,
        ..PostgresOptions::new(url)
    }
}

/// The database in a URL of a test server.
pub(crate) fn database_of(url: &str) -> &str {
    url.rsplit('/').next().expect("a name")
}

/// What statements return in a database.
pub(crate) fn text(server: &PostgresServer, database: &str) -> impl Fn(&str) -> String {
    |sql| server.sql(database, sql)
}
