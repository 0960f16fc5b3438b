//! Validates a message and appends it to the log. Delivery follows from the commit.

use super::command::MessageReply;
use super::service::MessageService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline::STORE_DEADLINE;
use crate::ports::AppendError;
use crate::refusal::{Code, Refusal};
use lamplight_domain::identity::ConversationId;
use lamplight_domain::message::{Content, InvalidContent, SendKey};
use lamplight_domain::write::NewEntry;
use std::sync::Arc;

impl MessageService {
    pub(super) async fn send(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        content: &str,
        key: Option<SendKey>,
        temp_id: Option<Arc<str>>,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let content = Content::parse(content).map_err(|error| {
            let code = match error {
                InvalidContent::Empty => Code::EmptyMessage,
                InvalidContent::TooLong(_) => Code::TooLong,
            };
            Refusal::new(code, error.to_string())
        })?;
        self.limits.send(user)?;
        let created_at = self.now();
        let message = NewEntry {
            id: self.ids.message(created_at),
            conversation: conversation.clone(),
            sender: user.clone(),
            write: content.into(),
            key,
            created_at,
            editable_since: None,
        };
        // There is no await before this line: messages take their places in the log in the order of
        // the calls.
        let appended = self.messages.append(message, caller.session.clone());
        match tokio::time::timeout(STORE_DEADLINE, appended).await {
            Ok(Ok(appended)) => {
                self.typing.remove(user, &conversation);
                Ok(Reply::Messages(MessageReply::Sent {
                    message: appended.entry,
                    duplicate: appended.duplicate,
                    temp_id,
                }))
            }
            Ok(Err(AppendError::NotFound)) => Err(Refusal::no_conversation()),
            Ok(Err(AppendError::Forbidden)) => Err(Refusal::new(
                Code::Forbidden,
                "You cannot write in this conversation.",
            )),
            Ok(Err(AppendError::Conflict)) => Err(Refusal::new(
                Code::Conflict,
                "This clientMessageId was used for another message. Send it under a new one.",
            )),
            Ok(Err(AppendError::Refused(_))) => Err(Refusal::new(Code::Invalid, "refused")),
            Ok(Err(AppendError::Store(error))) => Err(error.into()),
            Err(_) => Err(Refusal::unavailable()),
        }
    }
}
