//! What the recovery of all sockets costs.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts of all recoverable sockets of a server.
#[derive(Default)]
pub(crate) struct RecoveryTotals {
    /// Bytes stored for all of them.
    pub(super) bytes: AtomicUsize,
    /// Number of suspended sockets.
    pub(super) waiting: AtomicUsize,
}

impl RecoveryTotals {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
