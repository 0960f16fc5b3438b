//! Errors of the database, for the log and for the operator.

use lamplight_usecases::ports::StoreError;
use rusqlite::{ErrorCode, ffi};
use std::io;
use std::path::{Path, PathBuf};

pub(super) const CLOSED: &str = "the store is closed";

/// Why the database could not be opened. It is unchanged, unless the error says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data directory {} cannot be made: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("{} is in the way: {what}", path.display())]
    InTheWay { path: PathBuf, what: &'static str },
    #[error("there is no {what} at {}", path.display())]
    Missing { what: &'static str, path: PathBuf },
    #[error("{} cannot be written: {source}", path.display())]
    NotWritable { path: PathBuf, source: io::Error },
    /// Two writers would number the same log.
    #[error("{} is in use by another Lamplight; stop it, or give this one a data directory of its own", path.display())]
    InUse { path: PathBuf },
    #[error("{} is a database, but not one of Lamplight's; it was left as it is", path.display())]
    NotOurs { path: PathBuf },
    #[error(
        "{} was written by a newer version of Lamplight (schema {found}; this version knows up to {known}); \
         run that version or a newer one; the database was left as it is",
        path.display()
    )]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    /// The migration was rolled back.
    #[error("{} could not be migrated to schema {version} and keeps the one before: {source}", path.display())]
    Migration {
        path: PathBuf,
        version: u32,
        source: rusqlite::Error,
    },
    #[error("the database {} cannot be opened: {source}", path.display())]
    Database {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error(
        "the database {} is damaged: {what}; nothing was changed. Keep the file, and bring back a backup with `lamplight restore`, or save \
         what can be read with `sqlite3 {} .recover` (LL-121)",
        path.display(), path.display()
    )]
    Damaged { path: PathBuf, what: String },
    /// The write-ahead log was written for another database.
    #[error(
        "the write-ahead log {}-wal does not fit the database that lies beside it now: was a backup copied over {}? \
         Nothing was touched. Bring a backup back with `lamplight restore <backup>`, which sets the old files aside; or move the -wal and \
         -shm files away to start with the database as it lies there, without what was written last (LL-120)",
        path.display(), path.display()
    )]
    ForeignLog { path: PathBuf },
    #[error(
        "{} was filled by `lamplight migrate` only in part; run the same command again, which goes on where it stopped",
        path.display()
    )]
    HalfFilled { path: PathBuf },
    #[error("{}.note cannot be written: {source}", path.display())]
    Sidecar { path: PathBuf, source: io::Error },
    #[error("a thread for the database cannot be started: {0}")]
    Thread(io::Error),
}

impl OpenError {
    /// Classifies an error of SQLite for the database at `path`.
    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        // For a file that never was a database, the plain error is clearer.
        if is_damage(&source) && source.sqlite_error_code() != Some(ErrorCode::NotADatabase) {
            return Self::Damaged {
                path,
                what: source.to_string(),
            };
        }
        Self::Database { path, source }
    }
}

/// Whether the cause is the environment (disk, locks, memory) and not the statement. Waiting helps
/// against these; repeating one item at a time does not.
pub(crate) fn is_environmental(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

/// Whether the file is not what SQLite wrote.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    let is_io_damage =
        |code: i32| matches!(code, ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA);
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || error
        .sqlite_error()
        .is_some_and(|error| is_io_damage(error.extended_code))
}

/// The port's error for an error of SQLite.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    // Damaged data makes the store unavailable for everyone, so that clients keep their unsent
    // messages.
    if is_environmental(error) || is_damage(error) {
        StoreError::Unavailable(error.to_string())
    } else {
        StoreError::Internal(error.to_string())
    }
}
