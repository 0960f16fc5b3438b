//! An event bus that records events.

use lamplight_domain::conversation::Members;
use lamplight_domain::entry::Entry;
use lamplight_domain::event::Event;
use lamplight_domain::identity::ConnectionId;
use lamplight_usecases::ports::{EventBus, Subscriber, Subscription};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// A published entry, with the members and the excluded socket.
pub type Published = (Arc<Entry>, Members, Option<ConnectionId>);

/// Records every event in order.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl EventBus for Recorder {
    fn publish(&self, event: Event) {
        self.0.lock().push(event);
    }

    /// Tests read [`Recorder::events`]; there are no subscribers.
    fn subscribe(&self, _: Subscriber) -> Subscription {
        Subscription::new(|| {})
    }
}

impl Recorder {
    /// Everything published so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().clone()
    }

    /// The entries published so far.
    #[must_use]
    pub fn appended(&self) -> Vec<Published> {
        let events = self.0.lock();
        let appended = events.iter().filter_map(|event| match event {
            Event::Appended {
                entry, to, except, ..
            } => Some((Arc::clone(entry), Arc::clone(to), except.clone())),
            _ => None,
        });
        appended.collect()
    }

    /// Waits until `count` entries are published, and a little longer to detect further ones.
    ///
    /// # Panics
    /// When fewer or more are published.
    pub async fn exactly(&self, count: usize) -> Vec<Published> {
        for _ in 0..500 {
            if self.appended().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let appended = self.appended();
        assert_eq!(appended.len(), count, "entries published");
        appended
    }
}
