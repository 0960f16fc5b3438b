//! Messages, people and accounts in one SQLite file.

use super::component::{Component, Condition};
use crate::metrics::Gauges;
use async_trait::async_trait;
use lamplight_embedded::messages::SqliteStore;
use std::sync::Arc;
use std::time::Duration;

/// A store that has not answered by then is not ready.
const READY_DEADLINE: Duration = Duration::from_secs(2);

pub(super) struct SqliteComponent(pub(super) Arc<SqliteStore>);

#[async_trait]
impl Component for SqliteComponent {
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
