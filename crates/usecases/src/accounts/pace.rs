//! How fast messages of deleted accounts are erased, by all deletions of this node together.

use std::time::Duration;

/// A batch should take the store about this long, so that a write behind it is hardly late. SQLite has one writer.
const TARGET: Duration = Duration::from_millis(10);
/// Others write for at least this long after a batch.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// All members receive an event for each erased message: this bounds their rate.
const MESSAGES_A_SECOND: u32 = 1_000;
/// The largest batch.
const AT_MOST: usize = 128;
/// The smallest batch, and the first one.
const AT_LEAST: usize = 8;

/// Batches as large as the store manages within [`TARGET`].
pub(super) struct Pace {
    at_once: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { at_once: AT_LEAST }
    }
}

impl Pace {
    /// The messages of the next batch.
    pub(super) fn at_once(&self) -> usize {
        self.at_once
    }

    /// Notes how long a batch of so many messages took. Returns the pause after it.
    pub(super) fn note(&mut self, messages: usize, took: Duration) -> Duration {
        if took > TARGET * 2 {
            self.at_once = (self.at_once / 2).max(AT_LEAST);
        } else if took < TARGET && messages >= self.at_once {
            self.at_once = (self.at_once + self.at_once / 2).min(AT_MOST);
        }
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let rate = Duration::from_secs(1) * messages / MESSAGES_A_SECOND;
        // Others have the store for as long as the batch had it.
        rate.saturating_sub(took).max(took).max(SHORTEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn batches_grow_while_the_store_is_quick_and_shrink_when_it_is_not() {
        let mut pace = Pace::default();
        assert_eq!(pace.at_once(), AT_LEAST);
        pace.note(3, MS);
        assert_eq!(pace.at_once(), AT_LEAST, "too few to tell");
        for _ in 0..20 {
            pace.note(pace.at_once(), MS);
        }
        assert_eq!(pace.at_once(), AT_MOST);
        pace.note(AT_MOST, 15 * MS);
        assert_eq!(pace.at_once(), AT_MOST);
        pace.note(AT_MOST, 21 * MS);
        assert_eq!(pace.at_once(), AT_MOST / 2);
        for _ in 0..20 {
            pace.note(pace.at_once(), 1_000 * MS);
        }
        assert_eq!(pace.at_once(), AT_LEAST);
    }

    #[test]
    fn batches_leave_the_store_to_others_as_long_and_limit_events() {
        let mut pace = Pace::default();
        assert_eq!(pace.note(1, Duration::ZERO), SHORTEST_PAUSE);
        assert_eq!(pace.note(100, 10 * MS), 90 * MS);
        assert_eq!(pace.note(8, 50 * MS), 50 * MS);
    }
}
