//! The elements of a session's queue.

use std::collections::VecDeque;

use bytes::Bytes;

/// An element of the queue: bytes to send, or a callback to run once everything before it has been
/// sent.
pub(crate) enum Item {
    Frames(Bytes),
    Written(Box<dyn FnOnce() + Send>),
}

pub(super) fn frames_of(items: &VecDeque<Item>) -> impl Iterator<Item = &Bytes> {
    items.iter().filter_map(|item| match item {
        Item::Frames(frames) => Some(frames),
        Item::Written(_) => None,
    })
}
