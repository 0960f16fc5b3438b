//! The database: its connections, and how reads and transactions use them.

use super::codec::from_db;
use super::connect::{Connector, Timeouts, jittered};
use super::connection::{Connection, Params, Sql};
use super::error::{CLOSED, Failure};
use super::identity::Identity;
use super::members::MembersCache;
use super::open::Opened;
use super::options::PostgresOptions;
use super::outage::Outage;
use super::readers::Readers;
use deadpool::managed::{Pool, PoolError};
use lamplight_domain::identity::Generation;
use lamplight_domain::message::MAX_CONTENT_CHARS;
use lamplight_usecases::ports::{CommitPosition, StoreError, StoreResult};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// How often a transaction is tried that is rolled back because of others.
const ATTEMPTS: u32 = 4;
/// How often a read is tried: after a restart of the server every idle connection is broken, and
/// each is noticed by the request that gets it.
pub(super) const READS: u32 = 32;
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

/// Whether a transaction may be run again when its connection was lost, so that its outcome is
/// unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// A second run changes nothing that the first one did.
    Safe,
    Never,
}

/// The use of the pool of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    pub open: usize,
    /// Those that a read or a transaction has.
    pub busy: usize,
    pub limit: usize,
}

/// The state that the parts of a store share.
pub struct Database {
    pool: Pool<Connector>,
    identity: Arc<Identity>,
    prepares: bool,
    timeouts: Timeouts,
    queue: usize,
    deadline: Duration,
    /// The last transaction failed because of the environment.
    is_failing: AtomicBool,
    pub(crate) commits: watch::Sender<CommitPosition>,
    readers: Arc<Readers>,
    pub(super) members: MembersCache,
    pub(super) outage: Outage,
    /// The key of the digests of erased content.
    pub(super) digest_key: Arc<str>,
}

impl Database {
    /// `writes` connections are not for reads.
    pub(super) fn new(opened: Opened, options: &PostgresOptions, writes: usize) -> Self {
        let (commits, _) = watch::channel(CommitPosition(from_db(opened.head)));
        let reads = opened.pool.status().max_size.saturating_sub(writes);
        Self {
            pool: opened.pool,
            identity: opened.identity,
            prepares: opened.prepares,
            timeouts: opened.timeouts,
            queue: options.queue,
            deadline: options.deadline,
            is_failing: AtomicBool::new(false),
            commits,
            readers: Readers::new(reads, options.queue),
            members: MembersCache::default(),
            outage: Outage::default(),
            digest_key: opened.digest_key,
        }
    }

    /// Reads that wait, and requests for a connection.
    pub(super) fn waiting(&self) -> usize {
        self.readers.waiting() + self.pool.status().waiting
    }

    /// How the connections are used, for metrics.
    #[must_use]
    pub fn pool(&self) -> PoolUse {
        let status = self.pool.status();
        PoolUse {
            open: status.size,
            busy: status.size.saturating_sub(status.available),
            limit: status.max_size,
        }
    }

    /// Ends all connections once their requests are done. Later calls fail as unavailable.
    pub(super) async fn close(&self) {
        self.pool.close();
        let is_idle = async {
            while self.pool.status().size > 0 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        drop(timeout(self.deadline, is_idle).await);
    }

    /// The store's id, made once with the database.
    #[must_use]
    pub fn store_id(&self) -> &str {
        self.identity.store_id()
    }

    /// The generation, now and whenever it changes: the store can go back in time while nodes run,
    /// by a failover to a standby.
    #[must_use]
    pub fn generations(&self) -> watch::Receiver<Generation> {
        self.identity.generations()
    }

    /// Checks that the database answers, takes writes, and is the same store as before. After a
    /// failed write it tries a write of its own, since the disk may still be full.
    ///
    /// # Errors
    /// When the database fails or does not answer within the deadline.
    pub async fn ping(&self, deadline: Duration) -> StoreResult<()> {
        let answer = async {
            let connection = self.connection().await?;
            self.identity
                .check(connection.client())
                .await
                .map_err(|problem| StoreError::Unavailable(problem.why))?;
            let read_only = Sql {
                text: "SELECT current_setting('transaction_read_only') = 'on'",
                types: &[],
            };
            let rows = connection.query(&read_only, &[]).await?;
            if rows[0].try_get::<_, bool>(0).map_err(Failure::from)? {
                return Err(StoreError::Unavailable(
                    "PostgreSQL takes no writes: default_transaction_read_only is on".into(),
                ));
            }
            drop(connection);
            if self.is_failing.load(Ordering::Relaxed) {
                self.try_writing().await?;
            }
            Ok(())
        };
        let late = || {
            Err(StoreError::Unavailable(format!(
                "PostgreSQL did not answer within {} ms",
                deadline.as_millis()
            )))
        };
        timeout(deadline, answer).await.unwrap_or_else(|_| late())
    }

    /// The present generation.
    pub(crate) fn current_generation(&self) -> Generation {
        self.identity.generation()
    }

    /// The entries up to this id are committed, by this node.
    pub(crate) fn committed(&self, id: i64) {
        self.identity.committed(id);
        let position = CommitPosition(from_db(id));
        self.commits.send_if_modified(|head| {
            let is_newer = position > *head;
            *head = position.max(*head);
            is_newer
        });
    }

    /// A connection of the pool, within the deadline.
    pub(crate) async fn connection(&self) -> Result<Connection, Failure> {
        if self.pool.status().waiting >= self.queue {
            let full = "too many requests are waiting for PostgreSQL";
            return Err(StoreError::Unavailable(full.into()).into());
        }
        match self.pool.get().await {
            Ok(client) => Ok(Connection::new(client, self.prepares, self.timeouts)),
            Err(PoolError::Closed) => Err(Failure::NoConnection(CLOSED.into())),
            Err(PoolError::Timeout(_)) => Err(Failure::NoConnection(format!(
                "none was free within {} ms",
                self.deadline.as_millis()
            ))),
            Err(error) => Err(Failure::NoConnection(error.to_string())),
        }
    }

    /// The rows of statements that only read, all of one snapshot.
    pub(crate) async fn snapshot<const N: usize>(
        &self,
        statements: [(&Sql, Params<'_>); N],
    ) -> StoreResult<[Vec<Row>; N]> {
        let statements = &statements;
        let read = async {
            let _turn = self.readers.admit().await?;
            let mut attempt = 1;
            loop {
                let connection = self.connection().await?;
                match connection.snapshot(statements).await {
                    Err(failure) if failure.is_lost_connection() && attempt < READS => {
                        drop(connection);
                        attempt += 1;
                    }
                    answer => return answer,
                }
            }
        };
        Ok(self.within(read).await?)
    }

    /// The rows of one statement that only reads.
    pub(crate) async fn rows(&self, sql: &Sql, params: Params<'_>) -> StoreResult<Vec<Row>> {
        let read = async {
            let _turn = self.readers.admit().await?;
            let mut attempt = 1;
            loop {
                let connection = self.connection().await?;
                match connection.query(sql, params).await {
                    // An idle connection that broke: the pool drops it, another one is tried.
                    Err(failure) if failure.is_lost_connection() && attempt < READS => {
                        drop(connection);
                        attempt += 1;
                    }
                    answer => return answer,
                }
            }
        };
        Ok(self.within(read).await?)
    }

    /// The first row of one statement that only reads, if there is one.
    pub(crate) async fn row(&self, sql: &Sql, params: Params<'_>) -> StoreResult<Option<Row>> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Runs `work` in a transaction (`READ COMMITTED`), again if others caused a rollback, or if
    /// the connection was lost and a repeat is safe; all within the deadline. `work` uses the
    /// connection and neither commits nor rolls back.
    pub(crate) async fn transact<T, F, W>(&self, repeat: Repeat, work: F) -> StoreResult<T>
    where
        F: Fn(Arc<Connection>) -> W,
        W: Future<Output = Result<T, Failure>>,
    {
        self.transact_if(repeat, |_| true, work).await
    }

    /// As [`Self::transact`]; if `keeps` is false for the result of `work`, all its writes are
    /// rolled back.
    pub(crate) async fn transact_if<T, F, W>(
        &self,
        repeat: Repeat,
        keeps: impl Fn(&T) -> bool,
        work: F,
    ) -> StoreResult<T>
    where
        F: Fn(Arc<Connection>) -> W,
        W: Future<Output = Result<T, Failure>>,
    {
        let attempts = async {
            let mut attempt = 1;
            loop {
                let failure = match self.attempt(&work, &keeps).await {
                    Ok(value) => return Ok(value),
                    Err(failure) => failure,
                };
                let may_repeat =
                    failure.is_conflict() || repeat == Repeat::Safe && failure.is_lost_connection();
                if !may_repeat || attempt == ATTEMPTS {
                    return Err(failure);
                }
                sleep(jittered(CONFLICT_PAUSE * attempt)).await;
                attempt += 1;
            }
        };
        let outcome = self.within(attempts).await.map_err(StoreError::from);
        self.note_write(&outcome);
        outcome
    }

    async fn attempt<T, F, W>(&self, work: &F, keeps: &impl Fn(&T) -> bool) -> Result<T, Failure>
    where
        F: Fn(Arc<Connection>) -> W,
        W: Future<Output = Result<T, Failure>>,
    {
        let connection = Arc::new(self.connection().await?);
        connection.begin().await?;
        match work(Arc::clone(&connection)).await {
            Ok(value) if keeps(&value) => connection.commit().await.map(|()| value),
            Ok(value) => {
                // A connection that is lost rolls back too.
                drop(connection.rollback().await);
                Ok(value)
            }
            Err(failure) => {
                if !failure.is_lost_connection() {
                    drop(connection.rollback().await);
                }
                Err(failure)
            }
        }
    }

    /// Remembers whether writes fail, for [`PostgresStore::ping`].
    pub(crate) fn note_write<T>(&self, outcome: &StoreResult<T>) {
        match outcome {
            Ok(_) => self.is_failing.store(false, Ordering::Relaxed),
            Err(StoreError::Unavailable(_)) => self.is_failing.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
    }

    /// Bounds an operation. Whatever is under way is dropped, with its connection.
    pub(crate) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        timeout(self.deadline, work).await.unwrap_or_else(|_| {
            let late = format!(
                "PostgreSQL did not answer within {} ms",
                self.deadline.as_millis()
            );
            Err(StoreError::Unavailable(late).into())
        })
    }

    /// Writes as much as the longest message takes, since a few bytes fit on most full disks.
    async fn try_writing(&self) -> StoreResult<()> {
        let upsert = Sql {
            text: "INSERT INTO properties (name, value) VALUES ('trial', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            types: &[Type::TEXT],
        };
        // Random, so that PostgreSQL cannot compress it.
        let mut random = vec![0; MAX_CONTENT_CHARS * 2];
        getrandom::fill(&mut random).map_err(|error| StoreError::Internal(error.to_string()))?;
        let value: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let (upsert, value) = (&upsert, &value);
        self.transact(Repeat::Safe, |connection| async move {
            connection.execute(upsert, &[value]).await.map(drop)
        })
        .await
    }
}
