//! The commands of messages and the replies to them.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use crate::ports::{History, Range, SyncPage, SyncPosition};
use crate::refusal::Refusal;
use crate::weight::{self, PAGE, ROW};
use lamplight_domain::conversation::Conversation;
use lamplight_domain::entry::Entry;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::message::SendKey;
use std::sync::Arc;

/// The messages of a conversation, and read marks.
#[derive(Clone, Debug)]
pub enum MessageCommand {
    Send {
        conversation: ConversationId,
        /// Not validated yet.
        content: String,
        /// The key that makes a repeated send a duplicate.
        key: Option<SendKey>,
        /// Returned to the sender alone.
        temp_id: Option<Arc<str>>,
    },
    MarkRead {
        conversation: ConversationId,
        seq: u64,
    },
    /// Returns what a client missed while it was away.
    Sync {
        /// The newest entry that the client has of each conversation.
        have: Vec<SyncPosition>,
        /// Positions that could not be decoded, by the name that the client sent: each is refused
        /// in the reply, beside the others.
        refused: Vec<(Arc<str>, Refusal)>,
    },
    History {
        conversation: ConversationId,
        range: Range,
        limit: usize,
    },
}

impl MessageCommand {
    /// Who may send it, what it counts against, and how it is ordered.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        use {Budget as B, Dispatch as D, Scope as S};
        match self {
            Self::Send { .. } => Metadata::new(S::User, B::Own, D::Concurrent),
            Self::MarkRead { .. } => Metadata::new(S::User, B::Write, D::Concurrent),
            Self::Sync { .. } => Metadata::new(S::User, B::Read, D::SerialCancelOnClose),
            Self::History { .. } => Metadata::new(S::User, B::Read, D::Concurrent),
        }
    }
}

#[derive(Clone, Debug)]
pub enum MessageReply {
    Sent {
        message: Arc<Entry>,
        /// The message was stored before, under the same key.
        duplicate: bool,
        temp_id: Option<Arc<str>>,
    },
    /// The read mark in force.
    Read {
        conversation: ConversationId,
        read_seq: u64,
    },
    Synced {
        /// In the order of the command; `None` where the caller has no such conversation.
        conversations: Vec<(ConversationId, Option<SyncPage>)>,
        /// [`MessageCommand::Sync::refused`].
        refused: Vec<(Arc<str>, Refusal)>,
        /// Conversations that the command did not name.
        added: Vec<Conversation>,
    },
    History(History),
}

impl MessageReply {
    pub(crate) fn cost(&self) -> usize {
        let page = |page: &SyncPage| {
            ROW + PAGE
                + weight::rows(&page.entries, weight::entry)
                + weight::receipts(&page.receipts)
        };
        match self {
            Self::Sent { message, .. } => weight::entry(message),
            Self::Read { .. } => 0,
            Self::Synced {
                conversations,
                added,
                ..
            } => {
                weight::rows(conversations, |(_, one)| one.as_ref().map_or(0, page))
                    + weight::rows(added, weight::conversation)
            }
            Self::History(history) => weight::rows(&history.entries, weight::entry),
        }
    }
}
