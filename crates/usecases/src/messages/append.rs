//! Appends an entry to a log, for every kind of write, and turns refusals of the store into sentences.

use super::service::MessageService;
use crate::caller::Caller;
use crate::deadline::{self, STORE_DEADLINE};
use crate::ports::{AppendError, Appended, Messages};
use crate::refusal::{Code, Refusal};
use lamplight_domain::entry::MessageAction;
use lamplight_domain::identity::{ConversationId, FileId, Profile, UserId};
use lamplight_domain::message::{Content, InvalidContent};
use lamplight_domain::message_rules::{
    MAX_OWN_REACTIONS, MAX_PINS, MAX_REACTION_KINDS, WriteRefused,
};
use lamplight_domain::write::{NewEntry, Write};
use std::future::Future;
use std::sync::Arc;

/// The most members that one message mentions.
const MAX_MENTIONS: usize = 100;

impl MessageService {
    /// Entries take their places in the log in the order of these calls, whenever the futures are
    /// polled.
    pub(super) fn append(
        &self,
        caller: &Caller,
        entry: NewEntry,
    ) -> impl Future<Output = Result<Appended, Refusal>> + use<> {
        let action = match &entry.write {
            Write::Change { action, .. } => Some(Kind::of(action)),
            Write::Message { .. } => None,
        };
        let conversation = entry.conversation.clone();
        let messages = Arc::clone(&self.messages);
        let appended = self.messages.append(entry, caller.session.clone());
        async move {
            match tokio::time::timeout(STORE_DEADLINE, appended).await {
                Ok(Ok(appended)) => Ok(appended),
                Ok(Err(AppendError::Forbidden)) => {
                    Err(Box::pin(no_writing(&*messages, &conversation)).await)
                }
                Ok(Err(error)) => Err(refusal(error, action)),
                Err(_) => Err(Refusal::unavailable()),
            }
        }
    }
}

/// The refusal of a write in a conversation: because of a block, which it does not mention, or because
/// the other account was deleted.
async fn no_writing(messages: &dyn Messages, conversation: &ConversationId) -> Refusal {
    match deadline::store(messages.details(conversation)).await {
        Ok(Some(details)) if details.members.iter().any(Profile::is_deleted) => Refusal::new(
            Code::Forbidden,
            "This account was deleted. Nobody can write to it any more.",
        ),
        _ => Refusal::no_writing(),
    }
}

/// The part of a change that its refusal mentions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Edit,
    Other,
}

impl Kind {
    fn of(action: &MessageAction) -> Self {
        match action {
            MessageAction::Edit { .. } => Self::Edit,
            _ => Self::Other,
        }
    }
}

fn refusal(error: AppendError, change: Option<Kind>) -> Refusal {
    match error {
        AppendError::NotFound => Refusal::no_conversation(),
        AppendError::Forbidden => Refusal::no_writing(),
        AppendError::Conflict => Refusal::new(
            Code::Conflict,
            match change {
                None => {
                    "This clientMessageId was used for another message. Send it under a new one."
                }
                Some(_) => "This clientMessageId was used for another write. Use a new one.",
            },
        ),
        AppendError::Refused(why) => refused(why, change),
        AppendError::Store(error) => error.into(),
    }
}

fn refused(why: WriteRefused, change: Option<Kind>) -> Refusal {
    let forbidden = |message: &'static str| Refusal::new(Code::Forbidden, message);
    match why {
        WriteRefused::NoMessage => Refusal::new(
            Code::NotFound,
            "There is no such message in this conversation, or it is deleted.",
        ),
        WriteRefused::NotTheAuthor if change == Some(Kind::Edit) => {
            forbidden("Only its author can edit a message.")
        }
        WriteRefused::NotTheAuthor => forbidden("Only its author can delete this message."),
        WriteRefused::TooLateToEdit => forbidden("This message is too old to be edited."),
        WriteRefused::NotAnAdmin => forbidden("Only an admin of this group can pin messages."),
        WriteRefused::UnknownReply => {
            Refusal::invalid("replyTo is no message of this conversation, or one that is deleted.")
        }
        WriteRefused::UnknownMention => {
            Refusal::invalid("mentions has a user who is not in this conversation.")
        }
        WriteRefused::UnknownFile => Refusal::invalid(
            "attachments has a file that is not yours, not ready, of another conversation, or sent already.",
        ),
        WriteRefused::TooManyReactionKinds => Refusal::invalid(format!(
            "This message has {MAX_REACTION_KINDS} different reactions. Choose one of them."
        )),
        WriteRefused::TooManyOwnReactions => Refusal::invalid(format!(
            "You have {MAX_OWN_REACTIONS} reactions on this message. Take one back first."
        )),
        WriteRefused::TooManyPins => Refusal::invalid(format!(
            "This conversation has {MAX_PINS} pinned messages. Unpin one first."
        )),
    }
}

/// Checks the text of a message.
pub(super) fn content(text: &str) -> Result<Content, Refusal> {
    Content::parse(text).map_err(|error| {
        let code = match error {
            InvalidContent::Empty => Code::EmptyMessage,
            InvalidContent::TooLong(_) => Code::TooLong,
        };
        Refusal::new(code, error.to_string())
    })
}

/// Checks the text of a message that may have files, and then need have no text.
pub(super) fn content_beside(files: &[FileId], text: &str) -> Result<Content, Refusal> {
    if text.is_empty() && !files.is_empty() {
        return Ok(Content::trusted(""));
    }
    content(text)
}

/// Whether they are members is checked by the store.
pub(super) fn check_mentions(mentions: &[UserId]) -> Result<(), Refusal> {
    if mentions.len() > MAX_MENTIONS {
        return Err(Refusal::new(
            Code::TooLong,
            format!("A message mentions at most {MAX_MENTIONS} members."),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_write_has_its_code() {
        let code = |why| refused(why, Some(Kind::Other)).code;
        for (why, expected) in [
            (WriteRefused::NoMessage, Code::NotFound),
            (WriteRefused::NotTheAuthor, Code::Forbidden),
            (WriteRefused::TooLateToEdit, Code::Forbidden),
            (WriteRefused::NotAnAdmin, Code::Forbidden),
            (WriteRefused::UnknownReply, Code::Invalid),
            (WriteRefused::UnknownMention, Code::Invalid),
            (WriteRefused::UnknownFile, Code::Invalid),
            (WriteRefused::TooManyReactionKinds, Code::Invalid),
            (WriteRefused::TooManyOwnReactions, Code::Invalid),
            (WriteRefused::TooManyPins, Code::Invalid),
        ] {
            assert_eq!(code(why), expected, "{why:?}");
        }
        let edit = refused(WriteRefused::NotTheAuthor, Some(Kind::Edit));
        assert!(edit.message.contains("edit"), "{}", edit.message);
    }
}
