//! Reader threads, each with a read-only connection; a fair queue feeds them. A read sees one
//! snapshot, taken when it begins.

use super::connection::connect;
use super::error::{CLOSED, OpenError, store_error};

use super::health::Health;
use super::options::SqliteOptions;
use lamplight_usecases::fair::FairQueue;
use lamplight_usecases::flow::{Flow, Urgency};
use lamplight_usecases::ports::{StoreError, StoreResult};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// How often an idle reader yields before it sleeps. While many people join, the next read comes at
/// once, and a sleep and a wake-up for each read would take a third of a join's CPU time.
const YIELDS: u32 = 4;

type Read = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Default)]
struct Queue {
    waiting: FairQueue<Read>,
    /// Threads that run a bulk read.
    busy_with_bulk: usize,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

pub(crate) struct Readers {
    shared: Arc<Shared>,
    limit: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
    health: Arc<Health>,
}

impl Readers {
    pub(crate) fn start(
        path: &Path,
        options: &SqliteOptions,
        health: Arc<Health>,
    ) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        let count = options.readers.max(1);
        for number in 0..count {
            let open = {
                let path = path.to_owned();
                move || connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            };
            let conn = open().map_err(|source| OpenError::Database {
                path: options.path.clone(),
                source,
            })?;
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("sqlite-read-{number}"));
            // One thread is always free for urgent reads.
            threads.push(
                thread
                    .spawn(move || work(&shared, count.saturating_sub(1).max(1), conn, open))
                    .map_err(OpenError::Thread)?,
            );
        }
        Ok(Self {
            shared,
            limit: options.queue.max(1),
            threads: Mutex::new(threads),
            health,
        })
    }

    /// Reads on behalf of the current [`Flow`].
    pub(crate) async fn read<T, F>(&self, read: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let health = Arc::clone(&self.health);
        let job = Box::new(move |conn: &Connection| {
            // The caller may have stopped waiting.
            if reply.is_closed() {
                return;
            }
            let result = snapshot(conn, read).map_err(|error| {
                health.judge(&error);
                store_error(&error)
            });
            drop(reply.send(result));
        });
        self.push(job)?;
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Internal("a read failed; see the log".into())))
    }

    fn push(&self, job: Read) -> StoreResult<()> {
        let mut queue = self.shared.queue.lock();
        if queue.is_closed {
            return Err(StoreError::Unavailable(CLOSED.into()));
        }
        if queue.waiting.len() >= self.limit {
            return Err(StoreError::Unavailable("too many reads are waiting".into()));
        }
        queue.waiting.push(Flow::current(), job);
        drop(queue);
        // Waking one thread is enough: any thread can take any read, and a bulk read above the
        // limit waits for a thread that ends one and looks again.
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Finishes queued reads and stops. Blocks.
    pub(crate) fn stop(&self) {
        self.shared.queue.lock().is_closed = true;
        self.shared.changed.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            drop(thread.join());
        }
    }
}

impl Drop for Readers {
    /// The threads end without being joined.
    fn drop(&mut self) {
        self.shared.queue.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

fn snapshot<T>(
    conn: &Connection,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    // Several statements see one state; dropping the transaction, by a panic too, ends it.
    let transaction = conn.unchecked_transaction()?;
    let value = read(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

/// Waits for the next read that this thread may take; `None` after the stop.
fn next(shared: &Shared, most_bulk: usize) -> Option<(Read, Urgency)> {
    let mut yields = YIELDS;
    let mut queue = shared.queue.lock();
    loop {
        let with_bulk = queue.busy_with_bulk < most_bulk;
        if let Some((read, urgency)) = queue.waiting.pop(with_bulk) {
            queue.busy_with_bulk += usize::from(urgency == Urgency::Bulk);
            return Some((read, urgency));
        }
        if queue.is_closed && queue.waiting.is_empty() {
            return None;
        }
        if yields > 0 {
            yields -= 1;
            MutexGuard::unlocked(&mut queue, std::thread::yield_now);
        } else {
            shared.changed.wait(&mut queue);
            yields = YIELDS;
        }
    }
}

fn work(
    shared: &Shared,
    most_bulk: usize,
    mut conn: Connection,
    open: impl Fn() -> rusqlite::Result<Connection>,
) {
    while let Some((read, urgency)) = next(shared, most_bulk) {
        if catch_unwind(AssertUnwindSafe(|| read(&conn))).is_err() {
            tracing::error!("a read of the database panicked; reopening its connection");
            if let Ok(fresh) = open() {
                conn = fresh;
            }
        }
        if urgency == Urgency::Bulk {
            shared.queue.lock().busy_with_bulk -= 1;
        }
    }
}
