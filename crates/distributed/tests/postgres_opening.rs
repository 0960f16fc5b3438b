//! How a store on PostgreSQL is opened.

mod support;

use lamplight_conformance::run;
use lamplight_conformance::servers::PostgresServer;
use std::time::Duration;
use support::{open, options};

#[test]
fn a_store_is_the_same_after_it_was_opened_again_by_socket() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let (store, _) = open(&url).await.expect("a store");
        store.ping(Duration::from_secs(4)).await.expect("a ping");
        let id = store.store_id().to_owned();
        let generation = store.generations().borrow().clone();
        assert_eq!((id.len(), generation.as_str().len()), (32, 16));
        store.close().await;
        assert!(store.ping(Duration::from_secs(4)).await.is_err());
        let database = url.rsplit('/').next().expect("a name");
        let (store, _) = open(&server.socket_url(database)).await.expect("a store");
        assert_eq!(store.store_id(), id);
        assert_eq!(*store.generations().borrow(), generation);
    });
}

/// One of them migrates, the others wait for it.
#[test]
fn several_nodes_start_at_once_in_an_empty_database() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let starts = (0..6).map(|_| {
            let options = options(&url);
            tokio::spawn(support::open_with(options))
        });
        let mut found = Vec::new();
        for start in starts.collect::<Vec<_>>() {
            let (store, _) = start.await.expect("a task").expect("a store");
            let generation = store.generations().borrow().clone();
            found.push((store.store_id().to_owned(), generation));
        }
        found.dedup();
        assert_eq!(found.len(), 1, "{found:?}");
    });
}
