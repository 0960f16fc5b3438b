//! Presence in the memory of this process.

use super::component::Component;
use crate::metrics::Gauges;
use crate::tasks::Task;
use async_trait::async_trait;
use lamplight_embedded::presence::{EmbeddedPresence, VersionStore};
use std::sync::Arc;

pub(super) struct MemoryPresence {
    pub(super) presence: Arc<EmbeddedPresence>,
    /// Keeps the versions over restarts.
    pub(super) versions: Arc<dyn VersionStore>,
}

#[async_trait]
impl Component for MemoryPresence {
    fn measure(&self, gauges: &mut Gauges) {
        gauges.online = self.presence.online_count();
        gauges.sessions = self.presence.session_count();
        gauges.held.push(("roster", self.presence.held()));
    }

    fn tasks(&self) -> Vec<Task> {
        let presence = Arc::clone(&self.presence);
        let (reserving, versions) = (Arc::clone(&self.presence), Arc::clone(&self.versions));
        vec![
            Task::new("presence", async move { presence.run().await }),
            Task::new("presence versions", async move {
                reserving.reserve_versions(&*versions).await;
            }),
        ]
    }

    async fn leave(&self) {
        self.presence.queue_everyone();
    }

    async fn close(&self) {
        // Writes the exact version, so that the next start continues from here.
        let version = self.presence.version();
        if let Err(error) = self.versions.keep_presence_version(version).await {
            tracing::debug!(%error, "the presence version was not stored; the next start skips some");
        }
    }
}
