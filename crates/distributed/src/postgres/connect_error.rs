//! Why no connection was opened.

use super::error::OpenError;

/// Why no connection was opened.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{address}: {why}")]
pub(super) struct ConnectError {
    pub(super) address: String,
    pub(super) why: String,
    pub(super) kind: ConnectErrorKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectErrorKind {
    /// Waiting may help.
    Unreachable,
    Refused,
    ReadOnly,
}

impl From<ConnectError> for OpenError {
    fn from(error: ConnectError) -> Self {
        let ConnectError { address, why, kind } = error;
        match kind {
            ConnectErrorKind::Unreachable => Self::Unreachable { address, why },
            ConnectErrorKind::Refused => Self::Refused { address, why },
            ConnectErrorKind::ReadOnly => Self::ReadOnly { address, why },
        }
    }
}
