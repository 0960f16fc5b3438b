//! What the use cases need of the world. Each port has a twin in every mode, and every twin passes
//! the same suite in `crates/conformance`.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use lamplight_domain::conversation::{Conversation, Members, Receipt};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{
    ConnectionId, ConversationId, Generation, MessageId, Profile, UserId,
};
use lamplight_domain::message::{Message, NewMessage};
use lamplight_domain::presence::{Activity, OfflineReason, Presence, StatusOverride};
use lamplight_domain::roster_feed::Mode;
use lamplight_domain::time::{Now, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It is out of reach, full or too slow: try again. The outcome is unknown.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// It answered with something that should not be.
    #[error("internal: {0}")]
    Internal(String),
    /// The cursor is none that this store gave out. Nothing was done.
    #[error("the cursor is not one of ours")]
    BadCursor,
}

/// What a store answers with.
pub type StoreResult<T> = Result<T, StoreError>;

/// Both clocks.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Now;
}

/// Ids and secrets.
pub trait Ids: Send + Sync + 'static {
    /// An id for a message taken at `at`; later ones sort after earlier ones.
    fn message(&self, at: Timestamp) -> MessageId;
    /// An id for a new conversation.
    fn conversation(&self, at: Timestamp) -> ConversationId;
    /// An id for a new local account.
    fn user(&self, at: Timestamp) -> UserId;
    /// A secret of 256 bits from the system's random source, in URL-safe characters.
    fn secret(&self) -> String;
}

/// What an append came to.
#[derive(Clone, Debug)]
pub struct Appended {
    /// The entry in the log: the new one, or the one that was there.
    pub message: Arc<Message>,
    /// It was there already.
    pub duplicate: bool,
}

/// Why an append was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no such conversation, or the sender is not in it.
    #[error("no such conversation for the sender")]
    NotFound,
    /// The same client message id stands for other content.
    #[error("the client message id stands for other content")]
    Conflict,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which part of a log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest entries.
    Newest,
    /// The newest of those before a `seq`.
    Before(u64),
    /// The oldest of those after a `seq`.
    After(u64),
    /// The entry of a `seq` and those on both sides of it, as many on one as on the other where
    /// there are as many. One side that is short leaves its share to the other.
    Around(u64),
}

/// A part of a log, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The entries.
    pub entries: Vec<Message>,
    /// There is more in the direction asked; with [`Range::Around`], in either.
    pub has_more: bool,
    /// With [`Range::Around`]: in which.
    pub sides: Option<Sides>,
}

/// Where a part of a log has more beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// There are older entries.
    pub before: bool,
    /// There are newer entries.
    pub after: bool,
}

/// The newest entry that a client has of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncPosition {
    /// Which log.
    pub conversation: ConversationId,
    /// The entry's `seq`, 0 where the client has none.
    pub seq: u64,
    /// The entry's id, where the client tells it: a copied store can have another entry at the same
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

/// What a client that was away needs of one conversation.
#[derive(Clone, Debug)]
pub struct SyncPage {
    /// The entries after what the client has, oldest first; with `reset` the newest ones.
    pub entries: Vec<Message>,
    /// The client's entry is not in this log: the store went back in time, and the client has to
    /// drop what it holds of it.
    pub reset: bool,
    /// The newest `seq` there is.
    pub head_seq: u64,
    /// How far the caller has read.
    pub read_seq: u64,
    /// How far everyone has got, as others may know it.
    pub receipts: Vec<Receipt>,
    /// The oldest `seq` that is still kept.
    pub first_seq: u64,
    /// There are more entries after these.
    pub has_more: bool,
}

/// A page of something, with the key after which the next begins.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one. Opaque to clients.
    pub next: Option<String>,
}

/// What moving a mark came to: for others, and for the member's own devices.
///
/// The two differ while someone is invisible: their marks move, and others see them stand still, as
/// those of someone offline do.
#[derive(Clone, Debug)]
pub struct MarkUpdate {
    /// Where.
    pub conversation: ConversationId,
    /// The marks as others know them now.
    pub receipt: Receipt,
    /// Whether these moved, and are to be told.
    pub is_visible: bool,
    /// How far the member has truly read.
    pub read_seq: u64,
    /// Whether that moved, which their own devices are to know.
    pub moved: bool,
    /// Who is to be told: the member, and everyone in the conversation, or where they are more than
    /// [`RECEIPTS_FOR_ALL`](lamplight_domain::conversation::RECEIPTS_FOR_ALL) the authors of what
    /// the marks newly cover, of the newest
    /// [`RECEIPT_REACH`](lamplight_domain::conversation::RECEIPT_REACH) entries.
    pub to: Members,
}

/// Conversations and their logs. The truth of Lamplight.
///
/// Lists and pages, here and in the [`Directory`], are bounded in bytes besides their `limit`: of
/// what would be longer than [`ANSWER_BYTES`](crate::weight::ANSWER_BYTES) the part that is nearest
/// is answered, at least one, and that there is more.
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Appends a message. Its place among this process' other appends is settled when this is
    /// *called*, not when the future is first polled, so that one sender's messages keep their
    /// order. Resolves once the entry is durable.
    ///
    /// One transaction: membership, deduplication, the next `seq`, the entry, the sender's own
    /// marks, which others are told whatever the sender's status is: the message itself shows that
    /// they were there. After the commit, and in its order, an [`Event::Appended`] that leaves out
    /// the socket `except` goes to the fan-out; a duplicate is not published again. Where the
    /// sender's marks pass entries by others, an [`Event::Receipt`] follows it, and an
    /// [`Event::ConversationChanged`] for the sender's own devices: each only if it is news.
    ///
    /// A sender that the store does not know fails with [`AppendError::NotFound`].
    fn append(
        &self,
        message: NewMessage,
        except: Option<ConnectionId>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>>;

    /// A part of a log, `None` if there is none for this caller. At most `limit` entries.
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

    /// What the caller missed in each of these conversations, in the order asked, at most `limit`
    /// entries each; `None` where there is no such conversation for them. Where the log ends before
    /// what the caller has, or has another entry in its place, the newest page with `reset`.
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
    /// made). A cursor of no earlier page is [`StoreError::BadCursor`].
    async fn conversations(
        &self,
        caller: &UserId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Conversation>>;

    /// One conversation as the caller sees it.
    async fn conversation(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<Option<Conversation>>;

    /// Who is in a conversation, `None` if it does not exist.
    async fn members(&self, conversation: &ConversationId) -> StoreResult<Option<Members>>;

    /// The one conversation of two people, if there is one.
    async fn direct(&self, caller: &UserId, other: &UserId) -> StoreResult<Option<Conversation>>;

    /// Finds or makes the one conversation of two people, both known to the directory; `new` is its
    /// id if it is made. `true` if it was made. Safe to call at once from both sides.
    async fn ensure_direct(
        &self,
        caller: &UserId,
        other: &UserId,
        new: ConversationId,
        at: Timestamp,
    ) -> StoreResult<(Conversation, bool)>;

    /// Makes a conversation under the host application's id, or changes who is in it. Who is added
    /// starts with everything read; who is removed has no conversation from then on; whoever the
    /// directory does not know gets a bare profile. Answers with everyone who is, or was until now,
    /// in it, and whether anything changed.
    ///
    /// One made for two people who have none yet is the one that [`Messages::ensure_direct`] finds.
    /// When the members of that one change, it is no longer found: nobody is led into a
    /// conversation with a third in it.
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
    /// Whether others are told is decided in the same transaction, by the status that the directory
    /// holds: not while it is invisible and its `until` has not passed at `at`. Otherwise what is
    /// told is all that is true from then on, also what moved untold before.
    async fn mark_read(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        seq: u64,
        at: Timestamp,
    ) -> StoreResult<Option<MarkUpdate>>;

    /// Moves delivered marks, never back and never past the head; told or not as with
    /// [`Messages::mark_read`]. Answers with those that others are to be told of. Long lists may be
    /// written in parts.
    async fn mark_delivered(
        &self,
        marks: Vec<(ConversationId, UserId, u64)>,
        at: Timestamp,
    ) -> StoreResult<Vec<MarkUpdate>>;

    /// Everyone who shares a conversation with `user`, with the conversation. For telling them of a
    /// new profile.
    async fn shared_with(&self, user: &UserId) -> StoreResult<Vec<(ConversationId, Members)>>;
}

/// Where a profile comes from. A later one takes the place of an earlier one unless that came from
/// a better source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProfileSource {
    /// Nobody: only the id is known. Never replaces anything.
    Nobody,
    /// The user's own word, or a token's claims.
    Claims,
    /// The host application, with the server key.
    Host,
}

/// What the directory knows of a person.
#[derive(Clone, Debug)]
pub struct Person {
    /// The profile.
    pub profile: Profile,
    /// The manual status.
    pub chosen: StatusOverride,
    /// When they were last seen.
    pub last_seen: Option<Timestamp>,
}

/// People: profiles, manual statuses, when they were last seen.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// What is known of someone.
    async fn person(&self, user: &UserId) -> StoreResult<Option<Person>>;

    /// Those of these whom the directory does not know, in the order asked.
    async fn unknown(&self, users: &[UserId]) -> StoreResult<Vec<UserId>>;

    /// Writes a profile unless a better source wrote it before; answers with the person as they are
    /// now, and whether the profile changed (a new one has). With [`ProfileSource::Nobody`], makes
    /// a bare profile where there is none.
    async fn upsert_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        at: Timestamp,
    ) -> StoreResult<(Person, bool)>;

    /// Writes what a token that was issued at `issued_at` says of its user, unless a better source,
    /// or the claims of a token that was not older, wrote the profile before; answers as
    /// [`Directory::upsert_profile`].
    async fn upsert_claims(
        &self,
        profile: Profile,
        issued_at: Timestamp,
        at: Timestamp,
    ) -> StoreResult<(Person, bool)>;

    /// Keeps a manual status. The person is known. Unless it is invisible at `at`, what others are
    /// told of the person's marks comes up to what is true, in the same transaction; answers with
    /// those that moved.
    async fn set_status(
        &self,
        user: &UserId,
        chosen: StatusOverride,
        at: Timestamp,
    ) -> StoreResult<Vec<MarkUpdate>>;

    /// Moves when people were last seen; never back, but from a time that only a wrong clock can
    /// have shown: see [`Timestamp::advance_to`].
    async fn seen(&self, users: Vec<(UserId, Timestamp)>) -> StoreResult<()>;

    /// When each of these was last seen.
    async fn last_seen(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>>;

    /// People whose name or id, or whose account's user name, contains `query` by [`search_key`],
    /// by name; all of them where the query's key is empty.
    ///
    /// [`search_key`]: lamplight_domain::text::search_key
    async fn search(
        &self,
        query: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>>;
}

/// A local account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose it is.
    pub user: UserId,
    /// The password's hash, in PHC string format.
    pub password_hash: String,
}

/// A session that begins.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The digest of its token.
    pub digest: String,
    /// Whose it is.
    pub user: UserId,
    /// When it begins.
    pub at: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// The network that it was opened from, as [`crate::limits::login_network`] has it.
    pub network: Option<IpAddr>,
    /// The most sessions that a user may have; 0 for no limit.
    pub most: usize,
    /// The hash that the password was right for, where one was asked for: it may be another's by
    /// now.
    pub password_hash: Option<String>,
}

/// Local accounts and their sessions.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Makes an account and its profile. `false` if the name is taken, by [`username_key`].
    ///
    /// [`username_key`]: lamplight_domain::text::username_key
    async fn create(
        &self,
        username: &str,
        account: Account,
        profile: Profile,
        at: Timestamp,
    ) -> StoreResult<bool>;

    /// The account of that name, by its key.
    async fn find(&self, username: &str) -> StoreResult<Option<Account>>;

    /// The account of a user, with the name that it is found by.
    async fn account_of(&self, user: &UserId) -> StoreResult<Option<(String, Account)>>;

    /// Whether somebody signed in to the account of that name from this network at `since` or
    /// later.
    async fn knows_network(
        &self,
        username: &str,
        network: IpAddr,
        since: Timestamp,
    ) -> StoreResult<bool>;

    /// Keeps a session under the digest of its token, remembers the network it was opened from, and
    /// ends the oldest sessions of the user past `most`; answers with the digests of those that
    /// ended. `None`, and nothing is kept, where the account's password has another hash by now
    /// than the session's.
    async fn open_session(&self, session: NewSession) -> StoreResult<Option<Vec<String>>>;

    /// Whose session this is, and when it ends, unless it has ended before `at`.
    async fn session(
        &self,
        digest: &str,
        at: Timestamp,
    ) -> StoreResult<Option<(UserId, Timestamp)>>;

    /// Ends a session; whose it was, if it was.
    async fn end_session(&self, digest: &str) -> StoreResult<Option<UserId>>;

    /// The digests of a user's sessions.
    async fn sessions_of(&self, user: &UserId) -> StoreResult<Vec<String>>;

    /// Ends every session of a user; answers with their digests.
    async fn end_sessions(&self, user: &UserId) -> StoreResult<Vec<String>>;

    /// Replaces the password's hash, ends every session of the user but `except`, and forgets the
    /// networks that signed in: one transaction. Answers with the digests of the sessions that
    /// ended. `None`, and nothing is changed, where the hash is not `before` any more.
    async fn set_password(
        &self,
        user: &UserId,
        before: &str,
        password_hash: &str,
        except: Option<&str>,
    ) -> StoreResult<Option<Vec<String>>>;
}

/// Who wants a password hashed. What waits is bounded, networks take turns, and those that have
/// signed in to the account before come first.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashFor {
    /// Where it is asked from.
    pub address: Option<IpAddr>,
    /// Whether that network has signed in to the account before.
    pub is_known: bool,
}

/// Why a password was not hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// As many wait from this network as may.
    #[error("too many passwords from one network wait to be hashed")]
    NetworkFull,
    /// As many wait as may.
    #[error("too many passwords wait to be hashed")]
    Full,
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// Password hashing, slow on purpose.
#[async_trait]
pub trait Passwords: Send + Sync + 'static {
    /// A hash in PHC string format.
    async fn hash(&self, password: String, from: HashFor) -> Result<String, HashError>;
    /// Whether the password is the hash's. With no hash, takes as long and says no, so that nobody
    /// learns from the time which accounts there are.
    async fn verify(
        &self,
        password: String,
        hash: Option<String>,
        from: HashFor,
    ) -> Result<bool, HashError>;
    /// The digest under which a secret token is kept.
    fn digest(&self, token: &str) -> String;
}

/// Who is in. Changes leave through the [`EventBus`] in order.
#[async_trait]
pub trait PresenceStore: Send + Sync + 'static {
    /// A session begins, or announces itself again.
    async fn join(&self, session: &ConnectionId, person: Person) -> StoreResult<()>;
    /// The heartbeat of a session.
    async fn activity(&self, session: &ConnectionId, active: bool) -> StoreResult<()>;
    /// A session's socket is gone.
    async fn close(&self, session: &ConnectionId, reason: OfflineReason) -> StoreResult<()>;
    /// A session is over at once.
    async fn sign_out(&self, session: &ConnectionId) -> StoreResult<()>;
    /// A manual status, for all of a user's sessions.
    async fn set_status(&self, user: &UserId, chosen: StatusOverride) -> StoreResult<()>;
    /// What a session's user is doing.
    async fn set_activity(
        &self,
        session: &ConnectionId,
        activity: Option<Activity>,
    ) -> StoreResult<()>;
    /// A profile changed.
    async fn set_profile(&self, profile: Profile) -> StoreResult<()>;
    /// How someone is shown, `None` if as offline.
    async fn get(&self, user: &UserId) -> StoreResult<Option<Arc<Presence>>>;
    /// Those who came in after the version `after`, in the order in which they came.
    async fn list(&self, after: u64, limit: usize) -> StoreResult<Vec<Arc<Presence>>>;
    /// How many are shown as in.
    async fn count(&self) -> StoreResult<usize>;
    /// Whether someone has a session and is to look offline all the same.
    async fn is_invisible(&self, user: &UserId) -> StoreResult<bool>;
    /// Whether what is answered is this node's own view only, because the shared store is out of
    /// reach.
    fn is_degraded(&self) -> bool;
}

/// Tells every node what happened.
pub trait EventBus: Send + Sync + 'static {
    /// Publishes. Best effort: what is lost is healed from the log. Never blocks for long, and
    /// keeps the order of one publisher's events.
    fn publish(&self, event: Event);
}

/// How someone is shown to a watcher, and since which version.
#[derive(Clone, Debug)]
pub struct WatchedPresence {
    /// Who.
    pub user: UserId,
    /// How, `None` if as offline.
    pub shown: Option<Arc<Presence>>,
    /// The version that this state is known to hold at.
    pub version: u64,
}

/// The sockets of this node, as far as the use cases steer them.
pub trait ConnectionRegistry: Send + Sync + 'static {
    /// A socket is a user's from now on and gets what is theirs. `false` where nobody is connected
    /// to it: it has gone, or waits for its client to come back.
    fn admit(&self, session: &ConnectionId, user: &UserId) -> bool;
    /// A socket follows the roster in this mode and gets a fresh snapshot. `false` where nobody is
    /// connected to it: whoever began something for it has to end it.
    fn follow(&self, session: &ConnectionId, mode: Mode) -> bool;
    /// A socket follows these users, whose states as of now are the answer. `None`, and nothing
    /// done, if it would follow more than it may.
    fn watch(&self, session: &ConnectionId, users: &[UserId]) -> Option<Vec<WatchedPresence>>;
    /// A socket follows these users no longer.
    fn unwatch(&self, session: &ConnectionId, users: &[UserId]);
}
