//! Blocks between users.

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
    /// One of the two has deleted their account; nothing was stored.
    Deleted,
}

/// Whether a block applies in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockState {
    /// It is not direct: in groups nothing is hidden, also in a group that has shrunk to two.
    Group,
    /// A direct conversation without a block.
    Open,
    /// A direct conversation in which one has blocked the other.
    Blocked,
}

/// The maximum number of a user's blockers that a node tracks. Further blockers do not look offline
/// to the user.
pub const MOST_BLOCKERS: usize = 10_000;

/// A user is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedBy {
    pub blocked: UserId,
    pub by: UserId,
    pub since: Timestamp,
}

/// Blocks between users, in the same store as the messages.
///
/// In a direct conversation with a block, [`Messages::append`] refuses every write except the
/// deletion of a message with [`AppendError::Forbidden`], after the check for repetitions, and the
/// visible marks of both users do not advance.
///
/// [`Messages::append`]: super::Messages::append
/// [`AppendError::Forbidden`]: super::AppendError::Forbidden
#[async_trait]
pub trait Blocks: Send + Sync + 'static {
    /// Blocks a user, at most `limit` in total. A user who is not in the directory gets a bare
    /// profile. Once it resolves, no node stores a write that the block forbids.
    async fn block(
        &self,
        user: &UserId,
        blocked: &UserId,
        limit: usize,
        at: Timestamp,
    ) -> StoreResult<BlockOutcome>;

    async fn unblock(&self, user: &UserId, blocked: &UserId) -> StoreResult<()>;

    /// The users whom a user has blocked, sorted by name. An invalid cursor is
    /// [`StoreError::BadCursor`](super::StoreError::BadCursor).
    async fn blocked_by(
        &self,
        user: &UserId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>>;

    /// The users among `others` who have blocked a user or whom the user has blocked, in the order of
    /// their ids.
    async fn between(&self, user: &UserId, others: &[UserId]) -> StoreResult<Vec<UserId>>;

    /// Whether a block applies in a conversation of a user; [`BlockState::Group`] if there is none.
    async fn block_state(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<BlockState>;

    /// The blockers of each of these users, at most [`MOST_BLOCKERS`] each, in no particular order.
    async fn blockers_of(&self, users: &[UserId]) -> StoreResult<Vec<BlockedBy>>;
}
