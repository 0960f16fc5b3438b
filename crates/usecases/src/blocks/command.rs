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
    /// Who may send it, what it counts against, and how it is ordered.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        use {Budget as B, Dispatch as D, Scope as S};
        match self {
            Self::Block(_) | Self::Unblock(_) => Metadata::new(S::User, B::Write, D::Concurrent),
            Self::List { .. } => Metadata::new(S::User, B::Read, D::Concurrent),
        }
    }
}

/// Those whom the caller has blocked, by their names.
#[derive(Clone, Debug)]
pub struct BlockReply(pub Page<Profile>);

impl BlockReply {
    pub(crate) fn cost(&self) -> usize {
        weight::rows(&self.0.items, |profile| ROW + weight::member(profile))
    }
}
