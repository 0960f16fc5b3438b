//! The event bus of a single node.

use lamplight_domain::event::Event;
use lamplight_usecases::ports::{BusMessage, EventBus, Subscriber, Subscription};
use lamplight_usecases::subscribers::Subscribers;

/// Calls the subscribers on the publisher's own thread.
#[derive(Default, Clone)]
pub struct EmbeddedEventBus(Subscribers);

impl EmbeddedEventBus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl EventBus for EmbeddedEventBus {
    fn publish(&self, event: Event) {
        self.0.send(BusMessage::Event(event));
    }

    fn subscribe(&self, subscriber: Subscriber) -> Subscription {
        self.0.add(subscriber)
    }
}
