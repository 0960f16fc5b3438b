//! Sends `conversation_updated` to the members of conversations that changed, each with the
//! conversation as that member sees it.

use crate::hub::Hub;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lamplight_domain::conversation::{ConversationDetails, Members};
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{Handler, Refusal};
use lamplight_wire::encode;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::Notify;

/// After as many failed reads, the next one ends the update of a conversation.
const MAX_FAILURES: usize = 3;

/// Conversations that are read at the same time.
const AT_ONCE: usize = 8;

/// Gathers changed conversations and reads them for their members.
pub struct ConversationUpdates {
    hub: Arc<Hub>,
    handler: Arc<Handler>,
    /// The members to update by conversation: many changes of one conversation cost one read of its
    /// members, and one of what each of them sees.
    pending: Mutex<HashMap<ConversationId, HashSet<UserId>>>,
    wake: Notify,
}

impl ConversationUpdates {
    /// No updates are pending. They are sent while [`ConversationUpdates::run`] is polled.
    #[must_use]
    pub fn new(hub: Arc<Hub>, handler: Arc<Handler>) -> Self {
        Self {
            hub,
            handler,
            pending: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// A conversation changed for these members.
    pub fn push(&self, conversation: &ConversationId, to: &Members) {
        let present = self.hub.present(to);
        if present.is_empty() {
            return;
        }
        self.pending
            .lock()
            .entry(conversation.clone())
            .or_default()
            .extend(present.into_iter().cloned());
        self.wake.notify_one();
    }

    /// Sends pending updates, for as long as it is polled. A conversation whose reads are slow holds
    /// up its own updates only.
    pub async fn run(&self) {
        let mut running = FuturesUnordered::new();
        let mut busy = HashSet::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((conversation, users)) = self.next(&busy)
            {
                busy.insert(conversation.clone());
                running.push(async move {
                    if let Err(refusal) = self.send(&conversation, users).await {
                        warn(&refusal);
                    }
                    conversation
                });
            }
            tokio::select! {
                Some(conversation) = running.next() => {
                    busy.remove(&conversation);
                }
                () = self.wake.notified() => {}
            }
        }
    }

    /// Takes a conversation of which no update is being sent.
    fn next(&self, busy: &HashSet<ConversationId>) -> Option<(ConversationId, HashSet<UserId>)> {
        let mut pending = self.pending.lock();
        let is_free = |conversation: &&ConversationId| !busy.contains(*conversation);
        let conversation = pending.keys().find(is_free).cloned()?;
        pending.remove_entry(&conversation)
    }

    /// A member that is removed meanwhile gets nothing, and one that is added gets another update.
    async fn send(
        &self,
        conversation: &ConversationId,
        users: HashSet<UserId>,
    ) -> Result<(), Refusal> {
        let mut details = None;
        let mut failures = 0;
        for user in users {
            let user = [user];
            if self.hub.present(&user).is_empty() {
                continue;
            }
            let details: ConversationDetails = match &details {
                Some(details) => ConversationDetails::clone(details),
                None => match self.handler.details(conversation).await {
                    Ok(Some(read)) => details.insert(read).clone(),
                    Ok(None) => return Ok(()),
                    // The store may answer for the next member.
                    Err(refusal) if failures < MAX_FAILURES => {
                        warn(&refusal);
                        failures += 1;
                        continue;
                    }
                    Err(refusal) => return Err(refusal),
                },
            };
            match self.handler.summary_for(&user[0], conversation).await {
                Ok(Some(summary)) => {
                    let conversation = summary.with_details(details);
                    self.hub.send("conversation_updated", &user, || {
                        encode::conversation(&conversation)
                    });
                }
                Ok(None) => {}
                Err(refusal) if failures < MAX_FAILURES => {
                    warn(&refusal);
                    failures += 1;
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(())
    }
}

/// Clients get the change by their next sync.
fn warn(refusal: &Refusal) {
    if let Some(Due { left_out }) = throttle::due("conversation", refusal.code.as_str(), None) {
        tracing::warn!(
            code = refusal.code.as_str(),
            left_out,
            "could not read a changed conversation for its members"
        );
    }
}
