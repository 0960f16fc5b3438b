//! Since when the database has been away.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// Notes whether the database was there just now.
    pub(super) fn note(&self, is_away: bool) {
        let mut since = self.0.lock();
        if is_away {
            since.get_or_insert_with(Instant::now);
        } else if since.is_some() {
            *since = None;
        }
    }

    pub(super) fn is_longer_than(&self, time: Duration) -> bool {
        self.0.lock().is_some_and(|since| since.elapsed() > time)
    }
}
