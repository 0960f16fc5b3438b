//! The connection for commands.

use super::backoff::{Backoff, jitter};
use super::connect::{self, Connection, within};
use super::error::{RedisError, RedisResult, breaks_connection};
use super::options::RedisOptions;
use super::script::ScriptCall;
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use redis::{Cmd, FromRedisValue, ServerErrorKind, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The pause between two pings.
const PING: Duration = Duration::from_secs(1);

/// Whether there is a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisStatus {
    Up {
        since: Instant,
        /// 1 for the first connection of this client, and one more for each that follows.
        connection: u64,
        /// As `INFO` has it.
        version: String,
        /// Another value than before: the server restarted, or another took its place, and may have
        /// lost what was written last, or everything. Empty if it does not say.
        run_id: String,
    },
    Down {
        since: Instant,
        reason: RedisError,
    },
}

impl RedisStatus {
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up { .. })
    }
}

/// A connection that is replaced when it breaks, shared by its clones. It ends with the last clone.
#[derive(Clone)]
pub struct RedisClient(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    options: RedisOptions,
    /// The connection and its number, `None` while there is none.
    current: Mutex<Option<(Connection, u64)>>,
    status: watch::Sender<RedisStatus>,
    broken: Notify,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RedisClient {
    /// Begins to connect, within a tokio runtime, and returns at once.
    #[must_use]
    pub fn start(options: RedisOptions) -> Self {
        let shared = Arc::new(Shared {
            options,
            current: Mutex::new(None),
            status: watch::Sender::new(RedisStatus::Down {
                since: Instant::now(),
                reason: RedisError::Unavailable("not connected yet".to_owned()),
            }),
            broken: Notify::new(),
        });
        let task = tokio::spawn(supervise(Arc::clone(&shared)));
        Self(Arc::new(Running { shared, task }))
    }

    /// Waits for the connection, for the start of a node.
    ///
    /// # Errors
    /// The last reason, if there is none in time; at once if Redis refuses us (a wrong password, a
    /// version that is too old).
    pub async fn connected(&self, patience: Duration) -> RedisResult<()> {
        let mut status = self.watch();
        let decided = status.wait_for(|status| match status {
            RedisStatus::Up { .. } => true,
            RedisStatus::Down { reason, .. } => matches!(reason, RedisError::Refused(_)),
        });
        let _ = tokio::time::timeout(patience, decided).await;
        match self.status() {
            RedisStatus::Up { .. } => Ok(()),
            RedisStatus::Down { reason, .. } => Err(reason),
        }
    }

    #[must_use]
    pub fn options(&self) -> &RedisOptions {
        &self.0.shared.options
    }

    #[must_use]
    pub fn status(&self) -> RedisStatus {
        self.0.shared.status.borrow().clone()
    }

    /// For waiting until the status changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<RedisStatus> {
        self.0.shared.status.subscribe()
    }

    /// Sends a command. Fails at once while there is no connection.
    ///
    /// # Errors
    /// See [`RedisError`]. Except after [`RedisError::Refused`], Redis may have done it.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let value = self.send(command).await?;
        Ok(redis::from_redis_value(value)?)
    }

    /// Calls a script, by its hash first.
    ///
    /// # Errors
    /// As [`RedisClient::query`].
    pub async fn run<T: FromRedisValue>(&self, call: &ScriptCall<'_>) -> RedisResult<T> {
        let shared = &self.0.shared;
        let value = match shared.attempt(&call.by_hash()).await? {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                self.send(&call.with_source()).await?
            }
            Err(error) => return Err(error.into()),
            Ok(value) => value,
        };
        Ok(redis::from_redis_value(value)?)
    }

    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        Ok(self.0.shared.attempt(command).await??)
    }
}

impl Shared {
    async fn attempt(&self, command: &Cmd) -> RedisResult<redis::RedisResult<Value>> {
        let current = self.current.lock().clone();
        let Some((mut connection, number)) = current else {
            return Err(match &*self.status.borrow() {
                RedisStatus::Down { reason, .. } => reason.clone(),
                RedisStatus::Up { .. } => RedisError::Unavailable("reconnecting".to_owned()),
            });
        };
        let answer = within(self.options.command_deadline, async {
            Ok(connection.query(command).await)
        });
        let answer = answer.await?;
        if let Err(error) = &answer
            && matches!(connection, Connection::Single(_))
            && breaks_connection(error)
        {
            self.set_broken(number, error.clone().into());
        }
        Ok(answer)
    }

    /// Ends a connection, unless another has taken its place.
    fn set_broken(&self, number: u64, reason: RedisError) {
        let mut current = self.current.lock();
        if current.as_ref().is_some_and(|(_, now)| *now == number) {
            *current = None;
            drop(current);
            self.set_down(reason);
            self.broken.notify_one();
        }
    }

    fn set_down(&self, reason: RedisError) {
        if let Some(Due { left_out }) = throttle::due("Redis", &reason.to_string(), None) {
            tracing::warn!(%reason, redis = %self.options, left_out, "no connection to Redis");
        }
        self.status.send_modify(|status| {
            let since = match status {
                RedisStatus::Up { .. } => Instant::now(),
                RedisStatus::Down { since, .. } => *since,
            };
            *status = RedisStatus::Down { since, reason };
        });
    }
}

/// Connects again and again.
async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    let mut number = 0;
    loop {
        match connect::connect(&shared.options).await {
            Ok((connection, info)) => {
                number += 1;
                *shared.current.lock() = Some((connection.clone(), number));
                tracing::info!(redis = %shared.options, version = info.version, "connected to Redis");
                shared.status.send_replace(RedisStatus::Up {
                    since: Instant::now(),
                    connection: number,
                    version: info.version,
                    run_id: info.run_id,
                });
                let began = Instant::now();
                shared.ping_until_broken(connection, number).await;
                // A server that takes connections and breaks them at once is not asked in a loop.
                if began.elapsed() > PING * 5 {
                    backoff = Backoff::default();
                }
            }
            Err(reason) => shared.set_down(reason),
        }
        backoff.pause().await;
    }
}

impl Shared {
    async fn ping_until_broken(&self, mut connection: Connection, number: u64) {
        let mut failed = 0;
        // Part of a cluster may be away: the client of the cluster reconnects to it by itself, and
        // starts from the beginning only if several nodes do not answer.
        let most = match connection {
            Connection::Single(_) => 1,
            Connection::Cluster(_) => 3,
        };
        loop {
            tokio::select! {
                () = self.broken.notified() => {
                    if self.current.lock().is_none() {
                        return;
                    }
                }
                () = tokio::time::sleep(jitter(PING)) => {}
            }
            let ping = within(self.options.command_deadline, async {
                Ok(connection.ping().await?)
            });
            match ping.await {
                Ok(()) => failed = 0,
                Err(reason) => {
                    failed += 1;
                    if failed >= most {
                        self.set_broken(number, reason);
                        return;
                    }
                }
            }
        }
    }
}
