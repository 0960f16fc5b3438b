//! The registry of nodes, by which requests find the node that has their session.

use super::component::Component;
use crate::metrics::Gauges;
use crate::tasks::Task;
use async_trait::async_trait;
use lamplight_distributed::redis::RedisClient;
use lamplight_distributed::registry::{NodeRegistry, local_address};
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) struct RegistryComponent(pub(super) Arc<NodeRegistry>);

impl RegistryComponent {
    /// Announces this node, which listens on `listen`, at `address` or at what other nodes can be
    /// expected to reach. If Redis is away, the task of the registry does it later.
    pub(super) async fn announce(
        registry: Arc<NodeRegistry>,
        redis: &RedisClient,
        address: Option<&str>,
        listen: SocketAddr,
    ) -> Self {
        let address = match address {
            Some(address) => address.to_owned(),
            None if listen.ip().is_unspecified() => {
                SocketAddr::new(local_address(redis).await, listen.port()).to_string()
            }
            None => listen.to_string(),
        };
        if let Err(error) = registry.announce(&address).await {
            tracing::debug!(%error, "the node is not announced yet");
        }
        tracing::info!(address, "other nodes reach this one at NODE_ADDRESS");
        Self(registry)
    }
}

#[async_trait]
impl Component for RegistryComponent {
    fn measure(&self, gauges: &mut Gauges) {
        let nodes = self.0.nodes().len();
        gauges.adapters.push(("lamplight_nodes", nodes as f64));
    }

    fn tasks(&self) -> Vec<Task> {
        let registry = Arc::clone(&self.0);
        vec![Task::new("registry of nodes", async move {
            registry.run().await
        })]
    }

    async fn leave(&self) {
        if let Err(error) = self.0.leave().await {
            tracing::debug!(%error, "the node did not leave the registry; the others find out");
        }
    }
}
