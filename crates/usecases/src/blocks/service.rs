//! Blocks: runs the commands of this area.

use super::command::{BlockCommand, BlockReply};
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::{BlockOutcome, Blocks, Clock, Directory, EventBus, Ports};
use crate::presence::typing_table::TypingTable;
use crate::refusal::{Code, Refusal};
use crate::settings::{Identity, Settings};
use crate::shared::Shared;
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;
use std::sync::Arc;

/// The most users that one user blocks.
const MOST_BLOCKED: usize = 1_000;

pub(crate) struct BlockService {
    blocks: Arc<dyn Blocks>,
    directory: Arc<dyn Directory>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    identity: Identity,
    typing: Arc<TypingTable>,
}

impl BlockService {
    pub(crate) fn new(ports: &Ports, settings: &Settings, shared: &Shared) -> Self {
        Self {
            blocks: Arc::clone(&ports.blocks),
            directory: Arc::clone(&ports.directory),
            bus: Arc::clone(&ports.bus),
            clock: Arc::clone(&ports.clock),
            identity: settings.identity,
            typing: Arc::clone(&shared.typing),
        }
    }

    pub(crate) async fn handle(
        &self,
        caller: &Caller,
        command: BlockCommand,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        match command {
            BlockCommand::Block(other) => self.block(user, &other).await,
            BlockCommand::Unblock(other) => {
                deadline::store(self.blocks.unblock(user, &other)).await?;
                self.bus.publish(Event::BlockersChanged { user: other });
                Ok(Reply::Done)
            }
            BlockCommand::List { cursor, limit } => {
                let page = self.blocks.blocked_by(user, cursor.as_deref(), limit);
                Ok(Reply::Blocks(BlockReply(deadline::store(page).await?)))
            }
        }
    }

    async fn block(&self, user: &UserId, other: &UserId) -> Result<Reply, Refusal> {
        if user == other {
            return Err(Refusal::invalid("You cannot block yourself."));
        }
        // Otherwise the host application knows its users, and the store makes a bare profile.
        if self.identity == Identity::Local
            && deadline::store(self.directory.person(other))
                .await?
                .is_none()
        {
            return Err(Refusal::new(Code::NotFound, "There is no such user."));
        }
        let now = self.clock.now().wall;
        // Before the block takes effect: no event passes after that.
        self.end_typing(user, other, true);
        let outcome = self.blocks.block(user, other, MOST_BLOCKED, now);
        match deadline::store(outcome).await? {
            BlockOutcome::Blocked => {
                self.end_typing(user, other, false);
                let user = other.clone();
                self.bus.publish(Event::BlockersChanged { user });
                Ok(Reply::Done)
            }
            BlockOutcome::Deleted => Err(Refusal::deleted_account()),
            BlockOutcome::TooMany => Err(Refusal::invalid(format!(
                "You have blocked {MOST_BLOCKED} users. Unblock one of them first."
            ))),
        }
    }

    /// Ends the typing of two people in their direct conversations, on all nodes that have
    /// connections of theirs.
    fn end_typing(&self, user: &UserId, other: &UserId, is_published: bool) {
        self.typing.end_between(user, other, is_published);
        self.bus.publish(Event::TypingEnds {
            between: [user.clone(), other.clone()],
            is_published,
        });
    }
}
