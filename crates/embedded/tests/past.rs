//! A database that is not the one it was: set back in time, replaced under its journal or under its
//! server, damaged; and backups.

mod support;

use lamplight_conformance::Recorder;
use lamplight_domain::identity::Profile;
use lamplight_embedded::messages::{
    OpenError, Restored, SqliteOptions, SqliteStore, backup, restore,
};
use lamplight_usecases::ports::{
    Account, Accounts as _, AppendError, Messages as _, NewSession, Range, StoreError,
};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::{at, conversation, crash, message, open, user};

const SECOND: Duration = Duration::from_secs(10);

fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(name)
}

fn refused(path: &Path) -> OpenError {
    let Err(error) = SqliteStore::open(SqliteOptions::new(path), Arc::new(Recorder::default()))
    else {
        panic!("{path:?} was opened")
    };
    error
}

async fn filled(store: &SqliteStore, from: u64, to: u64) {
    store
        .put_conversation(&conversation("c"), &[user("a"), user("b")], at(0))
        .await
        .expect("a conversation");
    for number in from..to {
        store
            .append(
                message("c", "a", &"x".repeat(2_000), &format!("m{number}")),
                None,
            )
            .await
            .expect("an append");
    }
}

async fn head(store: &SqliteStore) -> u64 {
    store
        .conversation(&user("a"), &conversation("c"))
        .await
        .expect("an answer")
        .map_or(0, |one| one.head_seq)
}

#[tokio::test]
async fn f14_a_restart_keeps_the_generation() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    let generation = store.generation();
    filled(&store, 0, 5).await;
    let crashed = crash(directory.path());
    store.close().await;
    for directory in [directory.path(), crashed.path()] {
        let (store, _) = open(directory);
        assert_eq!(
            (store.generation(), head(&store).await),
            (generation.clone(), 5)
        );
        store.close().await;
    }
}

/// Copies the files like an operator without `lamplight backup`.
#[tokio::test]
async fn f14_an_older_copy_gets_another_generation() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "lamplight.db");
    let (store, _) = open(directory.path());
    filled(&store, 0, 5).await;
    store.close().await;
    let older = std::fs::read(&path).expect("a copy");
    let (store, _) = open(directory.path());
    let generation = store.generation();
    filled(&store, 5, 7).await;
    store.close().await;
    let newer = std::fs::read(&path).expect("a copy");

    std::fs::write(&path, &older).expect("a copy back");
    let (store, _) = open(directory.path());
    let restored = store.generation();
    assert_ne!(restored, generation);
    assert_eq!(head(&store).await, 5);
    store.close().await;
    // And back again: what clients hold of the time between is not in it.
    std::fs::write(&path, &newer).expect("a copy back");
    let (store, _) = open(directory.path());
    assert!(![&generation, &restored].contains(&&store.generation()));
    assert_eq!(head(&store).await, 7);
    store.close().await;
}

#[tokio::test]
async fn f14_a_copy_without_its_note_and_an_emptied_directory_get_other_generations() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    let generation = store.generation();
    store.close().await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    std::fs::copy(
        file(directory.path(), "lamplight.db"),
        file(elsewhere.path(), "lamplight.db"),
    )
    .expect("a copy");
    let (store, _) = open(elsewhere.path());
    assert_ne!(store.generation(), generation);
    store.close().await;
    std::fs::remove_file(file(directory.path(), "lamplight.db")).expect("gone");
    let (store, _) = open(directory.path());
    assert_ne!(store.generation(), generation);
    store.close().await;
}

/// A copy made by SQLite itself while the server runs, put back over the database after a crash.
#[tokio::test]
async fn f15_a_wal_of_another_database_is_refused_without_changes() {
    for vacuum in [true, false] {
        let directory = tempfile::tempdir().expect("a directory");
        let (store, _) = open(directory.path());
        filled(&store, 0, 300).await;
        let copy = file(directory.path(), "copy.db");
        let path = file(directory.path(), "lamplight.db");
        if vacuum {
            backup(&path, &copy, false).expect("a copy");
        } else {
            std::fs::copy(&path, &copy).expect("a copy of the file alone");
        }
        filled(&store, 300, 700).await;
        let crashed = crash(directory.path());
        store.close().await;

        std::fs::copy(&copy, file(crashed.path(), "lamplight.db")).expect("a copy back");
        let before = std::fs::read(file(crashed.path(), "lamplight.db-wal")).expect("the log");
        let error = refused(&file(crashed.path(), "lamplight.db"));
        assert!(matches!(error, OpenError::ForeignLog { .. }), "{error}");
        assert!(error.to_string().contains("lamplight restore"), "{error}");
        assert_eq!(
            std::fs::read(file(crashed.path(), "lamplight.db-wal")).expect("the log"),
            before
        );
        assert_eq!(
            std::fs::read(file(crashed.path(), "lamplight.db")).expect("the copy"),
            std::fs::read(&copy).expect("the copy")
        );
        // The way out that the sentence names.
        let restored = restore(&copy, &file(crashed.path(), "lamplight.db")).expect("restored");
        let aside = restored.set_aside.expect("what was there");
        assert!(
            aside.exists()
                && aside
                    .with_file_name(format!("{}-wal", aside.file_name().unwrap().display()))
                    .exists()
        );
        let (store, _) = open(crashed.path());
        assert_eq!(head(&store).await, restored.entries.unsigned_abs());
        store.close().await;
    }
}

/// If the note is stale or missing, as after a power loss, the log counts if it fits
/// its database.
#[tokio::test]
async fn f15_a_doubtful_wal_is_used_if_it_matches() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    filled(&store, 0, 300).await;
    let copy = file(directory.path(), "copy.db");
    Connection::open(file(directory.path(), "lamplight.db"))
        .and_then(|other| other.execute("VACUUM INTO ?1", [copy.to_str()]))
        .expect("a copy");
    filled(&store, 300, 310).await;
    let (fits, does_not) = (crash(directory.path()), crash(directory.path()));
    store.close().await;
    std::fs::remove_file(file(fits.path(), "lamplight.db.note")).expect("gone");
    let (store, _) = open(fits.path());
    assert_eq!(head(&store).await, 310);
    store.close().await;

    std::fs::remove_file(file(does_not.path(), "lamplight.db.note")).expect("gone");
    std::fs::copy(&copy, file(does_not.path(), "lamplight.db")).expect("a copy back");
    let before = std::fs::read(file(does_not.path(), "lamplight.db")).expect("the file");
    let error = refused(&file(does_not.path(), "lamplight.db"));
    assert!(matches!(error, OpenError::ForeignLog { .. }), "{error}");
    assert_eq!(
        std::fs::read(file(does_not.path(), "lamplight.db")).expect("the file"),
        before,
        "nothing is folded into it"
    );
}

#[tokio::test]
async fn f14_a_backup_is_one_private_file_and_restores_with_another_generation() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "lamplight.db");
    let copy = file(directory.path(), "copy.db");
    let (store, _) = open(directory.path());
    filled(&store, 0, 5).await;
    let account = Account {
        user: user("z"),
        password_hash: "hash".into(),
    };
    store
        .create("zoe", account, Profile::bare(user("z")), at(0))
        .await
        .expect("an account");
    store
        .open_session(NewSession {
            digest: "digest".into(),
            user: user("z"),
            at: at(0),
            expires: at(1_000_000),
            network: None,
            most: 0,
            password_hash: None,
        })
        .await
        .expect("a session");
    let generation = store.generation();
    backup(&path, &copy, false).expect("a backup while it runs");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(&copy)
                .expect("the backup")
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
    let names: Vec<_> = std::fs::read_dir(directory.path())
        .expect("a directory")
        .map(|file| file.expect("a file").file_name())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().starts_with("copy.db") || name == "copy.db"),
        "{names:?}"
    );
    assert!(
        matches!(backup(&path, &copy, false), Err(OpenError::InTheWay { .. })),
        "never over another"
    );
    assert!(
        matches!(backup(&path, &path, true), Err(OpenError::InTheWay { .. })),
        "least of all over the database"
    );
    backup(&path, &copy, true).expect("another");

    filled(&store, 5, 9).await;
    assert!(
        matches!(restore(&copy, &path), Err(OpenError::InUse { .. })),
        "not under a server"
    );
    store.close().await;
    backup(&path, &file(directory.path(), "later.db"), false)
        .expect("a backup of an unused database");
    let Restored {
        set_aside,
        conversations,
        entries,
    } = restore(&copy, &path).expect("restored");
    assert_eq!((conversations, entries), (1, 5));
    let (store, _) = open(directory.path());
    assert_ne!(store.generation(), generation);
    assert_eq!(head(&store).await, 5);
    assert!(
        store
            .session("digest", at(1))
            .await
            .expect("an answer")
            .is_none(),
        "nobody is signed in"
    );
    assert!(store.find("zoe").await.expect("an answer").is_some());
    let first = store.generation();
    store.close().await;
    let (store, _) = open(directory.path());
    assert_eq!(store.generation(), first, "once");
    store.close().await;
    // What was there is whole.
    restore(&set_aside.expect("what was there"), &path).expect("and back");
    let (store, _) = open(directory.path());
    assert_eq!(head(&store).await, 9);
    store.close().await;
    // By hand, a backup is known as one.
    let elsewhere = tempfile::tempdir().expect("a directory");
    std::fs::copy(&copy, file(elsewhere.path(), "lamplight.db")).expect("a copy");
    let (store, _) = open(elsewhere.path());
    assert_ne!(store.generation(), generation);
    assert!(
        store
            .session("digest", at(1))
            .await
            .expect("an answer")
            .is_none()
    );
    store.close().await;
}

/// What is not known to belong together is put together first if it fits, so that a restore that is
/// broken off takes nothing away.
#[tokio::test]
async fn f15_a_restore_checkpoints_a_doubtful_wal_before_it_moves_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    filled(&store, 0, 5).await;
    let copy = file(directory.path(), "copy.db");
    backup(&file(directory.path(), "lamplight.db"), &copy, false).expect("a backup");
    filled(&store, 5, 310).await;
    let crashed = crash(directory.path());
    store.close().await;
    std::fs::remove_file(file(crashed.path(), "lamplight.db.note")).expect("gone");
    let path = file(crashed.path(), "lamplight.db");
    let aside = restore(&copy, &path)
        .expect("restored")
        .set_aside
        .expect("what was there");
    assert!(
        !aside
            .with_file_name(format!("{}-wal", aside.file_name().unwrap().display()))
            .exists(),
        "all is in the one file"
    );
    restore(&aside, &path).expect("and back");
    let (store, _) = open(crashed.path());
    assert_eq!(head(&store).await, 310);
    store.close().await;
}

#[tokio::test]
async fn f14_a_file_that_is_no_backup_is_not_restored() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "lamplight.db");
    let (store, _) = open(directory.path());
    filled(&store, 0, 300).await;
    store.close().await;
    let bad = file(directory.path(), "bad.db");
    let mut bytes = std::fs::read(&path).expect("the database");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40_000].fill(0x5a);
    std::fs::write(&bad, &bytes).expect("a damaged one");
    let foreign = file(directory.path(), "foreign.db");
    Connection::open(&foreign)
        .and_then(|other| other.execute_batch("CREATE TABLE notes (text)"))
        .expect("someone's notes");
    let text = file(directory.path(), "text");
    std::fs::write(&text, "this is no database").expect("a text");
    let empty = file(directory.path(), "empty");
    std::fs::write(&empty, "").expect("an empty file");
    for bad in [
        &bad,
        &foreign,
        &text,
        &empty,
        &file(directory.path(), "nothing"),
        &path,
    ] {
        let Err(error) = restore(bad, &path) else {
            panic!("{bad:?} was restored")
        };
        assert_eq!(
            error.to_string().contains("there is no backup at"),
            !bad.exists(),
            "{error}"
        );
        let (store, _) = open(directory.path());
        assert_eq!(head(&store).await, 300, "{error}");
        store.close().await;
    }
}

/// Through symbolic and hard links.
#[cfg(unix)]
#[tokio::test]
async fn f17_a_database_is_opened_once_under_any_of_its_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "lamplight.db");
    let other = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    filled(&store, 0, 3).await;
    let (symbolic, hard, through) = (
        file(other.path(), "symbolic.db"),
        file(other.path(), "hard.db"),
        file(other.path(), "through"),
    );
    std::os::unix::fs::symlink(&path, &symbolic).expect("a link");
    std::fs::hard_link(&path, &hard).expect("a link");
    std::os::unix::fs::symlink(directory.path(), &through).expect("a link");
    for name in [&symbolic, &hard, &file(&through, "lamplight.db"), &path] {
        assert!(matches!(refused(name), OpenError::InUse { .. }), "{name:?}");
        assert!(
            matches!(
                restore(&path, name),
                Err(OpenError::InUse { .. } | OpenError::InTheWay { .. })
            ),
            "{name:?}"
        );
    }
    // Refusing has cost the one that has it none of SQLite's locks: another process may not take
    // its journal away.
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let inode =
        std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).expect("the database"));
    assert!(
        locks.is_empty()
            || locks
                .lines()
                .any(|line| line.contains("POSIX") && line.contains(&format!(":{inode} "))),
        "{locks}"
    );
    store.close().await;

    // Its files lie beside the database, not beside the link.
    let (store, _) = support::open_with(SqliteOptions::new(&symbolic));
    assert!(file(directory.path(), "lamplight.db-wal").exists());
    assert_eq!(head(&store).await, 3);
    assert!(matches!(refused(&path), OpenError::InUse { .. }));
    store.close().await;
}

/// As SQLite's shell does, and programs that copy databases while they are used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_a_wal_checkpointed_by_another_program_is_accepted() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "lamplight.db");
    let (store, _) = open(directory.path());
    let generation = store.generation();
    for round in 0..4 {
        filled(&store, round * 300, round * 300 + 300).await;
        let other = Connection::open(&path).expect("a connection");
        let folded: i64 = other
            .query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(2))
            .expect("checkpointed by another program");
        assert!(folded > 0);
        if round != 2 {
            store.ping(SECOND).await.expect("ready");
        }
    }
    let crashed = crash(directory.path());
    store.close().await;
    for directory in [directory.path(), crashed.path()] {
        let (store, _) = open(directory);
        assert_eq!(
            (store.generation(), head(&store).await),
            (generation.clone(), 1_200)
        );
        store.close().await;
    }
}

/// Like an operator who wants a smaller file: SQLite renumbers its pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_a_database_vacuumed_by_another_program_is_accepted() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(directory.path(), "lamplight.db");
    let (store, _) = open(directory.path());
    let generation = store.generation();
    for round in 0..3 {
        filled(&store, round * 300, round * 300 + 300).await;
        let other = Connection::open(&path).expect("a connection");
        other.execute_batch("VACUUM").expect("vacuumed");
        let folded: i64 = other
            .query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(2))
            .expect("checkpointed by another program");
        assert!(folded > 0);
        if round != 1 {
            store.ping(SECOND).await.expect("ready");
        }
        filled(&store, round * 300 + 300, round * 300 + 301).await;
    }
    let crashed = crash(directory.path());
    store.close().await;
    for directory in [directory.path(), crashed.path()] {
        let (store, _) = open(directory);
        assert_eq!(
            (store.generation(), head(&store).await),
            (generation.clone(), 901)
        );
        store.close().await;
    }
    // Nobody has looked since.
    let (store, _) = open(directory.path());
    Connection::open(&path)
        .and_then(|other| other.execute_batch("VACUUM; PRAGMA wal_checkpoint(FULL)"))
        .expect("vacuumed");
    filled(&store, 2_000, 2_001).await;
    let crashed = crash(directory.path());
    store.close().await;
    let (store, _) = open(crashed.path());
    assert_eq!((store.generation(), head(&store).await), (generation, 902));
    store.close().await;
}

/// The bytes of a file that a server has open are changed under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h10_a_damaged_database_acknowledges_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path());
    filled(&store, 0, 1_500).await;
    store.close().await;
    let path = file(directory.path(), "lamplight.db");
    let (store, _) = open(directory.path());
    store.ping(SECOND).await.expect("ready");
    // All but the first pages, which everyone has read.
    let length = std::fs::metadata(&path).expect("the database").len();
    let damage = vec![0x5a; usize::try_from(length).expect("a length") - 200_000];
    #[cfg(unix)]
    std::os::unix::fs::FileExt::write_all_at(
        &std::fs::File::options()
            .write(true)
            .open(&path)
            .expect("the file"),
        &damage,
        100_000,
    )
    .expect("damaged");
    let read = store
        .history(&user("a"), &conversation("c"), Range::Before(700), 200)
        .await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    let unready = store.ping(SECOND).await.expect_err("not ready");
    assert!(unready.to_string().contains("damaged"), "{unready}");
    for number in 0..3 {
        let sent = store
            .append(message("c", "a", "hello", &format!("late {number}")), None)
            .await;
        assert!(
            matches!(sent, Err(AppendError::Store(StoreError::Unavailable(_)))),
            "{sent:?}"
        );
    }
    store.close().await;
}

/// Copied over, moved away, or gone.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_a_database_file_replaced_at_runtime_acknowledges_nothing() {
    for way in ["over", "moved", "gone"] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = file(directory.path(), "lamplight.db");
        let (store, _) = open(directory.path());
        filled(&store, 0, 5).await;
        let copy = file(directory.path(), "copy.db");
        backup(&path, &copy, false).expect("a backup");
        match way {
            "over" => drop(std::fs::copy(&copy, &path).expect("a copy over it")),
            "moved" => std::fs::rename(&copy, &path).expect("another in its place"),
            _ => std::fs::remove_file(&path).expect("gone"),
        }
        let unready = store.ping(SECOND).await.expect_err("not ready");
        assert!(
            unready.to_string().contains("while the server runs"),
            "{way}: {unready}"
        );
        let sent = store.append(message("c", "a", "hello", "late"), None).await;
        assert!(
            matches!(sent, Err(AppendError::Store(StoreError::Unavailable(_)))),
            "{way}: {sent:?}"
        );
        let there = std::fs::read(&path).ok();
        store.close().await;
        assert_eq!(
            std::fs::read(&path).ok(),
            there,
            "{way}: what lies there now is left alone"
        );
    }
}

/// Nobody asks for readiness: the writer looks by itself.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_sends_detect_that_the_database_file_was_replaced() {
    for way in ["over", "moved", "gone"] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = file(directory.path(), "lamplight.db");
        let (store, _) = open(directory.path());
        filled(&store, 0, 5).await;
        let copy = file(directory.path(), "copy.db");
        backup(&path, &copy, false).expect("a backup");
        match way {
            "over" => drop(std::fs::copy(&copy, &path).expect("a copy over it")),
            "moved" => std::fs::rename(&copy, &path).expect("another in its place"),
            _ => std::fs::remove_file(&path).expect("gone"),
        }
        let began = tokio::time::Instant::now();
        for number in 0.. {
            match store
                .append(message("c", "a", "hello", &format!("late {number}")), None)
                .await
            {
                Err(AppendError::Store(StoreError::Unavailable(_))) => break,
                sent => assert!(sent.is_ok() && began.elapsed() < SECOND, "{way}: {sent:?}"),
            }
            tokio::time::sleep(SECOND / 100).await;
        }
        let unready = store.ping(SECOND).await.expect_err("not ready");
        assert!(
            unready.to_string().contains("while the server runs"),
            "{way}: {unready}"
        );
        store.close().await;
    }
}
