//! Messages: runs the commands of this area.

use super::command::{MessageCommand, Sending};
use super::mark_writer::MarkWriter;
use crate::caller::Caller;
use crate::command::Reply;
use crate::limits::Limits;
use crate::ports::{Clock, ConnectionRegistry, EventBus, Files, Ids, Messages, Ports};
use crate::presence::typing_table::TypingTable;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::shared::Shared;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct MessageService {
    pub(super) messages: Arc<dyn Messages>,
    pub(super) files: Arc<dyn Files>,
    pub(super) bus: Arc<dyn EventBus>,
    connections: Arc<dyn ConnectionRegistry>,
    clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) limits: Arc<Limits>,
    pub(super) marks: Arc<MarkWriter>,
    pub(super) typing: Arc<TypingTable>,
    /// See [`Settings::edit_window`].
    pub(super) edit_window: Option<Duration>,
}

impl MessageService {
    pub(crate) fn new(ports: &Ports, shared: &Shared, settings: &Settings) -> Self {
        Self {
            messages: Arc::clone(&ports.messages),
            files: Arc::clone(&ports.files),
            bus: Arc::clone(&ports.bus),
            connections: Arc::clone(&ports.connections),
            clock: Arc::clone(&ports.clock),
            ids: Arc::clone(&ports.ids),
            limits: Arc::clone(&shared.limits),
            marks: Arc::clone(&shared.marks),
            typing: Arc::clone(&shared.typing),
            edit_window: settings.edit_window,
        }
    }

    pub(crate) async fn handle(
        &self,
        caller: &Caller,
        command: MessageCommand,
    ) -> Result<Reply, Refusal> {
        // Box the futures of everything less frequent than a send, for the reason given at
        // `Handler::dispatch`.
        match command {
            MessageCommand::Send {
                conversation,
                content,
                reply_to,
                mentions,
                attachments,
                key,
                temp_id,
            } => {
                let sending = Sending {
                    conversation,
                    content,
                    reply_to,
                    mentions,
                    attachments,
                    key,
                    temp_id,
                };
                self.send(caller, sending).await
            }
            MessageCommand::Change {
                conversation,
                message,
                change,
                key,
            } => Box::pin(self.change(caller, conversation, message, change, key)).await,
            MessageCommand::MarkRead { conversation, seq } => {
                self.mark_read(caller, &conversation, seq).await
            }
            MessageCommand::Sync { have, refused } => {
                // With a token, a socket may sync before it joins.
                if let Ok((user, _)) = caller.on_socket()
                    && let Some(attached) = self.connections.attached(user)
                {
                    attached.await;
                }
                Box::pin(self.sync(caller, have, refused)).await
            }
            MessageCommand::History {
                conversation,
                range,
                limit,
            } => Box::pin(self.history(caller, &conversation, range, limit)).await,
            MessageCommand::Files {
                conversation,
                kinds,
                cursor,
                limit,
            } => {
                let cursor = cursor.as_deref();
                Box::pin(self.files(caller, &conversation, &kinds, cursor, limit)).await
            }
            MessageCommand::Pinned {
                conversation,
                before,
                limit,
            } => Box::pin(self.pinned(caller, &conversation, before, limit)).await,
            MessageCommand::SeqAt { conversation, at } => {
                Box::pin(self.seq_at(caller, &conversation, at)).await
            }
            MessageCommand::Entries {
                conversation,
                range,
                limit,
            } => Box::pin(self.entries(caller, &conversation, range, limit)).await,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}
