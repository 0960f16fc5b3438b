//! Web Push: the subscriptions of browsers, the queue of what they are to be sent, and the sender.

use super::follower::CommitPosition;
use super::store::StoreResult;
use async_trait::async_trait;
use lamplight_domain::identity::{ConversationId, MessageId, Profile, UserId};
use lamplight_domain::time::Timestamp;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A key pair that identifies this server to push services (VAPID, RFC 8292).
#[derive(Clone, PartialEq, Eq)]
pub struct PushKey {
    /// The uncompressed point, 65 bytes in base64url without padding, as browsers take it.
    pub public: Arc<str>,
    /// 32 bytes in base64url without padding.
    pub private: Arc<str>,
}

impl fmt::Debug for PushKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = &self.public;
        f.debug_struct("PushKey")
            .field("public", public)
            .finish_non_exhaustive()
    }
}

/// Where a browser can be reached, and how what it is sent is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// The URL at the push service. A secret: it and the keys suffice to send.
    pub endpoint: Arc<str>,
    /// The browser's public key, an uncompressed point in base64url.
    pub p256dh: Arc<str>,
    /// The secret that the browser shares with this server, 16 bytes in base64url.
    pub auth: Arc<str>,
}

/// A subscription to store.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    pub user: UserId,
    /// The digest of the session that it ends with, where accounts are local.
    pub session: Option<Arc<str>>,
    pub target: PushTarget,
    /// Whether what is sent has texts and names.
    pub content: bool,
    /// The public key of the server that it was made for; the current one if omitted.
    pub key: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeOutcome {
    Subscribed,
    /// It was made for a key that is none of this server's: the browser has to subscribe again.
    OtherKey,
    /// The session has ended.
    NoSession,
}

/// A subscription as the sender needs it.
#[derive(Clone, Debug)]
pub struct PushSubscription {
    /// The store's number of it.
    pub id: i64,
    pub user: UserId,
    pub target: PushTarget,
    pub content: bool,
    /// The key that it was made for.
    pub key: PushKey,
    /// How often in a row sending failed.
    pub failures: u32,
    pub created_at: Timestamp,
}

/// Messages of a conversation that a subscription is to be sent.
#[derive(Clone, Debug)]
pub struct PushJob {
    pub subscription: PushSubscription,
    pub conversation: ConversationId,
    /// They are among these entries.
    pub seqs: RangeInclusive<u64>,
    /// Changes with each claim, so that a claim that lapsed moves nothing.
    pub claim: i64,
    /// The session of the subscription is over.
    pub is_expired: bool,
}

/// The outcome of a claimed job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushThen {
    /// The same worker continues; its claim lasts this long from now.
    Continue(Duration),
    /// The job is over, unless further messages have come; those are due at once.
    Done,
    /// The rest is due after a pause.
    Later(Duration),
    /// Sending failed. Everything for this subscription is due after a pause at the earliest.
    Failed(Duration),
}

/// The result of a step of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushStep {
    /// The entries up to here are handled.
    pub position: CommitPosition,
    /// The newest entry, as far as is known.
    pub newest: CommitPosition,
    /// Messages were queued for a subscription.
    pub has_queued: bool,
    /// There may be more entries: the step was of the maximum length.
    pub is_full: bool,
    /// Another node moved the position meanwhile.
    pub is_outrun: bool,
}

/// Counts of subscriptions and waiting jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushCounts {
    pub subscriptions: u64,
    /// Pairs of a subscription and a conversation with messages to send.
    pub waiting: u64,
}

/// Subscriptions, and a durable queue of which messages each is to be sent.
///
/// The queue follows the log: [`PushSubscriptions::queue_pushes`] handles the entries after a position
/// that moves in the same transaction, so that no message is missed over a crash. The queue has no
/// texts: what is sent is read when it is sent, so that a message that was deleted, or a conversation
/// that its reader has left, is not sent. There is one row for a subscription and a conversation,
/// however many messages wait.
#[async_trait]
pub trait PushSubscriptions: Send + Sync + 'static {
    /// The key for new subscriptions. Stores `new` if there is none yet; of several nodes at once, one
    /// wins.
    async fn push_key(&self, new: &PushKey, at: Timestamp) -> StoreResult<PushKey>;

    /// Makes `new` the key for new subscriptions. Earlier subscriptions keep theirs.
    async fn replace_push_key(&self, new: &PushKey, at: Timestamp) -> StoreResult<()>;

    /// Stores a subscription. It replaces an earlier one of the same user and endpoint with its waiting
    /// messages, and ends one of another user. Past `most` of one user, the oldest end.
    async fn subscribe(
        &self,
        new: NewSubscription,
        most: usize,
        at: Timestamp,
    ) -> StoreResult<SubscribeOutcome>;

    /// Ends the subscription of a user with this endpoint, and its waiting messages.
    async fn unsubscribe(&self, user: &UserId, endpoint: &str) -> StoreResult<()>;

    /// Ends a subscription that the push service no longer knows, if it still has this endpoint.
    async fn end_subscription(&self, id: i64, endpoint: &str) -> StoreResult<()>;

    /// Queues the messages among at most `limit` further entries: for each subscription of a member
    /// who has not read them and has not muted the conversation, due after `delay`. Without any
    /// subscription, entries are passed over in large steps.
    async fn queue_pushes(&self, delay: Duration, limit: usize) -> StoreResult<PushStep>;

    /// Claims due jobs, longest waiting first. No other node gets them during the lease, by the store's
    /// clock.
    async fn claim_pushes(&self, lease: Duration, limit: usize) -> StoreResult<Vec<PushJob>>;

    /// Notes that the messages of a job before `next_seq` are handled, and what becomes of the rest.
    /// `false`, and nothing changes, if the claim is not the newest one or the subscription has ended.
    async fn move_push(&self, job: &PushJob, next_seq: u64, then: PushThen) -> StoreResult<bool>;

    async fn push_counts(&self) -> StoreResult<PushCounts>;
}

/// A message, for a device that does not show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushNotice {
    pub conversation: ConversationId,
    pub message: MessageId,
    pub seq: u64,
    pub created_at: Timestamp,
    pub sender: UserId,
    /// The unread messages in all of the receiver's conversations that are neither archived nor
    /// muted.
    pub total_unread: u64,
    /// `None` for a device that is to show no texts.
    pub content: Option<PushContent>,
}

/// The content of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushContent {
    pub sender: Profile,
    /// Of a group that has one.
    pub conversation_name: Option<Arc<str>>,
    pub text: Arc<str>,
    /// The type and the name of the first file.
    pub attachment: Option<(Arc<str>, Arc<str>)>,
}

/// The result of sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    Sent,
    /// The push service no longer knows the subscription, or its address is not allowed.
    Gone,
    /// It is longer than the push service accepts.
    TooLarge,
    /// It may work later: after this time, if the push service says when.
    Later {
        after: Option<Duration>,
        why: String,
    },
    /// The push service refuses it, with this reason.
    Refused(String),
}

/// Sends notices to devices: Web Push. Another kind of push service (FCM, APNs, a webhook) is another
/// sender, with its own kind of endpoints.
#[async_trait]
pub trait PushSender: Send + Sync + 'static {
    /// A new key pair.
    fn new_key(&self) -> PushKey;

    /// Whether a target can be sent to at all; otherwise what is wrong with it, for its user.
    ///
    /// # Errors
    /// A sentence.
    fn check(&self, target: &PushTarget) -> Result<(), String>;

    /// Sends a notice, within a bounded time.
    async fn send(&self, to: &PushSubscription, notice: &PushNotice) -> PushOutcome;
}
