//! Receipts: events about read and delivered marks for other members.

use crate::ports::{EventBus, MarkUpdate};
use lamplight_domain::event::Event;

/// Publishes marks that moved, if others may see them.
pub(crate) fn publish(bus: &dyn EventBus, update: MarkUpdate) {
    if update.is_visible {
        let MarkUpdate {
            conversation,
            receipt,
            delivers,
            to,
            ..
        } = update;
        bus.publish(Event::Receipt {
            conversation,
            receipt,
            delivers,
            to,
        });
    }
}
