//! A member's settings of a conversation: muted, archived, pinned.

use super::command::ConversationReply;
use super::service::ConversationService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::refusal::Refusal;
use lamplight_domain::event::Event;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::member_settings::SettingsChange;

impl ConversationService {
    /// Answers with the conversation as it is then, and sends it to the user's other devices.
    pub(super) async fn set(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        change: SettingsChange,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        if !deadline::store(self.messages.set_settings(user, conversation, change)).await? {
            return Err(Refusal::no_conversation());
        }
        self.bus.publish(Event::ConversationChanged {
            conversation: conversation.clone(),
            to: [user.clone()].into(),
        });
        let now = deadline::store(self.messages.conversation(user, conversation)).await?;
        Ok(Reply::Conversations(ConversationReply::One {
            conversation: Box::new(now.ok_or_else(Refusal::no_conversation)?),
            created: false,
        }))
    }
}
