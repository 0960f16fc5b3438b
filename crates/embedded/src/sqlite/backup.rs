//! Makes and restores backups of a database.

use super::checkpoint::{
    checkpoint_all, counter, counters_page, renew_generation, set_counter, unmark_copy,
};
use super::connection::connect;
use super::error::OpenError;
use super::lock::{Lock, private, resolve, with_suffix};
use super::open::{check_log, make_directory, sound};
use super::schema::{MIGRATIONS, migrate, recognise};
use super::sidecar::{Found, Sidecar, SidecarFile, WalOrigin, boot};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The path to which the previous database was moved.
    pub set_aside: Option<PathBuf>,
    /// Conversations in the restored database.
    pub conversations: i64,
    /// Entries in the restored database.
    pub entries: i64,
}

/// Copies the database at `path`, whether or not a server uses it, to a single file that only this
/// user can read. A file that is there is replaced only with `force`.
///
/// # Errors
/// The database is unchanged, and an existing target file is whole.
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
    // If no server runs, the write-ahead log has not been checked yet.
    let lock = match Lock::take(&path, &path) {
        Ok(lock) => {
            if WalOrigin::determine(&path, &lock, &Sidecar::read(&path)) == WalOrigin::Foreign {
                return Err(OpenError::ForeignLog { path });
            }
            Some(lock)
        }
        Err(OpenError::InUse { .. }) => None,
        Err(error) => return Err(error),
    };
    let partial = Partial::new(with_suffix(target, ".partial"))?;
    {
        let source = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|source| OpenError::of(&path, source))?;
        recognise(&source, &path, MIGRATIONS)?;
        partial.copy(&source, &path)?;
    }
    // Mark the copy, so that it gets a new generation even if someone puts it in place by hand.
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

/// Restores a backup as the database at `path`, which no server may use, and moves the previous
/// database aside. The restored one gets a new generation and has no sessions of local accounts.
///
/// # Errors
/// The previous database is still in place.
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
    let found = Sidecar::read(&path);
    let noted = if let Found::Sidecar(sidecar) = &found {
        sidecar.clone()
    } else {
        Sidecar::default()
    };

    let partial = Partial::new(with_suffix(&path, ".restoring"))?;
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
    let (sidecar, conversations, entries) = renew(&partial.0, &noted)?;
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
        match fs::remove_file(with_suffix(&path, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    let _: SidecarFile = sidecar.save(&path).map_err(|source| OpenError::Sidecar {
        path: path.clone(),
        source,
    })?;
    Ok(Restored {
        set_aside,
        conversations,
        entries,
    })
}

/// Migrates a copy and makes it a store of its own: a new generation, counters at least as high as
/// in the sidecar of the previous database, no sessions.
fn renew(copy: &Path, noted: &Sidecar) -> Result<(Sidecar, i64, i64), OpenError> {
    let mut conn = Connection::open(copy).map_err(|source| OpenError::of(copy, source))?;
    migrate(&mut conn, copy, MIGRATIONS)?;
    reset_identity(&mut conn, noted).map_err(|source| OpenError::of(copy, source))
}

fn reset_identity(conn: &mut Connection, noted: &Sidecar) -> rusqlite::Result<(Sidecar, i64, i64)> {
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
    let sidecar = Sidecar {
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
        is_checkpointing: false,
        boot: boot(),
    };
    let (conversations, entries) = (
        number("SELECT count(*) FROM conversations")?,
        number("SELECT count(*) FROM entries")?,
    );
    transaction.commit()?;
    Ok((sidecar, conversations, entries))
}

/// Renames the previous database, and its write-ahead log if a checkpoint cannot remove it.
fn set_aside(path: &Path, lock: &Lock, found: &Found) -> Result<PathBuf, OpenError> {
    let failed = |source| OpenError::NotWritable {
        path: path.to_owned(),
        source,
    };
    let aside = (1..)
        .map(|number| with_suffix(path, &format!(".before-restore-{number}")))
        .find(|aside| aside.symlink_metadata().is_err());
    let aside = aside.unwrap_or_else(|| with_suffix(path, ".before-restore"));
    // If the two renames were interrupted, the database would be without its log, so a checkpoint
    // comes first.
    let log = WalOrigin::determine(path, lock, found);
    let checkpoint = || {
        let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(|source| OpenError::of(path, source))?;
        if log == WalOrigin::Doubtful {
            check_log(&conn, path)?;
        }
        checkpoint_all(&conn).map_err(|source| OpenError::of(path, source))
    };
    if matches!(log, WalOrigin::Ours | WalOrigin::Doubtful)
        && let Err(error) = checkpoint()
    {
        tracing::warn!(%error, "the write-ahead log of the database that was there is set aside beside it");
    }
    match fs::rename(with_suffix(path, "-wal"), with_suffix(&aside, "-wal")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // A hard link first, so that a database exists at every moment: a start that finds none makes
    // an empty one.
    fs::hard_link(path, &aside)
        .or_else(|_| fs::rename(path, &aside))
        .map_err(failed)?;
    Ok(aside)
}

/// A file that is being written; dropping it deletes the file.
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

    /// Copies one snapshot of the source.
    fn copy(&self, source: &Connection, from: &Path) -> Result<(), OpenError> {
        let target = self.0.to_string_lossy().into_owned();
        source
            .execute("VACUUM INTO ?1", [target])
            .map(drop)
            .map_err(|source| OpenError::of(from, source))
    }

    /// Moves the file to its target and syncs it to the disk.
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
            drop(fs::remove_file(with_suffix(&self.0, ending)));
        }
    }
}
