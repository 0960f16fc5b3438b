//! The event bus.

use lamplight_domain::event::Event;

/// Tells every node what happened.
pub trait EventBus: Send + Sync + 'static {
    /// Publishes. Best effort: what is lost is healed from the log. Never blocks for long, and
    /// keeps the order of one publisher's events.
    fn publish(&self, event: Event);
}
