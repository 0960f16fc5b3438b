//! Waits until everything published before has arrived: sends a number through Redis back to this
//! node, after everything that Redis already had.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// Distinguishes these numbers from those of probes on the same channel.
const MARK: char = 's';

/// Those that are on their way.
#[derive(Debug, Default)]
pub(super) struct RoundTrips {
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<()>>>,
}

impl RoundTrips {
    /// A number to publish, and what resolves when it is back.
    pub(super) fn begin(&self) -> (u64, oneshot::Receiver<()>) {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(number, sender);
        (number, receiver)
    }

    /// The waiting task was cancelled.
    pub(super) fn give_up(&self, number: u64) {
        self.waiting.lock().remove(&number);
    }

    pub(super) fn payload(number: u64) -> String {
        format!("{MARK}{number}")
    }

    /// Takes what came on the channel. Returns whether it is one of these.
    pub(super) fn received(&self, payload: &[u8]) -> bool {
        let Some(number) = std::str::from_utf8(payload)
            .ok()
            .and_then(|text| text.strip_prefix(MARK))
        else {
            return false;
        };
        let waiting = number
            .parse()
            .ok()
            .and_then(|number: u64| self.waiting.lock().remove(&number));
        if let Some(waiting) = waiting {
            let _ = waiting.send(());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_waits_for_its_own_probe() {
        let trips = RoundTrips::default();
        let ((one, mut first), (two, mut second)) = (trips.begin(), trips.begin());
        assert!(!trips.received(b"1"), "a probe");
        assert!(trips.received(RoundTrips::payload(two).as_bytes()));
        assert!(second.try_recv().is_ok() && first.try_recv().is_err());
        trips.give_up(one);
        assert!(trips.received(RoundTrips::payload(one).as_bytes()));
        assert!(trips.received(b"s") && trips.waiting.lock().is_empty());
    }
}
