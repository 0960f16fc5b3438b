//! Moving a store from SQLite to PostgreSQL and back.

mod support;

use lamplight_conformance::run;
use lamplight_conformance::servers::PostgresServer;
use lamplight_distributed::postgres::{OpenError, PostgresOptions, PostgresStore};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{Entry, MessageAction};
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{ConversationId, MessageId, Profile, UserId};
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::presence::{ManualStatus, StatusOverride};
use lamplight_domain::search_terms::query_terms;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_embedded::messages::{OpenError as SqliteError, SqliteOptions, SqliteStore};
use lamplight_usecases::ports::{
    Account, Accounts, AppendError, CommitPosition, Directory, LogFollower, MessageSearch,
    Messages, NewSession, ProfileSource, ProfileWrite, Range, Search,
};
use lamplight_usecases::transfer::{
    Options, Progress, Summary, TABLES, Transfer, TransferError, summary, transfer,
};
use std::path::Path;
use std::sync::Arc;
use support::options;
use tokio::sync::mpsc;

/// A presence version that was used before the move.
const VERSION: u64 = 41 << 40;

const FEW: Options = Options {
    rows: 7,
    starts_over: false,
};

fn user(id: &str) -> UserId {
    UserId::trusted(id)
}

fn at(millis: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + millis)
}

fn sqlite(directory: &Path, for_transfer: bool) -> Result<Arc<SqliteStore>, SqliteError> {
    let options = SqliteOptions {
        for_transfer,
        ..SqliteOptions::new(directory.join("lamplight.db"))
    };
    SqliteStore::open(
        options,
        Arc::new(lamplight_conformance::Recorder::default()),
    )
}

async fn postgres(url: &str, for_transfer: bool) -> Result<Arc<PostgresStore>, OpenError> {
    let options = PostgresOptions {
        for_transfer,
        ..options(url)
    };
    support::open_with(options).await.map(|(store, _)| store)
}

fn message(sender: &str, content: &str, id: &str) -> NewEntry {
    NewEntry {
        id: MessageId::trusted(format!("m-{id}")),
        conversation: ConversationId::trusted("team"),
        sender: user(sender),
        write: Content::trusted(content).into(),
        key: Some(SendKey::ClientMessageId(id.into())),
        created_at: at(5),
        editable_since: None,
    }
}

/// People, accounts, sessions, conversations of two and of many, messages with odd contents, marks
/// that others see and that they do not, statuses, and a follower.
async fn fill(store: &SqliteStore) {
    for (id, name) in [("1", "Ada"), ("2", "Zoë"), ("3", "ОЛЬГА"), ("4", "4")] {
        let profile = Profile {
            id: user(id),
            name: name.into(),
            avatar_url: (id == "1").then(|| "/a.png".into()),
        };
        let account = Account {
            user: user(id),
            password_hash: format!("$argon2id${id}"),
        };
        let made = store.create(name, account, profile, at(0)).await;
        assert!(made.expect("an account"));
        let session = NewSession {
            digest: format!("digest-{id}"),
            user: user(id),
            at: at(1),
            expires: at(1_000_000),
            network: Some("192.0.2.0".parse().expect("an address")),
            most: 5,
            password_hash: None,
        };
        store.open_session(session).await.expect("a session");
    }
    for n in 0..40 {
        let profile = Profile::bare(user(&format!("guest{n}")));
        let made = store.upsert_profile(profile, ProfileSource::Nobody, at(2));
        made.await.expect("a person");
    }
    let busy = StatusOverride {
        status: ManualStatus::Invisible,
        text: Some("away from keyboard 🙂".into()),
        until: None,
    };
    store
        .set_status(&user("2"), busy, at(3))
        .await
        .expect("a status");
    store.seen(vec![(user("3"), at(4))]).await.expect("seen");
    let team = ConversationId::trusted("team");
    let members = ["1", "2", "3"].map(user);
    store
        .put_conversation(&team, &members, at(4))
        .await
        .expect("a conversation");
    let direct = ConversationId::trusted("d1");
    store
        .ensure_direct(&user("1"), &user("4"), direct, at(4))
        .await
        .expect("an answer")
        .expect("a conversation");
    for n in 0..60 {
        let content = match n {
            7 => "zero \0 and one \u{1} and both \u{1}0\0".to_owned(),
            8 => "' OR 1=1; \\ {} \u{fffd}".to_owned(),
            n => format!("text {n}"),
        };
        let sent = store.append(message(["1", "3"][n % 2], &content, &format!("k{n}")), None);
        sent.await.expect("appended");
    }
    act(store).await;
    let archive = SettingsChange {
        archived: Some(true),
        ..SettingsChange::default()
    };
    let set = store.set_settings(&user("2"), &team, archive).await;
    assert!(set.expect("an answer"));
    // Invisible, so that others do not see it.
    store
        .mark_read(&user("2"), &team, 30, at(6))
        .await
        .expect("marked");
    store
        .confirm("webhooks", CommitPosition(17))
        .await
        .expect("confirmed");
}

/// What is done to messages: the last two are deleted, with an edit of one.
async fn act(store: &SqliteStore) {
    let place = ConversationId::trusted("acted");
    let members = ["1", "2"].map(user);
    let put = store.put_conversation(&place, &members, at(4));
    put.await.expect("a conversation");
    let edit = |content: &str| MessageAction::Edit {
        content: Content::trusted(content),
        mentions: vec![user("2")],
    };
    let react = |emoji: &str| MessageAction::React {
        emoji: Emoji::trusted(emoji),
        added: true,
    };
    let answer = Write::Message {
        content: Content::trusted("an answer"),
        reply_to: Some(MessageId::trusted("m-a0")),
        mentions: vec![user("1")],
        attachments: Vec::new(),
    };
    let writes = [
        Content::trusted("one").into(),
        answer,
        Content::trusted("three").into(),
        Content::trusted("four").into(),
        on("a0", edit("one \0 and \u{1}")),
        on("a0", react("👍")),
        on("a1", react("🎉")),
        on("a1", MessageAction::Pin { pinned: true }),
        on("a2", edit("edited three")),
        on("a2", MessageAction::Delete),
        on("a3", MessageAction::Delete),
    ];
    for (n, write) in writes.into_iter().enumerate() {
        let sent = store.append(acted(write, &format!("a{n}")), None).await;
        assert!(!sent.expect("appended").duplicate);
    }
}

fn on(message: &str, action: MessageAction) -> Write {
    Write::Change {
        message: MessageId::trusted(format!("m-{message}")),
        action,
    }
}

fn acted(write: Write, id: &str) -> NewEntry {
    NewEntry {
        conversation: ConversationId::trusted("acted"),
        write,
        ..message("1", "", id)
    }
}

/// Messages as they are now, and the log.
async fn now(store: &dyn Messages) -> (Vec<Message>, Vec<Entry>) {
    let (caller, place) = (user("2"), ConversationId::trusted("acted"));
    let page = store.messages(&caller, &place, Range::Newest, 100).await;
    let log = store.history(&caller, &place, Range::Newest, 100).await;
    (
        page.expect("an answer").expect("a member").messages,
        log.expect("an answer").expect("a member").entries,
    )
}

/// Who repeats a write over the move is recognised, also where its text is no longer stored.
async fn check_repetitions(store: &dyn Messages) {
    for (content, is_same) in [("three", true), ("other", false)] {
        let write = Content::trusted(content).into();
        let repeated = store.append(acted(write, "a2"), None).await;
        match repeated {
            Ok(repeated) => assert!(is_same && repeated.duplicate),
            Err(error) => assert!(!is_same && matches!(error, AppendError::Conflict)),
        }
    }
    let deletion = on("a2", MessageAction::Delete);
    let again = store.append(acted(deletion, "a9"), None).await;
    assert!(again.expect("an answer").duplicate);
}

async fn summaries(store: &dyn Transfer) -> Vec<Summary> {
    let mut all = Vec::new();
    for table in TABLES {
        all.push(summary(store, table).await.expect("a summary"));
    }
    all
}

/// Moves, and ends as a killed process does after so many steps.
async fn moved(
    source: &dyn Transfer,
    target: &dyn Transfer,
    steps: usize,
) -> (Option<Result<Vec<Summary>, TransferError>>, bool) {
    let (sender, mut steps_made) = mpsc::unbounded_channel();
    let mut is_resumed = false;
    let mut note = |progress: Progress| {
        is_resumed |= progress == Progress::Resumed;
        let _ = sender.send(());
    };
    let outcome = {
        let moving = transfer(source, target, FEW, &mut note);
        let killed = async {
            for _ in 0..steps {
                steps_made.recv().await;
            }
        };
        tokio::select! {
            biased;
            () = killed => None,
            outcome = moving => Some(outcome),
        }
    };
    (outcome, is_resumed)
}

#[test]
fn p5_a_killed_transfer_to_postgres_and_back_resumes() {
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let source = sqlite(directory.path(), false).expect("a store");
        fill(&source).await;
        let before = summaries(&*source).await;
        let messages = now(&*source).await;
        let generation = Messages::generation(&*source);
        let kept = source.keep_presence_version(VERSION).await;
        kept.expect("a version");
        let identity = source.identity().await.expect("an identity");
        let url = PostgresServer::shared().fresh_database();

        // Killed after every number of steps that it can make, in a new process each time.
        let (mut kills, mut steps) = (0, 1);
        loop {
            let target = postgres(&url, true).await.expect("a store");
            let (outcome, is_resumed) = moved(&*source, &*target, steps).await;
            assert_eq!(is_resumed, kills > 0);
            target.close().await;
            if let Some(outcome) = outcome {
                assert_eq!(outcome.expect("moved"), before);
                break;
            }
            match postgres(&url, false).await {
                Err(OpenError::HalfFilled) => {}
                // Killed after the last step.
                Ok(store) => assert_eq!(summaries(&*store).await, before),
                Err(error) => panic!("{error}"),
            }
            kills += 1;
            steps += 3;
        }
        assert!(kills > 3, "{kills}");

        let target = postgres(&url, false).await.expect("a store");
        assert_eq!(summaries(&*target).await, before);
        assert_eq!(Messages::generation(&*target), generation, "clients go on");
        check(&target).await;
        assert_eq!(now(&*target).await, messages);
        check_repetitions(&*target).await;
        let left = source.identity().await.expect("an identity");
        assert_ne!(left.generation, generation, "the source has diverged");
        assert_ne!(left.store_id, identity.store_id);
        assert_eq!(target.store_id(), identity.store_id, "nodes keep a prefix");
        let version = target.presence_version().await;
        assert_eq!(version.expect("a version"), VERSION);
        source.close().await;
        let again = {
            let source = sqlite(directory.path(), false).expect("a store");
            transfer(&*source, &*target, FEW, &mut |_| {}).await
        };
        assert!(
            matches!(again, Err(TransferError::NotEmpty("people"))),
            "{again:?}"
        );

        // And back, with the writes made meanwhile.
        let kept = target.keep_presence_version(VERSION + 1).await;
        kept.expect("a version");
        let before = summaries(&*target).await;
        let directory = tempfile::tempdir().expect("a directory");
        let (mut kills, mut steps) = (0, 1);
        loop {
            let back = sqlite(directory.path(), true).expect("a store");
            let (outcome, _) = moved(&*target, &*back, steps).await;
            back.close().await;
            if let Some(outcome) = outcome {
                assert_eq!(outcome.expect("moved"), before);
                break;
            }
            match sqlite(directory.path(), false) {
                Err(SqliteError::HalfFilled { .. }) => {}
                Ok(store) => {
                    assert_eq!(summaries(&*store).await, before);
                    store.close().await;
                }
                Err(error) => panic!("{error}"),
            }
            kills += 1;
            steps += 5;
        }
        assert!(kills > 1, "{kills}");
        let left = target.identity().await.expect("an identity");
        assert_ne!(left.store_id, identity.store_id);
        for _ in 0..2 {
            let back = sqlite(directory.path(), false).expect("a store");
            assert_eq!(
                Messages::generation(&*back),
                generation,
                "after a restart too"
            );
            assert_eq!(back.store_id(), identity.store_id);
            assert_eq!(now(&*back).await, messages);
            check_repetitions(&*back).await;
            // A version never decreases for a client that reconnects.
            assert_eq!(back.presence_version(), VERSION + 1);
            assert_eq!(
                back.session("digest-1", at(10)).await.expect("an answer"),
                Some((user("1"), at(1_000_000)))
            );
            back.close().await;
        }
    });
}

/// What came along, and that the numbers go on.
async fn check(store: &PostgresStore) {
    let team = ConversationId::trusted("team");
    let log = store.history(&user("2"), &team, Range::Newest, 100).await;
    let log = log.expect("an answer").expect("a log");
    assert_eq!(log.entries.len(), 60);
    assert_eq!(
        log.entries[7]
            .content()
            .map(|content| content.as_str().to_owned()),
        Some("zero \0 and one \u{1} and both \u{1}0\0".to_owned())
    );
    let unread = store
        .conversation(&user("2"), &team)
        .await
        .expect("an answer");
    let unread = unread.expect("a conversation");
    assert_eq!((unread.read_seq, unread.unread), (30, 30));
    assert!(unread.settings.archived);
    let marks = unread_marks(store, &team).await;
    assert_eq!(marks, 0, "the mark of an invisible user");
    let repeated = store
        .append(message("3", "text 59", "k59"), None)
        .await
        .expect("found");
    assert!(repeated.duplicate, "a retry over the move");
    let next = store
        .append(message("1", "after", "after"), None)
        .await
        .expect("appended");
    assert_eq!((next.entry.seq, next.duplicate), (61, false));
    let archived = async |store: &PostgresStore| {
        let summary = store.summary(&user("2"), &team).await;
        let summary = summary.expect("an answer").expect("a conversation");
        summary.settings.archived
    };
    assert!(!archived(store).await, "the append has ended it");
    let person = store
        .person(&user("2"))
        .await
        .expect("an answer")
        .expect("a person");
    assert_eq!(person.status.chosen.status, ManualStatus::Invisible);
    let account = store
        .find("zOË")
        .await
        .expect("an answer")
        .expect("an account");
    assert_eq!(
        (account.user, &*account.password_hash),
        (user("2"), "$argon2id$2")
    );
    let session = store.session("digest-2", at(10)).await.expect("an answer");
    assert_eq!(session, Some((user("2"), at(1_000_000))));
    assert_eq!(
        store.position("webhooks").await.expect("an answer"),
        Some(CommitPosition(17))
    );
    let made = store.upsert_profile(Profile::bare(user("new")), ProfileSource::Nobody, at(9));
    assert_eq!(made.await.expect("a person").1, ProfileWrite::Made);
}

/// What others see of the read mark of user 2.
async fn unread_marks(store: &PostgresStore, conversation: &ConversationId) -> u64 {
    let have = [(conversation.clone(), 60).into()];
    let pages = store.sync(&user("1"), &have, 1).await.expect("an answer");
    let page = pages.into_iter().next().flatten().expect("a page");
    let receipt = page
        .receipts
        .iter()
        .find(|receipt| receipt.user == user("2"));
    receipt.expect("a receipt").read_seq
}

#[test]
fn a_source_that_changed_meanwhile_is_detected() {
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let source = sqlite(directory.path(), false).expect("a store");
        fill(&source).await;
        let target = postgres(&PostgresServer::shared().fresh_database(), true).await;
        let target = target.expect("a store");
        assert!(moved(&*source, &*target, 20).await.0.is_none());
        let changed = Profile {
            name: "Augusta".into(),
            ..Profile::bare(user("1"))
        };
        let written = source.upsert_profile(changed, ProfileSource::Host, at(9));
        written.await.expect("a person");
        let differs = transfer(&*source, &*target, FEW, &mut |_| {}).await;
        assert!(
            matches!(
                differs,
                Err(TransferError::Differs {
                    table: "people",
                    ..
                })
            ),
            "{differs:?}"
        );
        let over = Options {
            starts_over: true,
            ..FEW
        };
        let moved = transfer(&*source, &*target, over, &mut |_| {})
            .await
            .expect("moved");
        assert_eq!(moved, summaries(&*source).await);
    });
}

/// The index of the earlier content of the target is of other entries under the same numbers.
#[test]
fn a_repeated_import_adds_only_missing_rows() {
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let source = sqlite(directory.path(), false).expect("a store");
        fill(&source).await;
        let url = PostgresServer::shared().fresh_database();
        let old = postgres(&url, false).await.expect("a store");
        let team = ConversationId::trusted("team");
        let members = ["1", "2"].map(user);
        let put = old.put_conversation(&team, &members, at(0));
        put.await.expect("a conversation");
        for n in 0..100 {
            let sent = message("1", &format!("vanished {n}"), &format!("v{n}"));
            old.append(sent, None).await.expect("a message");
        }
        let index = async |store: &PostgresStore| {
            while store.advance(1_000).await.expect("a step").is_behind {}
        };
        let finds = async |store: &PostgresStore, query: &str| {
            let search = Search {
                terms: query_terms(query),
                ..Search::default()
            };
            let found = MessageSearch::search(store, &user("2"), &search, None, 100).await;
            found.expect("an answer").expect("a page").items.len()
        };
        index(&old).await;
        assert_eq!(finds(&old, "vanished").await, 100);
        old.close().await;
        let target = postgres(&url, true).await.expect("a store");
        let over = Options {
            starts_over: true,
            ..FEW
        };
        transfer(&*source, &*target, over, &mut |_| {})
            .await
            .expect("moved");
        target.close().await;
        let left = PostgresServer::shared().sql(
            support::database_of(&url),
            "SELECT count(*) FROM search_index WHERE tokens::text LIKE '%vanish%'",
        );
        assert_eq!(left.trim(), "0");
        let target = postgres(&url, false).await.expect("a store");
        index(&target).await;
        assert_eq!(finds(&target, "text").await, 58);
        assert_eq!(finds(&target, "vanished").await, 0);
    });
}

/// Columns that do not move: those computed from others, derived ones, and those of running
/// processes.
const STAYS: &[(&str, &[&str])] = &[
    (
        "conversations",
        &["members_version", "member_count", "has_archived"],
    ),
    ("people", &["has_blocks"]),
    (
        "account_deletions",
        &["announced", "claimed_until", "ended"],
    ),
    ("files", &["writer", "claimed", "silent_at"]),
    ("push_queue", &["claim"]),
];
const TABLES_THAT_STAY: &[&str] = &[
    "lamplight_schema",
    "nodes",
    "properties",
    "search_index",
    "search_position",
];

/// A column that a migration adds is moved, or listed as staying.
#[test]
fn all_columns_of_all_tables_are_moved() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        postgres(&url, false).await.expect("a store").close().await;
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .expect("a connection");
        tokio::spawn(connection);
        let columns = client
            .query(
                "SELECT table_name::text, column_name::text FROM information_schema.columns
                 WHERE table_schema = current_schema() ORDER BY 1, 2",
                &[],
            )
            .await
            .expect("the columns");
        assert!(columns.len() > 100);
        let columns = columns.iter().map(|row| (row.get(0), row.get(1)));
        let is_moved = |(table, column): &(&str, &str)| {
            let stays = STAYS.iter().find(|(name, _)| name == table);
            let moved = TABLES.iter().find(|of| of.name == *table);
            TABLES_THAT_STAY.contains(table)
                || stays.is_some_and(|(_, columns)| columns.contains(column))
                || moved.is_some_and(|of| of.columns.iter().any(|one| one.name == *column))
        };
        let forgotten: Vec<_> = columns.filter(|one| !is_moved(one)).collect();
        assert!(forgotten.is_empty(), "{forgotten:?}");
    });
}
