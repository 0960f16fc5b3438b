//! [`Messages`] on PostgreSQL; the statements are in `postgres/`.

use crate::groups::stopped;
use crate::postgres::{self, MARKS_AT_ONCE, Move, PostgresStore};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lamplight_domain::conversation::{
    Conversation, ConversationDetails, ConversationSummary, Members, direct_key,
};
use lamplight_domain::entry::Entry;
use lamplight_domain::group::Readers;
use lamplight_domain::identity::{ConnectionId, ConversationId, Generation, UserId};
use lamplight_domain::marks::Mark;
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::cursor::ConversationKey;
use lamplight_usecases::ports::{
    AppendError, Appended, History, ListFilter, MarkUpdate, MessagePage, Messages, Page,
    PinnedPage, Range, StoreError, StoreResult, SyncPage, SyncPosition,
};
use tokio::sync::oneshot;

#[async_trait]
impl Messages for PostgresStore {
    fn append(
        &self,
        message: NewEntry,
        except: Option<ConnectionId>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>> {
        // Queued before the future is polled: the order of the calls is the order of the log.
        settled(self.queue_append(message, except))
    }

    fn erase(&self, deletion: NewEntry) -> BoxFuture<'static, Result<Appended, AppendError>> {
        settled(self.queue_erasure(deletion))
    }

    async fn messages(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> StoreResult<Option<MessagePage>> {
        postgres::messages(self, caller, conversation, range, limit).await
    }

    async fn pinned(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        before: u64,
        limit: usize,
    ) -> StoreResult<Option<PinnedPage>> {
        postgres::pinned(self, caller, conversation, before, limit).await
    }

    async fn seq_at(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        at: Timestamp,
    ) -> StoreResult<Option<u64>> {
        postgres::seq_at(self, caller, conversation, at).await
    }

    async fn history(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> StoreResult<Option<History>> {
        postgres::history(self, caller, conversation, range, limit).await
    }

    fn generation(&self) -> Generation {
        self.current_generation()
    }

    async fn sync(
        &self,
        caller: &UserId,
        have: &[SyncPosition],
        limit: usize,
    ) -> StoreResult<Vec<Option<SyncPage>>> {
        postgres::sync(self, caller, have, limit).await
    }

    async fn others(
        &self,
        caller: &UserId,
        known: &[ConversationId],
        limit: usize,
    ) -> StoreResult<Vec<Conversation>> {
        postgres::others(self, caller, known, limit).await
    }

    async fn conversations(
        &self,
        caller: &UserId,
        filter: Option<ListFilter>,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Conversation>> {
        let after = cursor.map(ConversationKey::read).transpose()?;
        postgres::conversations(self, caller, filter, after, limit).await
    }

    async fn total_unread(&self, caller: &UserId, at: Timestamp) -> StoreResult<u64> {
        postgres::total_unread(self, caller, at).await
    }

    async fn set_settings(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        change: SettingsChange,
    ) -> StoreResult<bool> {
        postgres::set_settings(self, caller, conversation, change).await
    }

    async fn conversation(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<Option<Conversation>> {
        postgres::conversation(self, caller, conversation).await
    }

    async fn summary(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<Option<ConversationSummary>> {
        postgres::summary(self, caller, conversation).await
    }

    async fn details(
        &self,
        conversation: &ConversationId,
    ) -> StoreResult<Option<ConversationDetails>> {
        postgres::details(self, conversation).await
    }

    async fn readers(&self, conversation: &ConversationId) -> StoreResult<Option<Readers>> {
        postgres::readers(self, conversation).await
    }

    async fn entries_after(
        &self,
        conversation: &ConversationId,
        seq: u64,
        limit: usize,
    ) -> StoreResult<Vec<Entry>> {
        postgres::entries_after(self, conversation, seq, limit).await
    }

    async fn members(&self, conversation: &ConversationId) -> StoreResult<Option<Members>> {
        postgres::members(self, conversation).await
    }

    async fn direct(&self, caller: &UserId, other: &UserId) -> StoreResult<Option<Conversation>> {
        match direct_key(caller, other) {
            Some(key) => postgres::direct(self, caller, &key).await,
            None => Ok(None),
        }
    }

    async fn ensure_direct(
        &self,
        caller: &UserId,
        other: &UserId,
        new: ConversationId,
        at: Timestamp,
    ) -> StoreResult<Option<(Conversation, bool)>> {
        let Some(key) = direct_key(caller, other) else {
            return Err(StoreError::Internal(
                "a direct conversation needs two users".into(),
            ));
        };
        postgres::ensure_direct(self, caller, other, &key, &new, at).await
    }

    async fn put_conversation(
        &self,
        conversation: &ConversationId,
        members: &[UserId],
        at: Timestamp,
    ) -> StoreResult<(Members, bool)> {
        let mut members = members.to_vec();
        members.sort();
        members.dedup();
        let (database, events) = self.detached();
        let (conversation, members) = (conversation.clone(), members.into());
        let put = tokio::spawn(async move {
            let (to, changed, published) =
                postgres::put(&database, &conversation, &members, at).await?;
            events.send(published).await;
            Ok((to, changed))
        });
        put.await.unwrap_or_else(|error| Err(stopped(&error)))
    }

    async fn mark_read(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        seq: u64,
        at: Timestamp,
    ) -> StoreResult<Option<MarkUpdate>> {
        let moves = vec![Move {
            mark: Mark::Read,
            user: caller.clone(),
            conversation: conversation.clone(),
            seq,
            at,
        }];
        Ok(self.advance(moves).await?.pop().flatten())
    }

    async fn mark_delivered(
        &self,
        marks: Vec<(ConversationId, UserId, u64)>,
        at: Timestamp,
    ) -> StoreResult<Vec<MarkUpdate>> {
        let mut all = Vec::new();
        for part in marks.chunks(MARKS_AT_ONCE) {
            let moves = part.iter().map(|(conversation, user, seq)| Move {
                mark: Mark::Delivered,
                user: user.clone(),
                conversation: conversation.clone(),
                seq: *seq,
                at,
            });
            let moved = self.advance(moves.collect()).await?;
            all.extend(moved.into_iter().flatten().filter(|one| one.is_visible));
        }
        Ok(all)
    }

    async fn shared_with(&self, user: &UserId) -> StoreResult<Vec<(ConversationId, Members)>> {
        postgres::shared_with(self, user).await
    }
}

/// The answer to a queued append.
fn settled(
    queued: StoreResult<oneshot::Receiver<Result<Appended, AppendError>>>,
) -> BoxFuture<'static, Result<Appended, AppendError>> {
    async move {
        queued?
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable(postgres::CLOSED.into()).into()))
    }
    .boxed()
}
