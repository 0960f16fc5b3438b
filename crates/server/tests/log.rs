//! Every log line that clients can cause is throttled. The test reads all log lines at the default
//! levels in the sources, so that it covers new ones.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources fails"
)]

use std::path::{Path, PathBuf};

/// Lines that clients cannot cause, or only as often as another limit allows, each by a part of its
/// text. Lines that a request, a socket or a connection can cause need `throttle::due`.
const OURS: &[&str] = &[
    // Starting and stopping.
    "{warning}",
    "the limit on open files could not be raised",
    "cannot listen for signals",
    "\"stopped\"",
    "stopping: no new connections",
    "some requests were still under way",
    "some connections were still open",
    "the store did not finish within",
    "migrating the database; this can take a while for a large one",
    "normalized stored names by this version's rules",
    "two accounts have one user name",
    "no thread for publishing",
    "the last checkpoint failed",
    "has several names",
    "LL-120",
    "LL-122",
    "is set aside beside it",
    "other nodes reach this one at NODE_ADDRESS",
    "a background task ended; stopping",
    "S3 does not answer yet",
    "restarting this node",
    // Once: no writes are accepted after it.
    "LL-121",
    // After each of these there is a pause.
    "a checkpoint failed; retrying",
    "a full checkpoint failed; the write-ahead log stays",
    "read from the log what the event bus may have lost",
    "closed connections whose users had been signed out without an event",
    "cannot accept connections",
    "the keys at {} cannot be had",
    "the keys are in reach again",
    // The number of omitted lines, once in a period.
    "log lines were left out",
    // Once.
    "X-Forwarded-For came from an address",
    // Bugs of the server, after which a connection to the database is opened again.
    "a transaction could not be rolled back",
    "could not reopen the database",
    "the fan-out panicked",
    "a read of the database panicked",
    // crates/socketio: bugs, and its own accept loop, which is not used here.
    "no random bytes",
    "the arguments of an outgoing packet are not valid JSON",
    "some connections did not close within the stop timeout",
    "cannot accept a TCP connection",
    // Once for a listener.
    "cannot limit the send buffers of connections",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn h4_every_log_line_that_clients_can_cause_is_throttled() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for name in [
        "server", "usecases", "embedded", "domain", "wire", "socketio",
    ] {
        sources(&crates.join(name).join("src"), &mut files);
    }
    let mut throttled = 0;
    let mut bare = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        for level in ["info", "warn", "error"] {
            for (at, _) in text.match_indices(&format!("tracing::{level}!(")) {
                let call = &text[at..at + text[at..].find(");").unwrap()];
                // The call of `throttle::due` precedes the line, which has the number of omitted ones.
                let before: Vec<&str> = text[..at].lines().rev().take(6).collect();
                if before.iter().any(|line| line.contains("throttle::due("))
                    && call.contains("left_out")
                {
                    throttled += 1;
                } else if !OURS.iter().any(|ours| call.contains(ours)) {
                    bare.push(format!("{}: {call}", file.display()));
                }
            }
        }
    }
    assert!(
        bare.is_empty(),
        "call throttle::due first, or add the line to OURS with the reason why clients cannot cause it: {bare:#?}"
    );
    assert!(
        throttled >= 12,
        "{throttled}: does this test still find them?"
    );
}
