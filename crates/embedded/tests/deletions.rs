//! What a deletion erases is nowhere in the files any more, not only out of the answers.

mod support;

use lamplight_domain::entry::MessageAction;
use lamplight_domain::identity::MessageId;
use lamplight_domain::message::Content;
use lamplight_domain::message::SendKey;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_embedded::messages::SqliteStore;
use lamplight_usecases::ports::Messages as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{at, conversation, message, open, user};

/// Stands in every text that is deleted later, often enough for each page of a long one to have it.
const SECRET: &str = "the secret word ";

fn act(place: &str, on: &str, action: MessageAction, id: &str) -> NewEntry {
    NewEntry {
        write: Write::Change {
            message: MessageId::trusted(on),
            action,
        },
        ..message(place, "a", "", id)
    }
}

fn edit(content: &str) -> MessageAction {
    MessageAction::Edit {
        content: Content::trusted(content),
        mentions: vec![user("b")],
    }
}

async fn put(store: &SqliteStore, place: &str) {
    let (place, members) = (conversation(place), [user("a"), user("b")]);
    let made = store.put_conversation(&place, &members, at(0)).await;
    made.expect("a conversation");
}

async fn append(store: &SqliteStore, entry: NewEntry) {
    let appended = store.append(entry, None).await.expect("an append");
    assert!(!appended.duplicate);
}

/// The files of a database that have a text.
fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let has = |path: &PathBuf| {
        let bytes = std::fs::read(path).expect("a file");
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    let files = std::fs::read_dir(directory).expect("a directory");
    let paths = files.map(|file| file.expect("a file").path());
    paths.filter(has).collect()
}

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// Messages and edits of all lengths, in an order that splits pages of every table, and between
/// others that stay.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_text_is_in_no_page_of_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    let places = ["c", "d", "e"];
    for place in places {
        put(&store, place).await;
    }
    let mut numbers = Numbers(7);
    let text = |numbers: &mut Numbers| {
        let times = match numbers.below(4) {
            0 => numbers.below(500),
            1 => numbers.below(60),
            _ => numbers.below(4),
        };
        SECRET.repeat(1 + times)
    };
    let mut sent = Vec::new();
    for number in 0..400 {
        let place = places[numbers.below(3)];
        let id = format!("m{number}");
        if numbers.below(3) == 0 {
            append(&store, message(place, "a", "it stays", &id)).await;
        } else {
            let content = text(&mut numbers);
            append(&store, message(place, "a", &content, &id)).await;
            sent.push((place, id));
        }
    }
    for number in 0..600 {
        let (place, id) = &sent[numbers.below(sent.len())];
        let content = format!("{number} {}", text(&mut numbers));
        append(
            &store,
            act(place, id, edit(&content), &format!("e{number}")),
        )
        .await;
    }
    let named = files_with(directory.path(), SECRET);
    assert!(!named.is_empty(), "the test looks for the right text");
    while !sent.is_empty() {
        let (place, id) = sent.swap_remove(numbers.below(sent.len()));
        append(
            &store,
            act(place, &id, MessageAction::Delete, &format!("d{id}")),
        )
        .await;
    }
    store.close().await;
    assert_eq!(files_with(directory.path(), SECRET), [] as [PathBuf; 0]);
    assert!(!files_with(directory.path(), "it stays").is_empty());
}

/// A server that runs on without writes does not keep the text in its write-ahead log.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_while_idle_removes_deleted_text_from_the_wal() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    put(&store, "c").await;
    append(&store, message("c", "a", SECRET, "m")).await;
    append(&store, act("c", "m", edit(&SECRET.to_uppercase()), "e")).await;
    append(&store, act("c", "m", MessageAction::Delete, "d")).await;
    for _ in 0..1_200 {
        let left = [SECRET.to_owned(), SECRET.to_uppercase()];
        if left
            .iter()
            .all(|text| files_with(directory.path(), text).is_empty())
        {
            store.close().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the text is still in a file after a minute");
}

/// Neither a text nor anything that it could be guessed from by trying.
#[tokio::test(flavor = "multi_thread")]
async fn m2_a_repetition_of_a_deleted_message_is_recognised() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    put(&store, "c").await;
    let temporary = |content: &str| NewEntry {
        key: Some(SendKey::TempId("temp-1".into())),
        ..message("c", "a", content, "m")
    };
    append(&store, temporary(SECRET)).await;
    let key = temporary(SECRET)
        .write
        .dedupe_key(&SendKey::TempId("temp-1".into()));
    assert!(!files_with(directory.path(), &key).is_empty());
    append(&store, act("c", "m", MessageAction::Delete, "d")).await;
    store.close().await;
    assert_eq!(files_with(directory.path(), &key), [] as [PathBuf; 0]);
    let (store, _) = open(directory.path());
    let again = store.append(temporary(SECRET), None).await;
    let again = again.expect("a repetition");
    assert_eq!((again.duplicate, again.entry.seq), (true, 1));
    let message = again.message.expect("as it is now");
    assert!(message.deleted_at.is_some());
    let other = store.append(temporary("another text"), None).await;
    assert!(!other.expect("another message").duplicate);
    store.close().await;
}
