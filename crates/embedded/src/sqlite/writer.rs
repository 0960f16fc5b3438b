//! The writer thread. Writes that arrive during a commit form the next commit. Answers go out after
//! the commit, and appended entries go to the event bus in the order of commits.

use super::batch::{Batch, KnownConversations};
use super::checkpoint::Checkpointer;
use super::error::{is_damage, is_environmental, store_error};
use super::health::Health;
use super::members::MembersCache;
use super::work::{Durability, Job, Work};
use lamplight_domain::event::Event;
use lamplight_usecases::ports::{CommitPosition, EventBus, StoreError};
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The most items one commit takes.
pub(crate) const BATCH_AT_MOST: usize = 256;
/// Commits that may wait for the event bus before the writer itself waits.
const UNPUBLISHED_COMMITS: usize = 64;
/// After this long without a write, the counter `changes` is updated, and erased content
/// leaves the write-ahead log.
const QUIET: Duration = Duration::from_secs(5);
/// How often, while writes arrive, the writer checks that the file was not replaced.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Why a transaction failed.
struct Failure {
    error: StoreError,
    environmental: bool,
    source: Option<rusqlite::Error>,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        // Repeating item by item does not help against damage.
        let environmental = is_environmental(&error) || is_damage(&error);
        Self {
            environmental,
            error: store_error(&error),
            source: Some(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self {
            environmental: true,
            error,
            source: None,
        }
    }
}

pub(crate) struct Writer<O> {
    pub(crate) conn: Connection,
    /// Opens the existing database again if a transaction cannot be rolled back.
    pub(crate) reopen: O,
    pub(crate) jobs: Receiver<Job>,
    pub(crate) depth: Arc<AtomicUsize>,
    pub(crate) health: Arc<Health>,
    /// Holds the lock until the last write.
    pub(crate) checkpointer: Arc<Mutex<Checkpointer>>,
    /// The length of the write-ahead log in pages.
    pub(crate) pages: Arc<AtomicI32>,
    pub(crate) members: Arc<MembersCache>,
    pub(crate) known: KnownConversations,
    pub(crate) has_written: bool,
    /// The durability of commits on the connection.
    pub(crate) durability: Durability,
    /// Arrived during a commit that does not wait for the disk, and is in the next one.
    pub(crate) postponed: Option<Box<dyn Work>>,
    /// When the writer last checked the file.
    pub(crate) checked_at: Option<Instant>,
    pub(crate) bus: Arc<dyn EventBus>,
    /// Wakes the followers of the log.
    pub(crate) commits: watch::Sender<CommitPosition>,
}

impl<O: Fn() -> rusqlite::Result<Connection>> Writer<O> {
    /// Runs until [`Job::Stop`] or until the store is dropped, and finishes earlier jobs.
    pub(crate) fn run(mut self) {
        let (events, unpublished) = sync_channel::<Vec<Event>>(UNPUBLISHED_COMMITS);
        let bus = Arc::clone(&self.bus);
        let publisher = std::thread::Builder::new()
            .name("sqlite-publish".into())
            .spawn(move || publish(&unpublished, &*bus));
        if let Err(error) = &publisher {
            tracing::error!(%error, "no thread for publishing; clients will heal by the log");
        }
        let mut stopping = false;
        while !stopping || self.postponed.is_some() {
            let Some(first) = self.next() else { break };
            let mut items = vec![first];
            let outcome = self.transact(&mut items, true, &mut stopping);
            match outcome {
                Ok(committed) => Self::settle(items, committed, &events),
                Err(failure) if items.len() == 1 || failure.environmental => {
                    fail(items, &failure.error)
                }
                Err(failure) => self.one_by_one(items, &failure.error, &events),
            }
            self.after_commit();
        }
        drop(events);
        if let Ok(publisher) = publisher {
            drop(publisher.join());
        }
        let mut checkpointer = self.checkpointer.lock();
        checkpointer.stop(&self.conn, &self.health);
        drop(self.conn);
        checkpointer.release_lock();
    }

    /// The next work, `None` at the end. An idle period updates the counter `changes`, and
    /// removes erased content from the write-ahead log.
    fn next(&mut self) -> Option<Box<dyn Work>> {
        if self.postponed.is_some() {
            return self.postponed.take();
        }
        loop {
            let is_behind = self.checkpointer.lock().is_behind();
            let job = if is_behind {
                self.jobs.recv_timeout(QUIET)
            } else {
                self.jobs.recv().map_err(RecvTimeoutError::from)
            };
            match job {
                Ok(Job::Work(work)) => {
                    self.depth.fetch_sub(1, Ordering::Relaxed);
                    return Some(work);
                }
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    let mut checkpointer = self.checkpointer.lock();
                    checkpointer.count(&self.conn, &self.health);
                    checkpointer.truncate(&self.conn, &self.health);
                    drop(checkpointer);
                    self.after_commit();
                }
            }
        }
    }

    /// Checks that the file was not replaced, at most once in [`CHECK_EVERY`]. Readiness checks do
    /// so too, but many servers have none, and writes to a deleted file are lost.
    fn check_file(&mut self) {
        if self
            .checked_at
            .is_none_or(|checked| checked.elapsed() >= CHECK_EVERY)
        {
            self.checkpointer.lock().check_file(&self.health);
            self.checked_at = Some(Instant::now());
        }
    }

    /// Runs after the answers of a commit.
    fn after_commit(&mut self) {
        if std::mem::take(&mut self.has_written) {
            self.checkpointer.lock().committed(
                &self.conn,
                self.pages.load(Ordering::Relaxed),
                &self.health,
            );
        }
    }

    /// Gives each item a transaction of its own, so that a bad item fails alone.
    fn one_by_one(
        &mut self,
        items: Vec<Box<dyn Work>>,
        cause: &StoreError,
        events: &SyncSender<Vec<Event>>,
    ) {
        if let Some(Due { left_out }) = throttle::due("batch", &cause.to_string(), None) {
            tracing::warn!(%cause, items = items.len(), left_out, "a batch failed and is run item by item");
        }
        let mut items = items.into_iter();
        while let Some(item) = items.next() {
            let mut one = vec![item];
            match self.transact(&mut one, false, &mut false) {
                Ok(committed) => Self::settle(one, committed, events),
                Err(failure) => {
                    fail(one, &failure.error);
                    if failure.environmental {
                        return fail(items.collect(), &failure.error);
                    }
                }
            }
        }
    }

    /// Runs the items in one transaction, with `gather` also those that arrive meanwhile.
    fn transact(
        &mut self,
        items: &mut Vec<Box<dyn Work>>,
        gather: bool,
        stopping: &mut bool,
    ) -> Result<Vec<Event>, Failure> {
        let written = self.conn.total_changes();
        let result = self.attempt(items, gather, stopping);
        match &result {
            // A transaction without changes writes nothing, so its success proves nothing about the disk.
            Ok(_) if self.conn.total_changes() != written => {
                self.has_written = true;
                self.health.set_failing(false);
                let is_synced = self.durability == Durability::Synced;
                self.checkpointer.lock().set_unsynced(!is_synced);
            }
            Err(failure) => {
                if let Some(source) = &failure.source {
                    self.health.judge(source);
                    self.checkpointer.lock().failed(source);
                }
                if failure.environmental {
                    self.health.set_failing(true);
                }
            }
            Ok(_) => {}
        }
        if result.is_err() {
            self.recover();
        }
        // For what follows the commit. If it fails, the next transaction fails with it.
        drop(self.wait_for(Durability::Synced));
        result
    }

    /// Sets what commits on the connection wait for, which SQLite allows between transactions only.
    fn wait_for(&mut self, durability: Durability) -> rusqlite::Result<()> {
        if self.durability != durability {
            // Not prepared: SQLite sets the level when it compiles the statement.
            self.conn.execute_batch(match durability {
                Durability::Synced => "PRAGMA synchronous = FULL",
                Durability::Deferred => "PRAGMA synchronous = NORMAL",
            })?;
            self.durability = durability;
        }
        Ok(())
    }

    fn attempt(
        &mut self,
        items: &mut Vec<Box<dyn Work>>,
        gather: bool,
        stopping: &mut bool,
    ) -> Result<Vec<Event>, Failure> {
        if gather {
            // Only a synced commit takes everything, and the first item may not need one.
            gather_more(
                &self.jobs,
                &self.depth,
                items,
                &mut self.postponed,
                Durability::Synced,
                stopping,
            );
        }
        self.check_file();
        self.health.check()?;
        let durability = items.iter().map(|item| item.durability());
        let durability = durability.max().unwrap_or(Durability::Synced);
        self.checkpointer.lock().heal(&self.conn, &self.health)?;
        self.wait_for(durability)?;
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut batch = Batch::new(&self.conn, &mut self.known);
        let mut done = 0;
        while done < items.len() {
            let item = &mut items[done];
            match catch_unwind(AssertUnwindSafe(|| item.run(&mut batch))) {
                Ok(result) => result?,
                Err(_) => {
                    return Err(Failure {
                        error: StoreError::Internal("a write panicked; see the log".into()),
                        environmental: false,
                        source: None,
                    });
                }
            }
            done += 1;
            if gather && done == items.len() && !*stopping {
                gather_more(
                    &self.jobs,
                    &self.depth,
                    items,
                    &mut self.postponed,
                    durability,
                    stopping,
                );
            }
        }
        let committed = batch.finish();
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        if let Some(head) = committed.head {
            self.commits.send_replace(head);
        }
        if committed.has_erased {
            self.checkpointer.lock().erased();
        }
        // If a reader has found damage meanwhile, the commit is not acknowledged.
        self.health.check()?;
        for (conversation, members) in committed.memberships {
            self.members.committed(conversation, members);
        }
        Ok(committed.events)
    }

    /// Removes the effects of a failed transaction in the database and in memory.
    fn recover(&mut self) {
        self.known.clear();
        if self.conn.is_autocommit() {
            // SQLite rolls back by itself when the disk is full.
            return;
        }
        let rolled_back = self.conn.execute_batch("ROLLBACK");
        if rolled_back.is_ok() && self.conn.is_autocommit() {
            return;
        }
        tracing::error!(
            ?rolled_back,
            "a transaction could not be rolled back; reopening the connection"
        );
        // Do not open a file that replaced the database.
        self.checkpointer.lock().check_file(&self.health);
        if self.health.check().is_err() {
            return;
        }
        match (self.reopen)() {
            // Closing the old connection rolls its transaction back.
            Ok(conn) => {
                self.conn = conn;
                self.durability = Durability::Synced;
            }
            Err(error) => {
                tracing::error!(%error, "could not reopen the database; retrying with the next write")
            }
        }
    }

    /// Answers the callers, and then passes the events on, which may block.
    fn settle(items: Vec<Box<dyn Work>>, committed: Vec<Event>, events: &SyncSender<Vec<Event>>) {
        for item in items {
            item.finish(Ok(()));
        }
        if !committed.is_empty() {
            // Fails only without a publisher thread, which was logged; clients fetch what they
            // miss.
            drop(events.send(committed));
        }
    }
}

/// Takes what waits into a commit. The first item that needs a sync ends a commit without one, and
/// is `postponed`.
fn gather_more(
    jobs: &Receiver<Job>,
    depth: &AtomicUsize,
    items: &mut Vec<Box<dyn Work>>,
    postponed: &mut Option<Box<dyn Work>>,
    durability: Durability,
    stopping: &mut bool,
) {
    while items.len() < BATCH_AT_MOST && postponed.is_none() {
        match jobs.try_recv() {
            Ok(Job::Work(item)) => {
                depth.fetch_sub(1, Ordering::Relaxed);
                if durability == Durability::Deferred && item.durability() == Durability::Synced {
                    *postponed = Some(item);
                } else {
                    items.push(item);
                }
            }
            Ok(Job::Stop) => {
                *stopping = true;
                return;
            }
            Err(_) => return,
        }
    }
}

fn fail(items: Vec<Box<dyn Work>>, error: &StoreError) {
    for item in items {
        item.finish(Err(error.clone()));
    }
}

fn publish(unpublished: &Receiver<Vec<Event>>, bus: &dyn EventBus) {
    while let Ok(events) = unpublished.recv() {
        for event in events {
            if catch_unwind(AssertUnwindSafe(|| bus.publish(event))).is_err() {
                tracing::error!("the fan-out panicked on an event; clients heal by the log");
            }
        }
    }
}
