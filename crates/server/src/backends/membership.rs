//! This node's place among the nodes of its store.

use super::component::Component;
use crate::metrics::Gauges;
use crate::tasks::Task;
use async_trait::async_trait;
use lamplight_distributed::membership::Membership;
use std::sync::Arc;

pub(super) struct MembershipComponent(pub(super) Arc<Membership>);

#[async_trait]
impl Component for MembershipComponent {
    fn measure(&self, gauges: &mut Gauges) {
        if let Some(age) = self.0.lease_age() {
            gauges
                .adapters
                .push(("lamplight_node_lease_age_seconds", age.as_secs_f64()));
        }
    }

    fn tasks(&self) -> Vec<Task> {
        let membership = Arc::clone(&self.0);
        vec![Task::that_may_fail("membership", async move {
            membership.run().await.to_string()
        })]
    }

    async fn leave(&self) {
        self.0.leave().await;
    }
}
