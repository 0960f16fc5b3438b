//! The sender of a command.

use crate::refusal::Refusal;
use lamplight_domain::identity::{ConnectionId, UserId};
use std::net::IpAddr;
use std::sync::Arc;

/// The identity of a caller, as far as the transport verified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// No credentials, or ones that were not verified.
    Anonymous,
    /// A user with a verified token or cookie.
    User(UserId),
    /// A user id that the client named and nothing verified: `AUTH=open` only.
    UnverifiedUser(UserId),
    /// The host application, authenticated by the server key.
    Service,
}

/// A caller: the principal, and where the command came from.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    /// The socket that the command came by; over HTTP the socket that the caller names as theirs.
    pub session: Option<ConnectionId>,
    pub address: Option<IpAddr>,
    /// The digest of the local session's token, if that token authenticated the caller.
    pub credential: Option<Arc<str>>,
}

impl Caller {
    /// The calling user.
    ///
    /// # Errors
    /// `unauthenticated` for an anonymous caller, `forbidden` for the host application, which has
    /// no conversations.
    pub fn user(&self) -> Result<&UserId, Refusal> {
        match &self.principal {
            Principal::User(user) | Principal::UnverifiedUser(user) => Ok(user),
            Principal::Anonymous => Err(Refusal::unauthenticated()),
            Principal::Service => Err(Refusal::not_a_user()),
        }
    }

    /// The calling user, or [`UserId::host`] for the host application.
    ///
    /// # Errors
    /// `unauthenticated` for an anonymous caller.
    pub fn user_or_host(&self) -> Result<UserId, Refusal> {
        match &self.principal {
            Principal::Service => Ok(UserId::host()),
            _ => self.user().cloned(),
        }
    }

    /// The calling user, if a token or cookie proved the user id.
    ///
    /// # Errors
    /// `unauthenticated` for every other caller.
    pub fn verified_user(&self) -> Result<&UserId, Refusal> {
        match &self.principal {
            Principal::User(user) => Ok(user),
            _ => Err(Refusal::unauthenticated()),
        }
    }

    /// The calling user and the socket, for commands that only a socket can send.
    ///
    /// # Errors
    /// As [`Caller::user`], and `invalid` where there is no socket.
    pub fn on_socket(&self) -> Result<(&UserId, &ConnectionId), Refusal> {
        let user = self.user()?;
        let session = self
            .session
            .as_ref()
            .ok_or_else(|| Refusal::invalid("Only a socket can send this."))?;
        Ok((user, session))
    }
}
