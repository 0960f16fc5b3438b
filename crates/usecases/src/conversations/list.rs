//! The caller's conversations.

use super::command::ConversationReply;
use crate::caller::Caller;
use crate::command::Reply;
use crate::handler::Handler;
use crate::refusal::Refusal;

impl Handler {
    pub(crate) async fn list_conversations(
        &self,
        caller: &Caller,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        Ok(Reply::Conversations(ConversationReply::Page(
            self.store(self.ports.messages.conversations(user, cursor, limit))
                .await?,
        )))
    }
}
