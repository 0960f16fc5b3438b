//! Two stores on one database, used as clients behind a balancer use two nodes: whatever is asked
//! next goes to the other one. Only the appends to one conversation stay on one node, since the order
//! of calls is a promise of each node alone.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use lamplight_distributed::postgres::PostgresStore;
use lamplight_domain::conversation::{
    Conversation, ConversationDetails, ConversationSummary, Members,
};
use lamplight_domain::entry::Entry;
use lamplight_domain::group::Readers;
use lamplight_domain::identity::{ConnectionId, ConversationId, Generation, Profile, UserId};
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::presence::{Privacy, PrivacyChange, SavedStatus, StatusOverride};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{
    AppendError, Appended, BlockOutcome, BlockState, BlockedBy, Blocks, CommitPosition,
    CommittedEntry, CommittedSeqs, Directory, History, ListFilter, LogFollower, MarkUpdate,
    MessagePage, Messages, Page, Person, PinnedPage, ProfileSource, ProfileWrite, Range,
    StoreResult, SyncPage, SyncPosition,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Pair {
    pub(crate) nodes: [Arc<PostgresStore>; 2],
    pub(crate) asked: AtomicUsize,
}

impl Pair {
    pub(crate) fn next(&self) -> &PostgresStore {
        &self.nodes[self.asked.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl Blocks for Pair {
    async fn block(
        &self,
        user: &UserId,
        blocked: &UserId,
        limit: usize,
        at: Timestamp,
    ) -> StoreResult<BlockOutcome> {
        self.next().block(user, blocked, limit, at).await
    }

    async fn unblock(&self, user: &UserId, blocked: &UserId) -> StoreResult<()> {
        self.next().unblock(user, blocked).await
    }

    async fn blocked_by(
        &self,
        user: &UserId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        self.next().blocked_by(user, cursor, limit).await
    }

    async fn between(&self, user: &UserId, others: &[UserId]) -> StoreResult<Vec<UserId>> {
        self.next().between(user, others).await
    }

    async fn block_state(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<BlockState> {
        self.next().block_state(user, conversation).await
    }
    async fn blockers_of(&self, users: &[UserId]) -> StoreResult<Vec<BlockedBy>> {
        self.next().blockers_of(users).await
    }
}

#[async_trait]
impl Messages for Pair {
    fn append(
        &self,
        message: NewEntry,
        except: Option<ConnectionId>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>> {
        let bytes = message.conversation.as_str().bytes();
        let node = bytes.map(usize::from).sum::<usize>() % 2;
        self.nodes[node].append(message, except)
    }

    fn erase(&self, deletion: NewEntry) -> BoxFuture<'static, Result<Appended, AppendError>> {
        self.next().erase(deletion)
    }

    async fn messages(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> StoreResult<Option<MessagePage>> {
        self.next()
            .messages(caller, conversation, range, limit)
            .await
    }

    async fn history(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> StoreResult<Option<History>> {
        self.next()
            .history(caller, conversation, range, limit)
            .await
    }

    fn generation(&self) -> Generation {
        self.next().generation()
    }

    async fn sync(
        &self,
        caller: &UserId,
        have: &[SyncPosition],
        limit: usize,
    ) -> StoreResult<Vec<Option<SyncPage>>> {
        self.next().sync(caller, have, limit).await
    }

    async fn others(
        &self,
        caller: &UserId,
        known: &[ConversationId],
        limit: usize,
    ) -> StoreResult<Vec<Conversation>> {
        self.next().others(caller, known, limit).await
    }

    async fn pinned(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        before: u64,
        limit: usize,
    ) -> StoreResult<Option<PinnedPage>> {
        let store = self.next();
        store.pinned(caller, conversation, before, limit).await
    }

    async fn seq_at(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        at: Timestamp,
    ) -> StoreResult<Option<u64>> {
        self.next().seq_at(caller, conversation, at).await
    }

    async fn conversations(
        &self,
        caller: &UserId,
        filter: Option<ListFilter>,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Conversation>> {
        let store = self.next();
        store.conversations(caller, filter, cursor, limit).await
    }

    async fn total_unread(&self, caller: &UserId, at: Timestamp) -> StoreResult<u64> {
        self.next().total_unread(caller, at).await
    }

    async fn set_settings(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        change: SettingsChange,
    ) -> StoreResult<bool> {
        let store = self.next();
        store.set_settings(caller, conversation, change).await
    }

    async fn conversation(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<Option<Conversation>> {
        self.next().conversation(caller, conversation).await
    }

    async fn summary(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<Option<ConversationSummary>> {
        self.next().summary(caller, conversation).await
    }

    async fn details(
        &self,
        conversation: &ConversationId,
    ) -> StoreResult<Option<ConversationDetails>> {
        self.next().details(conversation).await
    }

    async fn readers(&self, conversation: &ConversationId) -> StoreResult<Option<Readers>> {
        self.next().readers(conversation).await
    }

    async fn entries_after(
        &self,
        conversation: &ConversationId,
        seq: u64,
        limit: usize,
    ) -> StoreResult<Vec<Entry>> {
        self.next().entries_after(conversation, seq, limit).await
    }

    async fn members(&self, conversation: &ConversationId) -> StoreResult<Option<Members>> {
        self.next().members(conversation).await
    }

    async fn direct(&self, caller: &UserId, other: &UserId) -> StoreResult<Option<Conversation>> {
        self.next().direct(caller, other).await
    }

    async fn ensure_direct(
        &self,
        caller: &UserId,
        other: &UserId,
        new: ConversationId,
        at: Timestamp,
    ) -> StoreResult<Option<(Conversation, bool)>> {
        self.next().ensure_direct(caller, other, new, at).await
    }

    async fn put_conversation(
        &self,
        conversation: &ConversationId,
        members: &[UserId],
        at: Timestamp,
    ) -> StoreResult<(Members, bool)> {
        self.next()
            .put_conversation(conversation, members, at)
            .await
    }

    async fn mark_read(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        seq: u64,
        at: Timestamp,
    ) -> StoreResult<Option<MarkUpdate>> {
        self.next().mark_read(caller, conversation, seq, at).await
    }

    async fn mark_delivered(
        &self,
        marks: Vec<(ConversationId, UserId, u64)>,
        at: Timestamp,
    ) -> StoreResult<Vec<MarkUpdate>> {
        self.next().mark_delivered(marks, at).await
    }

    async fn shared_with(&self, user: &UserId) -> StoreResult<Vec<(ConversationId, Members)>> {
        self.next().shared_with(user).await
    }
}

#[async_trait]
impl LogFollower for Pair {
    async fn position(&self, name: &str) -> StoreResult<Option<CommitPosition>> {
        self.next().position(name).await
    }

    async fn head(&self) -> StoreResult<CommitPosition> {
        self.next().head().await
    }

    async fn read(&self, after: CommitPosition, limit: usize) -> StoreResult<Vec<CommittedEntry>> {
        self.next().read(after, limit).await
    }

    async fn read_seqs(
        &self,
        after: CommitPosition,
        limit: usize,
    ) -> StoreResult<Vec<CommittedSeqs>> {
        self.next().read_seqs(after, limit).await
    }

    async fn confirm(&self, name: &str, up_to: CommitPosition) -> StoreResult<()> {
        self.next().confirm(name, up_to).await
    }

    async fn changed(&self, after: CommitPosition) {
        self.next().changed(after).await;
    }
}

#[async_trait]
impl Directory for Pair {
    async fn person(&self, user: &UserId) -> StoreResult<Option<Person>> {
        self.next().person(user).await
    }

    async fn unknown(&self, users: &[UserId]) -> StoreResult<Vec<UserId>> {
        self.next().unknown(users).await
    }

    async fn upsert_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        self.next().upsert_profile(profile, source, at).await
    }

    async fn upsert_claims(
        &self,
        profile: Profile,
        issued_at: Timestamp,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        self.next().upsert_claims(profile, issued_at, at).await
    }

    async fn set_status(
        &self,
        user: &UserId,
        chosen: StatusOverride,
        at: Timestamp,
    ) -> StoreResult<(SavedStatus, Vec<MarkUpdate>)> {
        self.next().set_status(user, chosen, at).await
    }

    async fn seen(&self, users: Vec<(UserId, Timestamp)>) -> StoreResult<()> {
        self.next().seen(users).await
    }

    async fn privacy_of(&self, users: &[UserId]) -> StoreResult<Vec<(Privacy, u64)>> {
        self.next().privacy_of(users).await
    }
    async fn set_privacy(
        &self,
        user: &UserId,
        change: PrivacyChange,
        at: Timestamp,
    ) -> StoreResult<SavedStatus> {
        self.next().set_privacy(user, change, at).await
    }
    async fn last_seen(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>> {
        self.next().last_seen(users).await
    }

    async fn search(
        &self,
        query: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        self.next().search(query, cursor, limit).await
    }
}
