//! What is done to messages moves to another database with everything else, and a restart finds it.

mod support;

use lamplight_conformance::Recorder;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{Entry, MessageAction};
use lamplight_domain::fold::{Message, fold};
use lamplight_domain::identity::MessageId;
use lamplight_domain::member_settings::{MemberSettings, SettingsChange};
use lamplight_domain::message::Content;
use lamplight_domain::search_terms::query_terms;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use lamplight_usecases::ports::{
    CommitPosition, LogFollower, MessageSearch as _, Messages as _, Range, Search,
};
use lamplight_usecases::transfer::{Options, TABLES, transfer};
use std::path::Path;
use std::sync::Arc;
use support::{at, conversation, message, open, user};

fn act(on: &str, action: MessageAction, id: &str) -> NewEntry {
    NewEntry {
        write: Write::Change {
            message: MessageId::trusted(on),
            action,
        },
        ..message("c", "a", "", id)
    }
}

const SET: SettingsChange = SettingsChange {
    muted_until: Some(Some(Timestamp(5))),
    archived: Some(true),
    pinned: None,
};

fn edit(content: &str) -> MessageAction {
    MessageAction::Edit {
        content: Content::trusted(content),
        mentions: vec![user("b")],
    }
}

fn answer(on: &str, id: &str) -> NewEntry {
    NewEntry {
        write: Write::Message {
            content: Content::trusted("an answer"),
            reply_to: Some(MessageId::trusted(on)),
            mentions: vec![user("a")],
            attachments: Vec::new(),
        },
        ..message("c", "b", "", id)
    }
}

fn writes() -> Vec<NewEntry> {
    let react = |emoji: &str, added| MessageAction::React {
        emoji: Emoji::trusted(emoji),
        added,
    };
    vec![
        message("c", "a", "one", "m1"),
        message("c", "a", "two\u{0}", "m2"),
        act("m1", edit("first\u{0}"), "e1"),
        act("m1", MessageAction::Pin { pinned: true }, "p1"),
        act("m1", edit("first of all"), "e2"),
        act("m2", react("👍", true), "r1"),
        act("m1", react("❤️", true), "r2"),
        act("m1", react("😀", true), "r3"),
        act("m1", react("😀", false), "r4"),
        answer("m1", "m3"),
        answer("m2", "m4"),
        act("m2", edit("second"), "e3"),
        act("m2", MessageAction::Delete, "d2"),
        message("c", "a", "unread", "m6"),
        message("c", "a", "the last", "m5"),
        act("m5", MessageAction::Delete, "d5"),
    ]
}

/// The log, and its messages as they are now.
async fn read(store: &SqliteStore) -> (Vec<Entry>, Vec<Message>) {
    let (caller, place) = (user("b"), conversation("c"));
    let log = store.history(&caller, &place, Range::Newest, 100).await;
    let log = log.expect("an answer").expect("a log").entries;
    let page = store.messages(&caller, &place, Range::Newest, 100).await;
    let messages = page.expect("an answer").expect("a page").messages;
    assert_eq!(messages, fold(&log, &caller));
    (log, messages)
}

async fn last_message(store: &SqliteStore) -> (u64, Option<MessageId>) {
    let seen = store.conversation(&user("b"), &conversation("c")).await;
    let seen = seen.expect("an answer").expect("a conversation");
    (seen.unread, seen.last_message.map(|last| last.entry.id))
}

fn empty(directory: &Path) -> Arc<SqliteStore> {
    let options = SqliteOptions {
        for_transfer: true,
        ..SqliteOptions::new(directory.join("lamplight.db"))
    };
    SqliteStore::open(options, Arc::new(Recorder::default())).expect("a store")
}

#[tokio::test]
async fn m2_changes_of_messages_move_with_their_digests() {
    let directories = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let (source, _) = open(directories[0].path());
    let (place, members) = (conversation("c"), [user("a"), user("b")]);
    let made = source.put_conversation(&place, &members, at(0)).await;
    made.expect("a conversation");
    for write in writes() {
        let appended = source.append(write, None).await.expect("an append");
        assert!(!appended.duplicate);
    }
    let set = source.set_settings(&user("b"), &place, SET).await;
    assert!(set.expect("an answer"));
    let (log, messages) = read(&source).await;
    assert_eq!(
        last_message(&source).await,
        (1, Some(MessageId::trusted("m6")))
    );
    let contents: Vec<&str> = messages.iter().map(Message::content).collect();
    let expected = ["first of all", "", "an answer", "an answer", "unread", ""];
    assert_eq!(contents, expected);

    // A follower reads the same entries.
    let followed = LogFollower::read(&*source, CommitPosition(0), 100).await;
    let followed = followed.expect("entries").into_iter().map(|one| one.entry);
    assert_eq!(followed.collect::<Vec<_>>(), log);

    let target = empty(directories[1].path());
    let options = Options {
        rows: 2,
        ..Options::default()
    };
    transfer(&*source, &*target, options, &mut |_| {})
        .await
        .expect("a transfer");
    source.close().await;
    target.close().await;
    let (target, _) = open(directories[1].path());
    assert_eq!(read(&target).await, (log.clone(), messages));
    let moved = target.summary(&user("b"), &place).await;
    let moved = moved.expect("an answer").expect("a conversation");
    assert_eq!(moved.settings, MemberSettings::default().with(SET));
    assert_eq!(
        last_message(&target).await,
        (1, Some(MessageId::trusted("m6")))
    );
    for (write, entry) in writes().into_iter().zip(&log) {
        let again = target.append(write, None).await.expect("a repetition");
        assert!(again.duplicate, "{entry:?}");
        assert_eq!(*again.entry, *entry);
    }
    // A restart reads the same log.
    let deletion = act("m6", MessageAction::Delete, "d6");
    let deleted = target.append(deletion, None).await.expect("a deletion");
    assert_eq!(deleted.entry.seq, 17);
    let last = MessageId::trusted("m4");
    assert_eq!(last_message(&target).await, (0, Some(last)));
    target.close().await;
}

async fn index(store: &SqliteStore) {
    while store.advance(100).await.expect("a step").is_behind {}
}

async fn finds(store: &SqliteStore, query: &str) -> usize {
    let search = Search {
        terms: query_terms(query),
        ..Search::default()
    };
    let found = store.search(&user("b"), &search, None, 50).await;
    found.expect("an answer").expect("a page").items.len()
}

fn holds(directory: &Path, word: &str) -> bool {
    let files = std::fs::read_dir(directory).expect("a directory");
    let mut paths = files.map(|file| file.expect("a file").path());
    paths.any(|path| {
        let bytes = std::fs::read(path).expect("a file");
        let mut parts = bytes.windows(word.len());
        parts.any(|part| part == word.as_bytes())
    })
}

/// The index of the earlier content of the target is of other entries under the same numbers.
#[tokio::test]
async fn a_repeated_import_adds_only_missing_rows() {
    let directories = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let members = [user("a"), user("b")];
    let mut stores = Vec::new();
    for (directory, words) in directories.iter().zip([
        &["fresh one", "fresh two"][..],
        &["vanished one", "vanished two", "vanished three"],
    ]) {
        let (store, _) = open(directory.path());
        let place = conversation("c");
        let made = store.put_conversation(&place, &members, at(0)).await;
        made.expect("a conversation");
        for words in words {
            let sent = store.append(message("c", "a", words, words), None).await;
            sent.expect("a message");
        }
        index(&store).await;
        stores.push(store);
    }
    let (source, old) = (stores.remove(0), stores.remove(0));
    assert_eq!(finds(&old, "vanished").await, 3);
    old.close().await;
    let target = empty(directories[1].path());
    let options = Options {
        starts_over: true,
        ..Options::default()
    };
    transfer(&*source, &*target, options, &mut |_| {})
        .await
        .expect("a transfer");
    target.close().await;
    source.close().await;
    assert!(!holds(directories[1].path(), "vanished"));
    let (target, _) = open(directories[1].path());
    index(&target).await;
    assert_eq!(finds(&target, "fresh").await, 2);
    assert_eq!(finds(&target, "vanished").await, 0);
    target.close().await;
}

/// Columns that do not move: ids of a database, derived ones, and those of running processes.
const STAYS: &[(&str, &[&str])] = &[
    ("message_changes", &["id"]),
    ("files", &["writer", "claimed", "silent_at"]),
    ("push_queue", &["claim", "is_claimed"]),
    (
        "account_deletions",
        &["announced", "claimed_until", "ended"],
    ),
];
const TABLES_THAT_STAY: &[&str] = &["counters", "properties"];

/// A column that a migration adds is moved, or listed as staying.
#[tokio::test]
async fn all_columns_of_all_tables_are_moved() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    store.close().await;
    let conn = rusqlite::Connection::open(directory.path().join("lamplight.db"));
    let conn = conn.expect("a database");
    let mut columns = conn
        .prepare(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1, 2",
        )
        .expect("a query");
    let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let columns: Vec<(String, String)> = columns.and_then(Iterator::collect).expect("the columns");
    assert!(columns.len() > 100);
    let is_moved = |(table, column): &&(String, String)| {
        let stays = STAYS.iter().find(|(name, _)| name == table);
        let moved = TABLES.iter().find(|of| of.name == table);
        TABLES_THAT_STAY.contains(&table.as_str())
            || table.starts_with("search_")
            || stays.is_some_and(|(_, columns)| columns.contains(&column.as_str()))
            || moved.is_some_and(|of| of.columns.iter().any(|one| one.sqlite == column))
    };
    let forgotten: Vec<_> = columns.iter().filter(|one| !is_moved(one)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}
