//! [`Messages`] on SQLite; the queries are in `sqlite/`.

pub use crate::sqlite::{
    OpenError, Restored, SqliteOptions, SqliteStore, backup, reindex_file, restore,
};

use crate::sqlite;
use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use lamplight_domain::conversation::{
    Conversation, ConversationDetails, ConversationSummary, Members, direct_key,
};
use lamplight_domain::entry::Entry;
use lamplight_domain::group::Readers;
use lamplight_domain::identity::{ConnectionId, ConversationId, Generation, Profile, UserId};
use lamplight_domain::marks::Mark;
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::cursor::ConversationKey;
use lamplight_usecases::named;
use lamplight_usecases::ports::{
    AppendError, Appended, History, ListFilter, MarkUpdate, MessagePage, Messages, Page,
    PinnedPage, Range, StoreError, StoreResult, SyncPage, SyncPosition,
};
use std::collections::HashSet;
use std::sync::Arc;

/// Marks are moved in parts of this many, so that sends can run between them.
const MARKS_AT_ONCE: usize = 256;

#[async_trait]
impl Messages for SqliteStore {
    fn append(
        &self,
        message: NewEntry,
        except: Option<ConnectionId>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>> {
        // Queued before the future is polled: the order of the calls is the order of the log.
        let waiting = self.write(move |batch| sqlite::append(batch, &message, except.as_ref()));
        async move { waiting.answer().await? }.boxed()
    }

    fn erase(&self, deletion: NewEntry) -> BoxFuture<'static, Result<Appended, AppendError>> {
        let waiting = self.write(move |batch| sqlite::erase(batch, &deletion));
        async move { waiting.answer().await? }.boxed()
    }

    async fn messages(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> StoreResult<Option<MessagePage>> {
        let (caller, place) = (caller.clone(), conversation.clone());
        let page = self
            .read(move |conn| sqlite::messages(conn, &caller, &place, range, limit))
            .await?;
        let Some(mut page) = page else {
            return Ok(None);
        };
        page.users = self
            .users_beside(&page.messages, conversation, named::in_messages)
            .await?;
        Ok(Some(page))
    }

    async fn pinned(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        before: u64,
        limit: usize,
    ) -> StoreResult<Option<PinnedPage>> {
        let (caller, place) = (caller.clone(), conversation.clone());
        let page = self
            .read(move |conn| sqlite::pinned(conn, &caller, &place, before, limit))
            .await?;
        let Some(mut page) = page else {
            return Ok(None);
        };
        page.users = self
            .users_beside(&page.messages, conversation, named::in_messages)
            .await?;
        Ok(Some(page))
    }

    async fn seq_at(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        at: Timestamp,
    ) -> StoreResult<Option<u64>> {
        let (caller, conversation) = (caller.clone(), conversation.clone());
        self.read(move |conn| sqlite::seq_at(conn, &caller, &conversation, at))
            .await
    }

    async fn history(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> StoreResult<Option<History>> {
        let (caller, place) = (caller.clone(), conversation.clone());
        let page = self
            .read(move |conn| sqlite::history(conn, &caller, &place, range, limit))
            .await?;
        let Some(mut page) = page else {
            return Ok(None);
        };
        page.users = self
            .users_beside(&page.entries, conversation, named::in_entries)
            .await?;
        Ok(Some(page))
    }

    fn generation(&self) -> Generation {
        self.generation.clone()
    }

    async fn sync(
        &self,
        caller: &UserId,
        have: &[SyncPosition],
        limit: usize,
    ) -> StoreResult<Vec<Option<SyncPage>>> {
        let (caller, have) = (caller.clone(), have.to_vec());
        self.read(move |conn| {
            have.iter()
                .map(|have| sqlite::sync_page(conn, &caller, have, limit))
                .collect()
        })
        .await
    }

    async fn others(
        &self,
        caller: &UserId,
        known: &[ConversationId],
        limit: usize,
    ) -> StoreResult<Vec<Conversation>> {
        let caller = caller.clone();
        let known: HashSet<ConversationId> = known.iter().cloned().collect();
        self.read(move |conn| sqlite::others(conn, &caller, &known, limit))
            .await
    }

    async fn conversations(
        &self,
        caller: &UserId,
        filter: Option<ListFilter>,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Conversation>> {
        let caller = caller.clone();
        let after = cursor.map(ConversationKey::read).transpose()?;
        self.read(move |conn| sqlite::conversations(conn, &caller, filter, after, limit))
            .await
    }

    async fn total_unread(&self, caller: &UserId, at: Timestamp) -> StoreResult<u64> {
        let caller = caller.clone();
        self.read(move |conn| sqlite::total_unread(conn, &caller, at))
            .await
    }

    async fn set_settings(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        change: SettingsChange,
    ) -> StoreResult<bool> {
        let (caller, conversation) = (caller.clone(), conversation.clone());
        self.write(move |batch| sqlite::set_settings(batch, &caller, &conversation, change))
            .answer()
            .await
    }

    async fn conversation(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<Option<Conversation>> {
        let (caller, conversation) = (caller.clone(), conversation.clone());
        self.read(move |conn| sqlite::conversation(conn, &caller, &conversation))
            .await
    }

    async fn summary(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<Option<ConversationSummary>> {
        let (caller, conversation) = (caller.clone(), conversation.clone());
        self.read(move |conn| sqlite::summary(conn, &caller, &conversation))
            .await
    }

    async fn details(
        &self,
        conversation: &ConversationId,
    ) -> StoreResult<Option<ConversationDetails>> {
        let conversation = conversation.clone();
        self.read(move |conn| sqlite::details(conn, &conversation))
            .await
    }

    async fn readers(&self, conversation: &ConversationId) -> StoreResult<Option<Readers>> {
        let conversation = conversation.clone();
        self.read(move |conn| sqlite::readers(conn, &conversation))
            .await
    }

    async fn entries_after(
        &self,
        conversation: &ConversationId,
        seq: u64,
        limit: usize,
    ) -> StoreResult<Vec<Entry>> {
        let conversation = conversation.clone();
        self.read(move |conn| sqlite::entries_after(conn, &conversation, seq, limit))
            .await
    }

    async fn members(&self, conversation: &ConversationId) -> StoreResult<Option<Members>> {
        let cache = self.members_cache();
        if let Some(members) = cache.get(conversation) {
            return Ok(Some(members));
        }
        let changes = cache.changes();
        let asked = conversation.clone();
        let members = self.read(move |conn| sqlite::members(conn, &asked)).await?;
        if let Some(members) = &members {
            cache.keep(conversation.clone(), Arc::clone(members), changes);
        }
        Ok(members)
    }

    async fn direct(&self, caller: &UserId, other: &UserId) -> StoreResult<Option<Conversation>> {
        let Some(key) = direct_key(caller, other) else {
            return Ok(None);
        };
        let caller = caller.clone();
        self.read(move |conn| sqlite::direct(conn, &caller, &key))
            .await
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
        let (caller, other) = (caller.clone(), other.clone());
        // Nearly always it exists; then a read is enough.
        let (reader, asked) = (caller.clone(), key.clone());
        if let Some(there) = self
            .read(move |conn| sqlite::direct(conn, &reader, &asked))
            .await?
        {
            return Ok(Some((there, false)));
        }
        self.write(move |batch| sqlite::ensure_direct(batch, &caller, &other, &key, &new, at))
            .answer()
            .await
    }

    async fn put_conversation(
        &self,
        conversation: &ConversationId,
        members: &[UserId],
        at: Timestamp,
    ) -> StoreResult<(Members, bool)> {
        let conversation = conversation.clone();
        let mut members = members.to_vec();
        members.sort();
        members.dedup();
        let members: Members = members.into();
        self.write(move |batch| sqlite::put(batch, &conversation, &members, at))
            .answer()
            .await
    }

    async fn mark_read(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        seq: u64,
        at: Timestamp,
    ) -> StoreResult<Option<MarkUpdate>> {
        let (caller, conversation) = (caller.clone(), conversation.clone());
        self.write(move |batch| sqlite::mark(batch, Mark::Read, &caller, &conversation, seq, at))
            .answer()
            .await
    }

    async fn mark_delivered(
        &self,
        marks: Vec<(ConversationId, UserId, u64)>,
        at: Timestamp,
    ) -> StoreResult<Vec<MarkUpdate>> {
        let mut all = Vec::new();
        for part in marks.chunks(MARKS_AT_ONCE) {
            let part = part.to_vec();
            let marked = self.write(move |batch| {
                let mut moved = Vec::new();
                for (conversation, user, seq) in &part {
                    moved.extend(
                        sqlite::mark(batch, Mark::Delivered, user, conversation, *seq, at)?
                            .filter(|update| update.is_visible),
                    );
                }
                Ok(moved)
            });
            all.extend(marked.answer().await?);
        }
        Ok(all)
    }

    async fn shared_with(&self, user: &UserId) -> StoreResult<Vec<(ConversationId, Members)>> {
        let user = user.clone();
        self.read(move |conn| sqlite::shared_with(conn, &user))
            .await
    }
}

impl SqliteStore {
    /// The profiles of users in a page who are not in the conversation's details: `named`
    /// determines them. Reads nothing if there are none.
    pub(crate) async fn users_beside<T>(
        &self,
        page: &[T],
        conversation: &ConversationId,
        named: fn(&[T], &Members) -> Vec<UserId>,
    ) -> StoreResult<Vec<Profile>> {
        if page.is_empty() {
            return Ok(Vec::new());
        }
        let members = self.members(conversation).await?.unwrap_or_default();
        let users = named(page, &members);
        if users.is_empty() {
            return Ok(Vec::new());
        }
        self.read(move |conn| sqlite::profiles(conn, &users)).await
    }
}
