//! Opening the database: the directory, the lock against a second process, the pragmas, the migrations, the epoch.

use super::batch::KnownConversations;
use super::error::OpenError;
use super::keys;
use super::members::MembersCache;
use super::readers::Readers;
use super::schema::{MIGRATIONS, migrate};
use super::writer::Writer;
use super::{SqliteOptions, SqliteStore};
use lamplight_domain::identity::Generation;
use lamplight_usecases::ports::Fanout;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How long a lock of someone else's (a backup, a shell) is waited for; well below the deadline of a send.
const BUSY: Duration = Duration::from_secs(2);

pub(super) fn open(options: &SqliteOptions, fanout: Arc<dyn Fanout>) -> Result<SqliteStore, OpenError> {
    let path = &options.path;
    let database = |source| OpenError::Database { path: path.clone(), source };
    make_directory(path)?;
    if path.is_dir() {
        return Err(OpenError::InTheWay { path: path.clone(), what: "it is a directory, and the database is a file" });
    }
    let lock = lock(path)?;
    make_file(path);
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).map_err(database)?;
    migrate(&mut conn, path, MIGRATIONS)?;
    // After the migrations, so that a database that is not ours keeps its journal mode too.
    prepare_writer(&conn, options.max_pages).map_err(database)?;
    keys::renew(&mut conn).map_err(database)?;
    let epoch = next_epoch(&conn).map_err(database)?;
    let generation = generation(&conn).map_err(database)?;
    let readers = Readers::start(options)?;

    let (jobs, queue) = sync_channel(options.queue.max(1));
    let depth = Arc::new(AtomicUsize::new(0));
    let failing = Arc::new(AtomicBool::new(false));
    let members = Arc::new(MembersCache::default());
    let (reopened, max_pages) = (path.clone(), options.max_pages);
    let writer = Writer {
        conn,
        // Without the flag that creates: a file that has gone away is a fault, not a fresh start.
        reopen: move || {
            let conn = connect(&reopened, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            prepare_writer(&conn, max_pages)?;
            Ok(conn)
        },
        jobs: queue,
        depth: Arc::clone(&depth),
        failing: Arc::clone(&failing),
        members: Arc::clone(&members),
        known: KnownConversations::default(),
        fanout,
        lock,
    };
    let thread = std::thread::Builder::new().name("sqlite-write".into());
    let writer = thread.spawn(move || writer.run()).map_err(OpenError::Thread)?;
    Ok(SqliteStore { jobs, depth, failing, writer: Mutex::new(Some(writer)), readers, members, epoch, generation })
}

/// A connection with what every one of ours has.
pub(crate) fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection stays on one thread, so SQLite's own mutexes would only cost.
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // Statements are planned once, whatever is bound: without this SQLite plans joins and partial indexes anew with
    // each new value, which cost a quarter of an append.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

fn prepare_writer(conn: &Connection, max_pages: Option<u32>) -> rusqlite::Result<()> {
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    // FULL: a commit returns when it is on the disk, and only then is anything acknowledged.
    conn.pragma_update(None, "synchronous", "FULL")?;
    // In KiB: the pages that appends come back to are the ends of a few trees for each busy conversation.
    conn.pragma_update(None, "cache_size", -8_192)?;
    // After a burst, the write-ahead log shrinks back.
    conn.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    if let Some(pages) = max_pages {
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(())
}

fn generation(conn: &Connection) -> rusqlite::Result<Generation> {
    conn.query_row("SELECT value FROM properties WHERE name = 'generation'", [], |row| Ok(Generation::trusted(row.get_ref(0)?.as_str()?)))
}

fn next_epoch(conn: &Connection) -> rusqlite::Result<u32> {
    conn.query_row(
        "INSERT INTO counters (name, value) VALUES ('epoch', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
        [],
        |row| row.get(0),
    )
}

fn make_directory(database: &Path) -> Result<(), OpenError> {
    let Some(directory) = database.parent().filter(|directory| !directory.as_os_str().is_empty()) else { return Ok(()) };
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(file) = directory.ancestors().find(|ancestor| ancestor.exists()).filter(|ancestor| !ancestor.is_dir()) {
        return Err(OpenError::InTheWay { path: file.to_owned(), what: "it is a file, and the data wants a directory there" });
    }
    let existing = directory.ancestors().find(|ancestor| ancestor.is_dir()).map(Path::to_owned);
    let failed = |source| OpenError::Directory { path: directory.to_owned(), source };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    // What people say to each other in private is for this server's user alone.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(failed)?;
    // SQLite syncs the directory of its files, not the ones above it: without this a power loss could take the new
    // directory away, and what was acknowledged with it.
    let mut made = directory.parent();
    while let Some(parent) = made {
        let parent_or_here = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        File::open(parent_or_here).and_then(|handle| handle.sync_all()).map_err(failed)?;
        if existing.as_deref() == Some(parent) {
            break;
        }
        made = parent.parent();
    }
    Ok(())
}

/// What people say to each other in private is for this server's user alone, in a directory that others may look into too. SQLite
/// gives its other files the permissions of the database. One that is there keeps what its owner gave it.
fn make_file(database: &Path) {
    // Where this fails SQLite does too, and says why.
    drop(private(OpenOptions::new().create_new(true).write(true)).open(database));
}

/// A file that is made with this is for this user alone, whatever the umask.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Two writers would number the same log: what the writer knows by heart is true only while it is alone. The lock
/// goes with the process, however that ends.
fn lock(database: &Path) -> Result<File, OpenError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let not_writable = |source| OpenError::NotWritable { path: path.clone(), source };
    let file = private(OpenOptions::new().create(true).truncate(false).write(true)).open(&path).map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: database.to_owned() }),
        // Some network file systems have no locks; SQLite would not be safe there either.
        Err(TryLockError::Error(source)) => Err(not_writable(source)),
    }
}
