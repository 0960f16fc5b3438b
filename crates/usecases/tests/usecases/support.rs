//! A app to live in: every port, a clock moved by hand, and a record of what happened.

use async_trait::async_trait;
use lamplight_conformance::Recorder;
use lamplight_conformance::presence::ManualClock;
use lamplight_domain::conversation::{Members, Receipt};
use lamplight_domain::entry::Entry;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, ConversationId, MessageId, Profile, UserId};
use lamplight_domain::message::SendKey;
use lamplight_domain::presence::{Change, ManualStatus, Rules, SavedStatus, StatusOverride};
use lamplight_domain::roster_feed::{Mode, RosterFeed};
use lamplight_domain::time::Timestamp;
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use lamplight_embedded::presence::EmbeddedPresence;
use lamplight_usecases::ports::{
    Clock, ConnectionRegistry, Directory, EventBus, HashError, HashFor, Ids, MarkUpdate, Page,
    Passwords, Person, ProfileSource, StoreError, StoreResult, Subscriber, Subscription,
    WatchedPresence,
};
use lamplight_usecases::{
    Caller, Code, Command, ConversationCommand, ConversationReply, Handler, Identity,
    MessageCommand, MessageReply, Ports, PresenceCommand, Principal, Refusal, Reply, Settings,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

pub(crate) type Answer = Result<Reply, Refusal>;

/// Everything that happens, and the sockets of this node as far as the use cases know of them.
#[derive(Default)]
pub(crate) struct FakeHub {
    recorder: Recorder,
    feed: Mutex<Option<RosterFeed<ConnectionId>>>,
    pub(crate) admitted: Mutex<Vec<(ConnectionId, UserId)>>,
    pub(crate) followed: Mutex<Vec<(ConnectionId, Mode)>>,
}

impl EventBus for FakeHub {
    fn publish(&self, event: Event) {
        if let Event::Presence(change) = &event {
            self.feed
                .lock()
                .get_or_insert_with(|| RosterFeed::new(0))
                .push(change.clone());
        }
        self.recorder.publish(event);
    }

    fn subscribe(&self, subscriber: Subscriber) -> Subscription {
        self.recorder.subscribe(subscriber)
    }
}

impl ConnectionRegistry for FakeHub {
    fn admit(&self, session: &ConnectionId, user: &UserId) -> bool {
        self.admitted.lock().push((session.clone(), user.clone()));
        true
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
            }
        });
        Some(seen.collect())
    }

    fn unwatch(&self, session: &ConnectionId, users: &[UserId]) {
        if let Some(feed) = &mut *self.feed.lock() {
            feed.unwatch(session, users);
        }
    }
}

/// 1, 2, 3 …
#[derive(Default)]
struct Counted(AtomicU64);

impl Counted {
    fn next(&self, what: &str) -> String {
        format!("{what}{:06}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Ids for Counted {
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

/// Passwords as they are: what hashing is worth is tested where it is done.
#[derive(Default)]
pub(crate) struct Plain {
    /// What was verified is answered only while nobody holds this to write.
    pub(crate) answers: tokio::sync::RwLock<()>,
    /// How often a password was held against a hash.
    pub(crate) verified: AtomicU64,
}

#[async_trait]
impl Passwords for Plain {
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

/// The directory, which can be kept from answering.
pub(crate) struct Held {
    store: Arc<SqliteStore>,
    /// What `remember` and `set_status` have found or done is answered only while this is `false`.
    remembering: watch::Sender<bool>,
    setting: watch::Sender<bool>,
    searching: watch::Sender<bool>,
    pub(crate) searches: AtomicU64,
    /// So many calls of `seen` fail.
    pub(crate) seen_fails: AtomicU64,
}

impl Held {
    fn new(store: Arc<SqliteStore>) -> Self {
        let [remembering, setting, searching] = std::array::from_fn(|_| watch::Sender::new(false));
        Self {
            store,
            remembering,
            setting,
            searching,
            searches: AtomicU64::new(0),
            seen_fails: AtomicU64::new(0),
        }
    }

    pub(crate) fn hold_remember(&self, held: bool) {
        self.remembering.send_replace(held);
    }

    pub(crate) fn hold_set_status(&self, held: bool) {
        self.setting.send_replace(held);
    }

    pub(crate) fn hold_search(&self, held: bool) {
        self.searching.send_replace(held);
    }
}

async fn let_go(held: &watch::Sender<bool>) {
    drop(held.subscribe().wait_for(|held| !held).await);
}

#[async_trait]
impl Directory for Held {
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
    ) -> StoreResult<(Person, bool)> {
        let answer = self.store.upsert_profile(profile, source, at).await;
        let_go(&self.remembering).await;
        answer
    }
    async fn upsert_claims(
        &self,
        profile: Profile,
        issued_at: Timestamp,
        at: Timestamp,
    ) -> StoreResult<(Person, bool)> {
        let answer = self.store.upsert_claims(profile, issued_at, at).await;
        let_go(&self.remembering).await;
        answer
    }
    async fn set_status(
        &self,
        user: &UserId,
        chosen: StatusOverride,
        at: Timestamp,
    ) -> StoreResult<(SavedStatus, Vec<MarkUpdate>)> {
        let answer = self.store.set_status(user, chosen, at).await;
        let_go(&self.setting).await;
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
        let_go(&self.searching).await;
        answer
    }
}

/// Everything a node has, but its wires.
pub(crate) struct TestApp {
    pub(crate) handler: Handler,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) hub: Arc<FakeHub>,
    pub(crate) directory: Arc<Held>,
    pub(crate) passwords: Arc<Plain>,
    presence: Arc<EmbeddedPresence>,
    pub(crate) store: Arc<SqliteStore>,
    settings: Settings,
    home: Arc<tempfile::TempDir>,
}

impl TestApp {
    pub(crate) fn new(identity: Identity) -> Self {
        Self::with(Settings {
            identity,
            ..Settings::default()
        })
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a directory"));
        Self::open(settings, home, Arc::new(ManualClock::default()))
    }

    fn open(settings: Settings, home: Arc<tempfile::TempDir>, clock: Arc<ManualClock>) -> Self {
        let hub = Arc::new(FakeHub::default());
        let store = SqliteStore::open(
            SqliteOptions::new(home.path().join("lamplight.db")),
            hub.clone(),
        )
        .expect("a store");
        let directory = Arc::new(Held::new(store.clone()));
        let presence = Arc::new(EmbeddedPresence::new(
            Rules::default(),
            store.presence_version(),
            clock.clone(),
            hub.clone(),
        ));
        let passwords = Arc::new(Plain::default());
        let ports = Ports {
            messages: store.clone(),
            directory: directory.clone(),
            accounts: store.clone(),
            passwords: passwords.clone(),
            presence: presence.clone(),
            bus: hub.clone(),
            connections: hub.clone(),
            clock: clock.clone(),
            ids: Arc::new(Counted::default()),
        };
        Self {
            handler: Handler::new(&ports, settings),
            clock,
            hub,
            directory,
            passwords,
            presence,
            store,
            settings,
            home,
        }
    }

    /// The process begins anew on what it left on disk.
    pub(crate) async fn restart(self) -> Self {
        self.store.close().await;
        let (settings, home, clock) = (
            self.settings,
            Arc::clone(&self.home),
            Arc::clone(&self.clock),
        );
        drop(self);
        Self::open(settings, home, clock)
    }

    /// Until what is answered is dropped, no write is taken: somebody else holds the database's
    /// lock, as a backup may.
    pub(crate) fn shut_for_writes(&self) -> rusqlite::Connection {
        let conn = rusqlite::Connection::open(self.home.path().join("lamplight.db"))
            .expect("a connection");
        conn.execute_batch("BEGIN IMMEDIATE").expect("a lock");
        conn
    }

    pub(crate) async fn ask(&self, caller: &Caller, command: impl Into<Command>) -> Answer {
        self.handler.handle(caller, command.into()).await
    }

    pub(crate) async fn join(&self, caller: &Caller) -> Reply {
        let user = caller.user().expect("a user").clone();
        self.ask(
            caller,
            PresenceCommand::Join {
                user,
                mode: Mode::Full,
                name: None,
                avatar_url: None,
            },
        )
        .await
        .expect("joined")
    }

    pub(crate) async fn open_with(&self, caller: &Caller, other: &str) -> ConversationId {
        match self
            .ask(caller, ConversationCommand::Open(user(other)))
            .await
            .expect("a conversation")
        {
            Reply::Conversations(ConversationReply::One { conversation, .. }) => conversation.id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send(
        &self,
        caller: &Caller,
        conversation: &ConversationId,
        content: &str,
    ) -> Arc<Entry> {
        sent(self.ask(caller, send(conversation, content)).await).0
    }

    pub(crate) async fn set_status(&self, caller: &Caller, status: ManualStatus) {
        let chosen = StatusOverride {
            status,
            text: None,
            until: None,
        };
        self.ask(caller, PresenceCommand::SetStatus(chosen))
            .await
            .expect("set");
    }

    /// As others see it.
    pub(crate) async fn name_of(&self, id: &str) -> Arc<str> {
        Directory::person(&*self.store, &user(id))
            .await
            .expect("a directory")
            .expect("somebody")
            .profile
            .name
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// Time passes, and what is over by itself is ended.
    pub(crate) fn pass(&self, by: Duration) {
        for _ in 0..by.as_millis() / 250 {
            self.clock.pass(Duration::from_millis(250));
            self.presence.tick();
            self.handler.expire_typing();
        }
        self.clock.pass(Duration::from_millis(
            u64::try_from(by.as_millis() % 250).unwrap_or(0),
        ));
    }

    /// The entry `seq` was written to a socket of `user`.
    pub(crate) fn delivered(&self, user: &UserId, conversation: &ConversationId, seq: u64) {
        self.handler
            .delivery_observer()
            .delivered(user, conversation, seq);
    }

    /// Writes what is collected, as the background work does.
    pub(crate) async fn write_down(&self) {
        self.handler.flush().await;
    }

    /// Every entry told of so far: to whom, and the socket left out. The publisher may still be at
    /// it.
    pub(crate) async fn appended(&self, count: usize) -> Vec<(Vec<String>, Option<ConnectionId>)> {
        let told = self.hub.recorder.exactly(count).await;
        told.into_iter()
            .map(|(_, to, except)| (to.iter().map(ToString::to_string).collect(), except))
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.hub.recorder.events()
    }

    /// Every typing notice: who, to whom, began or stopped.
    pub(crate) fn typing(&self) -> Vec<(String, Vec<String>, bool)> {
        let notices = self.events().into_iter().filter_map(|event| match event {
            Event::Typing {
                user,
                to,
                is_typing,
                ..
            } => Some((
                user.to_string(),
                to.iter().map(ToString::to_string).collect(),
                is_typing,
            )),
            _ => None,
        });
        notices.collect()
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.receipts_to()
            .into_iter()
            .map(|(receipt, _)| receipt)
            .collect()
    }

    /// The same, with who was told.
    pub(crate) fn receipts_to(&self) -> Vec<(Receipt, Members)> {
        let receipts = self.events().into_iter().filter_map(|event| match event {
            Event::Receipt { receipt, to, .. } => Some((receipt, to)),
            _ => None,
        });
        receipts.collect()
    }

    /// How often each conversation changed, and for whom.
    pub(crate) fn conversation_changes(&self) -> Vec<(ConversationId, Vec<String>)> {
        let changes = self.events().into_iter().filter_map(|event| match event {
            Event::ConversationChanged { conversation, to } => {
                Some((conversation, to.iter().map(ToString::to_string).collect()))
            }
            _ => None,
        });
        changes.collect()
    }

    pub(crate) fn presence_changes(&self) -> Vec<Change> {
        let changes = self.events().into_iter().filter_map(|event| match event {
            Event::Presence(change) => Some(change),
            _ => None,
        });
        changes.collect()
    }
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::trusted(id)
}

pub(crate) fn conversation(id: &str) -> ConversationId {
    ConversationId::trusted(id)
}

fn caller(principal: Principal, session: Option<&str>) -> Caller {
    Caller {
        principal,
        session: session.map(ConnectionId::trusted),
        address: None,
        credential: None,
    }
}

/// A user on a socket whose token was checked.
pub(crate) fn on_socket(id: &str, session: &str) -> Caller {
    caller(Principal::User(user(id)), Some(session))
}

/// A user by HTTP.
pub(crate) fn by_http(id: &str) -> Caller {
    caller(Principal::User(user(id)), None)
}

pub(crate) fn claimed(id: &str, session: &str) -> Caller {
    caller(Principal::UnverifiedUser(user(id)), Some(session))
}

pub(crate) fn nobody() -> Caller {
    caller(Principal::Anonymous, Some("nobody"))
}

pub(crate) fn host() -> Caller {
    caller(Principal::Service, None)
}

pub(crate) fn send(conversation: &ConversationId, content: &str) -> MessageCommand {
    MessageCommand::Send {
        conversation: conversation.clone(),
        content: content.to_owned(),
        key: None,
        temp_id: None,
    }
}

pub(crate) fn send_as(conversation: &ConversationId, content: &str, id: &str) -> MessageCommand {
    let key = Some(SendKey::ClientMessageId(id.into()));
    MessageCommand::Send {
        conversation: conversation.clone(),
        content: content.to_owned(),
        key,
        temp_id: None,
    }
}

pub(crate) fn sent(answer: Answer) -> (Arc<Entry>, bool) {
    match answer.expect("sent") {
        Reply::Messages(MessageReply::Sent {
            message, duplicate, ..
        }) => (message, duplicate),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn code(answer: Answer) -> Code {
    answer.expect_err("a refusal").code
}

pub(crate) fn named(id: &str, name: &str) -> Profile {
    Profile {
        name: name.into(),
        ..Profile::bare(user(id))
    }
}

/// Makes a `#[test]` of an async body, on several threads.
macro_rules! usecase_tests {
    ($($(#[$doc:meta])* async fn $name:ident() $body:block)*) => {
        $($(#[$doc])* #[test] fn $name() { lamplight_conformance::run(async $body) })*
    };
}
pub(crate) use usecase_tests;
