//! Conversations: runs the commands of this area.

use super::command::ConversationCommand;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::limits::Limits;
use crate::ports::{Blocks, Clock, Directory, EventBus, Ids, Messages, Ports};
use crate::profiles::Profiles;
use crate::refusal::Refusal;
use crate::settings::{Identity, Settings};
use crate::shared::Shared;
use lamplight_domain::conversation::{ConversationDetails, ConversationSummary};
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

pub(crate) struct ConversationService {
    pub(super) messages: Arc<dyn Messages>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) blocks: Arc<dyn Blocks>,
    pub(super) bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) limits: Arc<Limits>,
    pub(super) profiles: Arc<Profiles>,
    pub(super) identity: Identity,
}

impl ConversationService {
    pub(crate) fn new(ports: &Ports, settings: &Settings, shared: &Shared) -> Self {
        Self {
            messages: Arc::clone(&ports.messages),
            directory: Arc::clone(&ports.directory),
            blocks: Arc::clone(&ports.blocks),
            bus: Arc::clone(&ports.bus),
            clock: Arc::clone(&ports.clock),
            ids: Arc::clone(&ports.ids),
            limits: Arc::clone(&shared.limits),
            profiles: Arc::clone(&shared.profiles),
            identity: settings.identity,
        }
    }

    pub(crate) async fn handle(
        &self,
        caller: &Caller,
        command: ConversationCommand,
    ) -> Result<Reply, Refusal> {
        match command {
            ConversationCommand::Open(other) => self.open(caller, &other).await,
            ConversationCommand::List {
                filter,
                cursor,
                limit,
            } => self.list(caller, filter, cursor.as_deref(), limit).await,
            ConversationCommand::View(conversation) => self.view(caller, &conversation).await,
            ConversationCommand::Set {
                conversation,
                change,
            } => self.set(caller, &conversation, change).await,
            // The server stores nothing about which conversation a user views.
            ConversationCommand::Unview(_) => Ok(Reply::Done),
        }
    }

    pub(crate) async fn summary(
        &self,
        user: &UserId,
        conversation: &ConversationId,
    ) -> Result<Option<ConversationSummary>, Refusal> {
        deadline::store(self.messages.summary(user, conversation)).await
    }

    pub(crate) async fn details(
        &self,
        conversation: &ConversationId,
    ) -> Result<Option<ConversationDetails>, Refusal> {
        deadline::store(self.messages.details(conversation)).await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}
