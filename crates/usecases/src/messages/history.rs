//! A part of a log: its messages as they are now, their files, or its entries.

use super::command::MessageReply;
use super::service::MessageService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::Range;
use crate::refusal::Refusal;
use lamplight_domain::file::FileKind;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::time::Timestamp;

impl MessageService {
    pub(super) async fn history(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let page = deadline::store(self.messages.messages(user, conversation, range, limit))
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        // The entries after the last message changed messages, and are part of what it shows.
        if page.from_seq <= page.to_seq {
            self.marks.record(user, conversation, page.to_seq);
        }
        Ok(Reply::Messages(MessageReply::History(page)))
    }

    pub(super) async fn pinned(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        before: u64,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let page = deadline::store(self.messages.pinned(user, conversation, before, limit))
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        Ok(Reply::Messages(MessageReply::Pinned(page)))
    }

    pub(super) async fn files(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        kinds: &[FileKind],
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let part = self
            .files
            .sent_files(user, conversation, kinds, cursor, limit);
        let part = deadline::store(part)
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        Ok(Reply::Messages(MessageReply::Files(part)))
    }

    pub(super) async fn seq_at(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        at: Timestamp,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        let seq = deadline::store(self.messages.seq_at(user, conversation, at))
            .await?
            .ok_or_else(Refusal::no_conversation)?;
        Ok(Reply::Messages(MessageReply::SeqAt(seq)))
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
