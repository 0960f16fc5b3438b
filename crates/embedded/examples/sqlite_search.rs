//! Fills a SQLite store with messages, indexes them, and measures searches:
//!
//! ```sh
//! cargo run --release -p lamplight-embedded --example sqlite_search -- 1000000
//! ```
//!
//! 1,000 users in 2,000 conversations, some of which have far more messages than others; words as
//! frequent as in a language (Zipf). Each searcher asks over all conversations, and in one.

use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::search_terms::query_terms;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use lamplight_usecases::ports::{
    EventBus, MessageSearch as _, Messages as _, Search, Subscriber, Subscription,
};
use std::sync::Arc;
use tokio::time::Instant;

const USERS: u64 = 1_000;
const CONVERSATIONS: u64 = 2_000;
const WORDS: u64 = 20_000;
const AT_ONCE: usize = 64;

/// A bus without subscribers.
struct Nobody;

impl EventBus for Nobody {
    fn publish(&self, _: Event) {}

    fn subscribe(&self, _: Subscriber) -> Subscription {
        Subscription::new(|| {})
    }
}

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// The number `n` about `1/n` as often as 0.
    fn skewed(&mut self, limit: u64) -> u64 {
        let unit = self.below(1 << 24) as f64 / (1 << 24) as f64;
        ((limit as f64).powf(unit) - 1.0) as u64
    }

    fn word(&mut self) -> String {
        const SYLLABLES: &[&str] = &[
            "ba", "ke", "mi", "lo", "tu", "sha", "ren", "dor", "pil", "vas", "gen", "fu", "zo",
            "ni", "tra", "el",
        ];
        let mut number = self.skewed(WORDS) * 7 + 3;
        let mut word = String::new();
        while number > 0 {
            word.push_str(SYLLABLES[usize::try_from(number % 16).unwrap_or(0)]);
            number /= 16;
        }
        word
    }

    fn text(&mut self) -> String {
        let words: Vec<String> = (0..4 + self.below(12)).map(|_| self.word()).collect();
        words.join(" ")
    }
}

/// What a searcher of a conversation asks.
type Ask = fn(&mut Numbers, u64) -> Search;

fn user(number: u64) -> UserId {
    UserId::trusted(format!("user {number}"))
}

fn conversation(number: u64) -> ConversationId {
    ConversationId::trusted(format!("conversation {number}"))
}

fn main() {
    let mut words = std::env::args().skip(1);
    let count = words.next().map_or(100_000, |count| {
        count.parse::<u64>().expect("a number of messages")
    });
    lamplight_conformance::run(measure(count));
}

async fn measure(count: u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("lamplight.db");
    let store = SqliteStore::open(SqliteOptions::new(&file), Arc::new(Nobody)).expect("a store");
    for place in 0..CONVERSATIONS {
        let members = [user(place % USERS), user((place * 7 + 1) % USERS)];
        store
            .put_conversation(&conversation(place), &members, Timestamp(0))
            .await
            .expect("a conversation");
    }
    let began = Instant::now();
    let mut numbers = Numbers(1);
    let mut pending = std::collections::VecDeque::new();
    for number in 0..count {
        let place = numbers.skewed(CONVERSATIONS);
        let entry = NewEntry {
            id: MessageId::trusted(format!("01a226a7-{number:08x}-77ea-a963-75ff6aa8ca56")),
            conversation: conversation(place),
            sender: user(place % USERS),
            write: Content::trusted(numbers.text()).into(),
            key: None,
            created_at: Timestamp(1_700_000_000_000 + number as i64),
            editable_since: None,
        };
        pending.push_back(store.append(entry, None));
        if pending.len() == AT_ONCE {
            let first = pending.pop_front().expect("one");
            first.await.expect("an append");
        }
    }
    for one in pending {
        one.await.expect("an append");
    }
    println!("{count} messages stored in {:?}", began.elapsed());
    let size = || {
        let conn = std::fs::read_dir(directory.path()).expect("a directory");
        conn.map(|file| {
            file.and_then(|file| file.metadata())
                .map_or(0, |of| of.len())
        })
        .sum::<u64>()
            / 1_000_000
    };
    let before = size();
    let began = Instant::now();
    let (mut steps, mut longest) = (0, std::time::Duration::ZERO);
    loop {
        let step = Instant::now();
        let progress = store.advance(1_024).await.expect("a step");
        longest = longest.max(step.elapsed());
        steps += 1;
        if !progress.is_behind {
            break;
        }
    }
    println!(
        "indexed in {:?} ({steps} steps, the longest {longest:?}); {before} MB before, {} MB after",
        began.elapsed(),
        size()
    );
    let kinds: [(&str, Ask); 5] = [
        ("one word, all conversations", |numbers, _| {
            asked(&numbers.word())
        }),
        ("two words, all conversations", |numbers, _| {
            asked(&format!("{} {}", numbers.word(), numbers.word()))
        }),
        ("a prefix of two letters, all", |numbers, _| {
            asked(&numbers.word()[..2])
        }),
        ("one word, one conversation", |numbers, place| Search {
            conversation: Some(conversation(place)),
            ..asked(&numbers.word())
        }),
        ("a letter, one conversation", |numbers, place| Search {
            conversation: Some(conversation(place)),
            ..asked(&numbers.word()[..1])
        }),
    ];
    for (name, search) in kinds {
        let mut times = Vec::new();
        let mut found = 0;
        for round in 0..400 {
            // The users of the largest conversations among them.
            let place = if round % 4 == 0 {
                round / 40
            } else {
                numbers.below(CONVERSATIONS)
            };
            let search = search(&mut numbers, place);
            let began = Instant::now();
            let page = store
                .search(&user(place % USERS), &search, None, 20)
                .await
                .expect("an answer")
                .expect("a page");
            times.push(began.elapsed());
            found += page.items.len();
        }
        times.sort();
        println!(
            "{name}: median {:?}, p95 {:?}, longest {:?}, {} found in all",
            times[times.len() / 2],
            times[times.len() * 95 / 100],
            times[times.len() - 1],
            found
        );
    }
    store.close().await;
}

fn asked(query: &str) -> Search {
    Search {
        terms: query_terms(query),
        ..Search::default()
    }
}
