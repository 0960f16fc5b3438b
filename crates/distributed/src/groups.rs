//! [`Groups`] on PostgreSQL; the statements are in `postgres/`. A change that has begun is also
//! published where its caller has stopped waiting, as batches of appends are.

use crate::postgres::{self, PostgresStore};
use async_trait::async_trait;
use lamplight_domain::conversation::{Conversation, Member};
use lamplight_domain::group::{GroupWrite, NewGroup};
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use lamplight_usecases::cursor::MemberKey;
use lamplight_usecases::ports::{GroupChanged, GroupError, Groups, Page, StoreError, StoreResult};

#[async_trait]
impl Groups for PostgresStore {
    async fn make_group(&self, new: NewGroup) -> Result<Option<(Conversation, bool)>, GroupError> {
        let (database, events) = self.detached();
        let made = tokio::spawn(async move {
            let made = postgres::make_group(&database, &new).await?;
            let Some((conversation, is_new, published)) = made else {
                return Ok(None);
            };
            events.send(published).await;
            Ok(Some((conversation, is_new)))
        });
        made.await
            .unwrap_or_else(|error| Err(stopped(&error).into()))
    }

    async fn change_group(
        &self,
        write: GroupWrite,
        except: Option<ConnectionId>,
    ) -> Result<GroupChanged, GroupError> {
        let (database, events) = self.detached();
        let changed = tokio::spawn(async move {
            let done = postgres::change_group(&database, &write, except.as_ref()).await?;
            events.send(done.events).await;
            Ok(done.changed)
        });
        changed
            .await
            .unwrap_or_else(|error| Err(stopped(&error).into()))
    }

    async fn member_page(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<Page<Member>>> {
        let after = cursor.map(MemberKey::read).transpose()?;
        postgres::member_page(self, caller, conversation, after, limit).await
    }
}

/// A task that panicked, or whose runtime ends.
pub(crate) fn stopped(error: &tokio::task::JoinError) -> StoreError {
    StoreError::Internal(format!("a write was stopped: {error}"))
}
