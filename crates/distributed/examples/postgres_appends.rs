//! Measures appends on PostgreSQL: messages a second, and CPU time of this process for a message.
//!
//! ```sh
//! cargo run --release -p lamplight-distributed --example postgres_appends -- [senders] [seconds]
//! ```
//!
//! Each sender sends again as soon as its message is stored. 1,000 conversations of two members, on a
//! server of its own that syncs to the disk, or on the one in `DATABASE_URL`.

use lamplight_conformance::servers::{PostgresConfig, PostgresServer};
use lamplight_distributed::postgres::{PostgresOptions, PostgresStore};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{EventBus, Messages as _, Subscriber, Subscription};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CONVERSATIONS: usize = 1_000;

/// A bus without subscribers.
struct Nobody;

impl EventBus for Nobody {
    fn publish(&self, _: Event) {}

    fn subscribe(&self, _: Subscriber) -> Subscription {
        Subscription::new(|| {})
    }
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|one| one.parse().expect("a number"));
    let senders: usize = arguments.next().unwrap_or(64);
    let seconds: usize = arguments.next().unwrap_or(5);
    lamplight_conformance::run(measure(senders, seconds));
}

async fn measure(senders: usize, seconds: usize) {
    let server = std::env::var("DATABASE_URL").is_err().then(|| {
        PostgresServer::start(&PostgresConfig {
            durable: true,
            ..PostgresConfig::default()
        })
    });
    let url = match &server {
        Some(server) => server.fresh_database(),
        None => std::env::var("DATABASE_URL").expect("a URL"),
    };
    let options = PostgresOptions::new(url);
    let store = PostgresStore::open(options, Arc::new(Nobody))
        .await
        .expect("a store");
    for place in 0..CONVERSATIONS {
        let members = [user(2 * place), user(2 * place + 1)];
        store
            .put_conversation(&conversation(place), &members, Timestamp(0))
            .await
            .expect("a conversation");
    }
    println!("senders  seconds  messages/s  CPU of this process for a message");
    for round in 0..3 {
        let (stored, wall, cpu) = run(&store, senders, seconds, round).await;
        let each = cpu.as_secs_f64() * 1e6 / stored as f64;
        let rate = stored as f64 / wall.as_secs_f64();
        println!(
            "{senders:7}  {:7.1}  {rate:10.0}  {each:.1} us",
            wall.as_secs_f64()
        );
    }
    store.close().await;
}

async fn run(
    store: &Arc<PostgresStore>,
    senders: usize,
    seconds: usize,
    round: usize,
) -> (u64, Duration, Duration) {
    let (stop, stored) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let (began, cpu) = (Instant::now(), cpu_time());
    let tasks = (0..senders).map(|sender| {
        let (store, stop, stored) = (store.clone(), stop.clone(), stored.clone());
        tokio::spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                // Each sender goes through conversations of its own.
                let place = (sender + number * senders) % CONVERSATIONS;
                let id = format!("0192f3a4-{round:04x}-7000-{sender:04x}-{number:012x}");
                let message = NewEntry {
                    id: MessageId::trusted(id.as_str()),
                    conversation: conversation(place),
                    sender: user(2 * place + number % 2),
                    write: Content::trusted(
                        "Shall we meet at the station at seven? I bring the tickets.",
                    )
                    .into(),
                    key: Some(SendKey::ClientMessageId(id.as_str().into())),
                    created_at: Timestamp(1_700_000_000_000),
                    editable_since: None,
                };
                store.append(message, None).await.expect("an append");
                stored.fetch_add(1, Ordering::Relaxed);
                number += 1;
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    sleep(Duration::from_secs(seconds as u64)).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("a sender");
    }
    (
        stored.load(Ordering::Relaxed),
        began.elapsed(),
        cpu_time() - cpu,
    )
}

fn user(number: usize) -> UserId {
    UserId::trusted(format!("user-{number:05}"))
}

fn conversation(number: usize) -> ConversationId {
    ConversationId::trusted(format!("0192f3a4-0000-7000-8000-{number:012x}"))
}

/// Of all threads, user and system.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after = stat.rsplit(')').next().expect("fields");
    let ticks: Vec<u64> = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().expect("ticks"))
        .collect();
    Duration::from_millis(10 * ticks.iter().sum::<u64>())
}
