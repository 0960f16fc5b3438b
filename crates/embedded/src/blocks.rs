//! [`Blocks`] on SQLite; the queries are in `sqlite/`.

use crate::messages::SqliteStore;
use crate::sqlite;
use async_trait::async_trait;
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::PersonKey;
use lamplight_usecases::ports::{BlockOutcome, BlockState, BlockedBy, Blocks, Page, StoreResult};

#[async_trait]
impl Blocks for SqliteStore {
    async fn block(
        &self,
        user: &UserId,
        blocked: &UserId,
        limit: usize,
        at: Timestamp,
    ) -> StoreResult<BlockOutcome> {
        let (user, blocked) = (user.clone(), blocked.clone());
        // Later appends run after it on the writer's thread.
        self.write(move |batch| sqlite::block(batch, &user, &blocked, limit, at))
            .answer()
            .await
    }

    async fn unblock(&self, user: &UserId, blocked: &UserId) -> StoreResult<()> {
        let (user, blocked) = (user.clone(), blocked.clone());
        self.write(move |batch| sqlite::unblock(batch, &user, &blocked))
            .answer()
            .await
    }

    async fn blocked_by(
        &self,
        user: &UserId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        let after = cursor.map(PersonKey::read).transpose()?;
        let user = user.clone();
        self.read(move |conn| sqlite::blocked_by(conn, &user, after, limit))
            .await
    }

    async fn between(&self, user: &UserId, others: &[UserId]) -> StoreResult<Vec<UserId>> {
        let (user, others) = (user.clone(), others.to_vec());
        self.read(move |conn| sqlite::blocks_between(conn, &user, &others))
            .await
    }

    async fn block_state(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<BlockState> {
        let (user, conversation) = (user.clone(), conversation.clone());
        self.read(move |conn| sqlite::block_state(conn, &user, &conversation))
            .await
    }

    async fn blockers_of(&self, users: &[UserId]) -> StoreResult<Vec<BlockedBy>> {
        let users = users.to_vec();
        self.read(move |conn| sqlite::blockers_of(conn, &users))
            .await
    }
}
