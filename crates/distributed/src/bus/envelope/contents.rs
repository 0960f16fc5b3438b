//! The contents of an envelope in both formats.

use lamplight_domain::event::Event;

/// The identity of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The run of the bus that published it.
    pub(crate) run: u64,
    pub(crate) number: u64,
}

/// The content of an envelope.
#[derive(Debug)]
pub(crate) enum Contents {
    Event(Event),
    /// The publisher had to drop durable events: every node reads events from the store that it may have
    /// missed.
    Lost,
    /// A version or kind that this code does not know.
    Unknown,
}

#[derive(Debug, thiserror::Error)]
#[error("an envelope on the bus is malformed: {0}")]
pub(crate) struct Malformed(pub(super) String);
