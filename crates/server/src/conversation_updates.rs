//! Sends `conversation_updated` to the members of conversations that changed, each with the
//! conversation as that member sees it.

use crate::hub::Hub;
use lamplight_domain::conversation::Members;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_usecases::Handler;
use lamplight_usecases::throttle::{self, Due};
use lamplight_wire::encode;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::Notify;

/// Gathers changed conversations and reads them for their members.
pub struct ConversationUpdates {
    hub: Arc<Hub>,
    handler: Arc<Handler>,
    /// A set, so that many changes of one conversation cost one read for each member.
    pending: Mutex<HashSet<(ConversationId, UserId)>>,
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
        self.pending.lock().extend(
            present
                .into_iter()
                .map(|member| (conversation.clone(), member.clone())),
        );
        self.wake.notify_one();
    }

    /// Sends what is pending, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            let pending = std::mem::take(&mut *self.pending.lock());
            if pending.is_empty() {
                self.wake.notified().await;
                continue;
            }
            for (conversation, user) in pending {
                self.send(&conversation, user).await;
            }
        }
    }

    async fn send(&self, conversation: &ConversationId, user: UserId) {
        let user = [user];
        if self.hub.present(&user).is_empty() {
            return;
        }
        match self.handler.conversation_for(&user[0], conversation).await {
            Ok(Some(conversation)) => self.hub.send("conversation_updated", &user, || {
                encode::conversation(&conversation)
            }),
            // The user is no member any more.
            Ok(None) => {}
            // The client's next sync brings the change.
            Err(refusal) => {
                if let Some(Due { left_out }) =
                    throttle::due("conversation", refusal.code.as_str(), None)
                {
                    tracing::warn!(
                        code = refusal.code.as_str(),
                        left_out,
                        "could not read a changed conversation for its members"
                    );
                }
            }
        }
    }
}
