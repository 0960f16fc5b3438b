//! The event bus.

use lamplight_domain::event::Event;

/// What a subscriber receives.
#[derive(Clone, Debug)]
pub enum BusMessage {
    Event(Event),
    /// Events were lost on the way to this subscriber, durable ones perhaps. It takes a new
    /// snapshot of what it follows; entries of logs are read from the store.
    Lagged,
}

/// Called for each message, on a thread of the bus. It does not block, and may publish and
/// subscribe itself.
pub type Subscriber = Box<dyn Fn(BusMessage) + Send + Sync>;

/// Passes events to every node.
///
/// Delivery is best effort: events may come late, more than once or not at all, and only events of
/// one publisher stay in order. A subscriber that cannot keep up loses no durable event without
/// being told so by [`BusMessage::Lagged`].
pub trait EventBus: Send + Sync + 'static {
    /// Passes an event to every subscriber on every node. Never blocks for long.
    fn publish(&self, event: Event);

    /// Calls `subscriber` for what is published from now on, until the subscription is dropped.
    #[must_use = "dropping the subscription ends it"]
    fn subscribe(&self, subscriber: Subscriber) -> Subscription;
}

/// A subscriber's place on the bus, given up when this is dropped.
pub struct Subscription(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Subscription {
    /// `end` removes the subscriber from the bus.
    #[must_use]
    pub fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}
