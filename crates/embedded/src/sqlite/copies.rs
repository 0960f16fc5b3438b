//! Backups of a database, and bringing one back.

use super::beside::{Found, Log, Note, NoteFile, boot};
use super::error::OpenError;
use super::keeper::{counter, counters_page, fold_all, renew_generation, set_counter, unmark_copy};
use super::lock::{Lock, beside, private, resolve};
use super::open::{check_log, connect, make_directory, sound};
use super::schema::{MIGRATIONS, migrate, recognise};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Where the database that was there before is now.
    pub set_aside: Option<PathBuf>,
    /// How many conversations the restored one has.
    pub conversations: i64,
    /// How many entries.
    pub entries: i64,
}

/// Copies the database at `path`, whether or not a server uses it, to a single file that only this
/// user can read. A file that is there is replaced only with `force`.
///
/// # Errors
/// With a sentence. The database was not changed, and a file that was there is whole.
pub fn backup(path: &Path, target: &Path, force: bool) -> Result<(), OpenError> {
    let path = resolve(path);
    if !path.is_file() {
        return Err(OpenError::Missing {
            what: "database",
            path,
        });
    }
    if resolve(target) == path {
        return Err(OpenError::InTheWay {
            path: target.to_owned(),
            what: "it is the database itself",
        });
    }
    if !force && target.symlink_metadata().is_ok() {
        return Err(OpenError::InTheWay {
            path: target.to_owned(),
            what: "it is there already; give another name, or --force to replace it",
        });
    }
    // Where no server has it, nobody has looked at its log yet.
    let lock = match Lock::take(&path, &path) {
        Ok(lock) => {
            if Log::look(&path, &lock, &Note::read(&path)) == Log::Foreign {
                return Err(OpenError::ForeignLog { path });
            }
            Some(lock)
        }
        Err(OpenError::InUse { .. }) => None,
        Err(error) => return Err(error),
    };
    let partial = Partial::new(beside(target, ".partial"))?;
    {
        let source = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|source| OpenError::of(&path, source))?;
        recognise(&source, &path, MIGRATIONS)?;
        partial.copy(&source, &path)?;
    }
    // A copy tells that it is one: whoever puts it in the database's place by hand gets a new
    // generation all the same.
    Connection::open(&partial.0)
        .and_then(|copy| {
            copy.execute(
                "INSERT OR REPLACE INTO counters (name, value) VALUES ('copy', 1)",
                [],
            )
        })
        .map_err(|source| OpenError::of(&partial.0, source))?;
    partial.put(target)?;
    drop(lock);
    Ok(())
}

/// Brings a backup back as the database at `path`, which no server may use. What was there is set
/// aside. The restored one has a new generation and no sessions of local accounts.
///
/// # Errors
/// With a sentence. What was there is there still.
pub fn restore(backup: &Path, path: &Path) -> Result<Restored, OpenError> {
    make_directory(path)?;
    let (given, path) = (path, resolve(path));
    if !backup.is_file() {
        return Err(OpenError::Missing {
            what: "backup",
            path: backup.to_owned(),
        });
    }
    if resolve(backup) == path {
        return Err(OpenError::InTheWay {
            path: backup.to_owned(),
            what: "it is the database itself",
        });
    }
    let was_there = path.exists();
    let lock = Lock::take(given, &path)?;
    let found = Note::read(&path);
    let noted = if let Found::Note(note) = &found {
        note.clone()
    } else {
        Note::default()
    };

    let partial = Partial::new(beside(&path, ".restoring"))?;
    {
        let source = connect(backup, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|source| OpenError::of(backup, source))?;
        let damaged = |what| OpenError::Damaged {
            path: backup.to_owned(),
            what,
        };
        if recognise(&source, backup, MIGRATIONS)? == 0 {
            return Err(OpenError::NotOurs {
                path: backup.to_owned(),
            });
        }
        sound(&source, "PRAGMA integrity_check(1)")
            .map_err(|source| OpenError::of(backup, source))?
            .map_or(Ok(()), |what| Err(damaged(what)))?;
        partial.copy(&source, backup)?;
    }
    let (note, conversations, entries) = renew(&partial.0, &noted)?;
    let set_aside = if was_there {
        Some(set_aside(&path, &lock, &found)?)
    } else {
        None
    };
    let failed = |source| OpenError::NotWritable {
        path: path.clone(),
        source,
    };
    partial.put(&path)?;
    for ending in ["-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(&path, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let _: NoteFile = note.keep(&path).map_err(|source| OpenError::Note {
        path: path.clone(),
        source,
    })?;
    Ok(Restored {
        set_aside,
        conversations,
        entries,
    })
}

/// Brings a copy up to this version and makes it a store of its own: a new generation, counters
/// past what was noted, nobody signed in.
fn renew(copy: &Path, noted: &Note) -> Result<(Note, i64, i64), OpenError> {
    let mut conn = Connection::open(copy).map_err(|source| OpenError::of(copy, source))?;
    migrate(&mut conn, copy, MIGRATIONS)?;
    begin_anew(&mut conn, noted).map_err(|source| OpenError::of(copy, source))
}

fn begin_anew(conn: &mut Connection, noted: &Note) -> rusqlite::Result<(Note, i64, i64)> {
    let transaction = conn.transaction()?;
    unmark_copy(&transaction)?;
    renew_generation(&transaction)?;
    transaction.execute("DELETE FROM sessions", [])?;
    for (name, at_least) in [
        ("epoch", noted.epoch),
        ("changes", noted.changes),
        ("presence", noted.presence),
    ] {
        set_counter(
            &transaction,
            name,
            counter(&transaction, name)?.unwrap_or(0).max(at_least),
        )?;
    }
    let number = |sql| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let note = Note {
        generation: transaction.query_row(
            "SELECT value FROM properties WHERE name = 'generation'",
            [],
            |row| row.get(0),
        )?,
        epoch: counter(&transaction, "epoch")?.unwrap_or(0),
        changes: counter(&transaction, "changes")?.unwrap_or(0),
        presence: counter(&transaction, "presence")?.unwrap_or(0),
        page: counters_page(&transaction)?,
        main: String::new(),
        main_changes: 0,
        folding: false,
        boot: boot(),
    };
    let (conversations, entries) = (
        number("SELECT count(*) FROM conversations")?,
        number("SELECT count(*) FROM entries")?,
    );
    transaction.commit()?;
    Ok((note, conversations, entries))
}

/// Keeps the database that was there under another name, with its write-ahead log where that cannot
/// be folded into it.
fn set_aside(path: &Path, lock: &Lock, found: &Found) -> Result<PathBuf, OpenError> {
    let failed = |source| OpenError::NotWritable {
        path: path.to_owned(),
        source,
    };
    let aside = (1..)
        .map(|number| beside(path, &format!(".before-restore-{number}")))
        .find(|aside| aside.symlink_metadata().is_err());
    let aside = aside.unwrap_or_else(|| beside(path, ".before-restore"));
    // Moved away from each other they would be less than they are, should this be broken off: they
    // are put together first.
    let log = Log::look(path, lock, found);
    let fold = || {
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(|source| OpenError::of(path, source))?;
        if log == Log::Doubtful {
            check_log(&conn, path)?;
        }
        fold_all(&conn).map_err(|source| OpenError::of(path, source))
    };
    if matches!(log, Log::Ours | Log::Doubtful)
        && let Err(error) = fold()
    {
        tracing::warn!(%error, "the write-ahead log of the database that was there is set aside beside it");
    }
    match fs::rename(beside(path, "-wal"), beside(&aside, "-wal")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // Two names for a moment, so that there is a database at every moment: a start that found none
    // would make an empty one.
    fs::hard_link(path, &aside)
        .or_else(|_| fs::rename(path, &aside))
        .map_err(failed)?;
    Ok(aside)
}

/// A file in the making, which is gone if it comes to nothing.
struct Partial(PathBuf);

impl Partial {
    fn new(path: PathBuf) -> Result<Self, OpenError> {
        let failed = |source| OpenError::NotWritable {
            path: path.clone(),
            source,
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        private(OpenOptions::new().create_new(true).write(true))
            .open(&path)
            .map_err(failed)?;
        Ok(Self(path))
    }

    /// Copies all that a reader sees now, read through in one snapshot.
    fn copy(&self, source: &Connection, from: &Path) -> Result<(), OpenError> {
        let target = self.0.to_string_lossy().into_owned();
        source
            .execute("VACUUM INTO ?1", [target])
            .map(drop)
            .map_err(|source| OpenError::of(from, source))
    }

    /// Puts it in its place, on the disk for good.
    fn put(self, target: &Path) -> Result<(), OpenError> {
        let failed = |source| OpenError::NotWritable {
            path: target.to_owned(),
            source,
        };
        File::open(&self.0)
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        fs::rename(&self.0, target).map_err(failed)?;
        let directory = target
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for ending in ["", "-journal", "-wal", "-shm"] {
            drop(fs::remove_file(beside(&self.0, ending)));
        }
    }
}
