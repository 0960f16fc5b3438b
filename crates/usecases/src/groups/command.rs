//! The commands of groups and the replies to them.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use crate::ports::Page;
use crate::weight;
use lamplight_domain::conversation::Member;
use lamplight_domain::entry::Entry;
use lamplight_domain::group::{GroupAction, History};
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::message::SendKey;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum GroupCommand {
    /// Makes a group of the caller and others.
    Make {
        /// The caller may be among them.
        members: Vec<UserId>,
        name: Option<Arc<str>>,
        avatar_url: Option<Arc<str>>,
        history: History,
        /// The key that makes a repetition answer with the group that is there.
        client_id: Option<Arc<str>>,
    },
    /// Changes a group: by a member, or by the host application.
    Change {
        conversation: ConversationId,
        action: GroupAction,
        /// The key that makes a repeated change a duplicate.
        key: Option<SendKey>,
    },
    Members {
        conversation: ConversationId,
        cursor: Option<String>,
        limit: usize,
    },
}

/// The fields of [`GroupCommand::Make`].
pub(super) struct Wanted {
    pub(super) members: Vec<UserId>,
    pub(super) name: Option<Arc<str>>,
    pub(super) avatar_url: Option<Arc<str>>,
    pub(super) history: History,
    pub(super) client_id: Option<Arc<str>>,
}

impl GroupCommand {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        use {Budget as B, Dispatch as D, Scope as S};
        match self {
            Self::Make { .. } => Metadata::new(S::User, B::Own, D::Concurrent),
            Self::Change { .. } => Metadata::new(S::Reader, B::Own, D::Concurrent),
            Self::Members { .. } => Metadata::new(S::Reader, B::Read, D::Concurrent),
        }
    }
}

#[derive(Clone, Debug)]
pub enum GroupReply {
    Changed {
        /// The new entry, or the one that made the state which the change asks for, if one did.
        entry: Option<Arc<Entry>>,
        /// The change was stored before, or would change nothing.
        duplicate: bool,
    },
    Members(Page<Member>),
}

impl GroupReply {
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Changed { entry, .. } => entry.as_deref().map_or(0, weight::entry),
            Self::Members(page) => weight::rows(&page.items, |one| weight::member(&one.profile)),
        }
    }
}
