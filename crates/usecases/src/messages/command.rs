//! The commands of messages and the replies to them.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use crate::ports::{History, MessagePage, PinnedPage, Range, SentFiles, SyncPage, SyncPosition};
use crate::refusal::Refusal;
use crate::weight::{self, PAGE, ROW};
use lamplight_domain::conversation::Conversation;
use lamplight_domain::entry::Entry;
use lamplight_domain::file::FileKind;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{ConversationId, FileId, MessageId, UserId};
use lamplight_domain::message::SendKey;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

/// The messages of a conversation, and read marks.
#[derive(Clone, Debug)]
pub enum MessageCommand {
    Send {
        conversation: ConversationId,
        /// Not validated yet.
        content: String,
        /// The message that it answers.
        reply_to: Option<MessageId>,
        /// Each once.
        mentions: Vec<UserId>,
        /// Files of the sender's, each once.
        attachments: Vec<FileId>,
        /// The key that makes a repeated send a duplicate.
        key: Option<SendKey>,
        /// Returned to the sender alone.
        temp_id: Option<Arc<str>>,
    },
    /// Changes a message that was sent.
    Change {
        conversation: ConversationId,
        message: MessageId,
        change: MessageChange,
        /// The key that makes a repeated change a duplicate.
        key: Option<SendKey>,
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
    /// Messages as they are now.
    History {
        conversation: ConversationId,
        range: Range,
        limit: usize,
    },
    /// Pinned messages as they are now.
    Pinned {
        conversation: ConversationId,
        /// Only those with a smaller `seq`.
        before: u64,
        limit: usize,
    },
    /// Files that the messages have.
    Files {
        conversation: ConversationId,
        /// Each once.
        kinds: Vec<FileKind>,
        cursor: Option<String>,
        limit: usize,
    },
    /// The place of a time in the log.
    SeqAt {
        conversation: ConversationId,
        at: Timestamp,
    },
    /// Entries of all kinds, as they are in the log.
    Entries {
        conversation: ConversationId,
        range: Range,
        limit: usize,
    },
}

/// A requested change of a message. Texts are not validated yet.
#[derive(Clone, Debug)]
pub enum MessageChange {
    Edit {
        content: String,
        /// Members who are mentioned from then on, each once.
        mentions: Vec<UserId>,
    },
    Delete,
    React {
        emoji: String,
        /// Whether the reaction is added or taken back.
        added: bool,
    },
    Pin {
        pinned: bool,
    },
}

/// The fields of [`MessageCommand::Send`].
pub(super) struct Sending {
    pub(super) conversation: ConversationId,
    pub(super) content: String,
    pub(super) reply_to: Option<MessageId>,
    pub(super) mentions: Vec<UserId>,
    pub(super) attachments: Vec<FileId>,
    pub(super) key: Option<SendKey>,
    pub(super) temp_id: Option<Arc<str>>,
}

impl MessageCommand {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        use {Budget as B, Dispatch as D, Scope as S};
        match self {
            Self::Send { .. } | Self::Change { .. } => {
                Metadata::new(S::User, B::Own, D::Concurrent)
            }
            Self::MarkRead { .. } => Metadata::new(S::User, B::Write, D::Concurrent),
            Self::Sync { .. } => Metadata::new(S::User, B::Read, D::SerialCancelOnClose),
            Self::History { .. }
            | Self::Pinned { .. }
            | Self::Files { .. }
            | Self::SeqAt { .. }
            | Self::Entries { .. } => Metadata::new(S::User, B::Read, D::Concurrent),
        }
    }
}

#[derive(Clone, Debug)]
pub enum MessageReply {
    Sent {
        entry: Arc<Entry>,
        /// Of a repeated send: the message as it is now, if anything was done to it.
        now: Option<Box<Message>>,
        /// The message was stored before, under the same key.
        duplicate: bool,
        temp_id: Option<Arc<str>>,
    },
    Changed {
        /// The new entry, or the one that made the state which the change asks for.
        entry: Arc<Entry>,
        /// The change was stored before, or would change nothing.
        duplicate: bool,
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
    History(MessagePage),
    Pinned(PinnedPage),
    Files(SentFiles),
    SeqAt(u64),
    Entries(History),
}

impl MessageReply {
    pub(crate) fn cost(&self) -> usize {
        let page = |page: &SyncPage| {
            ROW + PAGE
                + weight::rows(&page.entries, weight::entry)
                + weight::receipts(&page.receipts)
        };
        match self {
            Self::Sent { entry, .. } | Self::Changed { entry, .. } => weight::entry(entry),
            Self::Read { .. } | Self::SeqAt(_) => 0,
            Self::Synced {
                conversations,
                added,
                ..
            } => {
                weight::rows(conversations, |(_, one)| one.as_ref().map_or(0, page))
                    + weight::rows(added, weight::conversation)
            }
            Self::History(page) => {
                weight::rows(&page.messages, weight::message)
                    + weight::rows(&page.users, weight::member)
            }
            Self::Entries(history) => {
                weight::rows(&history.entries, weight::entry)
                    + weight::rows(&history.users, weight::member)
            }
            Self::Files(page) => {
                weight::rows(&page.files, weight::sent_file)
                    + weight::rows(&page.users, weight::member)
            }
            Self::Pinned(page) => {
                weight::rows(&page.messages, weight::message)
                    + weight::rows(&page.users, weight::member)
            }
        }
    }
}
