//! What a message costs on its way over the bus, in CPU of the publisher's node, the receiver's
//! node and Redis. To be run alone, in a release build:
//! `cargo test --release -p lamplight-distributed --test redis_bus_cost -- --ignored --nocapture`

use lamplight_conformance::servers::{RedisConfig, RedisServer};
use lamplight_distributed::bus::RedisEventBus;
use lamplight_distributed::redis::RedisOptions;
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Attachment, BusMessage, EventBus};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    name: &'static str,
    runtime: Runtime,
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
            runtime,
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
            kind: EntryKind::Message {
                content: Content::trusted("x".repeat(100)),
            },
            created_at: Timestamp(1_700_000_000_000),
        }),
        to: ["a", "b"].map(UserId::trusted).into(),
        except: None,
    }
}

#[test]
#[ignore = "a measurement"]
fn cost_of_a_message() {
    let server = RedisServer::start(RedisConfig::default());
    let one = Node::start("publisher", &server.url(), "a");
    let two = Node::start("receiver", &server.url(), "b");
    let received = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&received);
    let _subscription = two.bus.subscribe(Box::new(move |message| {
        if let BusMessage::Event(Event::Appended { .. }) = message {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let mut seq = 0;
    for (burst, count) in [(1, 5_000_u64), (8, 20_000), (64, 100_000), (256, 200_000)] {
        let before = (one.cpu(), two.cpu(), redis_cpu(&server));
        let target = received.load(Ordering::Relaxed) + count;
        let mut sent = 0;
        while sent < count {
            for _ in 0..burst.min(count - sent) {
                seq += 1;
                one.bus.publish(message(seq));
                sent += 1;
            }
            let arrived = target - count + sent;
            while received.load(Ordering::Relaxed) < arrived {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        let micros = |nanos: u64| nanos as f64 / 1_000.0 / count as f64;
        println!(
            "bursts of {burst}: publisher {:.1} µs, receiver {:.1} µs, Redis {:.1} µs a message",
            micros(one.cpu() - before.0),
            micros(two.cpu() - before.1),
            (redis_cpu(&server) - before.2) / count as f64,
        );
    }
    drop((one.runtime, two.runtime));
}
