//! Who has blocked whom.

use super::store::{Page, StoreResult};
use async_trait::async_trait;
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::time::Timestamp;

/// Whether a user could be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockOutcome {
    /// They are blocked, by this or an earlier call.
    Blocked,
    /// The user has blocked as many as one may.
    TooMany,
    /// One of the two has deleted their account: nothing is stored.
    Deleted,
}

/// Whether a block holds in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockState {
    /// It is not direct: in groups nothing is hidden, also in a group that has shrunk to two.
    Group,
    /// It is one of two people of whom neither has blocked the other.
    Open,
    /// It is one of two people of whom one has blocked the other.
    Blocked,
}

/// More blocks of one user than this hide nobody: what a node holds of a user is bounded.
pub const MOST_BLOCKERS: usize = 10_000;

/// A user is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedBy {
    pub blocked: UserId,
    pub by: UserId,
    pub since: Timestamp,
}

/// Who has blocked whom, in the store of the messages.
///
/// In a conversation of two people of whom one has blocked the other, [`Messages::append`] refuses
/// every write but the deletion of a message with [`AppendError::Forbidden`], after the check for
/// repetitions, and the visible marks of both stand still.
///
/// [`Messages::append`]: super::Messages::append
/// [`AppendError::Forbidden`]: super::AppendError::Forbidden
#[async_trait]
pub trait Blocks: Send + Sync + 'static {
    /// Blocks a user, at most `limit` in all. Whoever the directory does not know gets a bare
    /// profile. When it resolves, no write that the block forbids is stored any more, on any node.
    async fn block(
        &self,
        user: &UserId,
        blocked: &UserId,
        limit: usize,
        at: Timestamp,
    ) -> StoreResult<BlockOutcome>;

    async fn unblock(&self, user: &UserId, blocked: &UserId) -> StoreResult<()>;

    /// Those whom a user has blocked, by their names. A cursor of no earlier page is
    /// [`StoreError::BadCursor`](super::StoreError::BadCursor).
    async fn blocked_by(
        &self,
        user: &UserId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>>;

    /// Those of `others` who have blocked a user, or whom the user has blocked, in the order of their
    /// ids.
    async fn between(&self, user: &UserId, others: &[UserId]) -> StoreResult<Vec<UserId>>;

    /// Whether a block holds in a conversation of a user; [`BlockState::Group`] if there is none.
    async fn block_state(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<BlockState>;

    /// Who has blocked any of these users, of each at most [`MOST_BLOCKERS`]. In no particular order.
    async fn blockers_of(&self, users: &[UserId]) -> StoreResult<Vec<BlockedBy>>;
}
