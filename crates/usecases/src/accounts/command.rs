//! The commands of accounts and the replies to them.

use crate::metadata::{Budget, Dispatch, Metadata, Scope};
use crate::ports::Page;
use crate::weight;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::presence::{Privacy, PrivacyChange};
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

/// Local accounts and their sessions, and the directory of users.
#[derive(Clone, Debug)]
pub enum AccountCommand {
    Register {
        username: String,
        password: String,
        /// The display name; without one, the user name.
        name: Option<String>,
    },
    Login {
        username: String,
        password: String,
    },
    /// Ends the session of the caller's credential.
    Logout,
    /// Ends every session of the caller's account.
    LogoutAll,
    ChangePassword {
        current: String,
        next: String,
    },
    /// Changes the caller's profile; a field left out stays as it is.
    Update {
        name: Option<Arc<str>>,
        /// `Some(None)` removes the picture.
        avatar_url: Option<Option<Arc<str>>>,
    },
    /// Deletes the caller's account, and the user's messages if the caller wants that.
    Delete {
        password: String,
        erases_messages: bool,
    },
    /// The caller's privacy settings.
    Settings,
    /// Changes the caller's privacy settings.
    SetSettings(PrivacyChange),
    WhoAmI,
    /// The profile of a user, with the user name of their account.
    Find(UserId),
    /// Lists or searches the directory of users.
    ListUsers {
        /// Part of a name or an id; empty for everyone.
        query: String,
        cursor: Option<String>,
        limit: usize,
    },
}

impl AccountCommand {
    /// Its scope, budget and dispatch.
    #[must_use]
    pub const fn metadata(&self) -> Metadata {
        use {Budget as B, Dispatch as D, Scope as S};
        match self {
            Self::Register { .. } | Self::Login { .. } => {
                Metadata::new(S::Anyone, B::Own, D::Concurrent)
            }
            // A session ends once.
            Self::Logout => Metadata::new(S::AccountOwner, B::Internal, D::Concurrent),
            Self::LogoutAll | Self::Update { .. } => {
                Metadata::new(S::AccountOwner, B::Write, D::Concurrent)
            }
            Self::ChangePassword { .. } | Self::Delete { .. } => {
                Metadata::new(S::AccountOwner, B::Own, D::Concurrent)
            }
            Self::Settings => Metadata::new(S::User, B::Lookup, D::Concurrent),
            Self::SetSettings(_) => Metadata::new(S::User, B::Change, D::Concurrent),
            Self::WhoAmI => Metadata::new(S::AccountOwner, B::Lookup, D::Concurrent),
            Self::Find(_) | Self::ListUsers { .. } => {
                Metadata::new(S::User, B::Read, D::Concurrent)
            }
        }
    }
}

#[derive(Clone, Debug)]
pub enum AccountReply {
    SignedIn {
        user: Profile,
        /// The session's token.
        token: String,
        expires: Timestamp,
    },
    /// The profile of the account.
    User(Profile),
    /// The profile of a user, and with local accounts the user name.
    Found {
        user: Profile,
        username: Option<String>,
    },
    /// The caller's privacy settings.
    Settings(Privacy),
    /// A page of the directory.
    Users(Page<Profile>),
}

impl AccountReply {
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Users(page) => weight::rows(&page.items, weight::member),
            Self::Found { user, .. } => weight::member(user),
            Self::SignedIn { .. } | Self::User(_) | Self::Settings(_) => 0,
        }
    }
}
