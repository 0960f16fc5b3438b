//! A conversation's members, and a conversation as one of them sees it.

use crate::handler::Handler;
use crate::refusal::Refusal;
use lamplight_domain::conversation::{Conversation, Members};
use lamplight_domain::identity::{ConversationId, UserId};

impl Handler {
    /// Who is in a conversation, if `user` is.
    pub(crate) async fn members_for(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> Result<Members, Refusal> {
        let members = self
            .store(self.ports.messages.members(conversation))
            .await?;
        members
            .filter(|members| members.contains(user))
            .ok_or_else(Refusal::no_conversation)
    }

    /// A conversation as one of its members sees it, to be shown to them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn conversation_for(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Conversation>, Refusal> {
        self.store(self.ports.messages.conversation(user, conversation))
            .await
    }
}
