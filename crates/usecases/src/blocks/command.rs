//! The commands of blocks and the reply to them.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use crate::ports::Page;
use crate::weight::{self, ROW};
use lamplight_domain::identity::{Profile, UserId};

#[derive(Clone, Debug)]
pub enum BlockCommand {
    Block(UserId),
    Unblock(UserId),
    /// Those whom the caller has blocked.
    List {
        cursor: Option<String>,
        limit: usize,
    },
}

impl BlockCommand {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        use {Budget as B, Dispatch as D, Scope as S};
        match self {
            Self::Block(_) | Self::Unblock(_) => Metadata::new(S::User, B::Write, D::Concurrent),
            Self::List { .. } => Metadata::new(S::User, B::Read, D::Concurrent),
        }
    }
}

/// The users whom the caller has blocked, sorted by name.
#[derive(Clone, Debug)]
pub struct BlockReply(pub Page<Profile>);

impl BlockReply {
    pub(crate) fn cost(&self) -> usize {
        weight::rows(&self.0.items, |profile| ROW + weight::member(profile))
    }
}
