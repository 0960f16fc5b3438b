//! The commands of conversations and the replies to them.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use crate::ports::{ListFilter, Page};
use crate::weight::{self, ROW};
use lamplight_domain::conversation::Conversation;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::member_settings::SettingsChange;

/// The conversations of a user.
#[derive(Clone, Debug)]
pub enum ConversationCommand {
    /// Returns the direct conversation with another user, created if there is none.
    Open(UserId),
    List {
        /// Only some of them.
        filter: Option<ListFilter>,
        cursor: Option<String>,
        limit: usize,
    },
    /// The user is looking at a conversation.
    View(ConversationId),
    /// The user no longer looks at it.
    Unview(ConversationId),
    /// Changes what the user has set for a conversation.
    Set {
        conversation: ConversationId,
        change: SettingsChange,
    },
}

impl ConversationCommand {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        use {Budget as B, Dispatch as D, Scope as S};
        match self {
            Self::Open(_) | Self::Set { .. } => Metadata::new(S::User, B::Write, D::Concurrent),
            Self::List { .. } => Metadata::new(S::User, B::Read, D::Concurrent),
            Self::View(_) | Self::Unview(_) => {
                Metadata::new(S::Connection, B::Lookup, D::Concurrent)
            }
        }
    }
}

#[derive(Clone, Debug)]
pub enum ConversationReply {
    /// A conversation as the caller sees it.
    One {
        conversation: Box<Conversation>,
        /// The command created it.
        created: bool,
    },
    Page {
        page: Page<Conversation>,
        /// The unread messages in all of the user's conversations that are neither muted nor
        /// archived.
        total_unread: u64,
    },
}

impl ConversationReply {
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::One { conversation, .. } => weight::conversation(conversation),
            Self::Page { page, .. } => page
                .items
                .iter()
                .map(|one| ROW * (1 + one.members.len()) + weight::conversation(one))
                .sum(),
        }
    }
}
