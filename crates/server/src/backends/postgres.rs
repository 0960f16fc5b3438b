//! Messages, people and accounts in PostgreSQL.

use super::component::{Component, Condition};
use crate::metrics::Gauges;
use crate::tasks::Task;
use async_trait::async_trait;
use lamplight_distributed::postgres::PostgresStore;
use lamplight_embedded::presence::VersionStore;
use lamplight_usecases::ports::StoreResult;
use std::sync::Arc;
use std::time::Duration;

/// A store that has not answered by then is not ready.
const READY_DEADLINE: Duration = Duration::from_secs(2);

pub(super) struct PostgresComponent(pub(super) Arc<PostgresStore>);

#[async_trait]
impl Component for PostgresComponent {
    async fn condition(&self) -> Condition {
        match self.0.ping(READY_DEADLINE).await {
            Ok(()) => Condition::Working,
            Err(error) => Condition::Down(error.to_string()),
        }
    }

    fn measure(&self, gauges: &mut Gauges) {
        gauges.store_queue = self.0.queue_depth();
        let pool = self.0.pool();
        gauges.adapters.extend([
            ("lamplight_postgres_connections", pool.open as f64),
            ("lamplight_postgres_connections_busy", pool.busy as f64),
            ("lamplight_postgres_connections_limit", pool.limit as f64),
        ]);
    }

    /// A store that lost data while this node runs may have lost entries that the node has
    /// delivered, and will assign their `seq`s again. The process restarts, which closes all
    /// transports and clears every cache.
    fn tasks(&self) -> Vec<Task> {
        let mut generations = self.0.generations();
        let changed = async move {
            // The store, and so the sender, lives as long as the process.
            drop(generations.changed().await);
            "the database has another generation: another server took its place, or it went back in time; clients connect \
             again and fetch what it has (LL-122)"
                .to_owned()
        };
        vec![Task::that_begins_anew("store generation", changed)]
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// Keeps the versions of presence in memory, for one node on PostgreSQL without Redis.
pub(super) struct PostgresVersions(pub(super) Arc<PostgresStore>);

#[async_trait]
impl VersionStore for PostgresVersions {
    async fn keep_presence_version(&self, version: u64) -> StoreResult<()> {
        self.0.keep_presence_version(version).await
    }
}
