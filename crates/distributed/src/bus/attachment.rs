//! A user whose events reach this node.

use super::shared::Shared;
use futures_util::future::BoxFuture;
use lamplight_domain::identity::UserId;
use lamplight_usecases::ports::Attached;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a join waits for the subscription. A connection that is resumed waits after its write
/// of presence; both have to fit into the time of a use case.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// One attachment.
pub(super) struct UserAttachment {
    shared: Arc<Shared>,
    user: UserId,
    channel: Arc<str>,
}

impl UserAttachment {
    pub(super) fn new(shared: Arc<Shared>, user: &UserId) -> Self {
        let channel = shared
            .attachments
            .add(user, || shared.channels.of_user(user));
        // An idle user's channel is subscribed already, and this changes nothing.
        shared.subscriber().want(&channel);
        Self {
            shared,
            user: user.clone(),
            channel,
        }
    }
}

impl Attached for UserAttachment {
    fn ready(&self) -> Option<BoxFuture<'static, ()>> {
        let subscriber = self.shared.subscriber();
        if subscriber.is_subscribed(&self.channel) {
            return None;
        }
        let subscribed = subscriber.subscribe(&self.channel);
        let shared = Arc::clone(&self.shared);
        Some(Box::pin(async move {
            // While Redis is away, joins do not wait for it.
            let is_away = shared.is_away(PATIENCE);
            if is_away || tokio::time::timeout(PATIENCE, subscribed).await.is_err() {
                shared.gave_up.store(true, Ordering::Relaxed);
            }
        }))
    }
}

impl Drop for UserAttachment {
    fn drop(&mut self) {
        self.shared.attachments.remove(&self.user);
    }
}
