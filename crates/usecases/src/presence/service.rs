//! Presence: runs the commands of this area.

use super::command::PresenceCommand;
use super::typing_table::TypingTable;
use crate::blocks::hidden::hidden_from;
use crate::caller::Caller;
use crate::command::Reply;
use crate::limits::Limits;
use crate::ports::{
    Blocks, Clock, ConnectionRegistry, Directory, EventBus, Messages, Ports, PresenceStore,
};
use crate::profiles::Profiles;
use crate::refusal::Refusal;
use crate::settings::{Identity, Settings};
use crate::shared::Shared;
use crate::user_locks::UserLocks;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

pub(crate) struct PresenceService {
    pub(super) store: Arc<dyn PresenceStore>,
    pub(super) connections: Arc<dyn ConnectionRegistry>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) messages: Arc<dyn Messages>,
    pub(super) blocks: Arc<dyn Blocks>,
    pub(super) bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    pub(super) limits: Arc<Limits>,
    pub(super) locks: Arc<UserLocks>,
    pub(super) profiles: Arc<Profiles>,
    pub(super) typing: Arc<TypingTable>,
    pub(super) identity: Identity,
    pub(super) watch_limit: usize,
}

impl PresenceService {
    pub(crate) fn new(ports: &Ports, settings: &Settings, shared: &Shared) -> Self {
        Self {
            store: Arc::clone(&ports.presence),
            connections: Arc::clone(&ports.connections),
            directory: Arc::clone(&ports.directory),
            messages: Arc::clone(&ports.messages),
            blocks: Arc::clone(&ports.blocks),
            bus: Arc::clone(&ports.bus),
            clock: Arc::clone(&ports.clock),
            limits: Arc::clone(&shared.limits),
            locks: Arc::clone(&shared.locks),
            profiles: Arc::clone(&shared.profiles),
            typing: Arc::clone(&shared.typing),
            identity: settings.identity,
            watch_limit: settings.watch_limit,
        }
    }

    pub(crate) async fn handle(
        &self,
        caller: &Caller,
        command: PresenceCommand,
    ) -> Result<Reply, Refusal> {
        match command {
            // Joins are boxed, since they are large and rare: see `Handler::dispatch`.
            PresenceCommand::Join {
                user,
                mode,
                name,
                avatar_url,
            } => Box::pin(self.join(caller, user, mode, name, avatar_url)).await,
            PresenceCommand::Heartbeat { active } => self.heartbeat(caller, active).await,
            PresenceCommand::Resume => Box::pin(self.resume(caller)).await,
            PresenceCommand::Leave { reason } => self.leave(caller, reason).await,
            PresenceCommand::SignOut => self.sign_out(caller).await,
            PresenceCommand::SetStatus(chosen) => Box::pin(self.set_status(caller, chosen)).await,
            PresenceCommand::SetActivity(activity) => self.set_activity(caller, activity).await,
            PresenceCommand::Watch(users) => self.watch(caller, users).await,
            PresenceCommand::Unwatch(users) => self.unwatch(caller, &users),
            PresenceCommand::Typing {
                conversation,
                is_typing,
            } => self.set_typing(caller, conversation, is_typing).await,
            PresenceCommand::ListOnline {
                exclude,
                count_only,
                cursor,
                limit,
            } => {
                self.list_online(caller, exclude, count_only, cursor.as_deref(), limit)
                    .await
            }
        }
    }

    /// Hides from the sockets of a user those who look offline to them because of a block.
    pub(super) async fn hide(&self, user: &UserId) -> Result<(), Refusal> {
        let ticket = self.connections.hidden_ticket();
        let users = std::slice::from_ref(user);
        let mut hidden = hidden_from(&*self.blocks, self.identity, users).await?;
        let hidden = hidden.remove(user).unwrap_or_default();
        self.connections.hide(user, ticket, hidden);
        Ok(())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}
