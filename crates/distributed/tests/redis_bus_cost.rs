//! What a message costs on its way over the bus: calls and bytes; and in CPU of the publisher's node,
//! the receiver's node and Redis, to be run alone in a release build:
//! `cargo test --release -p lamplight-distributed --test redis_bus_cost -- --ignored --nocapture`

use lamplight_conformance::servers::{RedisConfig, RedisServer};
use lamplight_distributed::bus::RedisEventBus;
use lamplight_distributed::redis::RedisOptions;
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Attachment, BusMessage, EventBus, Subscription};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    name: &'static str,
    _runtime: Runtime,
    bus: RedisEventBus,
    _attachment: Attachment,
}

impl Node {
    fn start(name: &'static str, url: &str, user: &str) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name(name).enable_all();
        let runtime = runtime.build().expect("a runtime");
        let options = RedisOptions::parse(url).expect("a URL");
        let (bus, attachment) = runtime.block_on(async {
            let bus = RedisEventBus::start(options, name);
            assert!(bus.connected(PATIENCE).await);
            let attachment = bus.attach(&UserId::trusted(user));
            if let Some(ready) = attachment.ready() {
                ready.await;
            }
            (bus, attachment)
        });
        Self {
            name,
            _runtime: runtime,
            bus,
            _attachment: attachment,
        }
    }

    /// Nanoseconds of CPU of this node's threads.
    fn cpu(&self) -> u64 {
        let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
        let of_task = |task: std::fs::DirEntry| {
            let read = |name| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            if read("comm").trim() != self.name {
                return 0;
            }
            let stat = read("schedstat");
            let first = stat.split_whitespace().next();
            first.and_then(|time| time.parse().ok()).unwrap_or(0)
        };
        tasks.flatten().map(of_task).sum()
    }
}

/// Microseconds of CPU of Redis.
fn redis_cpu(server: &RedisServer) -> f64 {
    let info = server.cli(&["INFO", "cpu"]);
    let value = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|text| text.trim().parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (value("used_cpu_user:") + value("used_cpu_sys:")) * 1e6
}

fn message(seq: u64) -> Event {
    Event::Appended {
        entry: Arc::new(Entry {
            id: MessageId::trusted(format!("01890000-0000-7000-8000-{seq:012}")),
            conversation: ConversationId::trusted("01890000-0000-7000-8000-000000000000"),
            seq,
            sender: UserId::trusted("a"),
            client_message_id: Some("3f0e4c52-0000-4000-8000-000000000000".into()),
            kind: EntryKind::message(Content::trusted("x".repeat(100))),
            created_at: Timestamp(1_700_000_000_000),
        }),
        to: ["a", "b"].map(UserId::trusted).into(),
        newcomers: [].into(),
        except: None,
    }
}

/// Two nodes with one member each.
struct Pair {
    server: RedisServer,
    one: Node,
    two: Node,
    received: Arc<AtomicU64>,
    _subscription: Subscription,
    seq: u64,
}

impl Pair {
    fn start() -> Self {
        let server = RedisServer::start(RedisConfig::default());
        let one = Node::start("publisher", &server.url(), "a");
        let two = Node::start("receiver", &server.url(), "b");
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        let subscription = two.bus.subscribe(Box::new(move |message| {
            if let BusMessage::Event(Event::Appended { .. }) = message {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }));
        Self {
            server,
            one,
            two,
            received,
            _subscription: subscription,
            seq: 0,
        }
    }

    /// Publishes so many messages on one node, in bursts, and waits for each burst on the other.
    fn send(&mut self, count: u64, burst: u64) {
        let began = Instant::now();
        let first = self.received.load(Ordering::Relaxed);
        let mut sent = 0;
        while sent < count {
            for _ in 0..burst.min(count - sent) {
                self.seq += 1;
                self.one.bus.publish(message(self.seq));
                sent += 1;
            }
            while self.received.load(Ordering::Relaxed) < first + sent {
                assert!(began.elapsed() < PATIENCE, "a message did not arrive");
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    /// The number of publishes to Redis, and their bytes.
    fn published(&self) -> (u64, u64) {
        let number = |section: &str, name: &str| {
            let info = self.server.cli(&["INFO", section]);
            let value = info.lines().find_map(|line| line.strip_prefix(name));
            let digits = value.and_then(|value| value.trim().split(',').next());
            digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        (
            number("commandstats", "cmdstat_publish:calls="),
            number("stats", "total_net_input_bytes:"),
        )
    }
}

/// The channels of both members, and for each burst at most one summary.
#[test]
fn c20_a_message_costs_one_publish_for_each_member() {
    let mut pair = Pair::start();
    for (burst, count) in [(1, 200_u64), (64, 6_400)] {
        let before = pair.published();
        pair.send(count, burst);
        let after = pair.published();
        let calls = (after.0 - before.0) as f64 / count as f64;
        let bytes = (after.1 - before.1) / count;
        println!("bursts of {burst}: {calls:.2} publishes and {bytes} bytes to Redis a message");
        // Probes and summaries are in it too.
        assert!(calls < if burst == 1 { 3.5 } else { 2.5 }, "{calls}");
        assert!(bytes < 2_000, "{bytes}");
    }
    assert_eq!(pair.received.load(Ordering::Relaxed), 6_600, "once each");
}

#[test]
#[ignore = "a measurement"]
fn cost_of_a_message() {
    let mut pair = Pair::start();
    for (burst, count) in [(1, 5_000_u64), (8, 20_000), (64, 100_000), (256, 200_000)] {
        let cpu = |pair: &Pair| (pair.one.cpu(), pair.two.cpu(), redis_cpu(&pair.server));
        let before = cpu(&pair);
        pair.send(count, burst);
        let after = cpu(&pair);
        let micros = |nanos: u64| nanos as f64 / 1_000.0 / count as f64;
        println!(
            "bursts of {burst}: publisher {:.1} µs, receiver {:.1} µs, Redis {:.1} µs a message",
            micros(after.0 - before.0),
            micros(after.1 - before.1),
            (after.2 - before.2) / count as f64,
        );
    }
}
