//! State that several areas share.

use crate::accounts::ended::EndedSessions;
use crate::limits::Limits;
use crate::messages::mark_writer::MarkWriter;
use crate::ports::Ports;
use crate::presence::typing_table::TypingTable;
use crate::profiles::Profiles;
use crate::settings::Settings;
use crate::user_locks::UserLocks;
use std::sync::Arc;

/// Components that more than one area uses.
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    pub(crate) locks: Arc<UserLocks>,
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) typing: Arc<TypingTable>,
    pub(crate) marks: Arc<MarkWriter>,
    pub(crate) ended: Arc<EndedSessions>,
}

impl Shared {
    pub(crate) fn new(ports: &Ports, settings: &Settings) -> Self {
        let limits = Arc::new(Limits::new(
            settings.quotas,
            &ports.clock,
            ports.shared_limits.as_ref(),
        ));
        let locks = Arc::new(UserLocks::new());
        Self {
            profiles: Arc::new(Profiles::new(ports, &limits, &locks)),
            typing: Arc::new(TypingTable::new(&ports.clock, &ports.bus)),
            marks: Arc::new(MarkWriter::new(ports)),
            ended: Arc::new(EndedSessions::new(
                &ports.accounts,
                &ports.bus,
                ports.shared_sign_outs.clone(),
                settings,
            )),
            limits,
            locks,
        }
    }
}
