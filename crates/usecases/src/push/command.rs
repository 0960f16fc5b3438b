//! The commands of Web Push and the reply to them.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use crate::ports::PushTarget;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum PushCommand {
    /// The public key that a browser subscribes with.
    Key,
    Subscribe {
        target: PushTarget,
        /// Whether what is sent has texts and names.
        content: bool,
        /// The public key that the browser subscribed with; the current one if omitted.
        key: Option<Arc<str>>,
    },
    Unsubscribe {
        endpoint: String,
    },
}

impl PushCommand {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        use {Budget as B, Dispatch as D, Scope as S};
        match self {
            Self::Key => Metadata::new(S::User, B::Lookup, D::Concurrent),
            Self::Subscribe { .. } | Self::Unsubscribe { .. } => {
                Metadata::new(S::User, B::Write, D::Concurrent)
            }
        }
    }
}

/// The public key that a browser subscribes with.
#[derive(Clone, Debug)]
pub struct PushReply {
    pub key: Arc<str>,
}
