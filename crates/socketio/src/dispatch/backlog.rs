//! Messages that a handler holds back.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::received::Received;

/// Bytes that each held-back message counts in addition to its content.
pub(super) const HELD_OVERHEAD: usize = 64;

/// Messages that wait until a handler's future completes.
pub(super) struct Backlog {
    pub(super) messages: VecDeque<HeldMessage>,
    pub(super) bytes: usize,
    pub(super) received: Received,
}

impl Backlog {
    pub(super) fn new(received: Received) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            received,
        }
    }

    /// Accounts for a message of this many bytes that has been removed.
    pub(super) fn removed(&mut self, bytes: usize) {
        self.bytes -= bytes + HELD_OVERHEAD;
        // Counting less never exceeds the limit.
        let _ = self.received.hold(self.bytes);
    }
}

pub(super) enum HeldMessage {
    Text(Box<str>),
    Binary(Bytes),
}
