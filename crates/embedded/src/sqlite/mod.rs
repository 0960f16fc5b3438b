//! One SQLite file with a writer thread and a few reader threads.

mod account_rows;
mod accounts;
mod append;
mod avatars;
mod backup;
mod batch;
mod blocks;
mod changes;
mod checkpoint;
mod codec;
mod connection;
mod conversations;
mod deleted_accounts;
mod deletions;
mod directory;
mod entries;
mod error;
mod files;
mod follower;
mod groups;
mod health;
mod history;
mod hosted;
mod insert;
mod keys;
mod lock;
mod marks;
mod members;
mod messages_now;
mod open;
mod options;
mod push_queue;
mod push_subscriptions;
mod queries;
#[cfg(test)]
mod query_tests;
mod readers;
mod repeats;
mod scans;
mod schema;
mod search;
mod search_index;
mod sent_files;
mod settings;
mod sidecar;
#[cfg(test)]
mod tests;
mod transfer;
mod transfer_source;
mod watches;
mod work;
mod writer;

pub(crate) use append::{append, erase};
pub(crate) use avatars::{add_avatar, avatars, forget_avatars};
pub use backup::{Restored, backup, restore};
pub(crate) use blocks::{block, block_state, blocked_by, blockers_of, blocks_between, unblock};
pub(crate) use conversations::ensure_direct;
pub use error::OpenError;
pub(crate) use files::{
    advance_file, claim_file, create_file, deleted_files, discard_file, discard_unsent_files,
    examined_file, file, file_audiences, forget_files, release_file, signing_key,
};
pub(crate) use follower::{commit_head, committed_after, confirm, follower_position};
pub(crate) use groups::{change as change_group, make as make_group, member_page};
pub(crate) use history::{entries_after, history, seq_at, sync_page};
pub(crate) use hosted::put;
pub(crate) use marks::mark;
pub(crate) use messages_now::{messages, pinned};
pub use options::SqliteOptions;
pub(crate) use push_queue::{claim_pushes, due_pushes, move_push, read_push_step, write_push_step};
pub(crate) use push_subscriptions::{
    end_subscription, present_push_key, push_counts, push_key, replace_push_key, subscribe,
    unsubscribe,
};
pub(crate) use queries::{
    conversation, conversations, details, direct, members, others, profiles, readers, shared_with,
    summary, total_unread,
};
pub(crate) use scans::{claim_scans, renew_scan, scan_is_over, scan_later, scanned_file};
pub(crate) use search::search;
pub use search_index::reindex_file;
pub(crate) use search_index::{
    progress as index_progress, read_step as read_index_step, reindex,
    write_step as write_index_step,
};
pub(crate) use sent_files::sent_files;
pub(crate) use settings::set_settings;
pub(crate) use watches::{lost_uploads, watch_uploads};

use batch::Batch;
use checkpoint::Checkpointer;
use codec::to_db;
use error::CLOSED;
use health::Health;
use lamplight_domain::identity::Generation;
use lamplight_domain::message::MAX_CONTENT_CHARS;
use lamplight_usecases::ports::{CommitPosition, EventBus, StoreError, StoreResult};
use members::MembersCache;
use parking_lot::Mutex;
use readers::Readers;
use rusqlite::{Connection, OptionalExtension as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
pub(crate) use work::Durability;
use work::{Call, Job};

/// `Messages`, `Directory` and `Accounts` in one SQLite file.
pub struct SqliteStore {
    jobs: SyncSender<Job>,
    depth: Arc<AtomicUsize>,
    health: Arc<Health>,
    checkpointer: Arc<Mutex<Checkpointer>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Readers,
    members: Arc<MembersCache>,
    presence: u64,
    pub(crate) generation: Generation,
    store_id: String,
    commits: watch::Sender<CommitPosition>,
}

impl SqliteStore {
    /// Whether a process has the database at `path` open, under whichever name.
    #[must_use]
    pub fn is_held(path: &std::path::Path) -> bool {
        lock::Lock::is_held(path)
    }

    /// Opens or creates the database, migrates it to this version's schema, and starts the threads.
    /// Events go to `bus` after their commit.
    ///
    /// # Errors
    /// When the file cannot be used; the error explains how to fix it.
    pub fn open(options: SqliteOptions, bus: Arc<dyn EventBus>) -> Result<Arc<Self>, OpenError> {
        let open::Opened {
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
        } = open::open(&options, bus)?;
        Ok(Arc::new(Self {
            jobs,
            depth,
            health,
            checkpointer,
            writer: Mutex::new(Some(writer)),
            readers,
            members,
            presence,
            generation,
            store_id,
            commits,
        }))
    }

    /// The store's id, made once with the database.
    #[must_use]
    pub fn store_id(&self) -> &str {
        &self.store_id
    }

    /// An upper bound of the presence versions that were given out before this start.
    #[must_use]
    pub fn presence_version(&self) -> u64 {
        self.presence
    }

    /// Stores what [`SqliteStore::presence_version`] returns after the next start.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_presence_version(&self, version: u64) -> StoreResult<()> {
        let kept = self.write(move |batch| {
            checkpoint::set_counter(batch.conn, checkpoint::PRESENCE, to_db(version))
        });
        kept.answer().await
    }

    /// Writes that wait, for the metrics.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// Checks that the writer, a reader and the database answer. After a failed write it tries a
    /// write of its own, since the disk may still be full.
    ///
    /// # Errors
    /// When one of them fails or does not answer within the deadline.
    pub async fn ping(&self, deadline: Duration) -> StoreResult<()> {
        let answer = async {
            self.health.check()?;
            let (checkpointer, health) = (Arc::clone(&self.checkpointer), Arc::clone(&self.health));
            let look = move || {
                // Locked only during a checkpoint, when the writer is known to work.
                if let Some(mut checkpointer) = checkpointer.try_lock() {
                    checkpointer.check_file(&health);
                }
            };
            drop(tokio::task::spawn_blocking(look).await);
            self.health.check()?;
            if self.health.is_failing() {
                self.try_writing().await?;
            }
            self.write(|batch| {
                batch
                    .conn
                    .query_row("SELECT 1 FROM counters LIMIT 1", [], |_| Ok(()))
            })
            .answer()
            .await?;
            self.read(newest).await?;
            self.health.check()
        };
        let late = || {
            Err(StoreError::Unavailable(format!(
                "the store did not answer within {} ms",
                deadline.as_millis()
            )))
        };
        tokio::time::timeout(deadline, answer)
            .await
            .unwrap_or_else(|_| late())
    }

    /// Writes as much as the longest message takes, since a few bytes fit on most full disks, and
    /// deletes it again. In two transactions, because SQLite does not write rows deleted before
    /// the commit.
    async fn try_writing(&self) -> StoreResult<()> {
        let name = format!("trial {}", "x".repeat(4 * MAX_CONTENT_CHARS));
        let kept = self.write(move |batch| {
            batch.conn.execute(
                "INSERT OR REPLACE INTO counters (name, value) VALUES (?1, 0)",
                [&name],
            )
        });
        kept.answer().await?;
        self.write(|batch| {
            batch
                .conn
                .execute("DELETE FROM counters WHERE name GLOB 'trial *'", [])
        })
        .answer()
        .await
        .map(drop)
    }

    /// Finishes queued writes, runs a checkpoint, and stops. Later calls fail as unavailable.
    pub async fn close(self: &Arc<Self>) {
        let store = Arc::clone(self);
        // Joins threads, which would block the runtime's own.
        drop(tokio::task::spawn_blocking(move || store.close_blocking()).await);
    }

    fn close_blocking(&self) {
        let writer = self.writer.lock().take();
        self.readers.stop();
        drop(self.jobs.send(Job::Stop));
        if let Some(writer) = writer {
            drop(writer.join());
        }
    }

    /// Queues work for the writer, whose answer waits for the disk. Its place among all writes is
    /// fixed when this returns.
    pub(crate) fn write<T, F>(&self, work: F) -> Waiting<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.write_as(Durability::Synced, work)
    }

    /// As [`SqliteStore::write`], with the durability that the answer waits for.
    pub(crate) fn write_as<T, F>(&self, durability: Durability, work: F) -> Waiting<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (call, answer) = Call::new(durability, work);
        self.depth.fetch_add(1, Ordering::Relaxed);
        match self.jobs.try_send(Job::Work(Box::new(call))) {
            Ok(()) => Waiting(Ok(answer)),
            Err(error) => {
                self.depth.fetch_sub(1, Ordering::Relaxed);
                Waiting(Err(StoreError::Unavailable(match error {
                    TrySendError::Full(_) => "too many writes are waiting".into(),
                    TrySendError::Disconnected(_) => CLOSED.into(),
                })))
            }
        }
    }

    pub(crate) async fn read<T, F>(&self, read: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.readers.read(read).await
    }

    pub(crate) fn commits(&self) -> watch::Receiver<CommitPosition> {
        self.commits.subscribe()
    }

    pub(crate) fn members_cache(&self) -> &MembersCache {
        &self.members
    }
}

/// Reads a row of each table that messages need.
fn newest(conn: &Connection) -> rusqlite::Result<()> {
    for sql in [
        "SELECT content FROM entries ORDER BY id DESC LIMIT 1",
        "SELECT e.seq FROM conversations c JOIN entries e ON e.conversation = c.id AND e.seq = c.head_seq ORDER BY c.id DESC LIMIT 1",
        "SELECT p.name FROM members m JOIN people p ON p.id = m.person LIMIT 1",
        "SELECT digest FROM sessions LIMIT 1",
    ] {
        conn.prepare_cached(sql)?
            .query_row([], |_| Ok(()))
            .optional()?;
    }
    Ok(())
}

/// The pending answer of the writer.
pub(crate) struct Waiting<T>(Result<oneshot::Receiver<StoreResult<T>>, StoreError>);

impl<T> Waiting<T> {
    pub(crate) async fn answer(self) -> StoreResult<T> {
        self.0?
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable(CLOSED.into())))
    }
}
