//! The locks on a database. Two writers would number the same log: what the writer knows by heart
//! is true only while it is alone.

use super::error::OpenError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Where the database is, however it was named: through symbolic links, or by a path that does not
/// exist yet.
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

/// The file beside `path` whose name is longer by `ending`.
pub(crate) fn with_suffix(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A file that is made with this is for this user alone, whatever the umask.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// On other systems such a lock and SQLite's own on one file stand in each other's way, in one
/// process too ("Only one of such interfaces should be used within the same process": flock(2) of
/// macOS). There the files beside the database have to do.
const LOCKS_THE_DATABASE: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Held for as long as anything may be written to the database. It goes with the process, however
/// that ends.
pub(crate) struct Lock {
    /// The files beside the database, by the name that was given and by its own. Versions that know
    /// of no other lock take these.
    _lock_files: Vec<File>,
    /// The database itself, so that no other name of it leads past the lock. Open from before
    /// SQLite's first connection until after its last: closing any descriptor of a file takes the
    /// process' POSIX locks on it away, and SQLite has some.
    database: File,
    path: PathBuf,
}

impl Lock {
    /// Locks the database at `path`, which was `given` under another name perhaps. Makes an empty
    /// file where there is none.
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
                // Some network file systems have no locks; SQLite would not be safe there either.
                Err(TryLockError::Error(source)) => return Err(not_writable(source)),
            }
        }
        let not_writable = |source| OpenError::NotWritable {
            path: path.to_owned(),
            source,
        };
        // What people say to each other in private is for this server's user alone. SQLite gives
        // its other files the permissions of the database. One that is there keeps what its owner
        // gave it.
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
                _lock_files: held,
                database,
                path: path.to_owned(),
            }),
            Err(TryLockError::WouldBlock) => {
                // Never closed: the one that has it may be in this process.
                std::mem::forget(database);
                Err(in_use())
            }
            Err(TryLockError::Error(source)) => Err(not_writable(source)),
        }
    }

    /// Whether a process holds the database, under whichever name. Not for the process that does:
    /// see the field `database`.
    pub(crate) fn is_held(given: &Path) -> bool {
        let path = resolve(given);
        let held = |file: File| matches!(file.try_lock(), Err(TryLockError::WouldBlock));
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
    /// When the system does not say: a disk or a network that is in trouble for a moment moves no
    /// file.
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

    /// How many names the file has.
    pub(crate) fn links(&self) -> u64 {
        #[cfg(unix)]
        return self
            .database
            .metadata()
            .map_or(1, |file| std::os::unix::fs::MetadataExt::nlink(&file));
        #[cfg(not(unix))]
        1
    }

    /// The file's length.
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.database.metadata()?.len())
    }

    /// Up to `length` bytes of the file from `offset`, past SQLite.
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
