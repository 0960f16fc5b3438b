//! The commands of presence and the replies to them.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use crate::ports::WatchedPresence;
use crate::weight;
use lamplight_domain::identity::{ConnectionId, ConversationId, Profile, UserId};
use lamplight_domain::presence::{Activity, OfflineReason, Presence, StatusOverride};
use lamplight_domain::roster_feed::Mode;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

/// Who is online, and what they do.
#[derive(Clone, Debug)]
pub enum PresenceCommand {
    /// Announces the user of a socket.
    Join {
        user: UserId,
        /// How much of the roster the socket receives.
        mode: Mode,
        /// The name that the client sent: `AUTH=open` only.
        name: Option<Arc<str>>,
        /// The picture that the client sent: `AUTH=open` only.
        avatar_url: Option<Arc<str>>,
    },
    /// Says whether the user is at the device.
    Heartbeat {
        active: bool,
    },
    /// The connection of a socket that had joined was recovered: the socket kept everything except
    /// its session in the presence store.
    Resume,
    /// The socket's connection was lost or closed.
    Leave {
        reason: OfflineReason,
    },
    /// The user signed out on this socket's device.
    SignOut,
    SetStatus(StatusOverride),
    SetActivity(Option<Activity>),
    Watch(Vec<UserId>),
    Unwatch(Vec<UserId>),
    /// The user started or stopped typing.
    Typing {
        conversation: ConversationId,
        is_typing: bool,
    },
    /// Lists or counts who is online.
    ListOnline {
        exclude: Option<UserId>,
        count_only: bool,
        cursor: Option<String>,
        limit: usize,
    },
}

impl PresenceCommand {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        use {Budget as B, Dispatch as D, Scope as S};
        match self {
            Self::Join { .. } => Metadata::new(S::Anyone, B::Own, D::Serial),
            Self::Heartbeat { .. } => Metadata::new(S::Connection, B::Lookup, D::Concurrent),
            Self::Resume | Self::Leave { .. } | Self::SignOut => {
                Metadata::new(S::Connection, B::Internal, D::Concurrent)
            }
            Self::SetStatus(_) => Metadata::new(S::User, B::Change, D::Serial),
            Self::SetActivity(_) => Metadata::new(S::Connection, B::Change, D::Serial),
            Self::Watch(_) => Metadata::new(S::Connection, B::Read, D::Serial),
            Self::Unwatch(_) => Metadata::new(S::Connection, B::Lookup, D::Concurrent),
            Self::Typing { .. } => Metadata::new(S::User, B::Own, D::Serial),
            Self::ListOnline { .. } => Metadata::new(S::Reader, B::Read, D::Concurrent),
        }
    }
}

#[derive(Clone, Debug)]
pub enum PresenceReply {
    Joined {
        user: Profile,
        session: ConnectionId,
        mode: Mode,
        /// The manual status in force, which another device of the user may have set.
        chosen: StatusOverride,
    },
    /// The manual status in force.
    Status(StatusOverride),
    Watching {
        /// The states of the users watched; for those offline, with when they were last seen.
        users: Vec<(WatchedPresence, Option<Timestamp>)>,
        /// Users online whose states would make the reply too long: they follow as changes.
        later: Vec<UserId>,
        /// The weight of the states that follow.
        later_weight: usize,
    },
    Online {
        users: Vec<Arc<Presence>>,
        /// How many are online, on all pages.
        count: usize,
        /// The cursor of the next page.
        next: Option<String>,
        /// The list is this node's own view, because the shared store is unreachable.
        degraded: bool,
    },
    OnlineCount {
        count: usize,
        /// As in [`PresenceReply::Online`].
        degraded: bool,
    },
}

impl PresenceReply {
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Watching {
                users,
                later_weight,
                ..
            } => weight::rows(users, |(one, _)| weight::watched(one)) + later_weight,
            Self::Online { users, .. } => weight::rows(users, |shown| weight::presence(shown)),
            Self::Joined { .. } | Self::Status(_) | Self::OnlineCount { .. } => 0,
        }
    }
}
