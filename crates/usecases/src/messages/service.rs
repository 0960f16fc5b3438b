//! Messages: runs the commands of this area.

use super::command::MessageCommand;
use super::mark_writer::MarkWriter;
use crate::caller::Caller;
use crate::command::Reply;
use crate::limits::Limits;
use crate::ports::{Clock, ConnectionRegistry, EventBus, Ids, Messages, Ports};
use crate::presence::typing_table::TypingTable;
use crate::refusal::Refusal;
use crate::shared::Shared;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

pub(crate) struct MessageService {
    pub(super) messages: Arc<dyn Messages>,
    pub(super) bus: Arc<dyn EventBus>,
    connections: Arc<dyn ConnectionRegistry>,
    clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) limits: Arc<Limits>,
    pub(super) marks: Arc<MarkWriter>,
    pub(super) typing: Arc<TypingTable>,
}

impl MessageService {
    pub(crate) fn new(ports: &Ports, shared: &Shared) -> Self {
        Self {
            messages: Arc::clone(&ports.messages),
            bus: Arc::clone(&ports.bus),
            connections: Arc::clone(&ports.connections),
            clock: Arc::clone(&ports.clock),
            ids: Arc::clone(&ports.ids),
            limits: Arc::clone(&shared.limits),
            marks: Arc::clone(&shared.marks),
            typing: Arc::clone(&shared.typing),
        }
    }

    pub(crate) async fn handle(
        &self,
        caller: &Caller,
        command: MessageCommand,
    ) -> Result<Reply, Refusal> {
        match command {
            MessageCommand::Send {
                conversation,
                content,
                key,
                temp_id,
            } => {
                self.send(caller, conversation, &content, key, temp_id)
                    .await
            }
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
                self.sync(caller, have, refused).await
            }
            MessageCommand::History {
                conversation,
                range,
                limit,
            } => self.history(caller, &conversation, range, limit).await,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}
