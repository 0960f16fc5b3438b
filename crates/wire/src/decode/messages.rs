//! Messages: sends, changes and syncs.

use super::people::user_ids;
use crate::body;
use crate::loose::LooseId;
use lamplight_domain::file::MAX_ATTACHMENTS;
use lamplight_domain::identity::{FileId, MessageId, UserId};
use lamplight_domain::message::SendKey;
use lamplight_usecases::ports::SyncPosition;
use lamplight_usecases::{Code, MessageChange, MessageCommand, Refusal};
use std::collections::HashSet;
use std::sync::Arc;

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

/// A malformed conversation is refused alone: a damaged entry in a client's cache must not prevent the
/// sync of the others.
pub(super) fn sync(sync: body::SyncBody) -> Result<MessageCommand, Refusal> {
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
