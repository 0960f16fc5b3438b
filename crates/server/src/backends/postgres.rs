//! Messages, people and accounts in PostgreSQL.

use super::component::{Component, Condition};
use crate::metrics::Gauges;
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
