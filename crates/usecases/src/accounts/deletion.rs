//! Deletes accounts. What takes longer than one transaction, any node does afterwards, in steps that
//! can be repeated: it tells those who share conversations with the user, leaves the groups, and erases
//! messages if that was asked for. A step that fails, or whose process ends, is done again.

use super::service::AccountService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::{AppendError, Deletion, GroupError, NewDeletion, StoreError, StoreResult};
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use crate::throttle::{self, Due};
use futures_util::future::join_all;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::event::Event;
use lamplight_domain::group::{GroupAction, GroupWrite};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use std::time::Duration;

/// How often a node looks for deletions that another one left behind.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long a node has a deletion to itself. Each step begins this time anew.
const CLAIM_MS: i64 = 10_000;
/// Entries that one step looks through.
const ENTRIES_AT_ONCE: usize = 2_000;
/// Messages that are erased together.
const MESSAGES_AT_ONCE: usize = 32;
/// Groups that one step leaves.
const GROUPS_AT_ONCE: usize = 16;
/// The pause between two steps, in which others write.
const PAUSE: Duration = Duration::from_millis(10);
/// The pause after messages that were erased together: everyone in their conversations is told of each.
const PAUSE_AFTER_MESSAGES: Duration = Duration::from_millis(100);

impl AccountService {
    /// Deletes the caller's account, and ends its sessions.
    pub(super) async fn delete(
        &self,
        caller: &Caller,
        password: String,
        erases_messages: bool,
    ) -> Result<Reply, Refusal> {
        let user = caller.verified_user()?;
        let wrong = || Refusal::new(Code::Forbidden, "The password is wrong.");
        let verified = self.verify_owner(caller, user, password).await?;
        let deletion = NewDeletion {
            user: user.clone(),
            password_hash: verified.ok_or_else(wrong)?.hash,
            erases_messages,
            at: self.now(),
        };
        let deleted = self.locks.with(user, async {
            deadline::store(self.accounts.delete(deletion)).await
        });
        let ended = deleted.await?.ok_or_else(wrong)?;
        self.ended.publish_stored(user, ended);
        self.profiles.forget(user);
        self.deletion_added.notify_one();
        self.reach_other_nodes().await;
        Ok(Reply::Done)
    }

    /// Does what is left to do for deleted accounts, for as long as it is polled.
    pub(crate) async fn run_deletions(&self) {
        if self.settings.identity != Identity::Local {
            return;
        }
        loop {
            if let Err(error) = self.finish_deletions().await
                && let Some(Due { left_out }) = throttle::due("deletions", "", None)
            {
                tracing::warn!(
                    %error,
                    left_out,
                    "the deletion of an account is not finished; trying again"
                );
            }
            let _ = tokio::time::timeout(LOOK_INTERVAL, self.deletion_added.notified()).await;
        }
    }

    /// Finishes the deletions that nobody else works at.
    pub(crate) async fn finish_deletions(&self) -> StoreResult<()> {
        loop {
            let claimed = self
                .accounts
                .claim_deletion(self.now(), self.claimed_until());
            let Some(deletion) = claimed.await? else {
                return Ok(());
            };
            self.finish_deletion(deletion).await?;
        }
    }

    async fn finish_deletion(&self, deletion: Deletion) -> StoreResult<()> {
        let user = &deletion.user;
        self.profiles.forget(user);
        for (conversation, to) in self.messages.shared_with(user).await? {
            self.bus
                .publish(Event::ConversationChanged { conversation, to });
        }
        // First, so that nothing more is written there by a request that was under way.
        self.leave_groups(user, deletion.position).await?;
        if deletion.erases_messages {
            self.erase_messages(user, deletion.position).await?;
        }
        self.accounts.finish_deletion(user).await
    }

    async fn erase_messages(&self, user: &UserId, mut position: i64) -> StoreResult<()> {
        loop {
            let part = self
                .accounts
                .authored(user, position, ENTRIES_AT_ONCE)
                .await?;
            for some in part.messages.chunks(MESSAGES_AT_ONCE) {
                let erased = some.iter().map(|(place, id)| self.erase(user, place, id));
                for erased in join_all(erased).await {
                    erased?;
                }
                self.renew(user, position).await?;
                tokio::time::sleep(PAUSE_AFTER_MESSAGES).await;
            }
            let Some(last) = part.position else {
                return Ok(());
            };
            position = last;
            self.renew(user, position).await?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn erase(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        message: &MessageId,
    ) -> StoreResult<()> {
        let created_at = self.now();
        let deletion = NewEntry {
            id: self.ids.message(created_at),
            conversation: conversation.clone(),
            sender: user.clone(),
            write: Write::Change {
                message: message.clone(),
                action: MessageAction::Delete,
            },
            key: None,
            created_at,
            editable_since: None,
        };
        match self.messages.erase(deletion).await {
            Err(AppendError::Store(error)) => Err(error),
            // Gone already, with another step or its conversation.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn leave_groups(&self, user: &UserId, position: i64) -> StoreResult<()> {
        loop {
            let groups = self.accounts.groups_of(user, GROUPS_AT_ONCE).await?;
            if groups.is_empty() {
                return Ok(());
            }
            for group in groups {
                self.leave(user, group).await?;
            }
            self.renew(user, position).await?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn leave(&self, user: &UserId, conversation: ConversationId) -> StoreResult<()> {
        let created_at = self.now();
        let write = GroupWrite {
            id: self.ids.message(created_at),
            conversation,
            sender: user.clone(),
            action: GroupAction::Remove(user.clone()),
            key: None,
            created_at,
            limit: usize::MAX,
        };
        match self.groups.change_group(write, None).await {
            // Another step was earlier.
            Ok(_) | Err(GroupError::NotFound) => Ok(()),
            Err(GroupError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Internal(format!(
                "a deleted account cannot leave a group: {error}"
            ))),
        }
    }

    async fn renew(&self, user: &UserId, position: i64) -> StoreResult<()> {
        let until = self.claimed_until();
        self.accounts.move_deletion(user, position, until).await
    }

    fn claimed_until(&self) -> Timestamp {
        Timestamp(self.now().0.saturating_add(CLAIM_MS))
    }
}
