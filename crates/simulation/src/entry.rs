//! The entries of the simulated logs.

/// A client's own message id: the client and its count.
pub(crate) type ClientMessageId = (usize, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) conversation: usize,
    pub(crate) seq: u64,
    /// Unique over all conversations.
    pub(crate) id: u64,
    pub(crate) sender: usize,
    pub(crate) key: ClientMessageId,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Change {
        /// The `seq` of the message.
        of: u64,
        change: Change,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Edit { text: u64 },
    Delete,
    React { emoji: usize, added: bool },
}
