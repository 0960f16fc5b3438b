//! Sending, as a part of the node.

use crate::backends::Component;
use crate::metrics::Gauges;
use crate::tasks::Task;
use async_trait::async_trait;
use lamplight_usecases::PushRunner;
use std::sync::Arc;

pub(crate) struct PushComponent(pub(crate) Arc<PushRunner>);

#[async_trait]
impl Component for PushComponent {
    fn measure(&self, gauges: &mut Gauges) {
        let counts = self.0.counts();
        gauges.adapters.extend([
            ("lamplight_push_behind", self.0.behind() as f64),
            ("lamplight_push_waiting", counts.waiting as f64),
            ("lamplight_push_subscriptions", counts.subscriptions as f64),
        ]);
    }

    fn tasks(&self) -> Vec<Task> {
        let runner = Arc::clone(&self.0);
        vec![Task::new("push", runner.run())]
    }
}
