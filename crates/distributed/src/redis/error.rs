//! Why Redis did not do something.

use lamplight_usecases::ports::StoreError;
use redis::{ErrorKind, RetryMethod, ServerErrorKind};

/// Texts of errors hold no password: Redis sends none, and addresses are ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// There is no connection, or it broke. The outcome of a command that was sent is unknown.
    #[error("Redis is unreachable: {0}")]
    Unavailable(String),
    /// No answer within the deadline. The outcome is unknown.
    #[error("Redis did not answer within {0} ms")]
    Timeout(u64),
    /// Redis refused the command, and did nothing.
    #[error("Redis refused: {0}")]
    Refused(String),
    /// The answer is not of the type that was expected.
    #[error("Redis gave an unexpected answer: {0}")]
    Unexpected(String),
}

pub type RedisResult<T> = Result<T, RedisError>;

impl From<redis::RedisError> for RedisError {
    fn from(error: redis::RedisError) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedReturnType => Self::Unexpected(error.to_string()),
            ErrorKind::Server(_) | ErrorKind::Extension if !breaks_connection(&error) => {
                Self::Refused(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<redis::ParsingError> for RedisError {
    fn from(error: redis::ParsingError) -> Self {
        Self::Unexpected(error.to_string())
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match error {
            RedisError::Unavailable(_) | RedisError::Timeout(_) => {
                Self::Unavailable(error.to_string())
            }
            // Redis refuses writes when its memory is full, and every command while it loads.
            RedisError::Refused(_) => Self::Unavailable(error.to_string()),
            RedisError::Unexpected(_) => Self::Internal(error.to_string()),
        }
    }
}

/// Whether the connection has to be replaced: it broke, or its server is no longer the primary.
pub(crate) fn breaks_connection(error: &redis::RedisError) -> bool {
    error.is_connection_dropped()
        || matches!(error.retry_method(), RetryMethod::Reconnect)
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::BusyLoading
            )
        )
}
