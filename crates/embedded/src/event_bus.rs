//! The event bus of a single node.

use lamplight_domain::event::Event;
use lamplight_usecases::ports::{BusMessage, EventBus, Subscriber, Subscription};
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Calls the subscribers on the publisher's own thread, so there is no queue that could overflow,
/// lose or reorder anything.
#[derive(Default, Clone)]
pub struct EmbeddedEventBus(Arc<Subscribers>);

#[derive(Default)]
struct Subscribers {
    next_id: AtomicU64,
    /// Replaced as a whole, so that publishing holds no lock while it calls a subscriber: those may
    /// publish and subscribe themselves.
    list: RwLock<Arc<[Entry]>>,
}

#[derive(Clone)]
struct Entry {
    id: u64,
    subscriber: Arc<Subscriber>,
}

impl Subscribers {
    fn replace(&self, change: impl FnOnce(&[Entry]) -> Vec<Entry>) {
        let mut list = self.list.write();
        let next: Arc<[Entry]> = change(&list).into();
        let before = std::mem::replace(&mut *list, next);
        drop(list);
        // Only now: what a subscriber owns may have a subscription of its own.
        drop(before);
    }
}

impl EmbeddedEventBus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl EventBus for EmbeddedEventBus {
    fn publish(&self, event: Event) {
        let list = Arc::clone(&self.0.list.read());
        if let [others @ .., last] = &*list {
            for other in others {
                (other.subscriber)(BusMessage::Event(event.clone()));
            }
            (last.subscriber)(BusMessage::Event(event));
        }
    }

    fn subscribe(&self, subscriber: Subscriber) -> Subscription {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Entry {
            id,
            subscriber: Arc::new(subscriber),
        };
        self.0
            .replace(|current| current.iter().cloned().chain([entry]).collect());
        let subscribers: Weak<Subscribers> = Arc::downgrade(&self.0);
        Subscription::new(move || {
            if let Some(subscribers) = subscribers.upgrade() {
                subscribers.replace(|current| {
                    let others = current.iter().filter(|entry| entry.id != id);
                    others.cloned().collect()
                });
            }
        })
    }
}
