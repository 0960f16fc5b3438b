//! Errors of the database, for the log and for the operator.

use lamplight_usecases::ports::StoreError;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use tokio_postgres::error::SqlState;

pub(crate) const CLOSED: &str = "the store is closed";

/// Why the database could not be opened. No error shows a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection string is not understood.
    #[error("the PostgreSQL connection string is wrong: {0}")]
    Url(String),
    #[error("the file {} for TLS to PostgreSQL cannot be used: {why}", path.display())]
    TlsFile { path: PathBuf, why: String },
    #[error("TLS to PostgreSQL cannot be set up: {0}")]
    Tls(String),
    #[error("PostgreSQL at {address} cannot be reached: {why}")]
    Unreachable { address: String, why: String },
    #[error("PostgreSQL at {address} does not let Lamplight in: {why}")]
    Refused { address: String, why: String },
    #[error("PostgreSQL at {address} has version {found}; Lamplight needs 14 or newer")]
    OldServer { address: String, found: String },
    #[error(
        "the database {database} has the encoding {encoding}, and Lamplight needs UTF8; \
         create one with: CREATE DATABASE lamplight ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding { database: String, encoding: String },
    #[error(
        "PostgreSQL at {address} takes no writes ({why}); name the primary, or all servers: \
         postgres://user@a,b/database?target_session_attrs=read-write"
    )]
    ReadOnly { address: String, why: String },
    #[error(
        "the database was changed by a newer version of Lamplight (schema {found}; this version knows up to \
         {known}), which says that this version cannot work with it; run the newer version"
    )]
    Newer { found: i32, known: i32 },
    /// The migration was rolled back.
    #[error(
        "the database could not be migrated to schema {version} and stays at the one before: {why}"
    )]
    Migration { version: i32, why: String },
    #[error("the database is damaged: {0}; nothing was changed; restore a backup (LL-121)")]
    Damaged(String),
    #[error(
        "the database was filled by `lamplight migrate` only in part; run the same command again, which goes on where it stopped"
    )]
    HalfFilled,
    #[error("the database cannot be opened: {0}")]
    Database(String),
}

/// Why a request to the database failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}", describe(.0))]
    Driver(#[from] tokio_postgres::Error),
    /// No connection could be had: nothing was sent.
    #[error("no connection to PostgreSQL: {0}")]
    NoConnection(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure {
    /// Whether the transaction was rolled back because of others, so that a repeat is safe and may
    /// succeed.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(
            self.code(),
            Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED)
        )
    }

    /// Whether the connection is lost. The request may have been executed.
    pub(crate) fn is_lost_connection(&self) -> bool {
        match self {
            Self::Driver(error) => match error.code() {
                Some(code) => {
                    matches!(
                        *code,
                        SqlState::ADMIN_SHUTDOWN
                            | SqlState::CRASH_SHUTDOWN
                            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
                    ) || code.code().starts_with("08")
                }
                None => is_closed_or_io(error),
            },
            Self::NoConnection(_) => false,
            Self::Store(_) => false,
        }
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Driver(error) => error.code(),
            Self::NoConnection(_) | Self::Store(_) => None,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Driver(error) if is_environmental(&error) => {
                Self::Unavailable(describe(&error))
            }
            Failure::Driver(error) => Self::Internal(describe(&error)),
            Failure::NoConnection(_) => Self::Unavailable(failure.to_string()),
            Failure::Store(error) => error,
        }
    }
}

/// Whether the cause is the environment (network, disk, locks, memory, an operator) and not the
/// statement, so that a retry can succeed. Damaged data counts too, so that clients keep their
/// unsent messages.
pub(crate) fn is_environmental(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        return is_closed_or_io(error);
    };
    let is_known = matches!(
        *code,
        SqlState::READ_ONLY_SQL_TRANSACTION
            | SqlState::LOCK_NOT_AVAILABLE
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
            | SqlState::OBJECT_IN_USE
    );
    // Connections, rollbacks, authorization, databases that are gone, resources, operators, the
    // system, damage.
    let classes = ["08", "40", "28", "3D", "53", "57", "58", "XX001", "XX002"];
    is_known || classes.iter().any(|class| code.code().starts_with(class))
}

fn is_closed_or_io(error: &tokio_postgres::Error) -> bool {
    let has_io_cause = || error.source().is_some_and(|cause| cause.is::<io::Error>());
    error.is_closed() || has_io_cause()
}

/// An error with its causes, without the values of the statement.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        let mut text = format!("{} ({})", error.message(), error.code().code());
        for more in [error.hint(), error.constraint()].into_iter().flatten() {
            let _ = write!(text, "; {more}");
        }
        return text;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        cause = error.source();
    }
    text
}
