//! The operator's settings.

use crate::quotas::Quotas;
use crate::refusal::{Code, Refusal};
use std::time::Duration;

/// How users authenticate: `AUTH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Accounts that Lamplight stores.
    Local,
    /// Tokens of the host application.
    Jwt,
    /// None: the server believes the user id that a client names.
    Open,
}

impl Identity {
    /// Refuses commands that need accounts of Lamplight.
    ///
    /// # Errors
    /// `not_found` where there are none.
    pub fn local_accounts(self) -> Result<(), Refusal> {
        if self == Self::Local {
            return Ok(());
        }
        Err(Refusal::new(
            Code::NotFound,
            "This server has no accounts, since it does not run with AUTH=local: your application signs users in and out.",
        ))
    }
}

/// The settings of the use cases.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub identity: Identity,
    pub quotas: Quotas,
    /// How long a local session lasts.
    pub session_life: Duration,
    /// The most sessions of one account; 0 for no limit.
    pub max_sessions: usize,
    /// Whether anyone may create an account, or only a caller with the server key.
    pub is_registration_open: bool,
    /// The most users one socket may watch; 0 for no limit.
    pub watch_limit: usize,
    /// The most members of a group.
    pub group_limit: usize,
    /// How long after it was sent a message can be edited; `None` for ever.
    pub edit_window: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            identity: Identity::Local,
            quotas: Quotas::default(),
            session_life: Duration::from_secs(30 * 24 * 3_600),
            max_sessions: 20,
            is_registration_open: true,
            watch_limit: 1_000,
            group_limit: 1_000,
            edit_window: None,
        }
    }
}
