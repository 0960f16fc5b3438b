//! A part of a log.

use super::command::MessageReply;
use crate::caller::Caller;
use crate::command::Reply;
use crate::handler::Handler;
use crate::ports::Range;
use crate::refusal::Refusal;
use lamplight_domain::identity::ConversationId;

impl Handler {
    pub(crate) async fn history(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let history = self
            .store(
                self.ports
                    .messages
                    .history(user, conversation, range, limit),
            )
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        if let Some(newest) = history.entries.last() {
            self.note_delivered(user, conversation, newest.seq);
        }
        Ok(Reply::Messages(MessageReply::History(history)))
    }
}
