//! `mark_read`: moves the reader's mark.

use super::command::MessageReply;
use super::receipts;
use super::service::MessageService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::refusal::Refusal;
use lamplight_domain::event::Event;
use lamplight_domain::identity::ConversationId;

impl MessageService {
    pub(super) async fn mark_read(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        seq: u64,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let marked = deadline::store(self.messages.mark_read(user, conversation, seq, self.now()))
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        let read_seq = marked.read_seq;
        if marked.moved {
            self.bus.publish(Event::ConversationChanged {
                conversation: conversation.clone(),
                to: [user.clone()].into(),
            });
        }
        receipts::publish(&*self.bus, marked);
        Ok(Reply::Messages(MessageReply::Read {
            conversation: conversation.clone(),
            read_seq,
        }))
    }
}
