//! The locks on a database. The writer's cache is valid only while no other process writes: two
//! writers would assign the same `seq`.

use super::error::OpenError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Resolves the path of a database, which may have symbolic links or not exist yet.
pub(crate) fn resolve(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    match (parent.canonicalize(), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// `path` with `ending` appended to its file name.
pub(crate) fn with_suffix(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Options that create a file for this user only, whatever the umask.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// On other systems such a lock and SQLite's own on one file stand in each other's way, in one
/// process too ("Only one of such interfaces should be used within the same process": flock(2) of
/// macOS). There the files beside the database have to do.
const LOCKS_THE_DATABASE: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Held as long as anything may be written to the database. The system releases it when the process
/// ends.
pub(crate) struct Lock {
    /// The lock files next to the database, by the given path and by the resolved one. Earlier
    /// versions know only these.
    lock_files: Vec<File>,
    /// The database itself, so that hard links do not lead past the lock. It stays open from before
    /// SQLite's first connection until after its last: closing any descriptor of a file releases
    /// the process' POSIX locks on it, and SQLite needs them.
    database: File,
    path: PathBuf,
}

/// A child process that is being started has copies of the descriptors until its `exec`: closing
/// ours would leave the lock to it for a moment.
impl Drop for Lock {
    fn drop(&mut self) {
        let database = LOCKS_THE_DATABASE.then_some(&self.database);
        for file in self.lock_files.iter().chain(database) {
            drop(file.unlock());
        }
    }
}

impl Lock {
    /// Locks the database at `path`, the resolved form of `given`. Creates an empty file if there
    /// is none.
    pub(crate) fn take(given: &Path, path: &Path) -> Result<Self, OpenError> {
        let mut names = vec![with_suffix(path, ".lock")];
        let also = with_suffix(given, ".lock");
        if resolve(&also) != names[0] {
            names.push(also);
        }
        let in_use = || OpenError::InUse {
            path: given.to_owned(),
        };
        let mut held = Vec::new();
        for name in names {
            let not_writable = |source| OpenError::NotWritable {
                path: name.clone(),
                source,
            };
            let file = private(OpenOptions::new().create(true).truncate(false).write(true))
                .open(&name)
                .map_err(not_writable)?;
            match file.try_lock() {
                Ok(()) => held.push(file),
                Err(TryLockError::WouldBlock) => return Err(in_use()),
                // Some network file systems have no locks; SQLite is not safe there either.
                Err(TryLockError::Error(source)) => return Err(not_writable(source)),
            }
        }
        let not_writable = |source| OpenError::NotWritable {
            path: path.to_owned(),
            source,
        };
        // Private messages: readable by the server's user only. SQLite gives its other files the
        // permissions of the database. An existing file keeps its own.
        let database = private(
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true),
        )
        .open(path)
        .map_err(not_writable)?;
        match if LOCKS_THE_DATABASE {
            database.try_lock()
        } else {
            Ok(())
        } {
            Ok(()) => Ok(Self {
                lock_files: held,
                database,
                path: path.to_owned(),
            }),
            Err(TryLockError::WouldBlock) => {
                // Never closed: this process may hold the lock itself.
                std::mem::forget(database);
                Err(in_use())
            }
            Err(TryLockError::Error(source)) => Err(not_writable(source)),
        }
    }

    /// Whether a process holds the database, under whichever name. The holder itself must not ask:
    /// see the field `database`.
    pub(crate) fn is_held(given: &Path) -> bool {
        let path = resolve(given);
        let held = |file: File| match file.try_lock() {
            Ok(()) => {
                drop(file.unlock());
                false
            }
            Err(error) => matches!(error, TryLockError::WouldBlock),
        };
        let names = [
            with_suffix(&path, ".lock"),
            with_suffix(given, ".lock"),
            path,
        ];
        names.iter().any(|name| File::open(name).is_ok_and(held))
    }

    /// Whether the path still leads to the file that is locked.
    ///
    /// # Errors
    /// When the system does not say; a disk or network with a fault has not moved the file.
    pub(crate) fn is_in_place(&self) -> io::Result<bool> {
        let there = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            there => there?,
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let ours = self.database.metadata()?;
            Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        }
        #[cfg(not(unix))]
        Ok(there.is_file())
    }

    /// The number of hard links to the file.
    pub(crate) fn links(&self) -> u64 {
        #[cfg(unix)]
        return self
            .database
            .metadata()
            .map_or(1, |file| std::os::unix::fs::MetadataExt::nlink(&file));
        #[cfg(not(unix))]
        1
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.database.metadata()?.len())
    }

    /// Reads up to `length` bytes from `offset` without SQLite.
    pub(crate) fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            #[cfg(unix)]
            let read = std::os::unix::fs::FileExt::read_at(
                &self.database,
                &mut bytes[filled..],
                offset + filled as u64,
            );
            #[cfg(not(unix))]
            let read = std::os::windows::fs::FileExt::seek_read(
                &self.database,
                &mut bytes[filled..],
                offset + filled as u64,
            );
            match read {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}
