//! Adapters for tests: recorded events, counted ids, plain passwords, a directory that can be held.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use lamplight_conformance::Recorder;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, ConversationId, MessageId, Profile, UserId};
use lamplight_domain::presence::{Privacy, PrivacyChange, SavedStatus, StatusOverride};
use lamplight_domain::roster_feed::{Mode, RosterFeed};
use lamplight_domain::time::Timestamp;
use lamplight_embedded::messages::SqliteStore;
use lamplight_usecases::ports::{
    BlockOutcome, BlockState, BlockedBy, Blocks, BusMessage, ConnectionRegistry, Directory,
    EventBus, Exchanged, HashError, HashFor, HiddenTicket, Ids, MarkUpdate, Page, Passwords,
    Person, ProfileSource, ProfileWrite, PushKey, PushNotice, PushOutcome, PushSender,
    PushSubscription, PushTarget, SharedSignOuts, SignOut, StoreError, StoreResult, Subscriber,
    Subscription, WatchedPresence,
};
use lamplight_usecases::subscribers::Subscribers;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::watch;

/// Records every event, and the calls of the use cases for sockets of this node.
#[derive(Default)]
pub(crate) struct FakeHub {
    pub(super) recorder: Recorder,
    subscribers: Subscribers,
    feed: Mutex<Option<RosterFeed<ConnectionId>>>,
    pub(crate) admitted: Mutex<Vec<(ConnectionId, UserId)>>,
    pub(crate) followed: Mutex<Vec<(ConnectionId, Mode)>>,
    tickets: AtomicU64,
    /// Each call of `hide`: for whom, the ticket, and the users who look offline.
    pub(crate) hidden: Mutex<Vec<(UserId, HiddenTicket, Vec<UserId>)>>,
    /// Set by a test: users' events reach this node once it is `true`.
    pub(crate) attached: Mutex<Option<watch::Receiver<bool>>>,
    /// The latest privacy settings of users.
    pub(crate) privacy: Mutex<HashMap<UserId, (Privacy, u64)>>,
    /// Set by a test: the number of changes of privacy from other nodes.
    pub(crate) privacy_changes: AtomicU64,
    /// Set by a test: it is unknown whether other nodes get what is published.
    pub(crate) is_cut_off: AtomicBool,
    /// Sessions whose end was published without a later round trip to other nodes.
    pub(crate) unconfirmed_ends: AtomicU64,
}

impl EventBus for FakeHub {
    fn settle(&self) -> BoxFuture<'static, bool> {
        if self.is_cut_off.load(Ordering::Relaxed) {
            return Box::pin(std::future::ready(false));
        }
        self.unconfirmed_ends.store(0, Ordering::Relaxed);
        Box::pin(std::future::ready(true))
    }

    fn publish(&self, event: Event) {
        if matches!(event, Event::SignedOut { .. }) {
            self.unconfirmed_ends.fetch_add(1, Ordering::Relaxed);
        }
        if let Event::Presence(change) = &event {
            self.feed
                .lock()
                .get_or_insert_with(|| RosterFeed::new(0))
                .push(change.clone());
        }
        self.recorder.publish(event.clone());
        self.subscribers.send(BusMessage::Event(event));
    }

    fn subscribe(&self, subscriber: Subscriber) -> Subscription {
        self.subscribers.add(subscriber)
    }
}

impl ConnectionRegistry for FakeHub {
    fn admit(&self, session: &ConnectionId, user: &UserId) -> bool {
        self.admitted.lock().push((session.clone(), user.clone()));
        true
    }

    fn attached(&self, _: &UserId) -> Option<BoxFuture<'static, ()>> {
        let mut attached = self.attached.lock().clone()?;
        Some(Box::pin(async move {
            let _ = attached.wait_for(|attached| *attached).await;
        }))
    }

    fn follow(&self, session: &ConnectionId, mode: Mode) -> bool {
        self.followed.lock().push((session.clone(), mode));
        true
    }

    fn watch(&self, session: &ConnectionId, users: &[UserId]) -> Option<Vec<WatchedPresence>> {
        let mut feed = self.feed.lock();
        let feed = feed.get_or_insert_with(|| RosterFeed::new(0));
        feed.watch(session, users.iter().cloned());
        let seen = users.iter().map(|user| {
            let shown = feed.get(user.as_str()).cloned();
            let version = shown.as_ref().map_or(0, |shown| shown.version);
            WatchedPresence {
                user: user.clone(),
                shown,
                version,
                is_hidden: false,
            }
        });
        Some(seen.collect())
    }

    fn set_privacy(&self, user: &UserId, privacy: Privacy, revision: u64) {
        let mut all = self.privacy.lock();
        let held = all.entry(user.clone()).or_default();
        if revision >= held.1 {
            *held = (privacy, revision);
        }
    }

    fn privacy_changes(&self) -> u64 {
        self.privacy_changes.load(Ordering::Relaxed)
    }

    fn privacy_of(&self, user: &UserId) -> Privacy {
        let all = self.privacy.lock();
        all.get(user).map_or_else(Privacy::default, |held| held.0)
    }

    fn hidden_ticket(&self) -> HiddenTicket {
        HiddenTicket(self.tickets.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn hide(&self, from: &UserId, ticket: HiddenTicket, hidden: HashMap<UserId, u64>) {
        let hidden = hidden.into_keys().collect();
        self.hidden.lock().push((from.clone(), ticket, hidden));
    }

    fn unwatch(&self, session: &ConnectionId, users: &[UserId]) {
        if let Some(feed) = &mut *self.feed.lock() {
            feed.unwatch(session, users);
        }
    }
}

/// The list of sign-outs of several nodes. Each node has its own view of one list.
#[derive(Clone, Default)]
pub(crate) struct SignOutList {
    pub(crate) all: Arc<Mutex<Vec<SignOut>>>,
    /// Set by a test that loses the list.
    pub(crate) began_anew: Arc<AtomicBool>,
}

#[async_trait]
impl SharedSignOuts for SignOutList {
    async fn exchange(&self, add: &[SignOut], remove: &[SignOut]) -> StoreResult<Exchanged> {
        let mut all = self.all.lock();
        all.retain(|item| !remove.contains(item));
        let new: Vec<_> = add
            .iter()
            .filter(|item| !all.contains(item))
            .cloned()
            .collect();
        all.extend(new);
        Ok(Exchanged {
            began_anew: self.began_anew.load(Ordering::Relaxed),
            all: Some(all.clone()),
        })
    }
}

/// Ids and secrets with the numbers 1, 2, 3 …
#[derive(Default)]
pub(crate) struct CountedIds(AtomicU64);

impl CountedIds {
    fn next(&self, what: &str) -> String {
        format!("{what}{:06}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Ids for CountedIds {
    fn message(&self, _: Timestamp) -> MessageId {
        MessageId::trusted(self.next("m"))
    }
    fn conversation(&self, _: Timestamp) -> ConversationId {
        ConversationId::trusted(self.next("c"))
    }
    fn user(&self, _: Timestamp) -> UserId {
        UserId::trusted(self.next("u"))
    }
    fn secret(&self) -> String {
        self.next("secret")
    }
}

/// Hashes that contain the password: the real hashing has tests of its own.
#[derive(Default)]
pub(crate) struct PlainPasswords {
    /// While a test holds this for writing, `verify` does not return.
    pub(crate) answers: tokio::sync::RwLock<()>,
    /// The number of calls of `verify`.
    pub(crate) verified: AtomicU64,
}

#[async_trait]
impl Passwords for PlainPasswords {
    async fn hash(&self, password: String, _: HashFor) -> Result<String, HashError> {
        Ok(format!("hash of {password}"))
    }
    async fn verify(
        &self,
        password: String,
        hash: Option<String>,
        _: HashFor,
    ) -> Result<bool, HashError> {
        self.verified.fetch_add(1, Ordering::Relaxed);
        drop(self.answers.read().await);
        Ok(hash == Some(format!("hash of {password}")))
    }
    fn digest(&self, token: &str) -> String {
        format!("digest of {token}")
    }
}

/// A directory whose answers a test can hold back.
pub(crate) struct HeldDirectory {
    store: Arc<SqliteStore>,
    /// While one of these is `true`, the method has done its work and does not return.
    upsert_held: watch::Sender<bool>,
    set_status_held: watch::Sender<bool>,
    search_held: watch::Sender<bool>,
    pub(crate) searches: AtomicU64,
    /// The next calls of `seen` that fail.
    pub(crate) seen_fails: AtomicU64,
}

impl HeldDirectory {
    pub(super) fn new(store: Arc<SqliteStore>) -> Self {
        let [upsert_held, set_status_held, search_held] =
            std::array::from_fn(|_| watch::Sender::new(false));
        Self {
            store,
            upsert_held,
            set_status_held,
            search_held,
            searches: AtomicU64::new(0),
            seen_fails: AtomicU64::new(0),
        }
    }

    pub(crate) fn hold_upsert(&self, held: bool) {
        self.upsert_held.send_replace(held);
    }

    pub(crate) fn hold_set_status(&self, held: bool) {
        self.set_status_held.send_replace(held);
    }

    pub(crate) fn hold_search(&self, held: bool) {
        self.search_held.send_replace(held);
    }
}

async fn released(held: &watch::Sender<bool>) {
    drop(held.subscribe().wait_for(|held| !held).await);
}

#[async_trait]
impl Directory for HeldDirectory {
    async fn person(&self, user: &UserId) -> StoreResult<Option<Person>> {
        self.store.person(user).await
    }
    async fn unknown(&self, users: &[UserId]) -> StoreResult<Vec<UserId>> {
        self.store.unknown(users).await
    }
    async fn upsert_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        let answer = self.store.upsert_profile(profile, source, at).await;
        released(&self.upsert_held).await;
        answer
    }
    async fn upsert_claims(
        &self,
        profile: Profile,
        issued_at: Timestamp,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        let answer = self.store.upsert_claims(profile, issued_at, at).await;
        released(&self.upsert_held).await;
        answer
    }
    async fn set_status(
        &self,
        user: &UserId,
        chosen: StatusOverride,
        at: Timestamp,
    ) -> StoreResult<(SavedStatus, Vec<MarkUpdate>)> {
        let answer = self.store.set_status(user, chosen, at).await;
        released(&self.set_status_held).await;
        answer
    }
    async fn seen(&self, users: Vec<(UserId, Timestamp)>) -> StoreResult<()> {
        if self
            .seen_fails
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        {
            return Err(StoreError::Unavailable("the test says so".into()));
        }
        self.store.seen(users).await
    }
    async fn privacy_of(&self, users: &[UserId]) -> StoreResult<Vec<(Privacy, u64)>> {
        self.store.privacy_of(users).await
    }
    async fn set_privacy(
        &self,
        user: &UserId,
        change: PrivacyChange,
        at: Timestamp,
    ) -> StoreResult<SavedStatus> {
        self.store.set_privacy(user, change, at).await
    }
    async fn last_seen(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>> {
        self.store.last_seen(users).await
    }
    async fn search(
        &self,
        query: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        self.searches.fetch_add(1, Ordering::Relaxed);
        let answer = self.store.search(query, cursor, limit).await;
        released(&self.search_held).await;
        answer
    }
}

/// Blocks; a test can hold back the reads of blockers and count them.
pub(crate) struct HeldBlocks {
    store: Arc<SqliteStore>,
    held: watch::Sender<bool>,
    /// How many users each read was for.
    pub(crate) reads: Mutex<Vec<usize>>,
}

impl HeldBlocks {
    pub(super) fn new(store: Arc<SqliteStore>) -> Self {
        Self {
            store,
            held: watch::Sender::new(false),
            reads: Mutex::default(),
        }
    }

    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }
}

#[async_trait]
impl Blocks for HeldBlocks {
    async fn block(
        &self,
        user: &UserId,
        blocked: &UserId,
        limit: usize,
        at: Timestamp,
    ) -> StoreResult<BlockOutcome> {
        self.store.block(user, blocked, limit, at).await
    }
    async fn unblock(&self, user: &UserId, blocked: &UserId) -> StoreResult<()> {
        self.store.unblock(user, blocked).await
    }
    async fn blocked_by(
        &self,
        user: &UserId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        self.store.blocked_by(user, cursor, limit).await
    }
    async fn between(&self, user: &UserId, others: &[UserId]) -> StoreResult<Vec<UserId>> {
        self.store.between(user, others).await
    }
    async fn block_state(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> StoreResult<BlockState> {
        self.store.block_state(user, conversation).await
    }
    async fn blockers_of(&self, users: &[UserId]) -> StoreResult<Vec<BlockedBy>> {
        self.reads.lock().push(users.len());
        released(&self.held).await;
        self.store.blockers_of(users).await
    }
}

/// A push service that records what it sends.
#[derive(Default)]
pub(crate) struct FakePushService {
    /// What was sent, with the endpoint.
    pub(crate) sent: Mutex<Vec<(Arc<str>, PushNotice)>>,
    /// The next answers; [`PushOutcome::Sent`] when there are none.
    pub(crate) answers: Mutex<Vec<PushOutcome>>,
    pub(crate) asked: tokio::sync::Notify,
}

#[async_trait]
impl PushSender for FakePushService {
    fn new_key(&self) -> PushKey {
        PushKey {
            public: "public".into(),
            private: "private".into(),
        }
    }

    fn check(&self, target: &PushTarget) -> Result<(), String> {
        if target.endpoint.starts_with("https://") {
            Ok(())
        } else {
            Err("endpoint is no https address.".into())
        }
    }

    async fn send(&self, to: &PushSubscription, notice: &PushNotice) -> PushOutcome {
        let answer = self.answers.lock().pop().unwrap_or(PushOutcome::Sent);
        let sent = (Arc::clone(&to.target.endpoint), notice.clone());
        self.sent.lock().push(sent);
        self.asked.notify_one();
        answer
    }
}
