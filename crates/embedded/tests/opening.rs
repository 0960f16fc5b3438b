//! Starting and stopping: directories, locks, epochs, databases of other versions and other
//! programs.

mod support;

use futures_util::future::join_all;
use lamplight_conformance::Recorder;
use lamplight_embedded::messages::{OpenError, SqliteOptions, SqliteStore};
use lamplight_usecases::ports::{AppendError, Messages as _, Range, StoreError};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{at, conversation, message, open, user};

fn refused(path: &Path) -> OpenError {
    let Err(error) = SqliteStore::open(SqliteOptions::new(path), Arc::new(Recorder::default()))
    else {
        panic!("{path:?} was opened")
    };
    error
}

#[tokio::test]
async fn a_new_directory_is_accessible_to_this_user_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let deep = directory.path().join("one/two/three");
    let (store, _) = open(&deep);
    store
        .ping(Duration::from_secs(1))
        .await
        .expect("the writer answers");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(&deep).expect("made").permissions().mode() & 0o777,
            0o700
        );
    }
    store.close().await;
}

/// In a directory that was there before, and that others may look into.
#[cfg(unix)]
#[tokio::test]
async fn its_files_are_accessible_to_this_user_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))
        .expect("a directory for all");
    let (store, _) = open(directory.path());
    store
        .ping(Duration::from_secs(1))
        .await
        .expect("the writer answers");
    let modes = std::fs::read_dir(directory.path())
        .expect("a directory")
        .map(|file| {
            let file = file.expect("a file");
            (
                file.file_name(),
                file.metadata().expect("there").permissions().mode() & 0o777,
            )
        });
    let modes: Vec<_> = modes.collect();
    assert!(
        modes.len() >= 4,
        "the database, its log, its index, the lock: {modes:?}"
    );
    assert!(modes.iter().all(|(_, mode)| *mode == 0o600), "{modes:?}");
    store.close().await;
}

#[tokio::test]
async fn an_obstacle_at_the_path_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "hello").expect("a file");
    let error = refused(&file.join("data/lamplight.db"));
    assert!(
        matches!(&error, OpenError::InTheWay { path, .. } if *path == file),
        "{error}"
    );
    let error = refused(directory.path());
    assert!(matches!(&error, OpenError::InTheWay { .. }), "{error}");
    let error = refused(&file);
    assert!(error.to_string().contains("not a database"), "{error}");
    assert_eq!(
        std::fs::read_to_string(&file).expect("the file"),
        "hello",
        "left as it was"
    );
}

#[tokio::test]
async fn a_second_process_is_refused_and_may_start_after_the_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    let error = refused(&directory.path().join("lamplight.db"));
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    store.close().await;
    let (store, _) = open(directory.path());
    store.close().await;
}

#[tokio::test]
async fn the_epoch_grows_with_each_start() {
    let directory = tempfile::tempdir().expect("a directory");
    for epoch in 1..=3 {
        let (store, _) = open(directory.path());
        // Durable by now: what another connection sees is what a crash would leave.
        let other = Connection::open(directory.path().join("lamplight.db")).expect("a connection");
        let kept: u32 = other
            .query_row(
                "SELECT value FROM counters WHERE name = 'epoch'",
                [],
                |row| row.get(0),
            )
            .expect("a number");
        assert_eq!(kept, epoch);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_queued_writes_and_leaves_one_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, events) = open(directory.path());
    store
        .put_conversation(&conversation("c"), &[user("a"), user("b")], at(0))
        .await
        .expect("a conversation");
    let sends: Vec<_> = (0..600)
        .map(|number| store.append(message("c", "a", "hello", &number.to_string()), None))
        .collect();
    store.close().await;
    assert!(join_all(sends).await.iter().all(Result::is_ok));
    assert_eq!(events.appended().len(), 600, "published before the end");
    let late = store.append(message("c", "a", "late", "late"), None).await;
    assert!(matches!(
        late,
        Err(AppendError::Store(StoreError::Unavailable(_)))
    ));
    let late = store
        .history(&user("a"), &conversation("c"), Range::Newest, 1)
        .await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))));
    assert!(store.ping(Duration::from_secs(1)).await.is_err());
    store.close().await;
    let log = directory.path().join("lamplight.db-wal");
    assert!(
        !log.exists() || std::fs::metadata(&log).expect("a file").len() == 0,
        "the log is folded in"
    );
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_unchanged() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    store.close().await;
    let path = directory.path().join("lamplight.db");
    Connection::open(&path)
        .and_then(|other| other.pragma_update(None, "user_version", 99))
        .expect("a newer version");
    let before = std::fs::read(&path).expect("the file");
    let error = refused(&path);
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error}"
    );
    let sentence = error.to_string();
    assert!(
        sentence.contains("newer version of Lamplight") && sentence.contains("99"),
        "{sentence}"
    );
    assert_eq!(std::fs::read(&path).expect("the file"), before);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_unchanged() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("lamplight.db");
    Connection::open(&path)
        .and_then(|other| other.execute_batch("CREATE TABLE notes (text)"))
        .expect("someone's notes");
    let before = std::fs::read(&path).expect("the file");
    let error = refused(&path);
    assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
    assert_eq!(std::fs::read(&path).expect("the file"), before);
}
