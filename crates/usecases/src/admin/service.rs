//! The host application: runs the commands of this area.

use super::command::AdminCommand;
use crate::accounts::ended::EndedSessions;
use crate::command::Reply;
use crate::ports::{Accounts, Clock, Directory, EventBus, Messages, Ports};
use crate::profiles::Profiles;
use crate::refusal::Refusal;
use crate::settings::{Identity, Settings};
use crate::shared::Shared;
use crate::user_locks::UserLocks;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

pub(crate) struct AdminService {
    pub(super) messages: Arc<dyn Messages>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) bus: Arc<dyn EventBus>,
    pub(super) ended: Arc<EndedSessions>,
    clock: Arc<dyn Clock>,
    pub(super) locks: Arc<UserLocks>,
    pub(super) profiles: Arc<Profiles>,
    pub(super) identity: Identity,
    /// The most members of a conversation.
    pub(super) group_limit: usize,
}

impl AdminService {
    pub(crate) fn new(ports: &Ports, settings: &Settings, shared: &Shared) -> Self {
        Self {
            messages: Arc::clone(&ports.messages),
            directory: Arc::clone(&ports.directory),
            accounts: Arc::clone(&ports.accounts),
            bus: Arc::clone(&ports.bus),
            ended: Arc::clone(&shared.ended),
            clock: Arc::clone(&ports.clock),
            locks: Arc::clone(&shared.locks),
            profiles: Arc::clone(&shared.profiles),
            identity: settings.identity,
            group_limit: settings.group_limit,
        }
    }

    pub(crate) async fn handle(&self, command: AdminCommand) -> Result<Reply, Refusal> {
        match command {
            AdminCommand::PutConversation {
                conversation,
                members,
            } => self.put_conversation(&conversation, members).await,
            AdminCommand::PutProfile(profile) => self.put_profile(profile).await,
            AdminCommand::SignOut(user) => self.sign_out(&user).await,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}
