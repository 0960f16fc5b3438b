//! Whether a subscription is sent a message, and what.

use super::rules::{ATTENTION, HEARTBEAT, HELD_UP, KEPT, MOST_AGE, SUBSCRIBED_SLACK_MS};
use crate::deadline;
use crate::ports::{
    Blocks, Clock, Directory, Messages, Ports, PresenceStore, PushContent, PushJob, PushNotice,
    PushSubscription, Range,
};
use crate::refusal::Refusal;
use lamplight_domain::conversation::ConversationSummary;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::presence::ManualStatus;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The pause until the next check whether the user is active; it grows.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN_AT_MOST: Duration = Duration::from_secs(30);

/// Decides about the next message of a job.
#[derive(Debug)]
pub(super) enum Decision {
    Send(Box<PushNotice>),
    /// Nothing before this `seq` is sent.
    SkipTo(u64),
    /// Nothing of the job is sent.
    SkipAll,
    /// It is too early to decide.
    Wait(Duration),
}

pub(super) struct Decider {
    messages: Arc<dyn Messages>,
    directory: Arc<dyn Directory>,
    blocks: Arc<dyn Blocks>,
    presence: Arc<dyn PresenceStore>,
    clock: Arc<dyn Clock>,
    delay: Duration,
}

impl Decider {
    pub(super) fn new(ports: &Ports, delay: Duration) -> Self {
        Self {
            messages: Arc::clone(&ports.messages),
            directory: Arc::clone(&ports.directory),
            blocks: Arc::clone(&ports.blocks),
            presence: Arc::clone(&ports.presence),
            clock: Arc::clone(&ports.clock),
            delay,
        }
    }

    /// Decides about the first message from `next` on. Everything is read now: what was read, deleted,
    /// muted or left before this call is not sent.
    pub(super) async fn decide(&self, job: &PushJob, next: u64) -> Result<Decision, Refusal> {
        let subscription = &job.subscription;
        let (user, conversation) = (&subscription.user, &job.conversation);
        let end = *job.seqs.end();
        let now = self.clock.now().wall;
        let Some(summary) = deadline::store(self.messages.summary(user, conversation)).await?
        else {
            return Ok(Decision::SkipAll);
        };
        if summary.settings.is_muted(now) || self.is_busy(user, now).await? {
            return Ok(Decision::SkipAll);
        }
        if next <= summary.read_seq {
            return Ok(Decision::SkipTo(summary.read_seq + 1));
        }
        let range = Range::After(next - 1);
        let Some(message) = self.first(user, conversation, range, 1).await? else {
            return Ok(Decision::SkipAll);
        };
        let seq = message.entry.seq;
        if seq > end {
            return Ok(Decision::SkipAll);
        }
        let age = age(now, message.entry.created_at);
        if age > HELD_UP && end - seq >= KEPT {
            let range = Range::Before(end + 1);
            let kept = usize::try_from(KEPT).unwrap_or(usize::MAX);
            let newest = self.first(user, conversation, range, kept).await?;
            if let Some(first) = newest.filter(|first| first.entry.seq > seq) {
                return Ok(Decision::SkipTo(first.entry.seq));
            }
        }
        if let Some(decision) = self.without_reader(subscription, &message, age).await? {
            return Ok(decision);
        }
        let notice = self.notice(subscription, summary, message, now).await?;
        Ok(Decision::Send(Box::new(notice)))
    }

    /// The first message of a part of a log, as the user may see it now.
    async fn first(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Option<Message>, Refusal> {
        let page = self.messages.messages(user, conversation, range, limit);
        let page = deadline::store(page).await?;
        Ok(page.and_then(|page| page.messages.into_iter().next()))
    }

    async fn is_busy(&self, user: &UserId, now: Timestamp) -> Result<bool, Refusal> {
        let person = deadline::store(self.directory.person(user)).await?;
        Ok(person.is_some_and(|person| person.status.chosen.at(now).status == ManualStatus::Busy))
    }

    /// Why a message is not sent, or not yet.
    async fn without_reader(
        &self,
        subscription: &PushSubscription,
        message: &Message,
        age: Duration,
    ) -> Result<Option<Decision>, Refusal> {
        let (entry, user) = (&message.entry, &subscription.user);
        let skip = Ok(Some(Decision::SkipTo(entry.seq + 1)));
        let is_earlier = entry.created_at.0 + SUBSCRIBED_SLACK_MS < subscription.created_at.0;
        if entry.sender == *user || message.deleted_at.is_some() || is_earlier || age > MOST_AGE {
            return skip;
        }
        if age < self.delay {
            return Ok(Some(Decision::Wait(self.delay - age)));
        }
        // An active page shows the message or its arrival. But the user may just have left, so the
        // message waits until the next heartbeats show that.
        let active = deadline::store(self.presence.last_active(user)).await?;
        if active.is_some_and(|since| since < HEARTBEAT) {
            if age < ATTENTION {
                let wait = (age / 2).clamp(LOOK_AGAIN, LOOK_AGAIN_AT_MOST);
                return Ok(Some(Decision::Wait(wait)));
            }
            return skip;
        }
        let sender = std::slice::from_ref(&entry.sender);
        if deadline::store(self.blocks.between(user, sender))
            .await?
            .is_empty()
        {
            Ok(None)
        } else {
            skip
        }
    }

    async fn notice(
        &self,
        subscription: &PushSubscription,
        summary: ConversationSummary,
        message: Message,
        now: Timestamp,
    ) -> Result<PushNotice, Refusal> {
        let user = &subscription.user;
        let total_unread = deadline::store(self.messages.total_unread(user, now)).await?;
        let content = if subscription.content {
            Some(self.content(&summary.id, &message).await?)
        } else {
            None
        };
        let entry = message.entry;
        Ok(PushNotice {
            conversation: summary.id,
            message: entry.id,
            seq: entry.seq,
            created_at: entry.created_at,
            sender: entry.sender,
            total_unread,
            content,
        })
    }

    async fn content(
        &self,
        conversation: &ConversationId,
        message: &Message,
    ) -> Result<PushContent, Refusal> {
        let sender = &message.entry.sender;
        let person = deadline::store(self.directory.person(sender)).await?;
        let details = deadline::store(self.messages.details(conversation)).await?;
        let group = details.and_then(|details| details.group);
        let files = message.entry.extras().map(|extras| &extras.attachments);
        let file = files.and_then(|files| files.first());
        Ok(PushContent {
            sender: person.map_or_else(|| Profile::bare(sender.clone()), |person| person.profile),
            conversation_name: group.and_then(|group| group.name),
            text: message.content().into(),
            attachment: file.map(|file| (Arc::clone(&file.media_type), Arc::clone(&file.name))),
        })
    }
}

/// How old something of this time is.
fn age(now: Timestamp, at: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(now.0.saturating_sub(at.0)).unwrap_or(0))
}
