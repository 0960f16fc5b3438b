//! The commands of the host application and the replies to them.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use lamplight_domain::identity::{ConversationId, Profile, UserId};

/// Commands of the host application, authenticated by the server key.
#[derive(Clone, Debug)]
pub enum AdminCommand {
    /// Creates a conversation under the host application's id, or replaces its members.
    PutConversation {
        conversation: ConversationId,
        members: Vec<UserId>,
    },
    PutProfile(Profile),
    /// Ends a user's sessions and connections everywhere.
    SignOut(UserId),
}

impl AdminCommand {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        match self {
            Self::PutConversation { .. } | Self::PutProfile(_) | Self::SignOut(_) => {
                Metadata::new(Scope::Service, Budget::Service, Dispatch::Concurrent)
            }
        }
    }
}

#[derive(Clone, Debug)]
pub enum AdminReply {
    /// The profile in force.
    Profile(Profile),
}
