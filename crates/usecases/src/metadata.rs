//! The metadata of a command: its scope (who may send it), its budget (the quota that it counts
//! against) and its dispatch (its order among the commands of one socket). Each area defines it
//! beside its commands.

use crate::caller::{Caller, Principal};
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;

/// The properties of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub scope: Scope,
    pub budget: Budget,
    pub dispatch: Dispatch,
}

impl Metadata {
    /// The properties in the order in which they are checked.
    #[must_use]
    pub const fn new(scope: Scope, budget: Budget, dispatch: Dispatch) -> Self {
        Self {
            scope,
            budget,
            dispatch,
        }
    }
}

/// Who may send a command. The use case still authorizes the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every caller; the use case has rules of its own.
    Anyone,
    /// A user or the host application; with `AUTH=open`, every caller.
    Reader,
    /// A user.
    User,
    /// A user, over a socket.
    Connection,
    /// A user with a verified token or cookie, where accounts are local.
    AccountOwner,
    /// The host application.
    Service,
}

impl Scope {
    /// Refuses a caller outside this scope.
    ///
    /// # Errors
    /// `unauthenticated`, `forbidden` or `invalid`; `not_found` for an account where the server has
    /// none.
    pub fn check(self, caller: &Caller, identity: Identity) -> Result<(), Refusal> {
        match self {
            Self::Anyone => Ok(()),
            Self::Reader => {
                if caller.principal == Principal::Anonymous && identity != Identity::Open {
                    return Err(Refusal::unauthenticated());
                }
                Ok(())
            }
            Self::User => caller.user().map(drop),
            Self::Connection => caller.on_socket().map(drop),
            Self::AccountOwner => {
                identity.local_accounts()?;
                caller.verified_user().map(drop)
            }
            Self::Service => match caller.principal {
                Principal::Service => Ok(()),
                Principal::Anonymous => Err(Refusal::new(
                    Code::Unauthenticated,
                    "This needs the server key.",
                )),
                _ => Err(Refusal::new(Code::Forbidden, "This needs the server key.")),
            },
        }
    }
}

/// The quota that a command counts against. Every command has one, so that a new command states how
/// often it may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// A read of any size: counted by `LIMIT_READS`, charged by the bytes of its reply, a few at a
    /// time, and behind what is more urgent.
    Read,
    /// One small read: counted by `LIMIT_READS`.
    Lookup,
    /// One small write: counted with the other writes of its user.
    Write,
    /// A write that is announced to everyone: counted as a write, and by a limit of its own.
    Change,
    /// Limits that the use case checks itself.
    Own,
    /// Unlimited: it needs the server key.
    Service,
    /// Unlimited: no client can send it, or no more than once.
    Internal,
}

/// How a command is ordered among the commands of its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// The next command need not wait for it.
    Concurrent,
    /// The next command waits until it is done: the next one may need its result, or would
    /// overtake it.
    Serial,
    /// As [`Dispatch::Serial`], and cancelled when the socket closes, because its reply may be long
    /// and has no receiver then.
    SerialCancelOnClose,
}
