//! Deletes accounts. One transaction deletes the account; any node then does the rest in steps that can be repeated: it
//! closes the user's sockets, notifies the members of shared conversations, leaves the groups, and erases messages if
//! requested. A step that fails, or whose process ends, is repeated.

use super::service::AccountService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::{AppendError, Deletion, GroupError, NewDeletion, StoreError, StoreResult};
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use crate::throttle::{self, Due};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::event::Event;
use lamplight_domain::group::{GroupAction, GroupWrite};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use std::time::Duration;
use tokio::time::Instant;

/// How often a node looks for unfinished deletions of other nodes.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// The lease of a deletion. Each step renews it.
const CLAIM_MS: i64 = 10_000;
/// Entries that one step looks through.
const ENTRIES_AT_ONCE: usize = 2_000;
/// Groups that one step leaves.
const GROUPS_AT_ONCE: usize = 16;
/// The pause between two steps, for other writes.
const PAUSE: Duration = Duration::from_millis(10);
/// Deletions that a node runs at once, so that a large one does not delay the others.
const DELETIONS_AT_ONCE: usize = 4;
/// Within the logs, the claim is renewed and the position stored this often.
const RENEW_INTERVAL: Duration = Duration::from_secs(2);

/// How far a walk through the logs has got.
struct Walk {
    position: i64,
    /// When that was stored.
    stored_at: Instant,
}

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
        let deleted = deleted.await;
        self.profiles.forget(user);
        // Also after a failure: the outcome may be unknown, and what is stored is announced then.
        self.deletion_added.notify_one();
        let ended = deleted?.ok_or_else(wrong)?;
        self.ended.publish_stored(user, ended);
        self.ended.reach_other_nodes().await;
        Ok(Reply::Done)
    }

    /// Finishes deletions of accounts for as long as it is polled.
    pub(crate) async fn run_deletions(&self) {
        if self.settings.identity != Identity::Local {
            return;
        }
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < DELETIONS_AT_ONCE {
                match self.claim_deletion().await {
                    Ok(Some(deletion)) => running.push(self.finish_deletion(deletion)),
                    Ok(None) => break,
                    Err(error) => {
                        warn(&error);
                        break;
                    }
                }
            }
            tokio::select! {
                Some(finished) = running.next() => {
                    if let Err(error) = finished {
                        warn(&error);
                    }
                }
                () = self.deletion_added.notified() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Finishes the deletions that no other node works at, one after the other.
    pub(crate) async fn finish_deletions(&self) -> StoreResult<()> {
        while let Some(deletion) = self.claim_deletion().await? {
            self.finish_deletion(deletion).await?;
        }
        Ok(())
    }

    async fn claim_deletion(&self) -> StoreResult<Option<Deletion>> {
        let until = self.claimed_until();
        self.accounts.claim_deletion(self.now(), until).await
    }

    async fn finish_deletion(&self, deletion: Deletion) -> StoreResult<()> {
        let user = &deletion.user;
        self.profiles.forget(user);
        let is_announced = deletion.is_announced || self.announce(&deletion).await?;
        // First, so that a running request writes nothing more there.
        self.leave_groups(user, deletion.position).await?;
        if deletion.erases_messages {
            self.accounts.settle_deletion(user).await?;
            self.erase_messages(user, deletion.position).await?;
        }
        if !is_announced && !self.announce(&deletion).await? {
            return Err(StoreError::Unavailable(
                "other nodes may not have received that an account is deleted".into(),
            ));
        }
        self.accounts.finish_deletion(user).await
    }

    /// Closes the sockets of the user on all nodes, and publishes the deletion to the members of their
    /// conversations. Runs again after the deleting node ended, or if it is unknown whether other
    /// nodes received it, which `false` means.
    async fn announce(&self, deletion: &Deletion) -> StoreResult<bool> {
        let user = &deletion.user;
        self.ended.publish_stored(user, deletion.ended.clone());
        for (conversation, to) in self.messages.shared_with(user).await? {
            self.bus
                .publish(Event::ConversationChanged { conversation, to });
        }
        let is_announced = self.bus.settle().await;
        if is_announced {
            self.accounts.deletion_announced(user).await?;
        }
        Ok(is_announced)
    }

    async fn erase_messages(&self, user: &UserId, position: i64) -> StoreResult<()> {
        let mut walk = Walk {
            position,
            stored_at: Instant::now(),
        };
        loop {
            let part = self
                .accounts
                .authored(user, walk.position, ENTRIES_AT_ONCE)
                .await?;
            let mut left = &part.messages[..];
            while !left.is_empty() {
                left = self.erase_some(user, left).await?;
                self.renew_sometimes(user, &mut walk).await?;
            }
            let Some(last) = part.position else {
                return Ok(());
            };
            walk.position = last;
            self.renew_sometimes(user, &mut walk).await?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Erases as many of these messages as the pace allows. Returns the others.
    async fn erase_some<'a>(
        &self,
        user: &UserId,
        messages: &'a [(ConversationId, MessageId)],
    ) -> StoreResult<&'a [(ConversationId, MessageId)]> {
        let mut pace = self.pace.lock().await;
        let began = Instant::now();
        let (some, left) = messages.split_at(pace.at_once().min(messages.len()));
        let erased = some.iter().map(|(place, id)| self.erase(user, place, id));
        for erased in join_all(erased).await {
            erased?;
        }
        // Other deletions wait too.
        tokio::time::sleep(pace.note(some.len(), began.elapsed())).await;
        Ok(left)
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

    async fn renew_sometimes(&self, user: &UserId, walk: &mut Walk) -> StoreResult<()> {
        if walk.stored_at.elapsed() >= RENEW_INTERVAL {
            self.renew(user, walk.position).await?;
            walk.stored_at = Instant::now();
        }
        Ok(())
    }

    async fn renew(&self, user: &UserId, position: i64) -> StoreResult<()> {
        let until = self.claimed_until();
        self.accounts.move_deletion(user, position, until).await
    }

    fn claimed_until(&self) -> Timestamp {
        Timestamp(self.now().0.saturating_add(CLAIM_MS))
    }
}

fn warn(error: &StoreError) {
    if let Some(Due { left_out }) = throttle::due("deletions", "", None) {
        tracing::warn!(
            %error,
            left_out,
            "the deletion of an account is not finished; trying again"
        );
    }
}
