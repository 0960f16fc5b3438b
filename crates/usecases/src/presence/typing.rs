//! `typing`: sends a notice to the other members; a notice that is not repeated expires.

use super::service::PresenceService;
use super::typing_table::Notice;
use crate::caller::Caller;
use crate::command::Reply;
use crate::conversations::members::members_for;
use crate::deadline;
use crate::ports::BlockState;
use crate::refusal::Refusal;
use lamplight_domain::conversation::Members;
use lamplight_domain::identity::{ConversationId, UserId};

/// How often a notice is tried while blocks are being made.
const ATTEMPTS: usize = 3;

impl PresenceService {
    pub(super) async fn set_typing(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        is_typing: bool,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        self.limits.typing(user)?;
        let to = members_for(&*self.messages, user, &conversation).await?;
        if !is_typing {
            match self.block_state(user, &conversation, &to).await? {
                // Its end does not pass a block either.
                BlockState::Blocked => drop(self.typing.remove(user, &conversation)),
                BlockState::Open | BlockState::Group => self.typing.stop(user, conversation, to),
            }
            return Ok(Reply::Done);
        }
        for _ in 0..ATTEMPTS {
            let blocks_made = self.typing.blocks_made();
            let state = self.block_state(user, &conversation, &to).await?;
            // Accept a typing notice of a blocked or invisible user without publishing it.
            if state == BlockState::Blocked
                || deadline::store(self.store.is_invisible(user)).await?
            {
                break;
            }
            let notice = Notice {
                to: Members::clone(&to),
                session: caller.session.clone(),
                is_direct: state == BlockState::Open,
            };
            // Otherwise a block was made meanwhile, perhaps after it was looked for.
            if self.typing.start(user, &conversation, notice, blocks_made) {
                break;
            }
        }
        Ok(Reply::Done)
    }

    async fn block_state(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        members: &[UserId],
    ) -> Result<BlockState, Refusal> {
        if members.len() != 2 {
            return Ok(BlockState::Group);
        }
        deadline::store(self.blocks.block_state(user, conversation)).await
    }
}
