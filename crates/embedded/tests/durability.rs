//! Acknowledged is durable: after `kill -9`, and in the order of the system calls that a power loss
//! would judge by.
//!
//! The child is this test binary; the environment makes it run [`child`] as a sender.

mod support;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use lamplight_usecases::ports::{Messages as _, Range};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use support::{at, conversation, message, open, user};

const DIRECTORY: &str = "LAMPLIGHT_TEST_CHILD_DIRECTORY";
const SENDS: &str = "LAMPLIGHT_TEST_CHILD_SENDS";
const IN_FLIGHT: &str = "LAMPLIGHT_TEST_CHILD_IN_FLIGHT";
const PLACES: u64 = 3;

/// A sender, when the environment asks for one: appends, and prints a line for each
/// acknowledgement.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let number = |name| {
        std::env::var(name)
            .expect("a number")
            .parse::<u64>()
            .expect("a number")
    };
    let (sends, in_flight) = (number(SENDS), number(IN_FLIGHT));
    lamplight_conformance::run(async {
        let (store, _) = open(Path::new(&directory));
        for place in 0..PLACES {
            store
                .put_conversation(
                    &conversation(&place.to_string()),
                    &[user("a"), user("b")],
                    at(0),
                )
                .await
                .expect("a conversation");
        }
        let mut pending = FuturesUnordered::new();
        for number in 0..sends {
            let place = (number % PLACES).to_string();
            pending.push(store.append(
                message(
                    &place,
                    "a",
                    &format!("text {number}"),
                    &format!("id-{number}"),
                ),
                None,
            ));
            if pending.len() as u64 >= in_flight {
                acknowledge(pending.next().await);
            }
        }
        while let Some(appended) = pending.next().await {
            acknowledge(Some(appended));
        }
    });
}

type Outcome = Result<lamplight_usecases::ports::Appended, lamplight_usecases::ports::AppendError>;

fn acknowledge(appended: Option<Outcome>) {
    let message = appended.expect("one pending").expect("an append").entry;
    // One system call for a line, past the test harness' capture.
    let line = format!(
        "ack {} {} {}\n",
        message.conversation, message.seq, message.id
    );
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .expect("a reader");
}

fn sender(mut command: Command, directory: &Path, sends: u64, in_flight: u64) -> Command {
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    command
        .env(DIRECTORY, directory)
        .env(SENDS, sends.to_string())
        .env(IN_FLIGHT, in_flight.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn this_binary() -> std::path::PathBuf {
    std::env::current_exe().expect("this test's path")
}

/// The place, number and id of an acknowledgement.
fn acknowledged(line: &str) -> Option<(String, u64, String)> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    Some((
        words.next()?.to_owned(),
        words.next()?.parse().ok()?,
        words.next()?.to_owned(),
    ))
}

#[test]
fn m3_every_acknowledged_message_survives_kill_9() {
    for (round, in_flight) in [1, 8, 64, 300].into_iter().enumerate() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut child = sender(
            Command::new(this_binary()),
            directory.path(),
            u64::MAX,
            in_flight,
        )
        .spawn()
        .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut acks = Vec::new();
        while acks.len() < 250 + round * 50 {
            let line = lines.next().expect("the child continues").expect("a line");
            acks.extend(acknowledged(&line));
        }
        // SIGKILL at an arbitrary moment; its output until then counts too.
        child.kill().expect("killed");
        acks.extend(
            lines
                .map_while(Result::ok)
                .filter_map(|line| acknowledged(&line)),
        );
        child.wait().expect("its end");

        lamplight_conformance::run(async {
            let (store, _) = open(directory.path());
            let mut stored = HashMap::new();
            for place in 0..PLACES {
                let id = conversation(&place.to_string());
                let log = store
                    .history(&user("b"), &id, Range::After(0), usize::MAX >> 1)
                    .await
                    .expect("a log")
                    .expect("a member");
                assert!(
                    (1..).zip(&log.entries).all(|(seq, entry)| entry.seq == seq),
                    "no gap in {place}"
                );
                let seen = store
                    .conversation(&user("b"), &id)
                    .await
                    .expect("a view")
                    .expect("a member");
                assert_eq!(
                    seen.head_seq,
                    log.entries.len() as u64,
                    "the head is the last entry"
                );
                stored.extend(
                    log.entries.into_iter().map(|entry| {
                        ((place.to_string(), entry.seq), entry.id.as_str().to_owned())
                    }),
                );
            }
            for (place, seq, id) in &acks {
                assert_eq!(
                    stored.get(&(place.clone(), *seq)),
                    Some(id),
                    "acknowledged with {in_flight} in flight"
                );
            }
            // m2: the record that dedupes is as durable as the message.
            let (place, seq, id) = acks.last().expect("an acknowledgement");
            let number = id.strip_prefix("id-").expect("our own id");
            let again = store
                .append(message(place, "a", &format!("text {number}"), id), None)
                .await
                .expect("a repetition");
            assert_eq!((again.duplicate, again.entry.seq), (true, *seq));
            store.close().await;
        });
    }
}

/// For each acknowledgement: the write-ahead log was written, then synced to the disk, and only
/// then was the line out.
#[cfg(target_os = "linux")]
#[test]
fn m3_the_sync_returns_before_the_acknowledgement_is_written() {
    const COUNT: usize = 20;
    let directory = tempfile::tempdir().expect("a directory");
    let trace = directory.path().join("trace");
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-y",
            "-s",
            "64",
            "-e",
            "trace=write,pwrite64,fsync,fdatasync",
            "-o",
        ])
        .arg(&trace)
        .arg(this_binary());
    let output = sender(strace, directory.path(), COUNT as u64, 1)
        .output()
        .expect("strace is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    // Written and not yet synced; written and synced since the last acknowledgement.
    let (mut dirty, mut synced, mut acks) = (false, false, 0);
    let mut unfinished: HashMap<String, String> = HashMap::new();
    for line in std::fs::read_to_string(&trace).expect("a trace").lines() {
        let (thread, call) = line.split_once(' ').expect("a thread and a call");
        let call = call.trim_start();
        // A call that another thread's interrupts is printed in two parts: it begins with the
        // first, and is over with the second.
        let (begins, ends, call) = if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread.to_owned(), begun.to_owned());
            (true, false, begun.to_owned())
        } else if call.starts_with("<... ") {
            let begun = unfinished.remove(thread).unwrap_or_default();
            (
                false,
                call.contains(" = ") && !call.contains(" = -1"),
                begun,
            )
        } else {
            (true, !call.contains(" = -1"), call.to_owned())
        };
        let is_log = call.contains("lamplight.db-wal");
        if call.starts_with("pwrite64(") && is_log && ends {
            (dirty, synced) = (true, false);
        } else if (call.starts_with("fsync(") || call.starts_with("fdatasync(")) && is_log && ends {
            (synced, dirty) = (dirty, false);
        } else if call.starts_with("write(1<") && call.contains("\"ack ") && begins {
            assert!(
                synced && !dirty,
                "acknowledged before the sync returned: {call}"
            );
            synced = false;
            acks += 1;
        }
    }
    assert_eq!(acks, COUNT);
}
