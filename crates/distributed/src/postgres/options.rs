//! How a PostgreSQL store is opened.

use super::error::OpenError;
use super::url::ConnectionUrl;
use lamplight_usecases::deadline::STORE_DEADLINE;
use std::fmt;
use std::time::Duration;

/// How to open a [`PostgresStore`](super::PostgresStore).
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database?sslmode=verify-full`. Besides libpq's options
    /// it takes `prepared_statements=false`, for a pooler in transaction mode that does not know
    /// prepared statements, and `pool_size`.
    pub url: String,
    /// The most connections, unless the URL has `pool_size`.
    pub pool_size: usize,
    /// The most requests that wait for a connection; further ones are refused at once.
    pub queue: usize,
    /// How long an operation may take.
    pub deadline: Duration,
    /// Opens a database that `lamplight migrate` is filling.
    pub for_transfer: bool,
    /// How long the start waits for a server that is not there yet.
    pub start_deadline: Duration,
}

impl PostgresOptions {
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_size: 16,
            queue: 4_096,
            deadline: STORE_DEADLINE,
            for_transfer: false,
            start_deadline: Duration::from_secs(10),
        }
    }

    /// Whether the connection string is understood.
    ///
    /// # Errors
    /// With a description of the error, without the password.
    pub fn check(&self) -> Result<(), OpenError> {
        ConnectionUrl::parse(&self.url).map(drop)
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL has a password.
        f.debug_struct("PostgresOptions")
            .field("pool_size", &self.pool_size)
            .field("queue", &self.queue)
            .field("deadline", &self.deadline)
            .field("for_transfer", &self.for_transfer)
            .field("start_deadline", &self.start_deadline)
            .finish_non_exhaustive()
    }
}
