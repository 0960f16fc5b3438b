//! A part of a log: its messages as they are now, or its entries.

use super::command::MessageReply;
use super::service::MessageService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::{MessagePage, Range};
use crate::refusal::Refusal;
use lamplight_domain::entry::Entry;
use lamplight_domain::identity::ConversationId;

impl MessageService {
    pub(super) async fn history(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        // The stores do not have `messages` yet.
        let history = deadline::store(self.messages.history(user, conversation, range, limit))
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        let seq = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.seq);
        let page = MessagePage {
            from_seq: seq(history.entries.first()).max(1),
            to_seq: seq(history.entries.last()),
            as_of_seq: seq(history.entries.last()),
            has_more: history.has_more,
            around: history.around,
            messages: history
                .entries
                .into_iter()
                .filter(|entry| entry.kind.is_message())
                .map(Into::into)
                .collect(),
        };
        // The entries after the last message changed messages, and are part of what it shows.
        if page.from_seq <= page.to_seq {
            self.marks.record(user, conversation, page.to_seq);
        }
        Ok(Reply::Messages(MessageReply::History(page)))
    }

    pub(super) async fn entries(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let history = deadline::store(self.messages.history(user, conversation, range, limit))
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        if let Some(newest) = history.entries.last() {
            self.marks.record(user, conversation, newest.seq);
        }
        Ok(Reply::Messages(MessageReply::Entries(history)))
    }
}
