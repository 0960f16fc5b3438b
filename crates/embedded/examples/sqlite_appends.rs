//! Appends messages to SQLite and ends, so that a profiler can count what one of them costs:
//!
//! ```sh
//! cargo build --release -p lamplight-embedded --example sqlite_appends
//! valgrind --tool=callgrind target/release/examples/sqlite_appends 2000
//! valgrind --tool=callgrind target/release/examples/sqlite_appends 6000
//! ```
//!
//! The difference of the two, divided by 4,000, is the number of instructions for a message. Eight
//! senders in 100 conversations of two members; each sends again as soon as its message is stored.

use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use lamplight_usecases::ports::{EventBus, Messages as _, Subscriber, Subscription};
use std::sync::Arc;

const SENDERS: usize = 8;
const CONVERSATIONS: usize = 100;

/// A bus without subscribers.
struct Nobody;

impl EventBus for Nobody {
    fn publish(&self, _: Event) {}

    fn subscribe(&self, _: Subscriber) -> Subscription {
        Subscription::new(|| {})
    }
}

fn main() {
    let count = std::env::args().nth(1).map_or(2_000, |count| {
        count.parse::<usize>().expect("a number of messages")
    });
    lamplight_conformance::run(append(count));
}

async fn append(count: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let options = SqliteOptions::new(directory.path().join("lamplight.db"));
    let store = SqliteStore::open(options, Arc::new(Nobody)).expect("a store");
    for place in 0..CONVERSATIONS {
        let members = [user(2 * place), user(2 * place + 1)];
        store
            .put_conversation(&conversation(place), &members, Timestamp(0))
            .await
            .expect("a conversation");
    }
    let senders = (0..SENDERS).map(|sender| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in (sender..count).step_by(SENDERS) {
                let appended = store.append(message(number), None).await;
                appended.expect("an append");
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("a sender");
    }
    store.close().await;
}

fn user(number: usize) -> UserId {
    UserId::trusted(format!("user {number}"))
}

fn conversation(number: usize) -> ConversationId {
    ConversationId::trusted(format!("conversation {number}"))
}

/// Ids and keys grow with time, as UUIDs of version 7 do.
fn message(number: usize) -> NewEntry {
    let place = number * 7 % CONVERSATIONS;
    let id = |kind: &str| format!("01a226a7-{number:08x}-{kind}-a963-75ff6aa8ca56");
    NewEntry {
        id: MessageId::trusted(id("77ea")),
        conversation: conversation(place),
        sender: user(2 * place + number % 2),
        write: Content::trusted("Shall we meet at the station at half past six?").into(),
        key: Some(SendKey::ClientMessageId(id("73a6").into())),
        created_at: Timestamp(1_700_000_000_000 + number as i64),
        editable_since: None,
    }
}
