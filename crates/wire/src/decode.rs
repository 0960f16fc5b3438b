//! From what arrives to a command.

use crate::body;
use crate::loose::LooseId;
use crate::time;
use lamplight_domain::feed::Mode;
use lamplight_domain::identity::{ConversationId, Profile, UserId, parse_avatar_url, parse_name};
use lamplight_domain::message::SendKey;
use lamplight_domain::presence::{Activity, Chosen, Manual, parse_kind, parse_text};
use lamplight_usecases::{Command, Refusal};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// What a socket's event asks for.
#[derive(Debug)]
pub enum Asked {
    /// Something of the use cases.
    Command(Command),
    /// A fresh token for the connection itself.
    Authenticate(String),
}

/// Reads a body or a payload.
///
/// # Errors
/// `invalid`, with what was not understood.
pub fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text)
        .map_err(|error| Refusal::invalid(format!("The request was not understood: {}.", brief(&error.to_string()))))
}

/// What is wrong with a value quotes the value, which may be as long as a request: its beginning and the end, which says
/// what was expected and where, are enough.
fn brief(error: &str) -> String {
    const BEGINNING: usize = 120;
    const END: usize = 120;
    let count = error.chars().count();
    if count <= BEGINNING + END {
        return error.to_owned();
    }
    let beginning = error.chars().take(BEGINNING);
    let end = error.chars().skip(count - END);
    beginning.chain(" … ".chars()).chain(end).collect()
}

fn json_or<T: DeserializeOwned + Default>(text: &str) -> Result<T, Refusal> {
    if text == "null" { Ok(T::default()) } else { json(text.as_bytes()) }
}

/// Reads a socket's event. `payload` is the JSON text of its first argument, `null` where it has none.
///
/// # Errors
/// `invalid`, with what was not understood.
pub fn event(name: &str, payload: &str) -> Result<Asked, Refusal> {
    let payload = payload.trim();
    let command = match name {
        "join_user" => join_user(payload)?,
        "user_activity" => Command::Activity { active: json_or::<body::UserActivity>(payload)?.active.unwrap_or(true) },
        "set_status" => set_status(json(payload.as_bytes())?)?,
        "set_activity" => Command::SetActivity(json::<body::SetActivity>(payload.as_bytes())?.activity.map(activity).transpose()?),
        "watch_presence" => Command::Watch(user_ids(&json::<body::WatchPresence>(payload.as_bytes())?.user_ids)?),
        "unwatch_presence" => Command::Unwatch(user_ids(&json::<body::WatchPresence>(payload.as_bytes())?.user_ids)?),
        "join_conversation" => Command::View(conversation_ref(payload)?),
        "leave_conversation" => Command::Unview(conversation_ref(payload)?),
        "send_private_message" => send(json(payload.as_bytes())?)?,
        "typing" => {
            let typing: body::TypingBody = json(payload.as_bytes())?;
            Command::Typing { conversation: typing.conversation_id.conversation()?, is_typing: typing.is_typing }
        }
        "mark_read" => {
            let mark: body::MarkRead = json(payload.as_bytes())?;
            Command::MarkRead { conversation: mark.conversation_id.conversation()?, seq: mark.seq }
        }
        "sync" => sync(json(payload.as_bytes())?)?,
        "authenticate" => return Ok(Asked::Authenticate(json::<body::Authenticate>(payload.as_bytes())?.token)),
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(Refusal::invalid(format!("There is no event called {shown:?}.")));
        }
    };
    Ok(Asked::Command(command))
}

fn is_object(payload: &str) -> bool {
    payload.starts_with('{')
}

fn join_user(payload: &str) -> Result<Command, Refusal> {
    if !is_object(payload) {
        let user = json::<LooseId>(payload.as_bytes())?.user("userId")?;
        return Ok(Command::Join { user, mode: Mode::Full, name: None, avatar_url: None });
    }
    let join: body::JoinUser = json(payload.as_bytes())?;
    let mode = match join.roster.as_deref() {
        None | Some("full") => Mode::Full,
        Some("diff") => Mode::Diff,
        Some("watch") => Mode::Watch,
        Some("none") => Mode::None,
        Some(_) => return Err(Refusal::invalid("roster is \"full\", \"diff\", \"watch\" or \"none\".")),
    };
    let name = join.name.as_deref().map(parse_name).transpose().map_err(invalid)?;
    let avatar_url = avatar(join.avatar_url.as_deref())?;
    Ok(Command::Join { user: join.user_id.user("userId")?, mode, name, avatar_url })
}

fn set_status(status: body::SetStatus) -> Result<Command, Refusal> {
    let manual = match status.status.as_str() {
        "online" => Manual::Online,
        "away" => Manual::Away,
        "busy" => Manual::Busy,
        "invisible" => Manual::Invisible,
        _ => return Err(Refusal::invalid("status is \"online\", \"away\", \"busy\" or \"invisible\".")),
    };
    let text = status.text.as_deref().map(parse_text).transpose().map_err(invalid)?.flatten();
    let until = match status.until.as_deref() {
        Some(until) => {
            Some(time::parse(until).ok_or_else(|| Refusal::invalid("until is an RFC 3339 time, such as 2026-01-31T12:00:00Z."))?)
        }
        None => None,
    };
    Ok(Command::SetStatus(Chosen { status: manual, text, until }))
}

fn activity(activity: body::ActivityBody) -> Result<Activity, Refusal> {
    Ok(Activity {
        kind: parse_kind(&activity.kind).map_err(invalid)?,
        label: activity.label.as_deref().map(parse_text).transpose().map_err(invalid)?.flatten(),
        conversation: activity.conversation_id.map(|conversation| conversation.conversation()).transpose()?,
    })
}

fn user_ids(ids: &[LooseId]) -> Result<Vec<UserId>, Refusal> {
    ids.iter().map(|id| id.user("A user id")).collect()
}

fn conversation_ref(payload: &str) -> Result<ConversationId, Refusal> {
    if is_object(payload) {
        return json::<body::ConversationRef>(payload.as_bytes())?.conversation_id.conversation();
    }
    json::<LooseId>(payload.as_bytes())?.conversation()
}

/// Reads a send, from either wire.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn send(send: body::SendMessage) -> Result<Command, Refusal> {
    let own_id = |field: &str, id: Option<LooseId>| -> Result<Option<Arc<str>>, Refusal> {
        // The rules of an id hold for these as well.
        id.map(|id| id.user(field).map(|checked| Arc::from(checked.as_str()))).transpose()
    };
    let client_message_id = own_id("clientMessageId", send.client_message_id)?;
    let temp_id = own_id("tempId", send.temp_id)?;
    let key = client_message_id.map(SendKey::ClientMessageId).or_else(|| temp_id.clone().map(SendKey::TempId));
    Ok(Command::Send { conversation: send.conversation_id.conversation()?, content: send.content, key, temp_id })
}

fn sync(sync: body::SyncBody) -> Result<Command, Refusal> {
    let have = sync.conversations.0.into_iter();
    Ok(Command::Sync(have.map(|(id, seq)| Ok((LooseId(id).conversation()?, seq))).collect::<Result<_, Refusal>>()?))
}

/// Reads who is in a conversation that the host application brings in.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn put_conversation(id: &str, put: &body::PutConversation) -> Result<Command, Refusal> {
    Ok(Command::PutConversation { conversation: LooseId(id.to_owned()).conversation()?, members: user_ids(&put.member_ids)? })
}

/// Reads a profile that the host application writes.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn put_user(id: &str, put: &body::PutUser) -> Result<Command, Refusal> {
    let id = LooseId(id.to_owned()).user("The user id")?;
    Ok(Command::PutProfile(profile(id, Some(&put.name), put.avatar_url.as_deref())?))
}

/// A profile of what a token or a host application says of someone.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn profile(id: UserId, name: Option<&str>, avatar_url: Option<&str>) -> Result<Profile, Refusal> {
    let name = match name {
        Some(name) => parse_name(name).map_err(invalid)?,
        None => id.as_str().into(),
    };
    Ok(Profile { id, name, avatar_url: avatar(avatar_url)? })
}

fn avatar(url: Option<&str>) -> Result<Option<Arc<str>>, Refusal> {
    url.filter(|url| !url.is_empty()).map(parse_avatar_url).transpose().map_err(invalid)
}

fn invalid(error: impl std::fmt::Display) -> Refusal {
    Refusal::invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_does_not_send_back_what_was_sent() {
        let payload = format!("\"{}\"", "é".repeat(100_000));
        let refusal = event("user_activity", &payload).unwrap_err();
        assert!(refusal.message.chars().count() < 300, "{}", refusal.message.len());
        assert!(refusal.message.contains("expected"), "{}", refusal.message);
    }
}
