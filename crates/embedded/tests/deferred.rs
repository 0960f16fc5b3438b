//! A user's first profile does not wait for the disk, and endangers nothing that does.
//!
//! The child is this test binary: the environment makes it run [`child`].
#![cfg(target_os = "linux")]

mod support;

use lamplight_domain::identity::Profile;
use lamplight_usecases::ports::{Directory as _, Messages as _, ProfileSource, ProfileWrite};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use support::{at, conversation, message, open, user};

const DIRECTORY: &str = "LAMPLIGHT_TEST_DEFERRED_DIRECTORY";
const USERS: u64 = 50;
/// The sync of a thread that fails; the thread that opens the store makes fewer.
const FAILS_AT: u32 = 160;

/// Writes the profiles of new users, and prints when. Then, until a sync fails and one time more,
/// another profile and something that must be durable.
#[test]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    lamplight_conformance::run(async {
        let (store, _) = open(Path::new(&directory));
        say("begin");
        for number in 0..USERS {
            let (_, done) = store
                .upsert_profile(profile(number), ProfileSource::Claims, at(0))
                .await
                .expect("a profile");
            assert_eq!(done, ProfileWrite::Made);
        }
        say("online");
        let (id, members) = (conversation("7"), [user("1"), user("2")]);
        store
            .put_conversation(&id, &members, at(0))
            .await
            .expect("a conversation");
        let mut has_failed = false;
        for number in USERS..USERS + u64::from(FAILS_AT) {
            let another = store.upsert_profile(profile(number), ProfileSource::Claims, at(0));
            // Before and after the failed sync.
            assert!(another.await.is_ok() || has_failed);
            let sent = store
                .append(message("7", "1", "text", &number.to_string()), None)
                .await;
            say(if sent.is_ok() { "durable" } else { "failed" });
            if has_failed {
                break;
            }
            has_failed = sent.is_err();
        }
    });
    // Without the store's own end, which would sync everything.
    std::process::exit(0);
}

fn profile(number: u64) -> Profile {
    Profile {
        name: format!("Name {number}").into(),
        ..Profile::bare(user(&number.to_string()))
    }
}

/// One system call, past the test harness' capture.
fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("say {word}\n").as_bytes())
        .and_then(|()| out.flush())
        .expect("a reader");
}

/// Runs the child under strace; returns its lines, writes and syncs in order.
fn trace(directory: &Path, more: &[&str]) -> Vec<String> {
    let file = directory.join("trace");
    let output = Command::new("strace")
        .args(["-f", "-y", "-s", "64", "-e"])
        .arg("trace=write,fsync,fdatasync")
        .args(more)
        .arg("-o")
        .arg(&file)
        .arg(std::env::current_exe().expect("this test's path"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .output()
        .expect("strace is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&file).expect("a trace");
    let calls = text.lines().filter_map(|line| {
        let word = line.split_once("\"say ").map(|(_, rest)| rest);
        if let Some(word) = word.and_then(|rest| rest.split_once("\\n")) {
            return Some(word.0.to_owned());
        }
        // The second part of a call that another thread interrupted is the same call.
        let is_sync = line.contains("sync(") && !line.contains("<... ");
        let is_log = line.contains("lamplight.db-wal>");
        let is_main = line.contains("lamplight.db>");
        match (is_sync, is_log, is_main) {
            (true, true, _) => Some("sync of the log".to_owned()),
            (true, _, true) => Some("sync of the database".to_owned()),
            _ => None,
        }
    });
    calls.collect()
}

fn position(calls: &[String], call: &str) -> usize {
    let found = calls.iter().position(|seen| seen == call);
    found.unwrap_or_else(|| panic!("no {call} in {calls:?}"))
}

#[test]
fn m3_a_first_profile_waits_for_no_sync_and_durable_writes_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let calls = trace(directory.path(), &[]);
    let (begin, online) = (position(&calls, "begin"), position(&calls, "online"));
    let durable = position(&calls, "durable");
    // SQLite syncs the header of a new log, once.
    assert!(online <= begin + 2, "syncs for profiles: {calls:?}");
    assert!(
        calls[online..durable].contains(&"sync of the log".to_owned()),
        "{calls:?}"
    );

    // The end of the process lost nothing.
    lamplight_conformance::run(async {
        let (store, _) = open(directory.path());
        for number in 0..USERS {
            let found = store.person(&user(&number.to_string())).await;
            let person = found.expect("an answer").expect("a person");
            assert_eq!(person.profile, profile(number));
        }
        store.close().await;
    });
}

/// After a failed sync the operating system may have dropped earlier content of the log. The next
/// acknowledgement must not rest on it.
#[test]
fn m3_after_a_failed_sync_a_checkpoint_precedes_the_next_acknowledgement() {
    let directory = tempfile::tempdir().expect("a directory");
    let inject = format!("inject=fsync,fdatasync:error=EIO:when={FAILS_AT}");
    let calls = trace(directory.path(), &["-e", &inject]);
    let after = &calls[position(&calls, "failed")..];
    let durable = position(after, "durable");
    assert!(
        after[..durable].contains(&"sync of the database".to_owned()),
        "{calls:?}"
    );
}
