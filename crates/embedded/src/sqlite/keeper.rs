//! What is noted beside the database: written at a start, at a stop, and now and then between them,
//! and looked at when it can tell that the database is not the one that this process knows.

use super::beside::{Found, Note, NoteFile, Other, boot, compare, fingerprint};
use super::error::OpenError;
use super::health::Health;
use super::lock::Lock;
use lamplight_usecases::throttle::{self, Due};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use std::path::{Path, PathBuf};

/// Commits after which the count of changes moves. More would be a longer past that a copy could
/// lose unseen.
const CHANGES_AT: u32 = 256;
/// Pages in the write-ahead log at which it is folded into the database, and how many more until
/// that is tried again where readers stood in the way.
const FOLD_AT: i32 = 1_000;
const FOLD_AGAIN: i32 = 250;

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

/// Makes a new generation: what clients hold is another past than the database's.
pub(crate) fn renew_generation(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE properties SET value = lower(hex(randomblob(8))) WHERE name = 'generation'",
        [],
    )
    .map(drop)
}

/// Takes away what makes a copy known as one. `true` if it was one.
pub(crate) fn unmark_copy(conn: &Connection) -> rusqlite::Result<bool> {
    Ok(conn.execute("DELETE FROM counters WHERE name = 'copy'", [])? > 0)
}

/// Begins a start: raises the epoch, and compares the database with what was noted beside it. One
/// that is behind, or another one, gets a new generation.
pub(crate) fn begin(conn: &mut Connection, found: &Found) -> rusqlite::Result<Note> {
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
        Found::Note(note) if note.generation != generation(conn)? => {
            Some("it is another one than the one noted beside it")
        }
        Found::Note(note) if note.epoch > epoch || note.changes > changes.unwrap_or(0) => {
            Some("it is older than what was noted beside it")
        }
        // One that had a note and has none any more may be anything: a copy to another machine, or
        // a backup.
        Found::Nothing | Found::Unreadable if changes.is_some() => {
            Some("there is no note beside it")
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
    let noted = if let Found::Note(note) = found {
        note.clone()
    } else {
        Note::default()
    };
    if was_copied || why.is_some() && matches!(found, Found::Note(_)) {
        // Some of its sessions may have been ended after it was made.
        conn.execute("DELETE FROM sessions", [])?;
    }
    let note = Note {
        generation: generation(conn)?,
        epoch: epoch.max(noted.epoch) + 1,
        changes: changes.unwrap_or(0).max(noted.changes),
        presence: counter(conn, PRESENCE)?.unwrap_or(0).max(noted.presence),
        page: counters_page(conn)?,
        main: String::new(),
        main_changes: 0,
        folding: true,
        boot: boot(),
    };
    set_counter(conn, EPOCH, note.epoch)?;
    set_counter(conn, CHANGES, note.changes)?;
    set_counter(conn, PRESENCE, note.presence)?;
    transaction.commit()?;
    Ok(note)
}

/// Where the counters are. It changes when the database is vacuumed.
pub(crate) fn counters_page(conn: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'counters'";
    conn.prepare_cached(sql)?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

/// Folds the write-ahead log into the database. `true` if all of it: whoever else reads the
/// database may stand in the way.
pub(crate) fn fold_all(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        Ok(row.get::<_, i64>(0)? == 0)
    })
}

/// How a file looks whose state was noted.
#[derive(PartialEq)]
enum Seen {
    AsNoted,
    Other(Other),
    /// Its path leads to another one, or to none.
    Elsewhere,
}

pub(crate) struct Keeper {
    /// `None` once nothing is written any more.
    lock: Option<Lock>,
    path: PathBuf,
    note: Note,
    file: NoteFile,
    /// Commits since the count of changes moved.
    uncounted: u32,
    fold_at: i32,
}

impl Keeper {
    /// Notes how the database is after the start: all that it has is in its one file, unless
    /// somebody else reads it.
    pub(crate) fn start(
        path: &Path,
        lock: Lock,
        mut note: Note,
        conn: &Connection,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Note {
            path: path.to_owned(),
            source,
        };
        note.keep(path).map_err(failed)?;
        let is_whole = fold_all(conn).map_err(|source| OpenError::of(path, source))?;
        note.main = fingerprint(&lock, note.page).map_err(failed)?;
        note.main_changes = if is_whole { note.changes } else { 0 };
        note.folding = false;
        let file = note.keep(path).map_err(failed)?;
        Ok(Self {
            lock: Some(lock),
            path: path.to_owned(),
            note,
            file,
            uncounted: 0,
            fold_at: FOLD_AT,
        })
    }

    /// Looks whether the file is still the one that was opened, and has what was written last.
    pub(crate) fn look(&mut self, health: &Health) {
        let Some(lock) = &self.lock else { return };
        let path = self.path.display();
        let judge = || {
            if !lock.is_in_place()? {
                return Ok(Seen::Elsewhere);
            }
            if fingerprint(lock, self.note.page)? == self.note.main {
                return Ok(Seen::AsNoted);
            }
            compare(lock, &self.note).map(Seen::Other)
        };
        // Twice, for somebody else may be folding the log into it at this moment.
        match judge().and_then(|seen| {
            if seen == Seen::Other(Other::Foreign) {
                judge()
            } else {
                Ok(seen)
            }
        }) {
            Ok(Seen::AsNoted) => {}
            Ok(Seen::Other(Other::Later(page))) => {
                self.note.page = page;
                self.folded(false);
            }
            Ok(Seen::Other(Other::Foreign)) => health.give_up(format!(
                "the database {path} was overwritten while the server runs"
            )),
            Ok(Seen::Elsewhere) => health.give_up(format!(
                "the database {path} was moved or replaced while the server runs"
            )),
            Err(error) => {
                let error: std::io::Error = error;
                if let Some(Due { left_out }) = throttle::due("look", &error.to_string(), None) {
                    tracing::warn!(%error, left_out, "the database could not be looked at");
                }
            }
        }
    }

    /// A commit was made; the log has so many pages.
    pub(crate) fn committed(&mut self, conn: &Connection, pages: i32, health: &Health) {
        self.uncounted += 1;
        if self.uncounted >= CHANGES_AT {
            self.count(conn, health);
        }
        if pages < FOLD_AT {
            self.fold_at = FOLD_AT;
        }
        if pages >= self.fold_at {
            self.fold(conn, pages, health);
        }
    }

    /// Whether there are changes that are not counted yet.
    pub(crate) fn is_behind(&self) -> bool {
        self.uncounted > 0
    }

    /// Moves the count of changes, in the database first: what is noted is there.
    pub(crate) fn count(&mut self, conn: &Connection, health: &Health) {
        self.uncounted = 0;
        // What lies there now is not ours to write to; or it would be part of what could not be
        // rolled back.
        if health.check().is_err() || !conn.is_autocommit() {
            return;
        }
        let counted = set_counter(conn, CHANGES, self.note.changes + 1)
            .and_then(|()| counter(conn, PRESENCE));
        match counted {
            Ok(presence) => {
                self.note.changes += 1;
                self.note.presence = self.note.presence.max(presence.unwrap_or(0));
                self.write();
            }
            Err(error) => {
                health.judge(&error);
                tracing::debug!(%error, "the count of changes stays as it is");
            }
        }
    }

    fn fold(&mut self, conn: &Connection, pages: i32, health: &Health) {
        self.look(health);
        if health.check().is_err() {
            return;
        }
        // So that no two states of the file have the same count.
        self.count(conn, health);
        self.note.folding = true;
        self.write();
        let folded = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
        });
        self.fold_at = if matches!(folded, Ok(true)) {
            FOLD_AT
        } else {
            pages.saturating_add(FOLD_AGAIN)
        };
        if let Err(error) = &folded {
            health.judge(error);
            tracing::warn!(%error, "the write-ahead log could not be folded into the database; trying again");
        }
        self.note.page = counters_page(conn).unwrap_or(self.note.page);
        self.folded(matches!(folded, Ok(true)));
    }

    /// Notes what the file has now, which may be everything.
    fn folded(&mut self, is_whole: bool) {
        let Some(lock) = &self.lock else { return };
        match fingerprint(lock, self.note.page) {
            Ok(main) => {
                self.note.main = main;
                // At least that: readers may have kept a part of the log from being folded.
                if is_whole {
                    self.note.main_changes = self.note.changes;
                }
                self.note.folding = false;
                self.write();
            }
            Err(error) => {
                if let Some(Due { left_out }) = throttle::due("look", &error.to_string(), None) {
                    tracing::warn!(%error, left_out, "the database could not be looked at");
                }
            }
        }
    }

    /// Lets another process have the database.
    pub(crate) fn let_go(&mut self) {
        self.lock = None;
    }

    /// The last of it: all that was written is in the one file.
    pub(crate) fn stop(&mut self, conn: &Connection, health: &Health) {
        if health.check().is_ok() {
            self.look(health);
        }
        if health.check().is_err() {
            // What lies there now is not ours to write to.
            drop(conn.set_db_config(
                rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                true,
            ));
            return;
        }
        if self.is_behind() {
            self.count(conn, health);
        }
        self.note.folding = true;
        self.write();
        let whole = fold_all(conn);
        if let Err(error) = &whole {
            tracing::warn!(%error, "the write-ahead log stays as it is; the next start takes it up");
        }
        self.note.page = counters_page(conn).unwrap_or(self.note.page);
        self.folded(matches!(whole, Ok(true)));
        drop(self.file.sync());
    }

    fn write(&mut self) {
        if let Err(error) = self.file.write(&self.note) {
            tracing::debug!(%error, "the note beside the database stays as it is");
        }
    }
}
