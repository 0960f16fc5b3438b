//! Opening the database: the directory, the lock against a second process, the journal that was
//! left, the pragmas, the migrations, the generation.

use super::batch::{KnownConversations, from_db};
use super::beside::{Found, Log, Note};
use super::error::{OpenError, is_damage};
use super::follower::commit_head;
use super::health::Health;
use super::keeper::{Keeper, begin};
use super::keys;
use super::lock::{Lock, resolve};
use super::members::MembersCache;
use super::readers::Readers;
use super::schema::{MIGRATIONS, migrate};
use super::writer::Writer;
use super::{SqliteOptions, SqliteStore};
use lamplight_domain::identity::Generation;
use lamplight_usecases::ports::EventBus;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::sync::watch;

/// How long a lock of someone else's (a backup, a shell) is waited for; well below the deadline of
/// a send.
const BUSY: Duration = Duration::from_secs(2);

pub(super) fn open(
    options: &SqliteOptions,
    bus: Arc<dyn EventBus>,
) -> Result<SqliteStore, OpenError> {
    make_directory(&options.path)?;
    if options.path.is_dir() {
        return Err(OpenError::InTheWay {
            path: options.path.clone(),
            what: "it is a directory, and the database is a file",
        });
    }
    let path = &resolve(&options.path);
    let database = |source| OpenError::of(path, source);
    let lock = Lock::take(&options.path, path)?;
    if lock.links() > 1 {
        tracing::warn!(
            links = lock.links(),
            "{} has several names (hard links); its journal is found under one of them only",
            path.display()
        );
    }
    let found = Note::read(path);
    let log = Log::look(path, &lock, &found);
    if log == Log::Foreign {
        return Err(OpenError::ForeignLog { path: path.clone() });
    }
    if let Found::Note(note) = &found {
        // Until the start is done the file changes without a note of it.
        let note = Note {
            folding: true,
            ..note.clone()
        };
        note.keep(path).map_err(|source| OpenError::Note {
            path: path.clone(),
            source,
        })?;
    }
    let mut conn = connect(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )
    .map_err(database)?;
    if log == Log::Doubtful {
        check_log(&conn, path)?;
    }
    migrate(&mut conn, path, MIGRATIONS)?;
    let pages = Arc::new(AtomicI32::new(0));
    // After the migrations, so that a database that is not ours keeps its journal mode too.
    prepare_writer(&mut conn, options.max_pages, &pages).map_err(database)?;
    keys::renew(&mut conn).map_err(database)?;
    let note = begin(&mut conn, &found).map_err(database)?;
    let (generation, presence) = (
        Generation::trusted(&*note.generation),
        from_db(note.presence),
    );
    let keeper = Arc::new(Mutex::new(Keeper::start(path, lock, note, &conn)?));
    let health = Arc::new(Health::default());
    let readers = Readers::start(path, options, Arc::clone(&health))?;

    let (jobs, queue) = sync_channel(options.queue.max(1));
    let depth = Arc::new(AtomicUsize::new(0));
    let members = Arc::new(MembersCache::default());
    let (reopened, max_pages, counted) = (path.clone(), options.max_pages, Arc::clone(&pages));
    let (commits, _) = watch::channel(commit_head(&conn).map_err(database)?);
    let writer = Writer {
        conn,
        // Without the flag that creates: a file that has gone away is a fault, not a fresh start.
        reopen: move || {
            let mut conn = connect(&reopened, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            prepare_writer(&mut conn, max_pages, &counted)?;
            Ok(conn)
        },
        jobs: queue,
        depth: Arc::clone(&depth),
        health: Arc::clone(&health),
        keeper: Arc::clone(&keeper),
        pages,
        members: Arc::clone(&members),
        known: KnownConversations::default(),
        has_written: false,
        looked: None,
        bus,
        commits: commits.clone(),
    };
    let thread = std::thread::Builder::new().name("sqlite-write".into());
    let writer = thread
        .spawn(move || writer.run())
        .map_err(OpenError::Thread)?;
    Ok(SqliteStore {
        jobs,
        depth,
        health,
        keeper,
        writer: Mutex::new(Some(writer)),
        readers,
        members,
        presence,
        generation,
        commits,
    })
}

/// A log of which it is not known whether the database is the one that it was written for: together
/// they must make sense, before anything is folded.
pub(super) fn check_log(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    tracing::warn!(
        code = "LL-120",
        "looking through {} and its write-ahead log, which may not belong together",
        path.display()
    );
    let fold_on_close = |fold: bool| {
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !fold)
            .map(drop)
    };
    fold_on_close(false).map_err(|source| OpenError::of(path, source))?;
    let verdict = sound(conn, "PRAGMA quick_check(1)");
    match verdict {
        Ok(None) => fold_on_close(true).map_err(|source| OpenError::of(path, source)),
        Ok(Some(what)) => {
            tracing::error!(code = "LL-120", "together they make no sense: {what}");
            Err(OpenError::ForeignLog {
                path: path.to_owned(),
            })
        }
        Err(source) if is_damage(&source) => Err(OpenError::ForeignLog {
            path: path.to_owned(),
        }),
        Err(source) => Err(OpenError::of(path, source)),
    }
}

/// What a check finds wrong, if anything.
pub(super) fn sound(conn: &Connection, check: &str) -> rusqlite::Result<Option<String>> {
    let verdict: String = conn.query_row(check, [], |row| row.get(0))?;
    Ok((verdict != "ok").then_some(verdict))
}

/// A connection with what every one of ours has.
pub(crate) fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection stays on one thread, so SQLite's own mutexes would only cost.
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // Statements are planned once, whatever is bound: without this SQLite plans joins and partial
    // indexes anew with each new value, which cost a quarter of an append.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

fn prepare_writer(
    conn: &mut Connection,
    max_pages: Option<u32>,
    pages: &Arc<AtomicI32>,
) -> rusqlite::Result<()> {
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    // FULL: a commit returns when it is on the disk, and only then is anything acknowledged.
    conn.pragma_update(None, "synchronous", "FULL")?;
    // In KiB: the pages that appends come back to are the ends of a few trees for each busy
    // conversation.
    conn.pragma_update(None, "cache_size", -8_192)?;
    // After a burst, the write-ahead log shrinks back.
    conn.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    if let Some(pages) = max_pages {
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    // In place of SQLite's own folding within a commit: ours comes after the answers, and is noted.
    let pages = Arc::clone(pages);
    conn.wal_hook(Some(move |_: &mut Wal, count: i32| {
        pages.store(count, Ordering::Relaxed);
        Ok(())
    }))
}

pub(super) fn make_directory(database: &Path) -> Result<(), OpenError> {
    let Some(directory) = database
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    else {
        return Ok(());
    };
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(file) = directory
        .ancestors()
        .find(|ancestor| ancestor.exists())
        .filter(|ancestor| !ancestor.is_dir())
    {
        return Err(OpenError::InTheWay {
            path: file.to_owned(),
            what: "it is a file, and the data wants a directory there",
        });
    }
    let existing = directory
        .ancestors()
        .find(|ancestor| ancestor.is_dir())
        .map(Path::to_owned);
    let failed = |source| OpenError::Directory {
        path: directory.to_owned(),
        source,
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    // What people say to each other in private is for this server's user alone.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(failed)?;
    // SQLite syncs the directory of its files, not the ones above it: without this a power loss
    // could take the new directory away, and what was acknowledged with it.
    let mut made = directory.parent();
    while let Some(parent) = made {
        let parent_or_here = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        File::open(parent_or_here)
            .and_then(|handle| handle.sync_all())
            .map_err(failed)?;
        if existing.as_deref() == Some(parent) {
            break;
        }
        made = parent.parent();
    }
    Ok(())
}
