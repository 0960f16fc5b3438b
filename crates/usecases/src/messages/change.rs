//! Edits, deletions, reactions and pins: validates a change of a message and appends it to the log.

use super::append;
use super::command::{MessageChange, MessageReply};
use super::service::MessageService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::refusal::Refusal;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::identity::{ConversationId, MessageId};
use lamplight_domain::message::SendKey;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use std::time::Duration;

impl MessageService {
    pub(super) async fn change(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        message: MessageId,
        change: MessageChange,
        key: Option<SendKey>,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let action = action(change)?;
        // Everyone in the conversation gets a change as they get a message.
        self.limits.send(user)?;
        let created_at = self.now();
        let entry = NewEntry {
            id: self.ids.message(created_at),
            conversation,
            sender: user.clone(),
            write: Write::Change { message, action },
            key,
            created_at,
            editable_since: self.edit_window.map(|window| before(created_at, window)),
        };
        let appended = self.append(caller, entry).await?;
        Ok(Reply::Messages(MessageReply::Changed {
            entry: appended.entry,
            duplicate: appended.duplicate,
        }))
    }
}

fn before(at: Timestamp, window: Duration) -> Timestamp {
    let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    Timestamp(at.0.saturating_sub(window))
}

fn action(change: MessageChange) -> Result<MessageAction, Refusal> {
    Ok(match change {
        MessageChange::Edit { content, mentions } => {
            append::check_mentions(&mentions)?;
            MessageAction::Edit {
                content: append::content(&content)?,
                mentions,
            }
        }
        MessageChange::Delete => MessageAction::Delete,
        MessageChange::React { emoji, added } => MessageAction::React {
            emoji: Emoji::parse(&emoji)
                .ok_or_else(|| Refusal::invalid("emoji is one emoji, such as \"\u{1f44d}\"."))?,
            added,
        },
        MessageChange::Pin { pinned } => MessageAction::Pin { pinned },
    })
}
