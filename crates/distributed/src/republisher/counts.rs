//! The counters of a republisher.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) is_leader: AtomicBool,
    pub(super) republished: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) waiting: AtomicU64,
    /// How far behind the newest entry the reader was at its last read, in positions.
    pub(super) behind: AtomicU64,
}

impl Counts {
    /// Entries were too old to be published.
    pub(super) fn skip(&self, count: u64) {
        self.skipped.fetch_add(count, Ordering::Relaxed);
    }
}
