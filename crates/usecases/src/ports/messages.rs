//! Conversations and their logs.

use super::store::{Page, StoreError, StoreResult};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use lamplight_domain::conversation::{
    Conversation, ConversationDetails, ConversationSummary, Members, Receipt,
};
use lamplight_domain::entry::Entry;
use lamplight_domain::fold::Message;
use lamplight_domain::group::Readers;
use lamplight_domain::identity::{
    ConnectionId, ConversationId, Generation, MessageId, Profile, UserId,
};
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::message_rules::WriteRefused;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Appended {
    /// The new entry, the one that an earlier write with the same key made, or the one that made the
    /// state which the write asks for. The entry of a deleted message, or of its edits, is empty.
    pub entry: Arc<Entry>,
    /// Whether an earlier write made it.
    pub duplicate: bool,
    /// Of a repeated send: the message as it is now, if anything was done to it.
    pub message: Option<Box<Message>>,
}

/// Why an append was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no such conversation, or the sender is not in it.
    #[error("no such conversation for the sender")]
    NotFound,
    /// The sender's role does not allow it.
    #[error("the sender may not write in the conversation")]
    Forbidden,
    /// The same client message id stands for another write.
    #[error("the client message id stands for another write")]
    Conflict,
    /// The message, or the member, that the write is about does not allow it.
    #[error("the write is refused: {0:?}")]
    Refused(WriteRefused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest entries.
    Newest,
    /// The newest of those before a `seq`.
    Before(u64),
    /// The oldest of those after a `seq`.
    After(u64),
    /// The entry at a `seq` and the same number of entries on both sides of it. A short side leaves
    /// its share to the other.
    Around(u64),
}

/// A part of a log, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub entries: Vec<Entry>,
    /// There are more entries in the direction asked for; with [`Range::Around`], in either.
    pub has_more: bool,
    /// With [`Range::Around`]: on which side.
    pub around: Option<MoreAround>,
    /// The profiles of users in the entries who are not in [`Messages::details`]: see
    /// [`named`](crate::named).
    pub users: Vec<Profile>,
}

/// On which sides of a part the log has more entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoreAround {
    /// There are older entries.
    pub before: bool,
    /// There are newer entries.
    pub after: bool,
}

/// Messages of a part of a log as they are now, oldest first.
#[derive(Clone, Debug, Default)]
pub struct MessagePage {
    pub messages: Vec<Message>,
    /// The part of the log that the page covers: every message from this `seq` …
    pub from_seq: u64,
    /// … up to this one is in it. Less than `from_seq` where that part is empty.
    pub to_seq: u64,
    /// The newest entry that the messages are folded up to.
    pub as_of_seq: u64,
    /// There are more messages in the direction asked for; with [`Range::Around`], in either.
    pub has_more: bool,
    /// With [`Range::Around`]: on which side.
    pub around: Option<MoreAround>,
    /// The profiles of users in the messages who are not in [`Messages::details`]: see
    /// [`named`](crate::named).
    pub users: Vec<Profile>,
}

/// The pinned messages of a log as they are now, oldest first.
#[derive(Clone, Debug, Default)]
pub struct PinnedPage {
    pub messages: Vec<Message>,
    /// There are older ones.
    pub has_more: bool,
    /// The newest entry that the messages are folded up to.
    pub as_of_seq: u64,
    /// See [`MessagePage::users`].
    pub users: Vec<Profile>,
}

/// Which conversations a list has, by what the caller has set for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFilter {
    Archived,
    NotArchived,
    Pinned,
}

impl ListFilter {
    /// Whether the conversations are archived, if that matters.
    #[must_use]
    pub const fn archived(self) -> Option<bool> {
        match self {
            Self::Archived => Some(true),
            Self::NotArchived => Some(false),
            Self::Pinned => None,
        }
    }

    /// Whether the conversations are pinned, if that matters.
    #[must_use]
    pub const fn pinned(self) -> Option<bool> {
        match self {
            Self::Pinned => Some(true),
            Self::Archived | Self::NotArchived => None,
        }
    }
}

/// The newest entry that a client has of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncPosition {
    pub conversation: ConversationId,
    /// The entry's `seq`, 0 if the client has none.
    pub seq: u64,
    /// The entry's id, if the client sends it: a restored store can have another entry at the same
    /// `seq`.
    pub id: Option<MessageId>,
}

impl From<(ConversationId, u64)> for SyncPosition {
    fn from((conversation, seq): (ConversationId, u64)) -> Self {
        Self {
            conversation,
            seq,
            id: None,
        }
    }
}

/// The entries of one conversation that a client missed.
#[derive(Clone, Debug)]
pub struct SyncPage {
    /// The entries after what the client has, oldest first; with `reset` the newest ones.
    pub entries: Vec<Entry>,
    /// The client's entry is not in this log, because an older state of the store was restored. The
    /// client drops its entries of the log.
    pub reset: bool,
    /// The newest `seq`.
    pub head_seq: u64,
    /// The caller's read mark.
    pub read_seq: u64,
    /// The visible marks of all members. The read marks of members who hide theirs are 0, and all are
    /// for a caller who hides theirs.
    pub receipts: Vec<Receipt>,
    /// The oldest `seq` that is still stored.
    pub first_seq: u64,
    /// There are more entries after these.
    pub has_more: bool,
}

/// A member's marks after one of them was moved: the visible ones, and what the member's own
/// devices see. See [`Marks`](lamplight_domain::marks::Marks).
#[derive(Clone, Debug)]
pub struct MarkUpdate {
    pub conversation: ConversationId,
    /// The visible marks.
    pub receipt: Receipt,
    /// Whether the visible marks moved that others may see.
    pub is_visible: bool,
    /// Whether the visible delivered mark moved.
    pub delivers: bool,
    /// The true read mark.
    pub read_seq: u64,
    /// Whether the true read mark moved.
    pub moved: bool,
    /// The members who get the receipt: see
    /// [`ReceiptAudience`](lamplight_domain::marks::ReceiptAudience).
    pub to: Members,
}

/// Conversations and their logs, the source of truth.
///
/// The log of a member of a group with [`History::Joined`](lamplight_domain::group::History) begins
/// with the entry that added them: no answer has anything of before, and entries about earlier
/// messages are as [`Entry::seen_from`] has them.
///
/// Lists and pages, here and in the [`Directory`](super::Directory), are bounded in bytes besides
/// their `limit`: where the answer would be longer than
/// [`ANSWER_BYTES`](crate::weight::ANSWER_BYTES), the store returns the nearest part, at least one
/// item, and reports that there is more.
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Appends an entry. Its place among this process' other appends is settled when this is
    /// *called*, not when the future is first polled, so that one sender's messages keep their
    /// order. Resolves once the entry is durable.
    ///
    /// One transaction: membership, deduplication, what
    /// [`message_rules`](lamplight_domain::message_rules) say of a change, the next `seq`, the entry,
    /// and of a message the sender's marks, which become visible whatever the sender's status is.
    /// After the commit and in its order, an [`Event::Appended`] that leaves out the connection
    /// `except` goes to the bus; a duplicate is not published again. If the sender's marks pass
    /// entries of others, an [`Event::Receipt`] follows, and an [`Event::ConversationChanged`] for
    /// the sender's own devices, each only if something changed. After a deletion follows an
    /// [`Event::ConversationChanged`] for all members.
    ///
    /// A change keeps [`Messages::messages`] in step in the same transaction. A deletion also blanks
    /// the entries of the message and of its edits; a repetition of the writes that made them is
    /// still a duplicate. A change without effect is not appended.
    ///
    /// A sender that the store does not know fails with [`AppendError::NotFound`].
    ///
    /// [`Event::Appended`]: lamplight_domain::event::Event::Appended
    /// [`Event::Receipt`]: lamplight_domain::event::Event::Receipt
    /// [`Event::ConversationChanged`]: lamplight_domain::event::Event::ConversationChanged
    fn append(
        &self,
        entry: NewEntry,
        except: Option<ConnectionId>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>>;

    /// Appends the deletion of a message whose author deleted their account: as
    /// [`Messages::append`], also if the author is no longer a member, or was not at the time.
    fn erase(&self, deletion: NewEntry) -> BoxFuture<'static, Result<Appended, AppendError>>;

    /// Messages of a part of a log as they are now, `None` if there is no such log for this caller.
    /// At most `limit` messages; entries of other kinds are not counted. The same as
    /// [`fold`](lamplight_domain::fold::fold) makes of the log, excerpts included.
    async fn messages(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> StoreResult<Option<MessagePage>>;

    /// The newest of the pinned messages before a `seq` as they are now, `None` if there is no such
    /// log for this caller. At most `limit`. The cost does not grow with the log.
    async fn pinned(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        before: u64,
        limit: usize,
    ) -> StoreResult<Option<PinnedPage>>;

    /// The `seq` of the first entry that is not older than `at`, or else of the newest one, in the
    /// log as the caller sees it; 0 where that is empty. `None` if there is no such log for this
    /// caller. By halving the log: where the server's clock was set back, any place of that time.
    async fn seq_at(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        at: Timestamp,
    ) -> StoreResult<Option<u64>>;

    /// A part of a log, `None` if there is none for this caller. At most `limit` entries, of all
    /// kinds.
    async fn history(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> StoreResult<Option<History>>;

    /// The store's generation, which changes when the store went back in time. Read it before what
    /// is answered with it.
    fn generation(&self) -> Generation;

    /// The entries that the caller missed in each of these conversations, in the requested order,
    /// at most `limit` each; `None` if the caller is in no such conversation. The newest page with
    /// `reset` if the log ends before the caller's newest entry, or has a different entry there.
    async fn sync(
        &self,
        caller: &UserId,
        have: &[SyncPosition],
        limit: usize,
    ) -> StoreResult<Vec<Option<SyncPage>>>;

    /// Conversations of the caller that are not among `known`, newest entry first.
    async fn others(
        &self,
        caller: &UserId,
        known: &[ConversationId],
        limit: usize,
    ) -> StoreResult<Vec<Conversation>>;

    /// The caller's conversations, newest entry first (one without entries counts from when it was
    /// made), or only those of a filter. A cursor of no earlier page is [`StoreError::BadCursor`].
    async fn conversations(
        &self,
        caller: &UserId,
        filter: Option<ListFilter>,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Conversation>>;

    /// The unread messages in all of the caller's conversations that are neither archived nor muted
    /// at `at`: the sum of their [`Conversation::unread`].
    async fn total_unread(&self, caller: &UserId, at: Timestamp) -> StoreResult<u64>;

    /// Changes the caller's settings of a conversation. `false` if the caller is in no such
    /// conversation.
    ///
    /// An append of a message takes the conversation out of the archive of every member for whom
    /// [`is_brought_back`] says so, in its transaction; an [`Event::ConversationChanged`] for these
    /// members follows.
    ///
    /// [`is_brought_back`]: lamplight_domain::member_settings::MemberSettings::is_brought_back
    /// [`Event::ConversationChanged`]: lamplight_domain::event::Event::ConversationChanged
    async fn set_settings(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        change: SettingsChange,
    ) -> StoreResult<bool>;

    /// One conversation as the caller sees it.
    async fn conversation(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<Option<Conversation>>;

    /// One conversation as the caller sees it, without the data that is the same for all members.
    async fn summary(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<Option<ConversationSummary>>;

    /// The data of a conversation that is the same for all members; `None` if it does not exist.
    async fn details(
        &self,
        conversation: &ConversationId,
    ) -> StoreResult<Option<ConversationDetails>>;

    /// The members of a conversation, and where each one's log begins; `None` if it does not exist.
    /// For the delivery of entries that are read from the log.
    async fn readers(&self, conversation: &ConversationId) -> StoreResult<Option<Readers>>;

    /// The entries after a `seq`, oldest first, at most `limit`, for delivery to the members in
    /// [`Messages::readers`]: not adapted to a viewer.
    async fn entries_after(
        &self,
        conversation: &ConversationId,
        seq: u64,
        limit: usize,
    ) -> StoreResult<Vec<Entry>>;

    /// The members of a conversation; `None` if it does not exist.
    async fn members(&self, conversation: &ConversationId) -> StoreResult<Option<Members>>;

    /// The one conversation of two people, if there is one.
    async fn direct(&self, caller: &UserId, other: &UserId) -> StoreResult<Option<Conversation>>;

    /// Finds or creates the one conversation of two people, both known to the directory; `new` is the
    /// id of a created one, for which it returns `true`. Safe to call concurrently for both. `None`
    /// if one of them has deleted their account.
    async fn ensure_direct(
        &self,
        caller: &UserId,
        other: &UserId,
        new: ConversationId,
        at: Timestamp,
    ) -> StoreResult<Option<(Conversation, bool)>>;

    /// Creates a conversation under the host application's id, or changes its members, as
    /// [`Groups::change_group`](super::Groups::change_group) does with
    /// [`GroupAction::Replace`](lamplight_domain::group::GroupAction::Replace); its log begins
    /// empty. One that has, or ever gets, other than two members is a group. Users
    /// whom the directory does not know get bare profiles; deleted accounts are not added. Returns
    /// the current and the former members, and whether anything changed. A new conversation is
    /// published to its members.
    ///
    /// [`Messages::ensure_direct`] finds one that was created for two people who had none. When its
    /// members change, it is no longer found, so that a message to one user never reaches a third.
    async fn put_conversation(
        &self,
        conversation: &ConversationId,
        members: &[UserId],
        at: Timestamp,
    ) -> StoreResult<(Members, bool)>;

    /// Moves the caller's read mark, never back and never past the head; what is read was
    /// delivered, so the delivered mark is never behind it. `None` if there is no such conversation
    /// for them.
    ///
    /// The same transaction reads the status in the directory: while it is invisible, and its
    /// `until` has not passed at `at`, the visible marks do not move. Otherwise they catch up with
    /// the true ones.
    async fn mark_read(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        seq: u64,
        at: Timestamp,
    ) -> StoreResult<Option<MarkUpdate>>;

    /// Moves delivered marks, never back and never past the head; visible or not as in
    /// [`Messages::mark_read`]. Returns those whose visible marks moved. Long lists may be written
    /// in parts.
    async fn mark_delivered(
        &self,
        marks: Vec<(ConversationId, UserId, u64)>,
        at: Timestamp,
    ) -> StoreResult<Vec<MarkUpdate>>;

    /// Everyone who shares a conversation with `user`, with the conversation. For telling them of a
    /// new profile.
    async fn shared_with(&self, user: &UserId) -> StoreResult<Vec<(ConversationId, Members)>>;
}
