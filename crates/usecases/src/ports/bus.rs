//! The event bus.

use lamplight_domain::event::Event;

/// Carries events to every node.
pub trait EventBus: Send + Sync + 'static {
    /// Publishes an event. Best effort: clients repair a loss from the log. Does not block for long,
    /// and keeps the order of one publisher's events.
    fn publish(&self, event: Event);
}
