//! Opens the database: the directory, the lock against a second process, the write-ahead log, the
//! pragmas, the migrations, the generation.

use super::batch::KnownConversations;
use super::checkpoint::{Checkpointer, start_epoch};
use super::codec::from_db;
use super::connection::{connect, prepare_writer};
use super::error::{OpenError, is_damage};
use super::follower::commit_head;
use super::health::Health;
use super::keys;
use super::lock::{Lock, resolve};
use super::members::MembersCache;
use super::options::SqliteOptions;
use super::push_queue;
use super::readers::Readers;
use super::schema::{MIGRATIONS, migrate};
use super::sidecar::{Found, Sidecar, WalOrigin};
use super::transfer_source;
use super::work::{Durability, Job};
use super::writer::Writer;
use lamplight_domain::identity::Generation;
use lamplight_usecases::ports::{CommitPosition, EventBus};
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// A database that is open, with its threads running.
pub(super) struct Opened {
    pub(super) jobs: SyncSender<Job>,
    pub(super) depth: Arc<AtomicUsize>,
    pub(super) health: Arc<Health>,
    pub(super) checkpointer: Arc<Mutex<Checkpointer>>,
    pub(super) writer: JoinHandle<()>,
    pub(super) readers: Readers,
    pub(super) members: Arc<MembersCache>,
    pub(super) presence: u64,
    pub(super) generation: Generation,
    pub(super) store_id: String,
    pub(super) commits: watch::Sender<CommitPosition>,
}

pub(super) fn open(options: &SqliteOptions, bus: Arc<dyn EventBus>) -> Result<Opened, OpenError> {
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
    let found = Sidecar::read(path);
    let log = WalOrigin::determine(path, &lock, &found);
    if log == WalOrigin::Foreign {
        return Err(OpenError::ForeignLog { path: path.clone() });
    }
    if let Found::Sidecar(sidecar) = &found {
        // The start changes the file without recording its fingerprint.
        let sidecar = Sidecar {
            is_checkpointing: true,
            ..sidecar.clone()
        };
        sidecar.save(path).map_err(|source| OpenError::Sidecar {
            path: path.clone(),
            source,
        })?;
    }
    let mut conn = connect(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )
    .map_err(database)?;
    if log == WalOrigin::Doubtful {
        check_log(&conn, path)?;
    }
    migrate(&mut conn, path, MIGRATIONS)?;
    if !options.for_transfer && transfer_source::source(&conn).map_err(database)?.is_some() {
        return Err(OpenError::HalfFilled { path: path.clone() });
    }
    let pages = Arc::new(AtomicI32::new(0));
    // After the migrations, so that a database that is not ours keeps its journal mode too.
    prepare_writer(&mut conn, options.max_pages, &pages).map_err(database)?;
    keys::renew(&mut conn).map_err(database)?;
    push_queue::release_claims(&conn).map_err(database)?;
    let store_id = conn
        .query_row(
            "SELECT value FROM properties WHERE name = 'store_id'",
            [],
            |row| row.get(0),
        )
        .map_err(database)?;
    let sidecar = start_epoch(&mut conn, &found).map_err(database)?;
    let (generation, presence) = (
        Generation::trusted(&*sidecar.generation),
        from_db(sidecar.presence),
    );
    let checkpointer = Arc::new(Mutex::new(Checkpointer::start(path, lock, sidecar, &conn)?));
    let health = Arc::new(Health::default());
    let readers = Readers::start(path, options, Arc::clone(&health))?;

    let (jobs, queue) = sync_channel(options.queue.max(1));
    let depth = Arc::new(AtomicUsize::new(0));
    let members = Arc::new(MembersCache::default());
    let (reopened, max_pages, counted) = (path.clone(), options.max_pages, Arc::clone(&pages));
    let (commits, _) = watch::channel(commit_head(&conn).map_err(database)?);
    let writer = Writer {
        conn,
        // Without CREATE: a missing file is a fault, not a new database.
        reopen: move || {
            let mut conn = connect(&reopened, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            prepare_writer(&mut conn, max_pages, &counted)?;
            Ok(conn)
        },
        jobs: queue,
        depth: Arc::clone(&depth),
        health: Arc::clone(&health),
        checkpointer: Arc::clone(&checkpointer),
        pages,
        members: Arc::clone(&members),
        known: KnownConversations::default(),
        has_written: false,
        durability: Durability::Synced,
        postponed: None,
        checked_at: None,
        bus,
        commits: commits.clone(),
    };
    let thread = std::thread::Builder::new().name("sqlite-write".into());
    let writer = thread
        .spawn(move || writer.run())
        .map_err(OpenError::Thread)?;
    Ok(Opened {
        jobs,
        depth,
        health,
        checkpointer,
        writer,
        readers,
        members,
        presence,
        generation,
        store_id,
        commits,
    })
}

/// Checks that the database and a write-ahead log of unknown origin are consistent together, before
/// a checkpoint joins them.
pub(super) fn check_log(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    tracing::warn!(
        code = "LL-120",
        "checking {} and its write-ahead log, which may not belong together",
        path.display()
    );
    let checkpoint_on_close = |enabled: bool| {
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !enabled)
            .map(drop)
    };
    checkpoint_on_close(false).map_err(|source| OpenError::of(path, source))?;
    let verdict = sound(conn, "PRAGMA quick_check(1)");
    match verdict {
        Ok(None) => checkpoint_on_close(true).map_err(|source| OpenError::of(path, source)),
        Ok(Some(what)) => {
            tracing::error!(
                code = "LL-120",
                "the database and its write-ahead log are inconsistent: {what}"
            );
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

/// The first fault that a check finds.
pub(super) fn sound(conn: &Connection, check: &str) -> rusqlite::Result<Option<String>> {
    let verdict: String = conn.query_row(check, [], |row| row.get(0))?;
    Ok((verdict != "ok").then_some(verdict))
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
            what: "it is a file, and the data needs a directory there",
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
    // Private messages: readable by the server's user only.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(failed)?;
    // SQLite syncs the directory of its files, not the directories above. Without this, a power
    // loss could remove the new directory and with it acknowledged messages.
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
