//! Checkpoints of the write-ahead log, and the sidecar file that records them. While the server
//! runs, a comparison with the sidecar detects that the database file was replaced.

use super::connection::BUSY;
use super::error::OpenError;
use super::health::Health;
use super::lock::Lock;
use super::sidecar::{Found, MainFile, Sidecar, SidecarFile, boot, compare, fingerprint};
use lamplight_usecases::ports::{StoreError, StoreResult};
use lamplight_usecases::throttle::{self, Due};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// Commits after which the counter `changes` moves. A copy that is at most this many commits old
/// can pass for the current database.
const CHANGES_AT: u32 = 256;
/// Pages in the write-ahead log at which a checkpoint starts, and how many more until the next
/// attempt if readers blocked it.
const CHECKPOINT_PAGES: i32 = 1_000;
const CHECKPOINT_RETRY_PAGES: i32 = 250;

/// How long erased content may stay in the write-ahead log under continuous writes.
const ERASED_AT_MOST: Duration = Duration::from_secs(30);

const EPOCH: &str = "epoch";
const CHANGES: &str = "changes";
pub(crate) const PRESENCE: &str = "presence";

pub(crate) fn set_counter(conn: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO counters (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")?
        .execute(params![name, value])
        .map(drop)
}

pub(crate) fn counter(conn: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT value FROM counters WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Gives the store a new generation, so that clients drop their data of the old one.
pub(crate) fn renew_generation(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE properties SET value = lower(hex(randomblob(8))) WHERE name = 'generation'",
        [],
    )
    .map(drop)
}

/// Removes the mark of a backup. Returns whether there was one.
pub(crate) fn unmark_copy(conn: &Connection) -> rusqlite::Result<bool> {
    Ok(conn.execute("DELETE FROM counters WHERE name = 'copy'", [])? > 0)
}

/// Raises the epoch, and gives the database a new generation if the sidecar shows that it is an
/// older state or another database.
pub(crate) fn start_epoch(conn: &mut Connection, found: &Found) -> rusqlite::Result<Sidecar> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let conn = &*transaction;
    let generation = |conn: &Connection| {
        conn.query_row(
            "SELECT value FROM properties WHERE name = 'generation'",
            [],
            |row| row.get::<_, String>(0),
        )
    };
    let (epoch, changes) = (counter(conn, EPOCH)?.unwrap_or(0), counter(conn, CHANGES)?);
    let was_copied = unmark_copy(conn)?;
    let why = match found {
        _ if was_copied => Some("it is a backup"),
        Found::Sidecar(sidecar) if sidecar.generation != generation(conn)? => {
            Some("it is not the database that its .note file describes")
        }
        Found::Sidecar(sidecar)
            if sidecar.epoch > epoch || sidecar.changes > changes.unwrap_or(0) =>
        {
            Some("it is older than its .note file")
        }
        // Without its sidecar the database may be a copy from another machine, or a backup.
        Found::Missing | Found::Unreadable if changes.is_some() => {
            Some("its .note file is missing or unreadable")
        }
        _ => None,
    };
    if let Some(why) = why {
        renew_generation(conn)?;
        tracing::warn!(
            code = "LL-122",
            "the database went back in time: {why}; clients will drop what they hold of it and fetch anew"
        );
    }
    let noted = if let Found::Sidecar(sidecar) = found {
        sidecar.clone()
    } else {
        Sidecar::default()
    };
    if was_copied || why.is_some() && matches!(found, Found::Sidecar(_)) {
        // Some of its sessions may have ended after the copy was made.
        conn.execute("DELETE FROM sessions", [])?;
    }
    let sidecar = Sidecar {
        generation: generation(conn)?,
        epoch: epoch.max(noted.epoch) + 1,
        changes: changes.unwrap_or(0).max(noted.changes),
        presence: counter(conn, PRESENCE)?.unwrap_or(0).max(noted.presence),
        page: counters_page(conn)?,
        main: String::new(),
        main_changes: 0,
        is_checkpointing: true,
        boot: boot(),
    };
    set_counter(conn, EPOCH, sidecar.epoch)?;
    set_counter(conn, CHANGES, sidecar.changes)?;
    set_counter(conn, PRESENCE, sidecar.presence)?;
    transaction.commit()?;
    Ok(sidecar)
}

/// The page of the table `counters`. VACUUM changes it.
pub(crate) fn counters_page(conn: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'counters'";
    conn.prepare_cached(sql)?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

/// Writes the write-ahead log into the database file. Returns whether all of it was written;
/// another reader can prevent that.
pub(crate) fn checkpoint_all(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        Ok(row.get::<_, i64>(0)? == 0)
    })
}

/// The database file compared with the sidecar.
#[derive(PartialEq)]
enum FileState {
    Unchanged,
    Changed(MainFile),
    /// The path leads to another file or to none.
    Replaced,
}

pub(crate) struct Checkpointer {
    /// `None` after the last write.
    lock: Option<Lock>,
    path: PathBuf,
    sidecar: Sidecar,
    file: SidecarFile,
    /// Commits since the counter `changes` moved.
    uncounted: u32,
    checkpoint_at: i32,
    /// The write-ahead log may hold commits that are not on the disk.
    is_unsynced: bool,
    /// A sync failed while it did. The operating system reports that once, and may never write
    /// those pages: later commits would be lost with them.
    is_suspect: bool,
    /// Since when the write-ahead log may have older pages with erased content.
    erased_at: Option<Instant>,
}

impl Checkpointer {
    /// Runs a full checkpoint and records its result in the sidecar.
    pub(crate) fn start(
        path: &Path,
        lock: Lock,
        mut sidecar: Sidecar,
        conn: &Connection,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Sidecar {
            path: path.to_owned(),
            source,
        };
        sidecar.save(path).map_err(failed)?;
        let is_whole = checkpoint_all(conn).map_err(|source| OpenError::of(path, source))?;
        sidecar.main = fingerprint(&lock, sidecar.page).map_err(failed)?;
        sidecar.main_changes = if is_whole { sidecar.changes } else { 0 };
        sidecar.is_checkpointing = false;
        let file = sidecar.save(path).map_err(failed)?;
        Ok(Self {
            lock: Some(lock),
            path: path.to_owned(),
            sidecar,
            file,
            uncounted: 0,
            checkpoint_at: CHECKPOINT_PAGES,
            is_unsynced: false,
            is_suspect: false,
            erased_at: None,
        })
    }

    /// Checks that the path still leads to the opened file and that the file was not overwritten.
    pub(crate) fn check_file(&mut self, health: &Health) {
        let Some(lock) = &self.lock else { return };
        let path = self.path.display();
        let judge = || {
            if !lock.is_in_place()? {
                return Ok(FileState::Replaced);
            }
            if fingerprint(lock, self.sidecar.page)? == self.sidecar.main {
                return Ok(FileState::Unchanged);
            }
            compare(lock, &self.sidecar).map(FileState::Changed)
        };
        // Twice, because another program's checkpoint may be running at this moment.
        match judge().and_then(|seen| {
            if seen == FileState::Changed(MainFile::Foreign) {
                judge()
            } else {
                Ok(seen)
            }
        }) {
            Ok(FileState::Unchanged) => {}
            Ok(FileState::Changed(MainFile::Checkpointed(page))) => {
                self.sidecar.page = page;
                self.record_main_file(false);
            }
            Ok(FileState::Changed(MainFile::Foreign)) => health.give_up(format!(
                "the database {path} was overwritten while the server runs"
            )),
            Ok(FileState::Replaced) => health.give_up(format!(
                "the database {path} was moved or replaced while the server runs"
            )),
            Err(error) => {
                let error: std::io::Error = error;
                if let Some(Due { left_out }) = throttle::due("look", &error.to_string(), None) {
                    tracing::warn!(%error, left_out, "could not compare the database with its .note file");
                }
            }
        }
    }

    /// To be called after each commit; `pages` is the length of the write-ahead log.
    pub(crate) fn committed(&mut self, conn: &Connection, pages: i32, health: &Health) {
        self.uncounted += 1;
        if self.uncounted >= CHANGES_AT {
            self.count(conn, health);
        }
        let is_due = |at: Instant| at.elapsed() >= ERASED_AT_MOST;
        if self.erased_at.is_some_and(is_due) {
            self.count(conn, health);
            self.truncate(conn, health);
        }
        if pages < CHECKPOINT_PAGES {
            self.checkpoint_at = CHECKPOINT_PAGES;
        }
        if pages >= self.checkpoint_at {
            self.checkpoint(conn, pages, health);
        }
    }

    /// Records that the database has another generation now.
    pub(crate) fn set_generation(&mut self, generation: &str) {
        self.sidecar.generation = generation.to_owned();
        self.write();
    }

    /// Notes whether the last commit left the write-ahead log unsynced.
    pub(crate) fn set_unsynced(&mut self, is_unsynced: bool) {
        self.is_unsynced = is_unsynced;
    }

    /// Notes a failed write.
    pub(crate) fn failed(&mut self, error: &rusqlite::Error) {
        self.is_suspect |=
            self.is_unsynced && error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
    }

    /// To be called before a transaction: if the write-ahead log is suspect, writes its commits,
    /// which can still be read, to the database file and begins a new log.
    pub(crate) fn heal(&mut self, conn: &Connection, health: &Health) -> StoreResult<()> {
        if !self.is_suspect {
            return Ok(());
        }
        self.check_file(health);
        health.check()?;
        if !conn.is_autocommit() || !self.checkpoint_fully(conn) {
            return Err(StoreError::Unavailable(
                "a sync to the disk failed, and a checkpoint since then too".into(),
            ));
        }
        (self.is_unsynced, self.is_suspect) = (false, false);
        Ok(())
    }

    /// Notes that a commit erased something.
    pub(crate) fn erased(&mut self) {
        self.erased_at.get_or_insert_with(Instant::now);
    }

    /// Whether a quiet time has something to do.
    pub(crate) fn is_behind(&self) -> bool {
        self.uncounted > 0 || self.erased_at.is_some()
    }

    /// Truncates the write-ahead log if it may have erased content. Does not wait for readers: one
    /// that still needs the log leaves this to the next time.
    pub(crate) fn truncate(&mut self, conn: &Connection, health: &Health) {
        if self.erased_at.is_none() {
            return;
        }
        self.check_file(health);
        if health.check().is_err() || !conn.is_autocommit() {
            return;
        }
        drop(conn.busy_timeout(Duration::ZERO));
        let is_whole = self.checkpoint_fully(conn);
        self.erased_at = (!is_whole).then(Instant::now);
        drop(conn.busy_timeout(BUSY));
    }

    /// Moves the counter `changes`, first in the database and then in the sidecar.
    pub(crate) fn count(&mut self, conn: &Connection, health: &Health) {
        self.uncounted = 0;
        // Do not write to a foreign file, nor within a transaction that could not be rolled back.
        if health.check().is_err() || !conn.is_autocommit() {
            return;
        }
        let counted = set_counter(conn, CHANGES, self.sidecar.changes + 1)
            .and_then(|()| counter(conn, PRESENCE));
        match counted {
            Ok(presence) => {
                self.sidecar.changes += 1;
                self.sidecar.presence = self.sidecar.presence.max(presence.unwrap_or(0));
                self.is_unsynced = false;
                self.write();
            }
            Err(error) => {
                health.judge(&error);
                self.failed(&error);
                tracing::debug!(%error, "the count of changes stays as it is");
            }
        }
    }

    fn checkpoint(&mut self, conn: &Connection, pages: i32, health: &Health) {
        self.check_file(health);
        if health.check().is_err() {
            return;
        }
        // No two states of the file may have the same counters.
        self.count(conn, health);
        self.sidecar.is_checkpointing = true;
        self.write();
        let checkpointed = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
        });
        self.checkpoint_at = if matches!(checkpointed, Ok(true)) {
            CHECKPOINT_PAGES
        } else {
            pages.saturating_add(CHECKPOINT_RETRY_PAGES)
        };
        if let Err(error) = &checkpointed {
            health.judge(error);
            tracing::warn!(%error, "a checkpoint failed; retrying");
        }
        self.sidecar.page = counters_page(conn).unwrap_or(self.sidecar.page);
        self.record_main_file(matches!(checkpointed, Ok(true)));
    }

    /// Records the fingerprint after a checkpoint. `is_whole` means that it wrote the whole log.
    fn record_main_file(&mut self, is_whole: bool) {
        let Some(lock) = &self.lock else { return };
        match fingerprint(lock, self.sidecar.page) {
            Ok(main) => {
                self.sidecar.main = main;
                // Without `is_whole`, readers blocked a part of the checkpoint, and the old lower
                // bound holds.
                if is_whole {
                    self.sidecar.main_changes = self.sidecar.changes;
                }
                self.sidecar.is_checkpointing = false;
                self.write();
            }
            Err(error) => {
                if let Some(Due { left_out }) = throttle::due("look", &error.to_string(), None) {
                    tracing::warn!(%error, left_out, "could not compare the database with its .note file");
                }
            }
        }
    }

    /// Allows another process to open the database.
    pub(crate) fn release_lock(&mut self) {
        self.lock = None;
    }

    /// Runs the last checkpoint and records it.
    pub(crate) fn stop(&mut self, conn: &Connection, health: &Health) {
        if health.check().is_ok() {
            self.check_file(health);
        }
        if health.check().is_err() {
            // Do not write to a foreign file.
            drop(conn.set_db_config(
                rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                true,
            ));
            return;
        }
        if self.uncounted > 0 {
            self.count(conn, health);
        }
        self.checkpoint_fully(conn);
        drop(self.file.sync());
    }

    /// Returns whether the database file now holds everything.
    fn checkpoint_fully(&mut self, conn: &Connection) -> bool {
        self.sidecar.is_checkpointing = true;
        self.write();
        let whole = checkpoint_all(conn);
        if let Err(error) = &whole {
            tracing::warn!(%error, "a full checkpoint failed; the write-ahead log stays");
        }
        self.sidecar.page = counters_page(conn).unwrap_or(self.sidecar.page);
        let is_whole = matches!(whole, Ok(true));
        self.record_main_file(is_whole);
        is_whole
    }

    fn write(&mut self) {
        if let Err(error) = self.file.write(&self.sidecar) {
            tracing::debug!(%error, "could not write the .note file of the database");
        }
    }
}
