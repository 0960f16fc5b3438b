//! Decodes events and bodies into commands.

use crate::body::{self, Object};
use crate::loose::LooseId;
use crate::time;
use lamplight_domain::file::MAX_ATTACHMENTS;
use lamplight_domain::identity::{
    ConversationId, FileId, MessageId, Profile, UserId, parse_avatar_url, parse_name,
};
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::message::SendKey;
use lamplight_domain::presence::{Activity, ManualStatus, StatusOverride, parse_kind, parse_text};
use lamplight_domain::roster_feed::Mode;
use lamplight_usecases::ports::SyncPosition;
use lamplight_usecases::{
    AccountCommand, AdminCommand, BlockCommand, Code, Command, ConversationCommand, MessageChange,
    MessageCommand, PresenceCommand, Refusal,
};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::collections::HashSet;
use std::sync::Arc;

#[derive(Debug)]
pub enum SocketRequest {
    Command(Command),
    /// A fresh token for the connection itself.
    Authenticate(String),
}

/// Reads a body or a payload that is an object.
///
/// # Errors
/// `invalid`, with what was not understood.
pub fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    value::<Object<T>>(text).map(|Object(read)| read)
}

fn value<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        Category::Syntax | Category::Eof => not_understood(&format!(
            "it is not JSON ({})",
            without_place(&error.to_string())
        )),
        Category::Data | Category::Io => not_understood(&error.to_string()),
    })
}

/// Refuses a request that a parser rejected, in words for callers, who do not know Rust's types.
#[must_use]
pub fn not_understood(error: &str) -> Refusal {
    let said = error
        .replace("expected u64", "expected a whole number, 0 or more")
        .replace("expected i64", "expected a whole number");
    Refusal::invalid(format!(
        "The request was not understood: {}.",
        brief(without_place(&said))
    ))
}

/// Removes the position in the text, which does not help a caller who sent a value.
fn without_place(error: &str) -> &str {
    error.rfind(" at line ").map_or(error, |at| &error[..at])
}

/// Shortens an error that quotes a value, which may be as long as the request: the beginning and the
/// end, which states what was expected, are enough.
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
    if text == "null" {
        Ok(T::default())
    } else {
        json(text.as_bytes())
    }
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

fn is_object(payload: &str) -> bool {
    payload.starts_with('{')
}

fn join_user(payload: &str, caller: Option<&UserId>) -> Result<PresenceCommand, Refusal> {
    if !is_object(payload) {
        let user = value::<LooseId>(payload.as_bytes())?.user("userId")?;
        return Ok(PresenceCommand::Join {
            user,
            mode: Mode::Full,
            name: None,
            avatar_url: None,
        });
    }
    let join: body::JoinUser = json(payload.as_bytes())?;
    let mode = match join.roster.as_deref() {
        None | Some("full") => Mode::Full,
        Some("diff") => Mode::Diff,
        Some("watch") => Mode::Watch,
        Some("none") => Mode::None,
        Some(_) => {
            return Err(Refusal::invalid(
                "roster is \"full\", \"diff\", \"watch\" or \"none\".",
            ));
        }
    };
    let name = join
        .name
        .as_deref()
        .map(parse_name)
        .transpose()
        .map_err(invalid)?;
    let avatar_url = avatar(join.avatar_url.as_deref())?;
    let user = match (join.user_id, caller) {
        (Some(id), _) => id.user("userId")?,
        (None, Some(caller)) => caller.clone(),
        (None, None) => return Err(Refusal::invalid("join_user needs a userId.")),
    };
    Ok(PresenceCommand::Join {
        user,
        mode,
        name,
        avatar_url,
    })
}

/// No payload means active. Pages of the original system send their user's id, which is ignored: the
/// socket has a user.
fn is_active(payload: &str) -> Result<bool, Refusal> {
    if value::<LooseId>(payload.as_bytes()).is_ok() {
        return Ok(true);
    }
    Ok(json_or::<body::UserActivity>(payload)?
        .active
        .unwrap_or(true))
}

fn set_status(status: body::SetStatus) -> Result<PresenceCommand, Refusal> {
    let manual = match status.status.as_str() {
        "online" => ManualStatus::Online,
        "away" => ManualStatus::Away,
        "busy" => ManualStatus::Busy,
        "invisible" => ManualStatus::Invisible,
        _ => {
            return Err(Refusal::invalid(
                "status is \"online\", \"away\", \"busy\" or \"invisible\".",
            ));
        }
    };
    let text = status
        .text
        .as_deref()
        .map(parse_text)
        .transpose()
        .map_err(invalid)?
        .flatten();
    let until = match status.until.as_deref() {
        Some(until) => Some(time::parse(until).ok_or_else(|| {
            Refusal::invalid("until is an RFC 3339 time, such as 2026-01-31T12:00:00Z.")
        })?),
        None => None,
    };
    Ok(PresenceCommand::SetStatus(StatusOverride {
        status: manual,
        text,
        until,
    }))
}

fn activity(activity: body::ActivityBody) -> Result<Activity, Refusal> {
    Ok(Activity {
        kind: parse_kind(&activity.kind).map_err(invalid)?,
        label: activity
            .label
            .as_deref()
            .map(parse_text)
            .transpose()
            .map_err(invalid)?
            .flatten(),
        conversation: activity
            .conversation_id
            .map(|conversation| conversation.conversation())
            .transpose()?,
    })
}

fn user_ids(ids: &[LooseId]) -> Result<Vec<UserId>, Refusal> {
    ids.iter().map(|id| id.user("A user id")).collect()
}

fn user_ref(payload: &str) -> Result<UserId, Refusal> {
    json::<body::UserRef>(payload.as_bytes())?
        .user_id
        .user("userId")
}

fn conversation_ref(payload: &str) -> Result<ConversationId, Refusal> {
    if is_object(payload) {
        return json::<body::ConversationRef>(payload.as_bytes())?
            .conversation_id
            .conversation();
    }
    value::<LooseId>(payload.as_bytes())?.conversation()
}

/// Reads a send of either transport.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn send(send: body::SendMessage) -> Result<MessageCommand, Refusal> {
    let client_message_id = own_id("clientMessageId", send.client_message_id)?;
    let temp_id = own_id("tempId", send.temp_id)?;
    let key = client_message_id
        .map(SendKey::ClientMessageId)
        .or_else(|| temp_id.clone().map(SendKey::TempId));
    Ok(MessageCommand::Send {
        conversation: send.conversation_id.conversation()?,
        content: send.content,
        reply_to: send
            .reply_to
            .map(|message| message.message("replyTo"))
            .transpose()?,
        mentions: mentions(send.mentions)?,
        attachments: files(send.attachments)?,
        key,
        temp_id,
    })
}

/// An id that a client gave to what it writes. The rules of ids apply to it too.
fn own_id(field: &str, id: Option<LooseId>) -> Result<Option<Arc<str>>, Refusal> {
    id.map(|id| id.user(field).map(|checked| Arc::from(checked.as_str())))
        .transpose()
}

/// Each once, in the order of the request.
fn files(ids: Option<Vec<LooseId>>) -> Result<Vec<FileId>, Refusal> {
    let mut files: Vec<FileId> = Vec::new();
    for id in ids.unwrap_or_default() {
        let id = FileId::trusted(id.user("A file's id")?.as_str());
        if !files.contains(&id) {
            files.push(id);
        }
        if files.len() > MAX_ATTACHMENTS {
            return Err(Refusal::new(
                Code::TooLong,
                format!("A message has at most {MAX_ATTACHMENTS} attachments."),
            ));
        }
    }
    Ok(files)
}

/// Each once, in the order of the request.
fn mentions(ids: Option<Vec<LooseId>>) -> Result<Vec<UserId>, Refusal> {
    let ids = ids.unwrap_or_default();
    let mut seen = HashSet::new();
    let mut users = user_ids(&ids)?;
    users.retain(|user| seen.insert(user.clone()));
    Ok(users)
}

/// Reads a change of a message of either transport. `place` is the conversation and the message.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn change(
    (conversation, message): (&LooseId, &LooseId),
    client_message_id: Option<LooseId>,
    change: MessageChange,
) -> Result<MessageCommand, Refusal> {
    Ok(MessageCommand::Change {
        conversation: conversation.conversation()?,
        message: message.message("messageId")?,
        change,
        key: own_id("clientMessageId", client_message_id)?.map(SendKey::ClientMessageId),
    })
}

/// An edit of either transport.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn edited(content: String, mentioned: Option<Vec<LooseId>>) -> Result<MessageChange, Refusal> {
    Ok(MessageChange::Edit {
        content,
        mentions: mentions(mentioned)?,
    })
}

/// A malformed conversation is refused alone: a damaged entry in a client's cache must not prevent the
/// sync of the others.
fn sync(sync: body::SyncBody) -> Result<MessageCommand, Refusal> {
    let (mut have, mut refused) = (Vec::new(), Vec::new());
    for (conversation, seq) in sync.conversations.0 {
        match newest_known(&conversation, seq) {
            Ok(one) => have.push(one),
            Err(refusal) => refused.push((conversation.into(), refusal)),
        }
    }
    Ok(MessageCommand::Sync { have, refused })
}

fn newest_known(conversation: &str, entry: Option<body::HaveSeq>) -> Result<SyncPosition, Refusal> {
    let conversation = LooseId(conversation.to_owned()).conversation()?;
    let entry = entry
        .ok_or_else(|| Refusal::invalid("A seq is a whole number, 0 or more, or { seq, id }."))?;
    let id = entry
        .id
        .map(|id| {
            MessageId::parse(&id.0).map_err(|error| Refusal::invalid(format!("The id {error}.")))
        })
        .transpose()?;
    Ok(SyncPosition {
        conversation,
        seq: entry.seq,
        id,
    })
}

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

/// Reads a profile that the host application writes.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn put_user(id: &str, put: &body::PutUser) -> Result<AdminCommand, Refusal> {
    let id = LooseId(id.to_owned()).user("The user id")?;
    Ok(AdminCommand::PutProfile(profile(
        id,
        Some(&put.name),
        put.avatar_url.as_deref(),
    )?))
}

/// Reads the body of `PATCH /api/account`.
///
/// # Errors
/// `invalid`, with what is wrong, or if it changes nothing.
pub fn update_account(update: &body::UpdateAccount) -> Result<AccountCommand, Refusal> {
    if update.name.is_none() && update.avatar_url.is_none() {
        return Err(Refusal::invalid(
            "There is nothing to change: give name, avatarUrl, or both.",
        ));
    }
    let name = update
        .name
        .as_deref()
        .map(parse_name)
        .transpose()
        .map_err(invalid)?;
    let avatar_url = update
        .avatar_url
        .as_ref()
        .map(|url| avatar(url.as_deref()))
        .transpose()?;
    Ok(AccountCommand::Update { name, avatar_url })
}

/// A profile from the claims of a token or the host application.
///
/// # Errors
/// `invalid`, with what is wrong.
pub fn profile(
    id: UserId,
    name: Option<&str>,
    avatar_url: Option<&str>,
) -> Result<Profile, Refusal> {
    let name = match name {
        Some(name) => parse_name(name).map_err(invalid)?,
        None => id.as_str().into(),
    };
    Ok(Profile {
        id,
        name,
        avatar_url: avatar(avatar_url)?,
    })
}

fn avatar(url: Option<&str>) -> Result<Option<Arc<str>>, Refusal> {
    url.filter(|url| !url.is_empty())
        .map(parse_avatar_url)
        .transpose()
        .map_err(invalid)
}

fn invalid(error: impl std::fmt::Display) -> Refusal {
    Refusal::invalid(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_a_join_may_leave_out_the_user_that_the_socket_has_proved() {
        let caller = UserId::parse("a😀b").unwrap();
        let join = |caller, payload| match event_by(caller, "join_user", payload) {
            Ok(SocketRequest::Command(Command::Presence(PresenceCommand::Join {
                user, ..
            }))) => Ok(user.as_str().to_owned()),
            Ok(_) => panic!("a join"),
            Err(refusal) => Err(refusal.message),
        };
        assert_eq!(
            join(Some(&caller), "{\"roster\":\"diff\"}").unwrap(),
            "a😀b"
        );
        assert_eq!(
            join(Some(&caller), "{\"userId\":7}").unwrap(),
            "7",
            "who is named is compared with the token elsewhere"
        );
        assert_eq!(join(None, "{}").unwrap_err(), "join_user needs a userId.");
    }

    #[test]
    fn an_array_is_no_object() {
        for (name, payload) in [
            ("user_activity", "[]"),
            ("user_activity", "[false]"),
            ("send_private_message", "[\"7\",\"hello\"]"),
            ("set_status", "[\"busy\"]"),
            ("set_activity", "{\"activity\":[\"in_call\"]}"),
            ("set_activity", "[null]"),
            ("typing", "[\"7\",true]"),
            ("mark_read", "[\"7\",1]"),
            ("watch_presence", "[[\"1\"]]"),
            ("sync", "[{}]"),
            ("authenticate", "[\"token\"]"),
            ("join_user", "[\"42\"]"),
        ] {
            let refusal = event(name, payload).expect_err(payload);
            assert!(refusal.message.contains("sequence"), "{}", refusal.message);
        }
        assert!(json::<body::OpenConversation>(b" {\"userId\":5,\"more\":[]} ").is_ok());
        assert!(json::<body::OpenConversation>(b"[\"5\"]").is_err());
        assert!(event("set_activity", "{\"activity\":null}").is_ok());
    }

    #[test]
    fn f13_a_field_that_is_not_known_is_named_where_it_would_change_nothing() {
        let put = json::<body::PutUser>(br#"{"name":"Ada","picture":"/a.png"}"#)
            .expect("a token's word for it");
        assert_eq!(put.avatar_url.as_deref(), Some("/a.png"));
        for refused in [
            json::<body::PutUser>(br#"{"name":"Ada","avatar":"/a.png"}"#).err(),
            json::<body::PutUser>(br#"{"name":"Ada","picture":"/a.png","avatarUrl":"/b.png"}"#)
                .err(),
            json::<body::PutConversation>(br#"{"memberIds":["1"],"members":[]}"#).err(),
            json::<body::Register>(
                br#"{"username":"ada","password":"lovelace1","displayName":"Ada"}"#,
            )
            .err(),
            json::<body::UpdateAccount>(br#"{"displayName":"Ada"}"#).err(),
        ] {
            let said = refused.expect("refused").message;
            assert!(said.contains("field `"), "{said}");
        }
        let said = json::<body::PutUser>(br#"{"name":"Ada","avatar":"/a.png"}"#)
            .expect_err("refused")
            .message;
        assert!(
            said.contains("`avatar`") && said.contains("`name`") && said.contains("`avatarUrl`"),
            "{said}"
        );
        let sent = json::<body::SendMessage>(
            br#"{"conversationId":7,"content":"x","senderId":1,"timestamp":5}"#,
        );
        assert!(sent.is_ok(), "the original pages send more than is needed");
    }

    #[test]
    fn refusals_speak_of_no_types_of_rust_and_no_lines() {
        for (name, payload) in [
            ("set_status", "5"),
            ("set_status", "{}"),
            (
                "send_private_message",
                "{\"conversationId\":{},\"content\":\"x\"}",
            ),
            ("mark_read", "{\"conversationId\":\"7\",\"seq\":-1}"),
            ("mark_read", "{\"conversationId\":\"7\",\"seq\":1.5}"),
            ("typing", "{\"conversationId\":\"7\""),
        ] {
            let said = event(name, payload).expect_err(payload).message;
            for word in ["struct", "u64", "i64", "line ", "column"] {
                assert!(!said.contains(word), "{said}");
            }
        }
    }

    #[test]
    fn m14_in_a_sync_one_that_makes_no_sense_is_refused_alone() {
        let payload = format!(
            "{{\"conversations\":{{\"7\":3,\"{}\":0,\"8\":-1,\"9\":null,\"\":0,\"10\":{{\"a\":[1]}},\"11\":0}}}}",
            "y".repeat(129)
        );
        let Ok(SocketRequest::Command(Command::Messages(MessageCommand::Sync { have, refused }))) =
            event("sync", &payload)
        else {
            panic!("a sync")
        };
        assert_eq!(
            have.iter()
                .map(|have| (have.conversation.as_str(), have.seq))
                .collect::<Vec<_>>(),
            [("7", 3), ("11", 0)]
        );
        assert_eq!(
            refused.iter().map(|(id, _)| id.len()).collect::<Vec<_>>(),
            [129, 1, 1, 0, 2]
        );
    }

    #[test]
    fn a_heartbeat_may_name_its_user_as_the_original_pages_do() {
        for payload in ["\"42\"", "42", "\"\"", "null", "{}", " 42 "] {
            let Ok(SocketRequest::Command(Command::Presence(PresenceCommand::Heartbeat {
                active: true,
            }))) = event("user_activity", payload)
            else {
                panic!("{payload}")
            };
        }
        let Ok(SocketRequest::Command(Command::Presence(PresenceCommand::Heartbeat {
            active: false,
        }))) = event("user_activity", "{\"active\":false}")
        else {
            panic!("idle")
        };
        for payload in ["true", "1.5", "{\"active\":1}"] {
            assert!(event("user_activity", payload).is_err(), "{payload}");
        }
    }

    #[test]
    fn a_refusal_does_not_send_back_what_was_sent() {
        let payload = format!("\"{}\"", "é".repeat(100_000));
        let refusal = event("set_status", &payload).unwrap_err();
        assert!(
            refusal.message.chars().count() < 300,
            "{}",
            refusal.message.len()
        );
        assert!(refusal.message.contains("expected"), "{}", refusal.message);
    }
}
