//! `lamplight migrate` as a process that is killed in the middle.

use lamplight_conformance::run;
use lamplight_conformance::servers::{PostgresServer, RedisServer, unique_prefix};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_embedded::event_bus::EmbeddedEventBus;
use lamplight_embedded::messages::{SqliteOptions, SqliteStore};
use lamplight_usecases::ports::Messages;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const MESSAGES: usize = 4_000;

fn fill(path: &Path) {
    run(async {
        let bus = Arc::new(EmbeddedEventBus::new());
        let store = SqliteStore::open(SqliteOptions::new(path), bus).expect("a store");
        let conversation = ConversationId::trusted("c");
        let members = ["a", "b"].map(UserId::trusted);
        let put = store.put_conversation(&conversation, &members, Timestamp(0));
        put.await.expect("a conversation");
        let sends = (0..MESSAGES).map(|n| {
            let message = NewEntry {
                id: MessageId::trusted(format!("m{n}")),
                conversation: conversation.clone(),
                sender: members[n % 2].clone(),
                write: Content::trusted(format!("text {n}")).into(),
                key: Some(SendKey::ClientMessageId(format!("k{n}").into())),
                created_at: Timestamp(0),
                editable_since: None,
            };
            store.append(message, None)
        });
        for send in sends.collect::<Vec<_>>() {
            send.await.expect("appended");
        }
        store.close().await;
    });
}

fn migrate(from: &str, to: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lamplight"));
    command.args(["migrate", "--from", from, "--to", to]);
    command
}

/// Kills the process once it has moved a part of the entries.
fn kill_among_entries(mut command: Command) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let mut lines = output.lines().map_while(Result::ok);
    let is_among_entries = lines.any(|line| line == "entries: 1000 moved");
    child.kill().expect("killed");
    child.wait().expect("it ends");
    assert!(is_among_entries);
}

fn output(mut command: Command) -> (bool, String) {
    let output = command.output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn a_killed_migration_resumes_in_both_directions() {
    let directory = tempfile::tempdir().expect("a directory");
    let (source, back) = (directory.path().join("a.db"), directory.path().join("b.db"));
    fill(&source);
    let server = PostgresServer::shared();
    let url = server.fresh_database();
    // The password of a URL stays in a file.
    let file = directory.path().join("url");
    std::fs::write(&file, format!("{url}\n")).expect("written");
    let (sqlite, postgres) = (
        format!("sqlite:{}", source.display()),
        format!("@{}", file.display()),
    );
    kill_among_entries(migrate(&sqlite, &postgres));
    let (succeeded, text) = output(migrate(&sqlite, &postgres));
    assert!(succeeded, "{text}");
    assert!(
        text.contains("Going on where an earlier run stopped."),
        "{text}"
    );
    assert!(
        text.contains(&format!("entries: {MESSAGES} rows, sha256 ")),
        "{text}"
    );
    let database = url.rsplit('/').next().expect("a name");
    assert_eq!(
        server.sql(
            database,
            "SELECT head_seq, (SELECT count(DISTINCT dedupe_key) FROM entries) FROM conversations"
        ),
        format!("{MESSAGES}|{MESSAGES}")
    );
    let (succeeded, text) = output(migrate(&sqlite, &postgres));
    assert!(!succeeded && text.contains("not empty"), "{text}");

    let back = format!("sqlite:{}", back.display());
    kill_among_entries(migrate(&postgres, &back));
    let (succeeded, text) = output(migrate(&postgres, &back));
    assert!(succeeded, "{text}");
    assert!(
        text.contains(&format!("entries: {MESSAGES} rows, sha256 ")),
        "{text}"
    );

    let (succeeded, text) = output(migrate("sqlite:/nowhere/x.db", &postgres));
    assert!(
        !succeeded && text.contains("there is no database"),
        "{text}"
    );
}

/// A server on this database, with a prefix in Redis. `Err` has its output if it did not start.
fn serve(database: &str, prefix: &str) -> Result<Child, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lamplight"));
    let redis = RedisServer::shared().url();
    command
        .arg("serve")
        .env_clear()
        .envs([("LISTEN", "127.0.0.1:0"), ("AUTH", "open")])
        .envs([("DATABASE_URL", database), ("REDIS_PREFIX", prefix)])
        .env("REDIS_URL", redis)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut words = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    output.read_line(&mut words).expect("its words");
    if words.contains("Lamplight is ready") {
        return Ok(child);
    }
    let output = child.wait_with_output().expect("it ends");
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn stop(mut child: Child) {
    let id = child.id().to_string();
    let signal = Command::new("kill").arg(id).status();
    assert!(signal.expect("kill").success());
    assert!(child.wait().expect("it ends").success());
}

/// The prefix in Redis is bound to the data: it moves along, and the copy that stays behind is
/// refused.
#[test]
fn after_a_migration_only_the_new_store_may_use_the_prefix() {
    let directory = tempfile::tempdir().expect("a directory");
    let sqlite = |name: &str| format!("sqlite:{}", directory.path().join(name).display());
    let (old, back) = (sqlite("old.db"), sqlite("back.db"));
    let postgres = PostgresServer::shared().fresh_database();
    let prefix = unique_prefix();
    stop(serve(&old, &prefix).expect("it starts"));
    for (from, to) in [(&old, &postgres), (&postgres, &back)] {
        let (succeeded, text) = output(migrate(from, to));
        assert!(succeeded && text.contains("REDIS_PREFIX"), "{text}");
        let refused = serve(from, &prefix).expect_err("refused");
        assert!(refused.contains("LL-123"), "{refused}");
        stop(serve(to, &prefix).expect("it starts with the same prefix"));
    }
}
