//! A full disk, a locked file, a bad item, a full queue: nothing is acknowledged that is not
//! stored, and everything works when the fault is over.

mod support;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use lamplight_domain::event::Event;
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use lamplight_usecases::ports::{
    AppendError, EventBus, Messages as _, Range, StoreError, Subscriber, Subscription,
};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{at, conversation, fresh, message, open, open_with, user};

const DATABASE: &str = "lamplight.db";

async fn put(store: &SqliteStore, place: &str) {
    store
        .put_conversation(&conversation(place), &[user("a"), user("b")], at(0))
        .await
        .expect("a conversation");
}

/// Someone else at the same file: a shell, a backup.
fn beside(directory: &Path) -> Connection {
    Connection::open(directory.join(DATABASE)).expect("a connection")
}

async fn seqs(store: &SqliteStore, place: &str) -> Vec<u64> {
    let log = store
        .history(&user("b"), &conversation(place), Range::After(0), 100_000)
        .await
        .expect("a log")
        .expect("a member");
    log.entries.iter().map(|entry| entry.seq).collect()
}

fn is_unavailable<T>(outcome: &Result<T, AppendError>) -> bool {
    matches!(outcome, Err(AppendError::Store(StoreError::Unavailable(_))))
}

/// Appends until the disk is full, and a little beyond; answers with how many were acknowledged.
async fn fill(store: &SqliteStore, text: &str) -> u64 {
    let mut stored = 0;
    for number in 0..100_000 {
        match store
            .append(message("c", "a", text, &format!("id-{number}")), None)
            .await
        {
            Ok(appended) => {
                stored += 1;
                assert_eq!(appended.entry.seq, stored);
            }
            outcome => {
                assert!(is_unavailable(&outcome), "{outcome:?}");
                break;
            }
        }
    }
    assert!(stored > 0);
    // Small or large, alone or many at once: an item that still fits is stored, and takes the next
    // number.
    for number in 0..5 {
        let outcome = store
            .append(message("c", "a", text, &format!("full-{number}")), None)
            .await;
        assert!(is_unavailable(&outcome), "{outcome:?}");
    }
    let many = (0..50)
        .map(|number| store.append(message("c", "a", text, &format!("many-{number}")), None));
    assert!(join_all(many).await.iter().all(is_unavailable));
    assert_eq!(
        seqs(store, "c").await,
        (1..=stored).collect::<Vec<u64>>(),
        "reads still work"
    );
    stored
}

async fn goes_on(store: &SqliteStore, text: &str, stored: u64) {
    let again = store
        .append(message("c", "a", text, "full-0"), None)
        .await
        .expect("there is room again");
    assert_eq!(
        (again.entry.seq, again.duplicate),
        (stored + 1, false),
        "what failed was not stored"
    );
    let again = store
        .append(message("c", "a", text, "id-0"), None)
        .await
        .expect("a repetition");
    assert_eq!((again.entry.seq, again.duplicate), (1, true));
    let many = (0..20)
        .map(|number| store.append(message("c", "b", "short", &format!("after-{number}")), None));
    assert!(join_all(many).await.iter().all(Result::is_ok));
    assert_eq!(
        seqs(store, "c").await,
        (1..=stored + 21).collect::<Vec<u64>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_full_database_acknowledges_nothing_until_there_is_space() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    put(&store, "c").await;
    store.close().await;
    let other = beside(directory.path());
    other
        .execute_batch("CREATE TABLE filler (data BLOB)")
        .expect("a table");
    other
        .execute("INSERT INTO filler VALUES (zeroblob(1000000))", [])
        .expect("a filler");
    let pages: u32 = other
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .expect("a count");

    let options = SqliteOptions {
        max_pages: Some(pages + 24),
        ..SqliteOptions::new(directory.path().join(DATABASE))
    };
    let (store, events) = open_with(options);
    let text = "x".repeat(6_000);
    let stored = fill(&store, &text).await;
    let published = events.exactly(usize::try_from(stored).expect("few")).await;
    assert!(
        (1..)
            .zip(&published)
            .all(|(seq, (message, ..))| message.seq == seq)
    );
    assert!(
        store.ping(Duration::from_secs(1)).await.is_err(),
        "a store that takes no messages is not ready"
    );

    other.execute("DELETE FROM filler", []).expect("room");
    store
        .ping(Duration::from_secs(1))
        .await
        .expect("there is room again");
    let trials: u32 = other
        .query_row(
            "SELECT count(*) FROM counters WHERE name GLOB 'trial *'",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(trials, 0, "what was tried is taken away");
    goes_on(&store, &text, stored).await;
    store.close().await;
}

/// A file system of 4 MiB, as long as it is held.
#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    /// `Err` with the reason where this user may not mount.
    fn mount() -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(directory.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Ok(Self(directory)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, for after a failed test files may still be open.
        drop(
            std::process::Command::new("umount")
                .arg("-l")
                .arg(self.0.path())
                .status(),
        );
    }
}

/// What a limit on the file cannot show: the write-ahead log and its index find no room either.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_full_disk_acknowledges_nothing_until_there_is_space() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(reason) => {
            eprintln!(
                "skipped: a small file system cannot be mounted here, which wants root: {reason}"
            );
            return;
        }
    };
    let directory = tempfile::tempdir_in(disk.0.path()).expect("a directory");
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 1_000_000]).expect("a ballast");
    let (store, _) = open(directory.path());
    put(&store, "c").await;
    let text = "x".repeat(6_000);
    let stored = fill(&store, &text).await;
    assert!(
        store.ping(Duration::from_secs(1)).await.is_err(),
        "a store that takes no messages is not ready"
    );
    std::fs::remove_file(&ballast).expect("room");
    store
        .ping(Duration::from_secs(1))
        .await
        .expect("there is room again");
    goes_on(&store, &text, stored).await;
    store.close().await;
    let (store, _) = open(directory.path());
    assert_eq!(
        seqs(&store, "c").await,
        (1..=stored + 21).collect::<Vec<u64>>()
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_foreign_lock_delays_writes_and_then_refuses_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, events) = open(directory.path());
    put(&store, "c").await;
    let other = beside(directory.path());
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let begun = tokio::time::Instant::now();
    let sends = (0..10)
        .map(|number| store.append(message("c", "a", "hello", &format!("id-{number}")), None));
    assert!(join_all(sends).await.iter().all(is_unavailable));
    // The first may fail in a batch of its own before the others are taken up.
    assert!(
        begun.elapsed() < Duration::from_millis(5_000),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        store.ping(Duration::from_millis(100)).await.is_err(),
        "not ready"
    );
    other
        .execute_batch("ROLLBACK")
        .expect("the lock given back");
    let appended = store
        .append(message("c", "a", "hello", "id-0"), None)
        .await
        .expect("an append");
    assert_eq!((appended.entry.seq, appended.duplicate), (1, false));
    events.exactly(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m14_one_bad_item_in_a_batch_fails_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, events) = open(directory.path());
    put(&store, "c").await;
    put(&store, "d").await;
    // A fault of SQLite's, in the midst of an append.
    beside(directory.path())
        .execute_batch(
            "CREATE TRIGGER poison AFTER UPDATE ON members
             WHEN EXISTS (SELECT 1 FROM entries WHERE conversation = new.conversation AND seq = new.read_seq AND content = 'poison')
             BEGIN SELECT raise(ABORT, 'poisoned'); END",
        )
        .expect("a trigger");
    let sends: Vec<_> = (0..60)
        .map(|number| {
            let place = if number % 2 == 0 { "c" } else { "d" };
            let content = if number % 20 == 7 { "poison" } else { "hello" };
            store.append(message(place, "a", content, &format!("id-{number}")), None)
        })
        .collect();
    for (number, outcome) in join_all(sends).await.into_iter().enumerate() {
        if number % 20 == 7 {
            let Err(AppendError::Store(StoreError::Internal(cause))) = &outcome else {
                panic!("{number}: {outcome:?}")
            };
            assert!(
                cause.contains("poisoned"),
                "the cause is for the log: {cause}"
            );
        } else {
            assert!(outcome.is_ok(), "{number}: {outcome:?}");
        }
    }
    // The numbers of those that failed were not used up, in the database or in memory.
    assert_eq!(seqs(&store, "c").await, (1..=30).collect::<Vec<u64>>());
    assert_eq!(seqs(&store, "d").await, (1..=27).collect::<Vec<u64>>());
    assert_eq!(
        store
            .append(message("d", "a", "hello", "next"), None)
            .await
            .expect("an append")
            .entry
            .seq,
        28
    );
    let published = events.exactly(58).await;
    let in_d: Vec<u64> = published
        .iter()
        .filter(|(sent, ..)| sent.conversation == conversation("d"))
        .map(|(sent, ..)| sent.seq)
        .collect();
    assert_eq!(in_d, (1..=28).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m13_a_full_queue_refuses_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open_with(SqliteOptions {
        queue: 8,
        ..SqliteOptions::new(directory.path().join(DATABASE))
    });
    put(&store, "c").await;
    let other = beside(directory.path());
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let mut waiting = Vec::new();
    let mut refused = 0;
    for number in 0..1_000 {
        let mut sent = store.append(message("c", "a", "hello", &number.to_string()), None);
        match (&mut sent).now_or_never() {
            Some(outcome) => {
                assert!(is_unavailable(&outcome), "{outcome:?}");
                refused += 1;
            }
            None => waiting.push(sent),
        }
    }
    assert!(refused > 0);
    assert!(store.queue_depth() <= 8);
    other
        .execute_batch("ROLLBACK")
        .expect("the lock given back");
    let stored = waiting.len() as u64;
    let mut numbers: Vec<u64> = join_all(waiting)
        .await
        .into_iter()
        .map(|sent| sent.expect("an append").entry.seq)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=stored).collect::<Vec<u64>>());
    assert_eq!(store.queue_depth(), 0);
}

#[tokio::test]
async fn m7_a_log_without_its_early_entries_reports_its_first_seq() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    put(&store, "c").await;
    for number in 0..10 {
        store
            .append(message("c", "a", "hello", &number.to_string()), None)
            .await
            .expect("an append");
    }
    let other = beside(directory.path());
    other
        .execute("DELETE FROM entries WHERE seq <= 4", [])
        .expect("deleted");
    let pages = store
        .sync(&user("b"), &[(conversation("c"), 2).into()], 3)
        .await
        .expect("pages");
    let page = pages[0].as_ref().expect("a member");
    assert_eq!(
        (
            page.first_seq,
            page.head_seq,
            page.entries[0].seq,
            page.has_more
        ),
        (5, 10, 5, true)
    );
    other.execute("DELETE FROM entries", []).expect("deleted");
    let pages = store
        .sync(&user("b"), &[(conversation("c"), 2).into()], 3)
        .await
        .expect("pages");
    let page = pages[0].as_ref().expect("a member");
    assert_eq!(
        (page.first_seq, page.head_seq, page.has_more),
        (11, 10, false)
    );
}

#[tokio::test]
async fn members_of_recent_conversations_are_cached() {
    let subject = fresh().await;
    let store = &subject.store;
    put(store, "c").await;
    put(store, "d").await;
    store.close().await;
    // Nothing can be read any more, and this is still known.
    assert_eq!(
        store
            .members(&conversation("c"))
            .await
            .expect("known")
            .expect("there")
            .len(),
        2
    );
    assert!(store.members(&conversation("nowhere")).await.is_err());
}

/// Publishes nothing as long as the gate is shut.
struct Gated {
    gate: std::sync::Mutex<()>,
    events: lamplight_conformance::Recorder,
}

impl EventBus for Gated {
    fn publish(&self, event: Event) {
        drop(self.gate.lock().expect("the gate"));
        self.events.publish(event);
    }

    fn subscribe(&self, subscriber: Subscriber) -> Subscription {
        self.events.subscribe(subscriber)
    }
}

#[test]
fn m10_a_slow_fan_out_slows_the_writer_and_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let bus = Arc::new(Gated {
        gate: std::sync::Mutex::new(()),
        events: lamplight_conformance::Recorder::default(),
    });
    let shut = bus.gate.lock().expect("the gate");
    lamplight_conformance::run(async {
        let options = SqliteOptions::new(directory.path().join(DATABASE));
        let store = SqliteStore::open(options, bus.clone()).expect("a store");
        put(&store, "c").await;
        // Each awaited, so each a commit of its own, until the writer waits for the fan-out.
        let mut stored = 0;
        let waiting = loop {
            assert!(
                stored < 1_000,
                "the writer runs ahead of the fan-out without a bound"
            );
            let mut sent = store.append(message("c", "a", "hello", &stored.to_string()), None);
            match tokio::time::timeout(Duration::from_millis(500), &mut sent).await {
                Ok(appended) => stored = appended.expect("an append").entry.seq,
                Err(_) => break sent,
            }
        };
        drop(shut);
        assert_eq!(waiting.await.expect("an append").entry.seq, stored + 1);
        let published = bus
            .events
            .exactly(usize::try_from(stored).expect("few") + 1)
            .await;
        assert!(
            (1..)
                .zip(&published)
                .all(|(seq, (message, ..))| message.seq == seq)
        );
        store.close().await;
    });
}
