//! Conversations that the host application creates.

use super::service::AdminService;
use crate::command::Reply;
use crate::deadline;
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, UserId};

/// The most members a conversation may have.
pub(crate) const MAX_MEMBERS: usize = 1_000;

impl AdminService {
    pub(super) async fn put_conversation(
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
        // Without local accounts the host application knows its users, and the store creates bare
        // profiles for unknown members.
        if self.identity == Identity::Local
            && let Some(unknown) = deadline::store(self.directory.unknown(&members))
                .await?
                .first()
        {
            return Err(Refusal::new(
                Code::NotFound,
                format!("There is no such user: {unknown}."),
            ));
        }
        let (to, changed) = deadline::store(self.messages.put_conversation(
            conversation,
            &members,
            self.now(),
        ))
        .await?;
        if changed {
            self.bus.publish(Event::ConversationChanged {
                conversation: conversation.clone(),
                to,
            });
        }
        Ok(Reply::Done)
    }
}
