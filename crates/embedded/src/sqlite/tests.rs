//! Tests that need private access: panics in the threads, and single migrations.

use super::insert::{EntryRow, insert};
use super::schema::{MIGRATIONS, migrate};
use super::{OpenError, SqliteOptions, SqliteStore};
use lamplight_conformance::{Recorder, Subject};
use lamplight_domain::identity::{ConversationId, MessageId, Profile, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{
    Account, Accounts as _, Directory as _, Messages as _, Range, StoreError,
};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(SqliteOptions::new(path), Arc::new(Recorder::default())).unwrap()
}

#[tokio::test]
async fn m14_a_write_that_panics_fails_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("lamplight.db"));
    let write = |name: &'static str| {
        store.write(move |batch| {
            batch
                .conn
                .execute("INSERT INTO counters (name, value) VALUES (?1, 1)", [name])?;
            assert_ne!(name, "bad", "on purpose");
            Ok(())
        })
    };
    let waiting = [write("one"), write("bad"), write("two")];
    let mut outcomes = Vec::new();
    for waiting in waiting {
        outcomes.push(waiting.answer().await);
    }
    assert!(
        matches!(outcomes[..], [Ok(()), Err(StoreError::Internal(_)), Ok(())]),
        "{outcomes:?}"
    );
    let names: Vec<String> = store
        .read(|conn| {
            conn.prepare("SELECT name FROM counters ORDER BY name")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
        .await
        .unwrap();
    assert_eq!(
        names,
        ["changes", "epoch", "one", "presence", "text_keys", "two"]
    );
    store.close().await;
}

#[tokio::test]
async fn a_read_that_panics_does_not_stop_the_readers() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("lamplight.db"));
    for _ in 0..5 {
        let outcome = store
            .read(|conn| {
                let mut statement = conn.prepare_cached("SELECT name FROM counters")?;
                let mut rows = statement.query([])?;
                assert!(rows.next()?.is_none(), "on purpose");
                Ok(())
            })
            .await;
        assert!(
            matches!(outcome, Err(StoreError::Internal(_))),
            "{outcome:?}"
        );
    }
    let names: i64 = store
        .read(|conn| conn.query_row("SELECT count(*) FROM counters", [], |row| row.get(0)))
        .await
        .unwrap();
    assert_eq!(names, 4, "nothing of the trial is left");
    store.close().await;
}

#[tokio::test]
async fn readers_cannot_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("lamplight.db"));
    let outcome = store
        .read(|conn| conn.execute("DELETE FROM counters", []))
        .await;
    assert!(outcome.is_err());
    store.close().await;
}

fn schema(conn: &Connection) -> (u32, Vec<String>) {
    let version = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    let mut names = conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap();
    let names = names
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    (version, names)
}

#[test]
fn migrations_run_once_each_from_an_empty_file() {
    let mut conn = Connection::open_in_memory().unwrap();
    migrate(&mut conn, Path::new("x"), MIGRATIONS).unwrap();
    let first = schema(&conn);
    assert_eq!(first.0 as usize, MIGRATIONS.len());
    migrate(&mut conn, Path::new("x"), MIGRATIONS).unwrap();
    assert_eq!(schema(&conn), first);
}

#[tokio::test]
async fn an_older_schema_is_migrated_with_its_data() {
    for version in 1..MIGRATIONS.len() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lamplight.db");
        let mut older = Connection::open(&path).unwrap();
        migrate(&mut older, &path, &MIGRATIONS[..version]).unwrap();
        older
            .execute_batch(
                "INSERT INTO people (id, user_id, user_folded, name, name_folded, source, created_at) VALUES (1, 'a', 'a', 'A', 'a', 1, 0);
                 INSERT INTO conversations (id, conversation_id, head_seq, last_at, created_at) VALUES (1, 'c', 1, 5, 5);
                 INSERT INTO members (conversation, person, read_seq, delivered_seq) VALUES (1, 1, 1, 1);
                 INSERT INTO entries (conversation, seq, message_id, sender, content, created_at) VALUES (1, 1, 'm', 1, 'hello', 5);",
            )
            .unwrap();
        if version >= 3 {
            older
                .execute_batch("UPDATE members SET told_read_seq = 1, told_delivered_seq = 1")
                .unwrap();
        }
        drop(older);
        let store = open(&path);
        let log = store
            .history(
                &UserId::trusted("a"),
                &ConversationId::trusted("c"),
                Range::Newest,
                10,
            )
            .await
            .unwrap()
            .unwrap();
        assert_eq!(log.entries[0].content().unwrap().as_str(), "hello");
        assert!(
            store.find("nobody").await.unwrap().is_none(),
            "what is newer is there too"
        );
        let pages = store
            .sync(
                &UserId::trusted("a"),
                &[(ConversationId::trusted("c"), 0).into()],
                10,
            )
            .await
            .unwrap();
        let marks = &pages[0].as_ref().unwrap().receipts[0];
        assert_eq!(
            (marks.read_seq, marks.delivered_seq),
            (1, 1),
            "visible marks stay visible"
        );
        store.close().await;
    }
}

/// As the third schema left it: the order of the list was the wall clock's.
#[tokio::test]
async fn f16_conversations_of_an_older_schema_keep_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lamplight.db");
    let mut older = Connection::open(&path).unwrap();
    migrate(&mut older, &path, &MIGRATIONS[..3]).unwrap();
    older
        .execute_batch(
            "INSERT INTO people (id, user_id, user_folded, name, name_folded, source, created_at) VALUES (1, 'a', 'a', 'A', 'a', 1, 0);
             INSERT INTO conversations (id, conversation_id, head_seq, last_at, created_at) VALUES
                 (1, 'oldest', 2, 20, 5), (2, 'silent first', 0, 3, 3), (3, 'silent', 0, 25, 25), (4, 'newest', 1, 40, 30), (5, 'silent last', 0, 50, 50);
             INSERT INTO members (conversation, person) SELECT id, 1 FROM conversations;
             INSERT INTO entries (id, conversation, seq, message_id, sender, content, created_at) VALUES
                 (7, 1, 1, 'm1', 1, 'x', 10), (8, 1, 2, 'm2', 1, 'x', 20), (9, 4, 1, 'm3', 1, 'x', 40);",
        )
        .unwrap();
    drop(older);
    let store = open(&path);
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store
            .conversations(&UserId::trusted("a"), None, cursor.as_deref(), 2)
            .await
            .unwrap();
        found.extend(page.items.into_iter().map(|one| one.id.as_str().to_owned()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(
        found,
        ["silent last", "newest", "silent", "oldest", "silent first"]
    );
    store.close().await;
}

#[test]
fn a_failed_migration_is_rolled_back_to_the_one_before() {
    let mut conn = Connection::open_in_memory().unwrap();
    let steps = [
        "CREATE TABLE one (x)",
        "CREATE TABLE two (x); INSERT INTO one VALUES (1); CREATE TABLE one (x)",
    ];
    let error = migrate(&mut conn, Path::new("x"), &steps).unwrap_err();
    assert!(
        matches!(error, OpenError::Migration { version: 2, .. }),
        "{error}"
    );
    assert_eq!(schema(&conn), (1, vec!["one".into()]));
    migrate(
        &mut conn,
        Path::new("x"),
        &["CREATE TABLE one (x)", "CREATE TABLE two (x)"],
    )
    .unwrap();
    assert_eq!(schema(&conn), (2, vec!["one".into(), "two".into()]));
}

/// As user names and names were folded before they were normalised.
fn folded(text: &str) -> String {
    text.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Everything that is logged on this thread, a line each.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(
            &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                line += &format!("{field}={value:?} ")
            },
        );
        self.0.lock().unwrap().push(line);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn f18_names_of_an_older_schema_are_normalised_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lamplight.db");
    let mut older = Connection::open(&path).unwrap();
    migrate(&mut older, &path, &MIGRATIONS[..3]).unwrap();
    // In the order of their registration. "inci" has today's key of its own, and keeps it though it
    // is younger.
    let names = ["İnci", "inci", "①nn", "1NN", "Жанна", "ａｄａ", "x"];
    for (row, name) in (1_i64..).zip(names) {
        older
            .execute(
                "INSERT INTO people (id, user_id, user_folded, name, name_folded, source, created_at) VALUES (?1, ?2, ?3, ?4, ?5, 1, 0)",
                (row, format!("İd-{row}"), folded(&format!("İd-{row}")), format!("{name}\u{a0}B"), folded(&format!("{name}\u{a0}B"))),
            )
            .unwrap();
        older
            .execute(
                "INSERT INTO accounts (name_folded, username, person, password_hash, created_at) VALUES (?1, ?2, ?3, 'hash', ?3)",
                (folded(name), name, row),
            )
            .unwrap();
    }
    drop(older);
    let lines = Lines::default();
    let store = tracing::subscriber::with_default(lines.clone(), || open(&path));
    for (typed, row) in [
        ("İnci", 1),
        ("inci", 2),
        ("INCI", 2),
        ("①nn", 3),
        ("1NN", 4),
        ("1nn", 4),
        ("жанна", 5),
        ("ada", 6),
        ("ＡＤＡ", 6),
        ("x", 7),
    ] {
        let account = store
            .find(typed)
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("{typed}"));
        assert_eq!(account.user.as_str(), format!("İd-{row}"), "{typed}");
    }
    for (query, count) in [
        ("inci b", 2),
        ("1nn", 2),
        ("id-1", 1),
        ("жанна b", 1),
        ("\u{a0}ada", 1),
        ("", 7),
    ] {
        assert_eq!(
            store.search(query, None, 10).await.unwrap().items.len(),
            count,
            "{query}"
        );
    }
    let account = Account {
        user: UserId::trusted("other"),
        password_hash: String::new(),
    };
    let profile = Profile::bare(UserId::trusted("other"));
    // With a Cyrillic letter each.
    for (typed, is_free) in [("іnci", false), ("ıss", true), ("аda", false)] {
        let made = store.create(typed, account.clone(), profile.clone(), Timestamp(8));
        assert_eq!(made.await.unwrap(), is_free, "{typed}");
    }
    store.close().await;
    let lines = lines.0.lock().unwrap().join("\n");
    assert!(
        lines.contains("username=\"İnci\" other=\"inci\"")
            && lines.contains("username=\"①nn\" other=\"1NN\""),
        "{lines}"
    );
    // Once: updated names are not changed again.
    let lines = Lines::default();
    let store = tracing::subscriber::with_default(lines.clone(), || open(&path));
    assert_eq!(
        store.find("①nn").await.unwrap().unwrap().user.as_str(),
        "İd-3"
    );
    assert!(
        !lines
            .0
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains("name")),
        "{lines:?}",
        lines = lines.0
    );
    store.close().await;
}

/// Appends an entry of a kind that this version does not know, as a newer version does.
async fn append_other(store: &SqliteStore, conversation: &str, sender: &str) {
    let conversation = ConversationId::trusted(conversation);
    let sender = UserId::trusted(sender);
    let appended = store.write(move |batch| {
        let Some((conn, known)) = batch.known(&conversation)? else {
            return Ok(false);
        };
        let Some(sender) = known.member(&sender) else {
            return Ok(false);
        };
        let sender = sender.person;
        let id = format!("other {conversation} {}", known.head.seq);
        let entry = EntryRow {
            id: &id,
            sender,
            other_kind: Some("from the future"),
            moves_list: false,
            content: "",
            dedupe_key: None,
            created_at: Timestamp(0),
            last_before: None,
        };
        let inserted = insert(conn, known, &entry)?;
        batch.appended(inserted.position);
        Ok(true)
    });
    assert!(appended.answer().await.unwrap(), "a member's conversation");
}

fn subject() -> Subject<SqliteStore> {
    let directory = tempfile::tempdir().unwrap();
    let events = Arc::new(Recorder::default());
    let options = SqliteOptions::new(directory.path().join("lamplight.db"));
    Subject {
        store: SqliteStore::open(options, events.clone()).unwrap(),
        events,
        keep: Box::new(directory),
    }
}

#[tokio::test]
async fn m9_entries_of_other_kinds_change_neither_unread_nor_the_last_message() {
    lamplight_conformance::messages::other_kinds(subject(), append_other).await;
}

/// The writer's cache of a log equals the database.
#[tokio::test]
async fn m4_a_log_with_entries_of_other_kinds_continues_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lamplight.db");
    let (a, c) = (UserId::trusted("a"), ConversationId::trusted("c"));
    for round in 0..3 {
        let store = open(&path);
        if round == 0 {
            let members = [a.clone(), UserId::trusted("b")];
            store
                .put_conversation(&c, &members, Timestamp(0))
                .await
                .unwrap();
        }
        append_other(&store, "c", "a").await;
        let message = NewEntry {
            id: MessageId::trusted(format!("m{round}")),
            conversation: c.clone(),
            sender: a.clone(),
            write: Content::trusted("hello").into(),
            key: None,
            created_at: Timestamp(1),
            editable_since: None,
        };
        let appended = store.append(message, None).await.unwrap();
        assert_eq!(appended.entry.seq, 3 * round + 2);
        append_other(&store, "c", "b").await;
        let seen = store.conversation(&UserId::trusted("b"), &c).await.unwrap();
        let seen = seen.unwrap();
        assert_eq!(
            (
                seen.unread,
                seen.head_seq,
                seen.last_message.map(|last| last.entry.seq)
            ),
            (round + 1, 3 * round + 3, Some(3 * round + 2))
        );
        store.close().await;
    }
}
