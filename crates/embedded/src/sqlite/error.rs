//! What can go wrong, in sentences for the one who reads the log.

use lamplight_usecases::ports::StoreError;
use rusqlite::{ErrorCode, ffi};
use std::io;
use std::path::{Path, PathBuf};

/// Why the database could not be opened. Nothing was changed, unless the sentence says so.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory for the data could not be made.
    #[error("the data directory {} cannot be made: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else stands where a file or a directory should be.
    #[error("{} is in the way: {what}", path.display())]
    InTheWay {
        /// What is in the way.
        path: PathBuf,
        /// What it should be and is not.
        what: &'static str,
    },
    /// There is no file to copy.
    #[error("there is no {what} at {}", path.display())]
    Missing {
        /// What should be there.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Files cannot be written there.
    #[error("{} cannot be written: {source}", path.display())]
    NotWritable {
        /// The file that was tried.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two writers would number the same log.
    #[error("{} is in use by another Lamplight; stop it, or give this one a data directory of its own", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The file is some other program's.
    #[error("{} is a database, but not one of Lamplight's; it was left as it is", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A newer version has been here.
    #[error(
        "{} was written by a newer version of Lamplight (schema {found}; this version knows up to {known}); \
         run that version or a newer one; the database was left as it is",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema it has.
        found: u32,
        /// The newest schema this version knows.
        known: u32,
    },
    /// A migration failed and was undone.
    #[error("{} could not be brought to schema {version}, and stays at the one before: {source}", path.display())]
    Migration {
        /// The database.
        path: PathBuf,
        /// The schema that was not reached.
        version: u32,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// SQLite could not open or read it.
    #[error("the database {} cannot be opened: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// SQLite found it damaged.
    #[error(
        "the database {} is damaged: {what}; nothing was changed. Keep the file, and bring back a backup with `lamplight restore`, or save \
         what can be read with `sqlite3 {} .recover` (LL-121)",
        path.display(), path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The write-ahead log beside the database was written for another one.
    #[error(
        "the write-ahead log {}-wal does not fit the database that lies beside it now: was a backup copied over {}? \
         Nothing was touched. Bring a backup back with `lamplight restore <backup>`, which sets the old files aside; or move the -wal and \
         -shm files away to start with the database as it lies there, without what was written last (LL-120)",
        path.display(), path.display()
    )]
    ForeignLog {
        /// The database.
        path: PathBuf,
    },
    /// The note beside the database could not be written.
    #[error("the note {}.note cannot be written: {source}", path.display())]
    Note {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no thread.
    #[error("a thread for the database cannot be started: {0}")]
    Thread(io::Error),
}

impl OpenError {
    /// What SQLite said of the database at `path`.
    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        // Of what never was a database the plain sentence says more.
        if is_damage(&source) && source.sqlite_error_code() != Some(ErrorCode::NotADatabase) {
            return Self::Damaged {
                path,
                what: source.to_string(),
            };
        }
        Self::Database { path, source }
    }
}

/// Whether the fault lies with the surroundings (disk, locks, memory) rather than with what was
/// asked. Waiting helps with these, repeating one item at a time does not.
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

/// Whether it means that the file is not what SQLite wrote.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    let told_by_the_disk =
        |code: i32| matches!(code, ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA);
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || error
        .sqlite_error()
        .is_some_and(|error| told_by_the_disk(error.extended_code))
}

/// What the port says of an error of SQLite's.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    // What is damaged is out of order for everyone: what waits to be sent has to be kept, not given
    // up.
    if is_environmental(error) || is_damage(error) {
        StoreError::Unavailable(error.to_string())
    } else {
        StoreError::Internal(error.to_string())
    }
}
