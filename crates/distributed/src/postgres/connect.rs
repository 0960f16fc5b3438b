//! Opens connections: hosts in turn, each for a bounded time, the session's settings, and the check
//! that the server still has the same store.

use super::connect_error::{ConnectError, ConnectErrorKind};
use super::error::describe;
use super::identity::Identity;
use super::url::{ConnectionUrl, Host};
use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long one host may take to let a connection in, at most: all of them share the deadline.
const HOST_TIMEOUT: Duration = Duration::from_secs(2);
/// After an attempt that failed, others fail at once for this long, and longer each time.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// A server that vanished without a close is detected after this long.
const SILENCE: Duration = Duration::from_secs(4);

/// Every statement finds its rows by an index, and prepared ones are planned once. The planner would
/// choose to read whole tables while they are small, or empty as in a new database, and keep to that
/// until statistics change. A test looks at the plans.
pub(super) const PLANNER: &str = "SET SESSION enable_seqscan = off; SET SESSION enable_hashjoin = off; \
    SET SESSION enable_mergejoin = off; SET SESSION plan_cache_mode = force_generic_plan; SET SESSION jit = off";

/// Bounds of a statement on the server, somewhat below the deadline of the operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub(super) statement: Duration,
    pub(super) lock: Duration,
    pub(super) idle_in_transaction: Duration,
}

impl Timeouts {
    pub(super) fn of(deadline: Duration) -> Self {
        Self {
            statement: deadline.mul_f32(0.9),
            lock: deadline.mul_f32(0.75),
            idle_in_transaction: deadline,
        }
    }

    /// Statements that set the timeouts, for the session or (`local`) for the transaction.
    /// Acknowledged means durable, so `synchronous_commit=off` of the server's configuration is
    /// overruled; every other value is the operator's choice.
    pub(super) fn sql(&self, local: bool) -> String {
        let scope = if local { "LOCAL" } else { "SESSION" };
        format!(
            "SET {scope} statement_timeout = {}; SET {scope} lock_timeout = {}; \
             SET {scope} idle_in_transaction_session_timeout = {}; \
             SELECT set_config('synchronous_commit', 'on', {local}) WHERE current_setting('synchronous_commit') = 'off'",
            self.statement.as_millis(),
            self.lock.as_millis(),
            self.idle_in_transaction.as_millis(),
        )
    }
}

/// Opens the pool's connections.
pub(super) struct Connector {
    url: ConnectionUrl,
    tls: MakeRustlsConnect,
    timeouts: Timeouts,
    /// Set once the store is open.
    identity: Option<Arc<Identity>>,
    failed: Mutex<Option<Failed>>,
    /// The place of the host that let the last connection in.
    good_host: AtomicUsize,
}

/// The last attempt, if it failed.
struct Failed {
    error: ConnectError,
    until: Instant,
    pause: Duration,
}

impl Connector {
    pub(super) fn new(url: ConnectionUrl, tls: MakeRustlsConnect, timeouts: Timeouts) -> Self {
        Self {
            url,
            tls,
            timeouts,
            identity: None,
            failed: Mutex::new(None),
            good_host: AtomicUsize::new(0),
        }
    }

    pub(super) fn with_identity(self, identity: Arc<Identity>) -> Self {
        Self {
            identity: Some(identity),
            ..self
        }
    }

    /// The servers, without user and password.
    pub(super) fn address(&self) -> String {
        let hosts: Vec<String> = self.url.hosts.iter().map(Host::to_string).collect();
        hosts.join(",")
    }

    /// A connection to the first host that lets one in.
    pub(super) async fn connect(&self) -> Result<ClientWrapper, ConnectError> {
        let mut last = None;
        let hosts = &self.url.hosts;
        let share = self.timeouts.statement / u32::try_from(hosts.len()).unwrap_or(u32::MAX).max(1);
        let limit = self.url.connect_timeout.unwrap_or(share.min(HOST_TIMEOUT));
        // The host of the last successful connection comes first.
        let first = self.good_host.load(Ordering::Relaxed);
        for place in (0..hosts.len()).map(|n| (first + n) % hosts.len()) {
            let host = &hosts[place];
            let outcome = timeout(limit, self.connect_to(host)).await;
            let error = match outcome {
                Ok(Ok(client)) => {
                    self.good_host.store(place, Ordering::Relaxed);
                    return Ok(client);
                }
                Ok(Err(error)) => error,
                Err(_) => self.error(
                    host,
                    format!("no answer within {} ms", limit.as_millis()),
                    ConnectErrorKind::Unreachable,
                ),
            };
            // Prefer an error that an operator can fix to an unreachable host.
            let is_better = |last: &ConnectError| last.kind == ConnectErrorKind::Unreachable;
            if last.as_ref().is_none_or(is_better) {
                last = Some(error);
            }
        }
        Err(last.unwrap_or_else(|| ConnectError {
            address: String::new(),
            why: "no host".into(),
            kind: ConnectErrorKind::Refused,
        }))
    }

    async fn connect_to(&self, host: &Host) -> Result<ClientWrapper, ConnectError> {
        let mut config = self.url.config(host);
        config
            .connect_timeout(HOST_TIMEOUT)
            .tcp_user_timeout(SILENCE)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        let of_driver =
            |error: tokio_postgres::Error| self.error(host, describe(&error), kind_of(&error));
        let (client, connection) = config.connect(self.tls.clone()).await.map_err(of_driver)?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                let why = describe(&error);
                if let Some(Due { left_out }) = throttle::due("postgres connection", &why, None) {
                    tracing::warn!(left_out, "a connection to PostgreSQL ended: {why}");
                }
            }
        });
        let client = ClientWrapper::new(client, task);
        if self.url.prepares {
            let settings = format!("{PLANNER}; {}", self.timeouts.sql(false));
            client.batch_execute(&settings).await.map_err(of_driver)?;
        }
        if let Some(identity) = &self.identity {
            identity
                .check(&client)
                .await
                .map_err(|problem| self.error(host, problem.why, problem.kind))?;
        }
        Ok(client)
    }

    fn error(&self, host: &Host, why: String, kind: ConnectErrorKind) -> ConnectError {
        ConnectError {
            address: host.to_string(),
            why,
            kind,
        }
    }

    fn recent_failure(&self) -> Option<ConnectError> {
        let failed = self.failed.lock();
        let recent = failed.as_ref().filter(|last| Instant::now() < last.until);
        recent.map(|last| last.error.clone())
    }

    /// Pauses grow, and nodes do not return together.
    fn remember(&self, error: &ConnectError) {
        if let Some(Due { left_out }) = throttle::due("postgres connect", &error.why, None) {
            tracing::warn!(left_out, "no connection to PostgreSQL: {error}");
        }
        let mut failed = self.failed.lock();
        let before = failed.as_ref().map_or(PAUSE / 2, |last| last.pause);
        let pause = (before * 2).min(LONGEST_PAUSE);
        *failed = Some(Failed {
            error: error.clone(),
            until: Instant::now() + jittered(pause),
            pause,
        });
    }
}

impl Manager for Connector {
    type Type = ClientWrapper;
    type Error = ConnectError;

    async fn create(&self) -> Result<ClientWrapper, ConnectError> {
        if let Some(error) = self.recent_failure() {
            return Err(error);
        }
        // Boxed, because every operation on the store would be as large.
        match Box::pin(self.connect()).await {
            Ok(client) => {
                if self.failed.lock().take().is_some() {
                    tracing::info!("PostgreSQL lets connections in again");
                }
                Ok(client)
            }
            Err(error) => {
                self.remember(&error);
                Err(error)
            }
        }
    }

    async fn recycle(
        &self,
        client: &mut ClientWrapper,
        _: &Metrics,
    ) -> RecycleResult<ConnectError> {
        if client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}

fn kind_of(error: &tokio_postgres::Error) -> ConnectErrorKind {
    let Some(code) = error.code() else {
        let why = describe(error);
        return if why.contains("does not allow writes") {
            ConnectErrorKind::ReadOnly
        } else if why.contains("certificate") {
            ConnectErrorKind::Refused
        } else {
            ConnectErrorKind::Unreachable
        };
    };
    match &code.code()[..2] {
        // Connections, resources, an operator (starting up, shutting down).
        "08" | "53" | "57" | "58" => ConnectErrorKind::Unreachable,
        "25" => ConnectErrorKind::ReadOnly,
        _ => ConnectErrorKind::Refused,
    }
}

/// From half of `pause` to all of it.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(0);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}
