//! A part of a log.

use super::command::MessageReply;
use super::service::MessageService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::Range;
use crate::refusal::Refusal;
use lamplight_domain::identity::ConversationId;

impl MessageService {
    pub(super) async fn history(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let history = deadline::store(self.messages.history(user, conversation, range, limit))
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        if let Some(newest) = history.entries.last() {
            self.marks.record(user, conversation, newest.seq);
        }
        Ok(Reply::Messages(MessageReply::History(history)))
    }
}
