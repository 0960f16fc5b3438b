//! The republisher, which publishes entries that a dead node had not announced.

use super::component::Component;
use crate::metrics::Gauges;
use async_trait::async_trait;
use lamplight_distributed::republisher::Republisher;

pub(super) struct RepublisherComponent(pub(super) Republisher);

#[async_trait]
impl Component for RepublisherComponent {
    fn measure(&self, gauges: &mut Gauges) {
        let stats = self.0.stats();
        let is_leader = f64::from(u8::from(stats.is_leader));
        gauges.adapters.extend([
            ("lamplight_republisher_leader", is_leader),
            ("lamplight_republisher_published", stats.republished as f64),
            ("lamplight_republisher_waiting", stats.waiting as f64),
            ("lamplight_republisher_behind", stats.behind as f64),
        ]);
    }

    async fn leave(&self) {
        self.0.stop().await;
    }
}
