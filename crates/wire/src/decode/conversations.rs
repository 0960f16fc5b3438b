//! Conversations and what their members set for them.

use super::json::{is_object, json, value};
use super::people::user_ids;
use crate::body;
use crate::loose::LooseId;
use crate::time;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::member_settings::SettingsChange;
use lamplight_usecases::{AdminCommand, ConversationCommand, Refusal};

/// Reads a conversation that the host application creates.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn put_conversation(id: &str, put: &body::PutConversation) -> Result<AdminCommand, Refusal> {
    Ok(AdminCommand::PutConversation {
        conversation: LooseId(id.to_owned()).conversation()?,
        members: user_ids(&put.member_ids)?,
    })
}

/// Reads what a member sets for a conversation, of either transport.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn conversation_settings(
    conversation: &LooseId,
    set: body::SettingsBody,
) -> Result<ConversationCommand, Refusal> {
    let muted_until = match set.muted_until {
        None => None,
        Some(None) => Some(None),
        Some(Some(until)) => Some(Some(time::parse(&until).ok_or_else(|| {
            Refusal::invalid("mutedUntil is an RFC 3339 time, such as 2026-01-31T12:00:00Z.")
        })?)),
    };
    Ok(ConversationCommand::Set {
        conversation: conversation.conversation()?,
        change: SettingsChange {
            muted_until,
            archived: set.archived,
            pinned: set.pinned,
        },
    })
}

pub(super) fn conversation_ref(payload: &str) -> Result<ConversationId, Refusal> {
    if is_object(payload) {
        return json::<body::ConversationRef>(payload.as_bytes())?
            .conversation_id
            .conversation();
    }
    value::<LooseId>(payload.as_bytes())?.conversation()
}
