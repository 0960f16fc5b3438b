//! [`Groups`] on SQLite; the queries are in `sqlite/`.

use crate::sqlite::{self, SqliteStore};
use async_trait::async_trait;
use lamplight_domain::conversation::{Conversation, Member};
use lamplight_domain::group::{GroupWrite, NewGroup};
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use lamplight_usecases::cursor::MemberKey;
use lamplight_usecases::ports::{GroupChanged, GroupError, Groups, Page, StoreResult};

#[async_trait]
impl Groups for SqliteStore {
    async fn make_group(&self, new: NewGroup) -> Result<Option<(Conversation, bool)>, GroupError> {
        self.write(move |batch| sqlite::make_group(batch, &new))
            .answer()
            .await?
    }

    async fn change_group(
        &self,
        write: GroupWrite,
        except: Option<ConnectionId>,
    ) -> Result<GroupChanged, GroupError> {
        self.write(move |batch| sqlite::change_group(batch, &write, except.as_ref()))
            .answer()
            .await?
    }

    async fn member_page(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<Page<Member>>> {
        let (caller, conversation) = (caller.clone(), conversation.clone());
        let after = cursor.map(MemberKey::read).transpose()?;
        self.read(move |conn| sqlite::member_page(conn, &caller, &conversation, after, limit))
            .await
    }
}
