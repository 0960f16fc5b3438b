//! Conversations that the host application creates.

use crate::command::Reply;
use crate::handler::Handler;
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, UserId};

/// The most members a conversation may have.
pub(crate) const MAX_MEMBERS: usize = 1_000;

impl Handler {
    pub(crate) async fn put_conversation(
        &self,
        conversation: &ConversationId,
        mut members: Vec<UserId>,
    ) -> Result<Reply, Refusal> {
        members.sort();
        members.dedup();
        if members.is_empty() {
            return Err(Refusal::invalid(
                "A conversation has at least one member: memberIds is empty.",
            ));
        }
        if members.len() > MAX_MEMBERS {
            return Err(Refusal::new(
                Code::TooLong,
                "A conversation has at most 1,000 members.",
            ));
        }
        // Elsewhere the host application knows them, and the store makes bare profiles as it seats
        // them.
        if self.settings.identity == Identity::Local
            && let Some(stranger) = self
                .store(self.ports.directory.unknown(&members))
                .await?
                .first()
        {
            return Err(Refusal::new(
                Code::NotFound,
                format!("There is no such user: {stranger}."),
            ));
        }
        let (to, changed) = self
            .store(
                self.ports
                    .messages
                    .put_conversation(conversation, &members, self.wall()),
            )
            .await?;
        if changed {
            self.ports.bus.publish(Event::ConversationChanged {
                conversation: conversation.clone(),
                to,
            });
        }
        Ok(Reply::Done)
    }
}
