//! [`Blocks`] on PostgreSQL; the statements are in `postgres/`.

use crate::postgres::{self, PostgresStore};
use async_trait::async_trait;
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::PersonKey;
use lamplight_usecases::ports::{BlockOutcome, BlockState, BlockedBy, Blocks, Page, StoreResult};

#[async_trait]
impl Blocks for PostgresStore {
    async fn block(
        &self,
        user: &UserId,
        blocked: &UserId,
        limit: usize,
        at: Timestamp,
    ) -> StoreResult<BlockOutcome> {
        postgres::block(self, user, blocked, limit, at).await
    }

    async fn unblock(&self, user: &UserId, blocked: &UserId) -> StoreResult<()> {
        postgres::unblock(self, user, blocked).await
    }

    async fn blocked_by(
        &self,
        user: &UserId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        let after = cursor.map(PersonKey::read).transpose()?;
        postgres::blocked_by(self, user, after, limit).await
    }

    async fn between(&self, user: &UserId, others: &[UserId]) -> StoreResult<Vec<UserId>> {
        postgres::blocks_between(self, user, others).await
    }

    async fn block_state(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<BlockState> {
        postgres::block_state(self, user, conversation).await
    }

    async fn blockers_of(&self, users: &[UserId]) -> StoreResult<Vec<BlockedBy>> {
        postgres::blockers_of(self, users).await
    }
}
