//! `mark_read`: moves the reader's mark.

use super::command::MessageReply;
use crate::caller::Caller;
use crate::command::Reply;
use crate::handler::Handler;
use crate::refusal::Refusal;
use lamplight_domain::event::Event;
use lamplight_domain::identity::ConversationId;

impl Handler {
    pub(crate) async fn mark_read(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        seq: u64,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let marked = self
            .store(
                self.ports
                    .messages
                    .mark_read(user, conversation, seq, self.wall()),
            )
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        let read_seq = marked.read_seq;
        if marked.moved {
            self.ports.bus.publish(Event::ConversationChanged {
                conversation: conversation.clone(),
                to: [user.clone()].into(),
            });
        }
        self.tell(marked);
        Ok(Reply::Messages(MessageReply::Read {
            conversation: conversation.clone(),
            read_seq,
        }))
    }
}
