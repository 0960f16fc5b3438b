//! The subscribers of a bus in this process.

use crate::ports::{BusMessage, Subscriber, Subscription};
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// A list that is called on the caller's own thread, so there is no queue that could overflow, lose
/// or reorder anything.
#[derive(Default, Clone)]
pub struct Subscribers(Arc<List>);

#[derive(Default)]
struct List {
    next_id: AtomicU64,
    /// Replaced as a whole, so that publishing holds no lock while it calls a subscriber: those may
    /// publish and subscribe themselves.
    entries: RwLock<Arc<[Entry]>>,
}

#[derive(Clone)]
struct Entry {
    id: u64,
    subscriber: Arc<Subscriber>,
}

impl List {
    fn replace(&self, change: impl FnOnce(&[Entry]) -> Vec<Entry>) {
        let mut entries = self.entries.write();
        let next: Arc<[Entry]> = change(&entries).into();
        let before = std::mem::replace(&mut *entries, next);
        drop(entries);
        // Only now: what a subscriber owns may have a subscription of its own.
        drop(before);
    }
}

impl Subscribers {
    /// Calls every subscriber.
    pub fn send(&self, message: BusMessage) {
        let entries = Arc::clone(&self.0.entries.read());
        if let [others @ .., last] = &*entries {
            for other in others {
                (other.subscriber)(message.clone());
            }
            (last.subscriber)(message);
        }
    }

    /// Adds a subscriber until the subscription is dropped.
    #[must_use = "dropping the subscription ends it"]
    pub fn add(&self, subscriber: Subscriber) -> Subscription {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Entry {
            id,
            subscriber: Arc::new(subscriber),
        };
        self.0
            .replace(|current| current.iter().cloned().chain([entry]).collect());
        let list: Weak<List> = Arc::downgrade(&self.0);
        Subscription::new(move || {
            if let Some(list) = list.upgrade() {
                list.replace(|current| {
                    let others = current.iter().filter(|entry| entry.id != id);
                    others.cloned().collect()
                });
            }
        })
    }
}
