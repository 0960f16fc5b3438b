//! Reads: a few threads with a read-only connection each. A read sees one snapshot, taken when it begins.

use super::error::{OpenError, store_error};
use super::health::Health;
use super::{SqliteOptions, connect};
use lamplight_usecases::ports::{StoreError, Stored};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

type Read = Box<dyn FnOnce(&Connection) + Send>;

enum Job {
    Read(Read),
    Stop,
}

pub(crate) struct Readers {
    queue: SyncSender<Job>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    health: Arc<Health>,
}

impl Readers {
    pub(crate) fn start(path: &Path, options: &SqliteOptions, health: Arc<Health>) -> Result<Self, OpenError> {
        let (queue, jobs) = sync_channel(options.queue.max(1));
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::new();
        for number in 0..options.readers.max(1) {
            let open = {
                let path = path.to_owned();
                move || connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            };
            let conn = open().map_err(|source| OpenError::Database { path: options.path.clone(), source })?;
            let jobs = Arc::clone(&jobs);
            let thread = std::thread::Builder::new().name(format!("sqlite-read-{number}"));
            threads.push(thread.spawn(move || work(&jobs, conn, open)).map_err(OpenError::Thread)?);
        }
        Ok(Self { queue, threads: Mutex::new(threads), health })
    }

    pub(crate) async fn read<T, F>(&self, read: F) -> Stored<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let health = Arc::clone(&self.health);
        let job = Box::new(move |conn: &Connection| {
            let result = snapshot(conn, read).map_err(|error| {
                health.judge(&error);
                store_error(&error)
            });
            // Whoever asked may have stopped waiting.
            drop(reply.send(result));
        });
        self.queue.try_send(Job::Read(job)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Unavailable("too many reads are waiting".into()),
            TrySendError::Disconnected(_) => StoreError::Unavailable("the store is closed".into()),
        })?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Internal("a read was given up; the log says why".into())))
    }

    /// Finishes what is queued and stops. Blocks.
    pub(crate) fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for _ in &threads {
            drop(self.queue.send(Job::Stop));
        }
        for thread in threads {
            drop(thread.join());
        }
    }
}

fn snapshot<T>(conn: &Connection, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    // Several statements see one state; dropping the transaction, by a panic too, ends it.
    let transaction = conn.unchecked_transaction()?;
    let value = read(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

fn work(jobs: &Mutex<Receiver<Job>>, mut conn: Connection, open: impl Fn() -> rusqlite::Result<Connection>) {
    loop {
        // The lock is held while waiting, but never while reading: the others queue for it instead of for the channel.
        let job = jobs.lock().recv();
        let Ok(Job::Read(read)) = job else { return };
        if catch_unwind(AssertUnwindSafe(|| read(&conn))).is_err() {
            tracing::error!("a read of the database panicked; its connection is opened anew");
            if let Ok(fresh) = open() {
                conn = fresh;
            }
        }
    }
}
