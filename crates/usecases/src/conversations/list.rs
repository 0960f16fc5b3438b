//! The caller's conversations.

use super::command::ConversationReply;
use super::service::ConversationService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::refusal::Refusal;

impl ConversationService {
    pub(super) async fn list(
        &self,
        caller: &Caller,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        Ok(Reply::Conversations(ConversationReply::Page(
            deadline::store(self.messages.conversations(user, cursor, limit)).await?,
        )))
    }
}
