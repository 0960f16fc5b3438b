//! Searching the messages of a user's conversations.

use super::follower::CommitPosition;
use super::store::{Page, StoreResult};
use async_trait::async_trait;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::search_terms::QueryTerm;
use lamplight_domain::time::Timestamp;

/// A search query.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// A message must have all of them. None finds nothing.
    pub terms: Vec<QueryTerm>,
    /// In this conversation only.
    pub conversation: Option<ConversationId>,
    /// From this user only.
    pub sender: Option<UserId>,
    /// Sent before this time.
    pub before: Option<Timestamp>,
    /// Sent after this time.
    pub after: Option<Timestamp>,
}

/// How far the index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexProgress {
    /// The entries up to here are in the index.
    pub position: CommitPosition,
    /// There are more entries after them.
    pub is_behind: bool,
    /// The position of the newest known entry.
    pub newest: CommitPosition,
    /// The result of the step.
    pub step: IndexStep,
}

/// The result of [`MessageSearch::advance`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexStep {
    /// Nothing: no further entry is readable.
    #[default]
    Idle,
    /// It moved the index to the end of what was readable.
    Moved,
    /// The index advanced by a full step. Further entries are readable.
    Full,
    /// Nothing, since another process moved the index meanwhile.
    Outrun,
}

/// An index of the messages of all logs, and searches in it.
///
/// The index follows the log: [`MessageSearch::advance`] handles the entries after a position that is
/// stored with the index and advances in the same transaction, so that no entry is missed over a
/// crash. It indexes each message as of the last of these entries or later, so that an entry may be
/// handled more than once. Edited and deleted texts are not found, even before the index has caught
/// up.
#[async_trait]
pub trait MessageSearch: Send + Sync + 'static {
    /// Messages as they are now, in conversations that the caller is a member of now, newest first.
    /// A page can have fewer than `limit`, even none, and a cursor: then there may be more. `None`
    /// if the caller has no conversation with the requested id.
    ///
    /// Of a caller in more than [`MOST_CONVERSATIONS`](crate::search_index::MOST_CONVERSATIONS), those
    /// with the newest entries are searched, unless one is named.
    async fn search(
        &self,
        caller: &UserId,
        search: &Search,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<Page<Message>>>;

    /// Brings the index up to at most `limit` further entries. Where another node did so meanwhile,
    /// nothing is done.
    async fn advance(&self, limit: usize) -> StoreResult<IndexProgress>;

    /// How far the index is: one cheap read.
    async fn index_progress(&self) -> StoreResult<IndexProgress>;

    /// Empties the index. [`MessageSearch::advance`] rebuilds it.
    async fn reindex(&self) -> StoreResult<()>;
}
