//! The database: whether its journal works where it is, and whether it can be read.

use super::finding::{Finding, Report};
use super::machine::existing;
use lamplight_embedded::messages::SqliteStore;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A larger database is not read through; that would take minutes and a disk's attention.
const READ_THROUGH: u64 = 256 << 20;

pub(super) async fn check(database: &Path, report: &mut Report) {
    let database = database.to_owned();
    let findings = tokio::task::spawn_blocking(move || look(&database)).await;
    for finding in findings.unwrap_or_else(|error| {
        vec![Finding::fail(
            "database",
            "",
            &error.to_string(),
            "a look at the database",
            "Try again.",
        )]
    }) {
        report.add(finding);
    }
}

/// Whether a server has the database. It locks it for as long as it runs; trying the lock takes it
/// for no longer than the look.
pub(super) fn is_held(database: &Path) -> bool {
    SqliteStore::is_held(database)
}

/// A locked database: by the server that answers `at` an address, or by an unknown process.
pub(super) fn held(database: &Path, at: Option<&str>) -> Finding {
    let seen = format!("{} is in use by a Lamplight", database.display());
    match at {
        Some(at) => Finding::note(
            "database",
            &format!("{seen}, which is taken to be the one at {at}"),
        ),
        None => Finding::fail(
            "database",
            "",
            &format!("{seen} that does not answer at LISTEN"),
            "a data directory that no other Lamplight uses: a second one refuses to start on it",
            "Stop the other one, set DATA_DIR to another directory, or name the address of the one that is meant with --url.",
        ),
    }
}

fn look(database: &Path) -> Vec<Finding> {
    let directory = existing(database.parent().unwrap_or(Path::new(".")));
    let journal = match try_journal(&directory) {
        Ok(()) => Finding::good(
            "database",
            &format!("SQLite and its journal work in {}", directory.display()),
        ),
        Err(error) => Finding::fail(
            "database",
            "",
            &format!(
                "SQLite's journal does not work in {}: {error}",
                directory.display()
            ),
            "a local file system with shared memory and locks",
            "Put DATA_DIR on a local disk, not on NFS or a shared folder.",
        ),
    };
    let opened = if database.exists() {
        match read_through(database) {
            Ok(seen) => Finding::good("database", &seen),
            Err(error) => Finding::fail(
                "database",
                "",
                &format!("{} cannot be read: {error}", database.display()),
                "a sound SQLite database that this user may read and write",
                "Check its owner and its permissions; if it is damaged, stop the server and restore a backup with `lamplight restore` (`sqlite3 FILE .recover` saves what can be).",
            ),
        }
    } else {
        Finding::note(
            "database",
            &format!(
                "{} is not there yet; the first start makes it",
                database.display()
            ),
        )
    };
    vec![journal, opened]
}

/// Writes and reads a database of its own next to where the real one is, in the way the real one is
/// written.
fn try_journal(directory: &Path) -> Result<(), String> {
    let path = directory.join(format!(".lamplight-doctor-{}.db", std::process::id()));
    let outcome = (|| {
        let writer = Connection::open(&path)?;
        let mode: String = writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Ok(Err(format!("it stays in mode {mode}")));
        }
        writer.execute_batch(
            "PRAGMA synchronous = FULL; CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1);",
        )?;
        let reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let rows: i64 = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?;
        Ok(if rows == 1 {
            Ok(())
        } else {
            Err(format!("a reader sees {rows} rows of 1"))
        })
    })();
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.clone().into_os_string();
        name.push(ending);
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
    outcome
        .map_err(|error: rusqlite::Error| error.to_string())
        .and_then(|seen| seen)
}

fn read_through(database: &Path) -> Result<String, String> {
    let size = std::fs::metadata(database)
        .map_err(|error| error.to_string())?
        .len();
    let text = |error: rusqlite::Error| error.to_string();
    // Without the right to write, SQLite would fail only at the first message.
    std::fs::File::options()
        .append(true)
        .open(database)
        .map_err(|error| format!("it cannot be written to: {error}"))?;
    let connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(text)?;
    connection
        .busy_timeout(Duration::from_secs(2))
        .map_err(text)?;
    let tables: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
            [],
            |row| row.get(0),
        )
        .map_err(text)?;
    let shown = format!(
        "{} holds {} KiB in {tables} tables",
        database.display(),
        size >> 10
    );
    if size > READ_THROUGH {
        return Ok(format!("{shown} (too large to read through)"));
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(text)?;
    if verdict == "ok" {
        Ok(format!("{shown} and is sound"))
    } else {
        Err(format!("it is damaged: {verdict}"))
    }
}
