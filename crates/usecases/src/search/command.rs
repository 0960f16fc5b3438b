//! The command of searches and the reply to it.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use crate::weight::{self, ROW};
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::time::Timestamp;

/// A search of what the caller may read.
#[derive(Clone, Debug)]
pub enum SearchCommand {
    Messages(MessageQuery),
}

/// The query and its filters.
#[derive(Clone, Debug)]
pub struct MessageQuery {
    /// As it was typed.
    pub query: String,
    /// In this conversation only.
    pub conversation: Option<ConversationId>,
    /// From this user only.
    pub sender: Option<UserId>,
    /// Sent before this time.
    pub before: Option<Timestamp>,
    /// Sent after this time.
    pub after: Option<Timestamp>,
    pub cursor: Option<String>,
    pub limit: usize,
}

impl SearchCommand {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        match self {
            Self::Messages(_) => Metadata::new(Scope::User, Budget::Read, Dispatch::Concurrent),
        }
    }
}

/// Messages that were found, newest first.
#[derive(Clone, Debug)]
pub struct SearchReply {
    pub found: Vec<Found>,
    /// The cursor of the next page, if there may be one.
    pub next: Option<String>,
}

/// A message that was found.
#[derive(Clone, Debug)]
pub struct Found {
    pub message: Message,
    /// The parts of its content that were looked for, in UTF-16 code units.
    pub highlights: Vec<(u32, u32)>,
}

impl SearchReply {
    pub(crate) fn cost(&self) -> usize {
        weight::rows(&self.found, |found| ROW + weight::message(&found.message))
    }
}
