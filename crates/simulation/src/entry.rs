//! The entries of the simulated logs.

use lamplight_domain::permission::Role;

/// A client's own message id: the client and its count.
pub(crate) type ClientMessageId = (usize, u64);

/// The client in the ids of what the host application writes.
pub(crate) const HOST: usize = usize::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) conversation: usize,
    pub(crate) seq: u64,
    /// Unique over all conversations.
    pub(crate) id: u64,
    /// [`HOST`] for the host application.
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
    Members(MembersChange),
    /// Holds the place of an entry that its receiver may not see. In no store.
    Hidden,
    /// A requested change of members. In requests only.
    Asked(GroupChange),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Edit { text: u64 },
    Delete,
    React { emoji: usize, added: bool },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MembersChange {
    pub(crate) added: Option<usize>,
    pub(crate) removed: Option<usize>,
    /// Of who gets another role, or of the heir.
    pub(crate) role: Option<(usize, Role)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupChange {
    Add(usize),
    Remove(usize),
    SetRole(usize, Role),
}
