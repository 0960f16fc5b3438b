//! `typing`: tells the other members; a notice that is not repeated expires.

use super::service::PresenceService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::conversations::members::members_for;
use crate::deadline;
use crate::refusal::Refusal;
use lamplight_domain::identity::{ConversationId, UserId};

impl PresenceService {
    pub(super) async fn set_typing(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        is_typing: bool,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        self.limits.typing(user)?;
        let to = members_for(&*self.messages, user, &conversation).await?;
        if !is_typing {
            self.typing.stop(user, conversation, to);
        } else if self.is_blocked(user, &to).await? {
            // Accepted and published to nobody, as that of an invisible user.
        } else if !deadline::store(self.store.is_invisible(user)).await? {
            // A notice of an invisible user is accepted and published to nobody.
            self.typing
                .start(user, conversation, to, caller.session.clone());
        }
        Ok(Reply::Done)
    }

    /// Whether a conversation of two people passes nothing on.
    async fn is_blocked(&self, user: &UserId, members: &[UserId]) -> Result<bool, Refusal> {
        if members.len() != 2 {
            return Ok(false);
        }
        let blocked = deadline::store(self.blocks.between(user, members)).await?;
        Ok(!blocked.is_empty())
    }
}
