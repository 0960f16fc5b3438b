//! Conversations that the host application creates.

use super::service::AdminService;
use crate::command::Reply;
use crate::deadline;
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use lamplight_domain::identity::{ConversationId, UserId};

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
        if members.len() > self.group_limit {
            let message = format!("A conversation has at most {} members.", self.group_limit);
            return Err(Refusal::new(Code::TooLong, message));
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
        deadline::store(
            self.messages
                .put_conversation(conversation, &members, self.now()),
        )
        .await?;
        Ok(Reply::Done)
    }
}
