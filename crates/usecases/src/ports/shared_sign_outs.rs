//! Sign-outs that the store does not have yet, where every node finds them.

use super::store::StoreResult;
use async_trait::async_trait;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

/// The end of sessions of a local account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SignOut {
    /// Of the session with this digest.
    Session { user: UserId, credential: Arc<str> },
    /// Of every session that the user opened until then.
    Everywhere { user: UserId, until: Timestamp },
}

/// The result of [`SharedSignOuts::exchange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// The list is another one than at the call before: the former was lost, with what this node had
    /// added.
    pub began_anew: bool,
    /// All that are in the list; `None` if they are the same as after the call before.
    pub all: Option<Vec<SignOut>>,
}

/// A list of sign-outs that the store does not have yet, which outlives the node that took them.
#[async_trait]
pub trait SharedSignOuts: Send + Sync + 'static {
    /// Adds some and removes others, which the store has by now. Answers within a few seconds.
    async fn exchange(&self, add: &[SignOut], remove: &[SignOut]) -> StoreResult<Exchanged>;
}
