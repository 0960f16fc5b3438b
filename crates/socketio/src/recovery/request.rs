//! What a client sends to resume a socket.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The recovery request that a returning client adds to its `auth`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RecoveryRequest {
    pub(crate) pid: String,
    pub(crate) offset: Option<String>,
}

impl RecoveryRequest {
    /// Returns `None` for new clients, and for an `auth` that does not match: an application may
    /// use these keys for itself.
    pub(crate) fn read(auth: Option<&RawValue>) -> Option<Self> {
        serde_json::from_str(auth?.get()).ok()
    }
}
