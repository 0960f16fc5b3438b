//! Telling every node, where there is one: the subscriber is called in place.

use lamplight_domain::event::Event;
use lamplight_usecases::ports::EventBus;
use std::sync::{Arc, OnceLock};

type Subscriber = Box<dyn Fn(Event) + Send + Sync>;

/// The fan-out of a single node. Publishing calls the subscriber on the publisher's own thread, so
/// there is no queue that could fill, lose or reorder anything; the subscriber hands bytes to
/// sockets and never waits.
#[derive(Default, Clone)]
pub struct EmbeddedEventBus(Arc<OnceLock<Subscriber>>);

impl EmbeddedEventBus {
    /// A fan-out that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the one subscriber; what was published before is lost, so subscribe before anything is
    /// served. A second subscriber is ignored.
    pub fn subscribe(&self, subscriber: impl Fn(Event) + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(subscriber));
    }
}

impl EventBus for EmbeddedEventBus {
    fn publish(&self, event: Event) {
        if let Some(subscriber) = self.0.get() {
            subscriber(event);
        }
    }
}
