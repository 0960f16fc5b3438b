//! The members of a conversation.

use crate::deadline;
use crate::ports::Messages;
use crate::refusal::Refusal;
use lamplight_domain::conversation::Members;
use lamplight_domain::identity::{ConversationId, UserId};

/// The members of a conversation.
///
/// # Errors
/// `not_found` unless `user` is one of them.
pub(crate) async fn members_for(
    messages: &dyn Messages,
    user: &UserId,
    conversation: &ConversationId,
) -> Result<Members, Refusal> {
    deadline::store(messages.members(conversation))
        .await?
        .filter(|members| members.contains(user))
        .ok_or_else(Refusal::no_conversation)
}
