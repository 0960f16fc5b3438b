//! Decodes events and bodies into commands.

mod conversations;
mod json;
mod messages;
mod people;
mod presence;

pub use conversations::{conversation_settings, put_conversation};
pub use json::{json, not_understood};
pub use messages::{change, edited, send};
pub use people::{
    account_settings, delete_account, find_user, profile, put_user, sign_out_user, subscribe,
    unsubscribe, update_account,
};

use crate::{body, group};
use body::InGroup;
use conversations::conversation_ref;
use lamplight_domain::identity::UserId;
use lamplight_usecases::{
    BlockCommand, Command, ConversationCommand, MessageChange, MessageCommand, PresenceCommand,
    Refusal,
};
use messages::sync;
use people::{user_ids, user_ref};
use presence::{activity, is_active, join_user, set_status};

#[derive(Debug)]
pub enum SocketRequest {
    Command(Command),
    /// A fresh token for the connection itself.
    Authenticate(String),
}

/// Reads a socket's event. `payload` is the JSON text of its first argument, `null` without one.
///
/// # Errors
/// `invalid`, with what was not understood.
pub fn event(name: &str, payload: &str) -> Result<SocketRequest, Refusal> {
    event_by(None, name, payload)
}

/// As [`event`]. `caller` is the socket's authenticated user, for a `join_user` without a user.
///
/// # Errors
/// `invalid`, with what was not understood.
pub fn event_by(
    caller: Option<&UserId>,
    name: &str,
    payload: &str,
) -> Result<SocketRequest, Refusal> {
    let payload = payload.trim();
    let command = match name {
        "join_user" => join_user(payload, caller)?.into(),
        "user_activity" => PresenceCommand::Heartbeat {
            active: is_active(payload)?,
        }
        .into(),
        "set_status" => set_status(json(payload.as_bytes())?)?.into(),
        "set_activity" => PresenceCommand::SetActivity(
            json::<body::SetActivity>(payload.as_bytes())?
                .activity
                .map(activity)
                .transpose()?,
        )
        .into(),
        "watch_presence" => PresenceCommand::Watch(user_ids(
            &json::<body::WatchPresence>(payload.as_bytes())?.user_ids,
        )?)
        .into(),
        "unwatch_presence" => PresenceCommand::Unwatch(user_ids(
            &json::<body::WatchPresence>(payload.as_bytes())?.user_ids,
        )?)
        .into(),
        "join_conversation" => ConversationCommand::View(conversation_ref(payload)?).into(),
        "leave_conversation" => ConversationCommand::Unview(conversation_ref(payload)?).into(),
        "send_private_message" => send(json(payload.as_bytes())?)?.into(),
        "edit_message" => {
            let edit: body::EditMessage = json(payload.as_bytes())?;
            let place = (&edit.conversation_id, &edit.message_id);
            change(
                place,
                edit.client_message_id,
                edited(edit.content, edit.mentions)?,
            )?
            .into()
        }
        "delete_message" => {
            let delete: body::DeleteMessage = json(payload.as_bytes())?;
            let place = (&delete.conversation_id, &delete.message_id);
            change(place, delete.client_message_id, MessageChange::Delete)?.into()
        }
        "react" => {
            let body::React {
                conversation_id,
                message_id,
                emoji,
                added,
                client_message_id,
            } = json(payload.as_bytes())?;
            let place = (&conversation_id, &message_id);
            let react = MessageChange::React { emoji, added };
            change(place, client_message_id, react)?.into()
        }
        "pin_message" => {
            let pin: body::PinMessage = json(payload.as_bytes())?;
            let place = (&pin.conversation_id, &pin.message_id);
            let pinned = MessageChange::Pin { pinned: pin.pinned };
            change(place, pin.client_message_id, pinned)?.into()
        }
        "typing" => {
            let typing: body::TypingBody = json(payload.as_bytes())?;
            PresenceCommand::Typing {
                conversation: typing.conversation_id.conversation()?,
                is_typing: typing.is_typing,
            }
            .into()
        }
        "mark_read" => {
            let mark: body::MarkRead = json(payload.as_bytes())?;
            MessageCommand::MarkRead {
                conversation: mark.conversation_id.conversation()?,
                seq: mark.seq,
            }
            .into()
        }
        "block_user" => BlockCommand::Block(user_ref(payload)?).into(),
        "unblock_user" => BlockCommand::Unblock(user_ref(payload)?).into(),
        "set_conversation_settings" => {
            let set: body::SetConversationSettings = json(payload.as_bytes())?;
            let settings = body::SettingsBody {
                muted_until: set.muted_until,
                archived: set.archived,
                pinned: set.pinned,
            };
            conversation_settings(&set.conversation_id, settings)?.into()
        }
        "open_conversation" => group::open(json(payload.as_bytes())?)?,
        "update_group" => {
            let InGroup { id, change } = json(payload.as_bytes())?;
            group::details(&id, change)?.into()
        }
        "add_members" => {
            let InGroup { id, change } = json(payload.as_bytes())?;
            group::add(&id, change)?.into()
        }
        "remove_member" => {
            let InGroup { id, change } = json::<InGroup<body::RemoveMember>>(payload.as_bytes())?;
            group::remove(&id, &change.user_id, change.client_message_id)?.into()
        }
        "set_member_role" => {
            let InGroup { id, change } = json::<InGroup<body::SetMemberRole>>(payload.as_bytes())?;
            let body::SetMemberRole { user_id, set } = change;
            group::role(&id, &user_id, set)?.into()
        }
        "sync" => sync(json(payload.as_bytes())?)?.into(),
        "authenticate" => {
            return Ok(SocketRequest::Authenticate(
                json::<body::Authenticate>(payload.as_bytes())?.token,
            ));
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(Refusal::invalid(format!(
                "There is no event called {shown:?}."
            )));
        }
    };
    Ok(SocketRequest::Command(command))
}

#[cfg(test)]
mod tests;
