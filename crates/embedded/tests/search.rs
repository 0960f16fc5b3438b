//! The index of messages: deleted text on the disk, and indexing beside other writes.

mod support;

use lamplight_domain::entry::MessageAction;
use lamplight_domain::identity::MessageId;
use lamplight_domain::message::Content;
use lamplight_domain::search_terms::query_terms;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_embedded::messages::{SqliteStore, reindex_file};
use lamplight_usecases::ports::{LogFollower, MessageSearch, Messages, Search};
use lamplight_usecases::search_index::SearchIndexer;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{at, conversation, open, user};
use tokio::time::Instant;

fn entry(number: u32, write: Write) -> NewEntry {
    NewEntry {
        id: MessageId::trusted(format!("m{number}")),
        conversation: conversation("c"),
        sender: user("a"),
        write,
        key: None,
        created_at: at(i64::from(number)),
        editable_since: None,
    }
}

async fn send(store: &SqliteStore, number: u32, content: &str) {
    let entry = entry(number, Content::trusted(content).into());
    store.append(entry, None).await.expect("a message");
}

async fn act(store: &SqliteStore, number: u32, on: u32, action: MessageAction) {
    let message = MessageId::trusted(format!("m{on}"));
    let entry = entry(number, Write::Change { message, action });
    store.append(entry, None).await.expect("a change");
}

async fn put(store: &SqliteStore) {
    store
        .put_conversation(&conversation("c"), &[user("a"), user("b")], at(0))
        .await
        .expect("a conversation");
}

async fn index(store: &SqliteStore) {
    while store.advance(50).await.expect("a step").is_behind {}
}

async fn finds(store: &SqliteStore, query: &str) -> usize {
    let search = Search {
        terms: query_terms(query),
        ..Search::default()
    };
    let found = store.search(&user("b"), &search, None, 50).await;
    found.expect("an answer").expect("a page").items.len()
}

/// Whether a file of the database has these bytes.
fn holds(directory: &Path, word: &str) -> bool {
    std::fs::read_dir(directory)
        .expect("a directory")
        .any(|file| {
            let bytes = std::fs::read(file.expect("a file").path()).expect("a file");
            bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
        })
}

/// No file has text of a deleted message, and only the log has the old text of an edited one.
#[tokio::test]
async fn deleted_text_leaves_the_index_on_the_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    put(&store).await;
    for number in 0..300 {
        let content = format!("hello {number} and words that many messages have in common");
        send(&store, number, &content).await;
    }
    send(&store, 300, "a Secretword of mine").await;
    send(&store, 301, "a Firstword of mine").await;
    for number in 302..400 {
        send(&store, number, &format!("hello {number} again")).await;
    }
    index(&store).await;
    assert_eq!(finds(&store, "secretw").await, 1);
    store.close().await;
    drop(store);
    for word in ["secretword", "firstword"] {
        assert!(holds(directory.path(), word), "{word} is in the index");
    }
    let (store, _) = open(directory.path());
    let content = Content::trusted("another");
    let mentions = Vec::new();
    act(&store, 400, 301, MessageAction::Edit { content, mentions }).await;
    act(&store, 401, 300, MessageAction::Delete).await;
    index(&store).await;
    store.close().await;
    drop(store);
    for word in ["secretword", "Secretword", "firstword"] {
        assert!(
            !holds(directory.path(), word),
            "{word} is still on the disk"
        );
    }
    let (store, _) = open(directory.path());
    assert_eq!(finds(&store, "hello").await, 50, "the others are found");
    assert_eq!(finds(&store, "mine").await, 0);
    store.close().await;
}

/// And continues after a restart from its position.
#[tokio::test]
async fn the_indexer_follows_the_log_in_the_background() {
    let directory = tempfile::tempdir().expect("a directory");
    for (round, word) in ["first", "second"].into_iter().enumerate() {
        let (store, _) = open(directory.path());
        put(&store).await;
        let indexer = Arc::new(SearchIndexer::default());
        let (search, log): (Arc<dyn MessageSearch>, Arc<dyn LogFollower>) =
            (store.clone(), store.clone());
        let running = tokio::spawn({
            let indexer = Arc::clone(&indexer);
            async move { indexer.run(search, log).await }
        });
        for number in 0..300 {
            let number = u32::try_from(round).expect("small") * 300 + number;
            send(&store, number, &format!("{word} {number}")).await;
        }
        let began = Instant::now();
        while indexer.position() < LogFollower::head(&*store).await.expect("a head") {
            assert!(began.elapsed() < Duration::from_secs(20), "indexed in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(finds(&store, word).await, 50);
        // Another program empties the index: this one notices.
        let file = directory.path().join("lamplight.db");
        reindex_file(&file).expect("an empty index");
        while finds(&store, "first").await < 50 {
            assert!(began.elapsed() < Duration::from_secs(30), "indexed again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running.abort();
        store.close().await;
    }
}
