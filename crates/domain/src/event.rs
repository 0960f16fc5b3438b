//! Events and their receivers.
//!
//! The store has the data of durable events, so a receiver that missed one can read it there.
//! Ephemeral events are valid for a moment only and are not repeated.

use crate::conversation::{Members, Receipt};
use crate::entry::Entry;
use crate::file::FileProgress;
use crate::identity::{ConnectionId, ConversationId, FileId, UserId};
use crate::presence::Change;
use crate::time::Timestamp;
use std::sync::Arc;

/// Something that happened. Every node gets it, and passes it to the connections that it holds.
#[derive(Clone, Debug)]
pub enum Event {
    /// A log has grown. Durable.
    Appended {
        entry: Arc<Entry>,
        /// The members of the conversation, and members that the entry removes.
        to: Members,
        /// Receivers whose log begins after the message that the entry refers to: they get
        /// [`Entry::without_past`]. Usually empty.
        newcomers: Members,
        /// The connection that sent it and gets the acknowledgement instead.
        except: Option<ConnectionId>,
    },
    /// A user began or stopped typing. Ephemeral.
    Typing {
        conversation: ConversationId,
        user: UserId,
        is_typing: bool,
        /// When typing ends unless it is reported again.
        expires_at: Timestamp,
        /// The other members.
        to: Members,
    },
    /// One of these users blocks the other, so typing events in their direct conversations end.
    /// With `is_published`, sent before the block takes effect, nodes publish the end of typing.
    /// Without it, sent after the block, nodes only forget typing that began meanwhile. Ephemeral.
    TypingEnds {
        between: [UserId; 2],
        is_published: bool,
    },
    /// A user starts, continues or ends an upload; for the nodes that have sessions of the user.
    /// Ephemeral.
    Sharing {
        user: UserId,
        file: FileId,
        is_active: bool,
    },
    /// An upload went on, or ended. Ephemeral.
    FileProgress {
        progress: Box<FileProgress>,
        /// The other members.
        to: Members,
    },
    /// A process wants to go on with an upload that another one writes, which ends its request.
    /// Ephemeral: without an answer, the process takes the upload over after a few seconds.
    UploadWanted {
        file: FileId,
        /// The process that asks: see `FileService::is_own`.
        by: Arc<str>,
    },
    /// A member's marks moved. Durable.
    Receipt {
        conversation: ConversationId,
        receipt: Receipt,
        /// Whether the delivered mark moved. Otherwise the event has no news for users who may not see
        /// read marks.
        delivers: bool,
        /// The member whose marks moved, and all others; in a large conversation only the authors
        /// of the newly covered entries.
        to: Members,
    },
    /// A conversation is new or looks different to these members. Each sees it differently, so a
    /// node reads it for them. Durable.
    ConversationChanged {
        conversation: ConversationId,
        to: Members,
    },
    /// The set of users who have blocked a user changed. Nodes with a connection of the user read it
    /// again. Ephemeral: a node that lost events reads it for all its users.
    BlockersChanged { user: UserId },
    /// A user's presence changed; versions order the changes of one user. Ephemeral.
    Presence(Change),
    /// A session of a local account ended. Nodes close the connections that this credential
    /// authenticates. Ephemeral.
    SignedOut {
        user: UserId,
        credential: Arc<str>,
        /// If the store does not have this yet, nodes refuse the credential by themselves.
        is_stored: bool,
    },
    /// What a user signed in with until then counts no more. With local accounts: the sessions opened
    /// until then, and the store does not have their end yet. Otherwise: the tokens issued until then,
    /// and nodes close the user's connections. Ephemeral.
    SignedOutEverywhere { user: UserId, until: Timestamp },
}

/// The receivers of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// Every node: for connections that follow the roster or watch the user, and for those about to
    /// connect.
    Everyone,
    Users(&'a [UserId]),
}

impl Event {
    /// The users that this is addressed to, for a bus that serves only nodes that hold one of them.
    #[must_use]
    pub fn audience(&self) -> Audience<'_> {
        match self {
            Self::Appended { to, .. }
            | Self::Typing { to, .. }
            | Self::FileProgress { to, .. }
            | Self::Receipt { to, .. }
            | Self::ConversationChanged { to, .. } => Audience::Users(to),
            Self::TypingEnds { between, .. } => Audience::Users(between),
            Self::BlockersChanged { user } | Self::Sharing { user, .. } => {
                Audience::Users(std::slice::from_ref(user))
            }
            // A node may have looked the session up for a connection that it does not hold yet.
            Self::SignedOut { .. } | Self::SignedOutEverywhere { .. } | Self::Presence(_) => {
                Audience::Everyone
            }
            Self::UploadWanted { .. } => Audience::Everyone,
        }
    }

    /// Whether the store has the content of the event. An overloaded bus may drop other events silently,
    /// and these only with `BusMessage::Lagged`.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        match self {
            Self::Appended { .. } | Self::Receipt { .. } | Self::ConversationChanged { .. } => true,
            Self::Typing { .. }
            | Self::TypingEnds { .. }
            | Self::FileProgress { .. }
            | Self::Sharing { .. }
            | Self::UploadWanted { .. }
            | Self::BlockersChanged { .. }
            | Self::Presence(_)
            | Self::SignedOut { .. }
            | Self::SignedOutEverywhere { .. } => false,
        }
    }
}
