//! The use cases of one node over its real adapters, with a clock that the test moves and a record of
//! every event.

mod fakes;

use fakes::{
    CountedIds, FakeHub, FakePushService, HeldBlocks, HeldDirectory, PlainPasswords, SignOutList,
};
use lamplight_conformance::presence::ManualClock;
use lamplight_domain::conversation::{Members, Receipt};
use lamplight_domain::entry::Entry;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, ConversationId, Profile, UserId};
use lamplight_domain::message::SendKey;
use lamplight_domain::presence::{Change, ManualStatus, Rules, StatusOverride};
use lamplight_domain::roster_feed::Mode;
use lamplight_domain::time::Timestamp;
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use lamplight_embedded::presence::EmbeddedPresence;
use lamplight_usecases::ports::{Clock, Directory, PushTarget};
use lamplight_usecases::{
    Caller, Code, Command, ConversationCommand, ConversationReply, Handler, Identity,
    MessageCommand, MessageReply, Ports, PresenceCommand, Principal, PushRunner, Refusal, Reply,
    Settings,
};
use std::sync::Arc;
use std::time::Duration;

pub(crate) type Answer = Result<Reply, Refusal>;

/// A node without its transports.
pub(crate) struct TestApp {
    pub(crate) handler: Handler,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) hub: Arc<FakeHub>,
    pub(crate) directory: Arc<HeldDirectory>,
    pub(crate) blocks: Arc<HeldBlocks>,
    pub(crate) passwords: Arc<PlainPasswords>,
    pub(crate) push_service: Arc<FakePushService>,
    pub(crate) pushes: Arc<PushRunner>,
    presence: Arc<EmbeddedPresence>,
    pub(crate) store: Arc<SqliteStore>,
    settings: Settings,
    home: Arc<tempfile::TempDir>,
    /// State outside the database that survives a restart.
    pub(crate) list: SignOutList,
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
        Self::open(
            settings,
            home,
            Arc::new(ManualClock::default()),
            SignOutList::default(),
        )
    }

    fn open(
        settings: Settings,
        home: Arc<tempfile::TempDir>,
        clock: Arc<ManualClock>,
        list: SignOutList,
    ) -> Self {
        let hub = Arc::new(FakeHub::default());
        let store = SqliteStore::open(
            SqliteOptions::new(home.path().join("lamplight.db")),
            hub.clone(),
        )
        .expect("a store");
        let directory = Arc::new(HeldDirectory::new(store.clone()));
        let blocks = Arc::new(HeldBlocks::new(store.clone()));
        let presence = Arc::new(EmbeddedPresence::new(
            Rules::default(),
            store.presence_version(),
            clock.clone(),
            hub.clone(),
        ));
        let passwords = Arc::new(PlainPasswords::default());
        let push_service = Arc::new(FakePushService::default());
        let ports = Ports {
            messages: store.clone(),
            groups: store.clone(),
            search: store.clone(),
            blocks: blocks.clone(),
            files: store.clone(),
            push: store.clone(),
            push_sender: push_service.clone(),
            directory: directory.clone(),
            accounts: store.clone(),
            passwords: passwords.clone(),
            presence: presence.clone(),
            bus: hub.clone(),
            connections: hub.clone(),
            clock: clock.clone(),
            ids: Arc::new(CountedIds::default()),
            shared_limits: None,
            shared_sign_outs: Some(Arc::new(list.clone())),
        };
        Self {
            handler: Handler::new(&ports, settings),
            pushes: PushRunner::new(&ports, store.clone()),
            push_service,
            clock,
            hub,
            directory,
            blocks,
            passwords,
            presence,
            store,
            settings,
            home,
            list,
        }
    }

    /// Restarts the node on its database.
    pub(crate) async fn restart(self) -> Self {
        self.store.close().await;
        let (settings, home, clock, list) = (
            self.settings,
            Arc::clone(&self.home),
            Arc::clone(&self.clock),
            self.list.clone(),
        );
        drop(self);
        Self::open(settings, home, clock, list)
    }

    /// Locks the database against writes until the returned connection is dropped, as a backup may.
    pub(crate) fn lock_writes(&self) -> rusqlite::Connection {
        let conn = rusqlite::Connection::open(self.home.path().join("lamplight.db"))
            .expect("a connection");
        conn.execute_batch("BEGIN IMMEDIATE").expect("a lock");
        conn
    }

    /// Makes all waiting notifications due.
    pub(crate) fn make_pushes_due(&self) {
        let conn = rusqlite::Connection::open(self.home.path().join("lamplight.db"))
            .expect("a connection");
        conn.execute_batch(
            "UPDATE push_queue SET due_at = 0; UPDATE push_subscriptions SET retry_at = 0;",
        )
        .expect("due");
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

    /// The name that others see.
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

    /// Moves the clock, and runs expiries.
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

    /// Writes collected marks, as the background work does.
    pub(crate) async fn flush(&self) {
        self.handler.flush().await;
    }

    /// The first `count` published entries: their receivers, and the socket left out. Waits for the
    /// publisher.
    pub(crate) async fn appended(&self, count: usize) -> Vec<(Vec<String>, Option<ConnectionId>)> {
        let published = self.hub.recorder.exactly(count).await;
        published
            .into_iter()
            .map(|(_, to, except)| (to.iter().map(ToString::to_string).collect(), except))
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.hub.recorder.events()
    }

    /// Every typing notice: the user, the receivers, and whether it started.
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

    /// The same, with the receivers.
    pub(crate) fn receipts_to(&self) -> Vec<(Receipt, Members)> {
        let receipts = self.events().into_iter().filter_map(|event| match event {
            Event::Receipt { receipt, to, .. } => Some((receipt, to)),
            _ => None,
        });
        receipts.collect()
    }

    /// Every change of a conversation, with the receivers, once there are `count`: a store publishes
    /// on its own thread.
    pub(crate) async fn wait_for_changes(
        &self,
        count: usize,
    ) -> Vec<(ConversationId, Vec<String>)> {
        for _ in 0..2_000 {
            if self.conversation_changes().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.conversation_changes()
    }

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

/// A user with a verified token, on a socket.
pub(crate) fn on_socket(id: &str, session: &str) -> Caller {
    caller(Principal::User(user(id)), Some(session))
}

/// A user with a verified token, over HTTP.
pub(crate) fn by_http(id: &str) -> Caller {
    caller(Principal::User(user(id)), None)
}

pub(crate) fn claimed(id: &str, session: &str) -> Caller {
    caller(Principal::UnverifiedUser(user(id)), Some(session))
}

pub(crate) fn anonymous() -> Caller {
    caller(Principal::Anonymous, Some("nobody"))
}

pub(crate) fn host() -> Caller {
    caller(Principal::Service, None)
}

/// A push subscription of a browser.
pub(crate) fn target(endpoint: &str) -> PushTarget {
    PushTarget {
        endpoint: endpoint.into(),
        p256dh: "p".into(),
        auth: "a".into(),
    }
}

pub(crate) fn send(conversation: &ConversationId, content: &str) -> MessageCommand {
    MessageCommand::Send {
        conversation: conversation.clone(),
        content: content.to_owned(),
        reply_to: None,
        mentions: vec![],
        attachments: Vec::new(),
        key: None,
        temp_id: None,
    }
}

pub(crate) fn send_as(conversation: &ConversationId, content: &str, id: &str) -> MessageCommand {
    let key = Some(SendKey::ClientMessageId(id.into()));
    MessageCommand::Send {
        conversation: conversation.clone(),
        content: content.to_owned(),
        reply_to: None,
        mentions: vec![],
        attachments: Vec::new(),
        key,
        temp_id: None,
    }
}

pub(crate) fn sent(answer: Answer) -> (Arc<Entry>, bool) {
    match answer.expect("sent") {
        Reply::Messages(MessageReply::Sent {
            entry, duplicate, ..
        }) => (entry, duplicate),
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

/// Makes a `#[test]` of each async body; the runtime has several threads.
macro_rules! usecase_tests {
    ($($(#[$doc:meta])* async fn $name:ident() $body:block)*) => {
        $($(#[$doc])* #[test] fn $name() { lamplight_conformance::run(async $body) })*
    };
}
pub(crate) use usecase_tests;
