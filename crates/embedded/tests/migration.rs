//! Databases that an earlier release wrote open with all they hold.

mod support;

use lamplight_domain::conversation::Conversation;
use lamplight_domain::entry::{Entry, MessageAction};
use lamplight_domain::identity::MessageId;
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::write::{NewEntry, Write};
use lamplight_embedded::messages::SqliteStore;
use lamplight_usecases::ports::{Directory as _, Messages as _, Range, SyncPosition};
use rusqlite::Connection;
use std::path::Path;
use support::{conversation, message, open, user};

fn restore_dump(directory: &Path, dump: &str) {
    let file = Connection::open(directory.join("lamplight.db")).expect("a file");
    file.execute_batch(dump).expect("a dump");
}

/// Id, unread, head, read mark and last message of each of a user's conversations.
async fn list(store: &SqliteStore, id: &str) -> Vec<(String, u64, u64, u64, Option<String>)> {
    let page = store.conversations(&user(id), None, None, 10).await;
    let row = |one: Conversation| {
        (
            one.id.as_str().to_owned(),
            one.unread,
            one.head_seq,
            one.read_seq,
            one.last_message.as_ref().map(|last| text(&last.entry)),
        )
    };
    page.expect("a page").items.into_iter().map(row).collect()
}

fn text(entry: &Entry) -> String {
    entry.content().expect("a message").as_str().to_owned()
}

#[tokio::test]
async fn a_migrated_database_of_schema_7_has_its_logs_marks_and_keys() {
    let directory = tempfile::tempdir().expect("a directory");
    restore_dump(directory.path(), include_str!("databases/schema-7.sql"));
    let (store, _) = open(directory.path());
    let row = |id: &str, unread, head, read, last: Option<&str>| {
        (id.to_owned(), unread, head, read, last.map(str::to_owned))
    };
    // What that release answered.
    assert_eq!(
        list(&store, "1").await,
        [
            row("8", 2, 2, 0, Some("an answer")),
            row("7", 0, 3, 3, Some("message 3"))
        ]
    );
    assert_eq!(
        list(&store, "2").await,
        [
            row("8", 0, 2, 2, Some("an answer")),
            row("7", 2, 3, 1, Some("message 3")),
            row("9", 0, 0, 0, None)
        ]
    );
    let log = store
        .history(&user("2"), &conversation("7"), Range::Newest, 10)
        .await
        .expect("an answer")
        .expect("a log");
    let texts: Vec<String> = log.entries.iter().map(text).collect();
    assert_eq!(texts, ["message 1", "message 2", "message 3"]);
    assert_eq!(log.entries[0].client_message_id.as_deref(), Some("id-1"));
    let page = store
        .sync(&user("2"), &[SyncPosition::from((conversation("7"), 2))], 9)
        .await
        .expect("an answer")
        .remove(0)
        .expect("a page");
    let marks: Vec<(&str, u64, u64)> = page
        .receipts
        .iter()
        .map(|one| (one.user.as_str(), one.delivered_seq, one.read_seq))
        .collect();
    assert_eq!(marks, [("1", 3, 3), ("2", 1, 1)]);
    let person = store.person(&user("1")).await.expect("an answer");
    assert_eq!(&*person.expect("a person").profile.name, "Zoë");

    // Sends that the release stored are recognised, and new ones follow them.
    let again = store.append(message("7", "1", "message 2", "id-2"), None);
    let again = again.await.expect("an append");
    assert_eq!((again.duplicate, again.entry.seq), (true, 2));
    let mut temporary = message("8", "3", "to all", "new id");
    temporary.key = Some(SendKey::TempId("temp-1".into()));
    let again = store.append(temporary.clone(), None).await;
    assert!(again.expect("an append").duplicate);
    temporary.write = Content::trusted("other").into();
    let other = store.append(temporary, None).await.expect("an append");
    assert_eq!((other.duplicate, other.entry.seq), (false, 3));
    assert_eq!(list(&store, "2").await[0], row("8", 1, 3, 2, Some("other")));

    // Messages of the release can be edited and deleted.
    let change = |on: &str, action, id: &str| NewEntry {
        write: Write::Change {
            message: MessageId::trusted(on),
            action,
        },
        ..message("7", "1", "", id)
    };
    let edit = MessageAction::Edit {
        content: Content::trusted("edited"),
        mentions: Vec::new(),
    };
    let (second, third) = (log.entries[1].id.as_str(), log.entries[2].id.as_str());
    for (on, action, id) in [
        (second, edit, "an edit"),
        (third, MessageAction::Delete, "a deletion"),
    ] {
        let appended = store.append(change(on, action, id), None).await;
        assert!(!appended.expect("an append").duplicate);
    }
    let again = store.append(message("7", "1", "message 3", "id-3"), None);
    let again = again.await.expect("a repetition").message;
    assert!(again.expect("as it is now").deleted_at.is_some());
    assert_eq!(
        list(&store, "2").await[1],
        row("7", 1, 5, 1, Some("edited"))
    );
    store.close().await;
}
