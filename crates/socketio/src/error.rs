//! Errors of emits and acknowledgements.

use std::fmt;

/// Why a packet was not queued for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmitError {
    /// The socket has ended.
    Closed,
    /// The queue was full. The client is disconnected as a slow reader, unless the packet was
    /// volatile. If the socket was suspended, its stored events exceeded their limit, and it can no
    /// longer be resumed.
    Full,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the socket is closed",
            Self::Full => "the send queue of the client is full",
        })
    }
}

impl std::error::Error for EmitError {}

/// Why a requested acknowledgement did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckError {
    /// The event was not queued because the socket has ended, or the socket ended before the client
    /// acknowledged.
    Closed,
    /// The queue was full; the client is disconnected as a slow reader.
    Full,
    /// The client did not acknowledge in time.
    Timeout,
    /// [`crate::Config::max_pending_acks`] acknowledgements of this client are pending; the event
    /// was not queued.
    TooMany,
}

impl fmt::Display for AckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the socket is closed",
            Self::Full => "the send queue of the client is full",
            Self::Timeout => "the client did not acknowledge in time",
            Self::TooMany => "too many acknowledgements of the client are pending",
        })
    }
}

impl std::error::Error for AckError {}

impl From<EmitError> for AckError {
    fn from(error: EmitError) -> Self {
        match error {
            EmitError::Closed => Self::Closed,
            EmitError::Full => Self::Full,
        }
    }
}
