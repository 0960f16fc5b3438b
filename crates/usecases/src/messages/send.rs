//! Validates a message and appends it to the log. Delivery follows from the commit.

use super::append;
use super::command::{MessageReply, Sending};
use super::service::MessageService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::refusal::Refusal;
use lamplight_domain::write::{NewEntry, Write};
use std::future::Future;

impl MessageService {
    /// No async function, so that the future holds only what is needed after the append.
    pub(super) fn send<'a>(
        &'a self,
        caller: &'a Caller,
        sending: Sending,
    ) -> impl Future<Output = Result<Reply, Refusal>> + use<'a> {
        let Sending {
            conversation,
            content,
            reply_to,
            mentions,
            attachments,
            key,
            temp_id,
        } = sending;
        let append = || {
            let user = caller.user()?;
            let content = append::content_beside(&attachments, &content)?;
            append::check_mentions(&mentions)?;
            self.limits.send(user)?;
            let created_at = self.now();
            let message = NewEntry {
                id: self.ids.message(created_at),
                conversation: conversation.clone(),
                sender: user.clone(),
                write: Write::Message {
                    content,
                    reply_to,
                    mentions,
                    attachments,
                },
                key,
                created_at,
                editable_since: None,
            };
            Ok::<_, Refusal>((user, self.append(caller, message)))
        };
        let appended = append();
        async move {
            let (user, appended) = appended?;
            let appended = appended.await?;
            self.typing.remove(user, &conversation);
            Ok(Reply::Messages(MessageReply::Sent {
                entry: appended.entry,
                now: appended.message,
                duplicate: appended.duplicate,
                temp_id,
            }))
        }
    }
}
