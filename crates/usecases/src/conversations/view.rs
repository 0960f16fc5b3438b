//! The user is looking at a conversation. Delivery never depends on it.

use super::members::members_for;
use super::service::ConversationService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::refusal::Refusal;
use lamplight_domain::identity::ConversationId;

impl ConversationService {
    pub(super) async fn view(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
    ) -> Result<Reply, Refusal> {
        let (user, _) = caller.on_socket()?;
        members_for(&*self.messages, user, conversation).await?;
        Ok(Reply::Done)
    }
}
