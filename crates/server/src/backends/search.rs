//! The index of messages.

use super::component::Component;
use crate::metrics::Gauges;
use crate::tasks::Task;
use async_trait::async_trait;
use lamplight_usecases::ports::{LogFollower, MessageSearch};
use lamplight_usecases::search_index::SearchIndexer;
use std::sync::Arc;

pub(super) struct SearchComponent {
    search: Arc<dyn MessageSearch>,
    log: Arc<dyn LogFollower>,
    indexer: Arc<SearchIndexer>,
}

impl SearchComponent {
    pub(super) fn new(search: Arc<dyn MessageSearch>, log: Arc<dyn LogFollower>) -> Self {
        Self {
            search,
            log,
            indexer: Arc::default(),
        }
    }
}

#[async_trait]
impl Component for SearchComponent {
    fn measure(&self, gauges: &mut Gauges) {
        let behind = self.indexer.behind() as f64;
        gauges.adapters.push(("lamplight_search_behind", behind));
    }

    fn tasks(&self) -> Vec<Task> {
        let (search, log) = (Arc::clone(&self.search), Arc::clone(&self.log));
        let indexer = Arc::clone(&self.indexer);
        vec![Task::new("search index", async move {
            indexer.run(search, log).await;
        })]
    }
}
