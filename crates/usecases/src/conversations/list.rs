//! The caller's conversations.

use super::command::ConversationReply;
use super::service::ConversationService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::ListFilter;
use crate::refusal::Refusal;
use futures_util::future;

impl ConversationService {
    pub(super) async fn list(
        &self,
        caller: &Caller,
        filter: Option<ListFilter>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let page = self.messages.conversations(user, filter, cursor, limit);
        let total = self.messages.total_unread(user, self.now());
        let (page, total_unread) = deadline::store(future::try_join(page, total)).await?;
        Ok(Reply::Conversations(ConversationReply::Page {
            page,
            total_unread,
        }))
    }
}
