//! `join_conversation`: the user is looking at it. Delivery never depends on it.

use crate::caller::Caller;
use crate::command::Reply;
use crate::handler::Handler;
use crate::refusal::Refusal;
use lamplight_domain::identity::ConversationId;

impl Handler {
    pub(crate) async fn view_conversation(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
    ) -> Result<Reply, Refusal> {
        let (user, _) = caller.on_socket()?;
        self.members_for(user, conversation).await?;
        Ok(Reply::Done)
    }
}
