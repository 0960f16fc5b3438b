//! Follows the log and compares it with what publishers announced.

use super::counts::Counts;
use crate::bus::RedisEventBus;
use lamplight_domain::announcements::{Announcements, Limits};
use lamplight_domain::conversation::SHOWN_MEMBERS;
use lamplight_domain::entry::{Entry, EntryKind, MessageAction};
use lamplight_domain::event::Event;
use lamplight_domain::group::{Readers, Receivers};
use lamplight_domain::identity::ConversationId;
use lamplight_domain::time::Moment;
use lamplight_usecases::deadline::STORE_DEADLINE;
use lamplight_usecases::ports::{
    Clock, CommitPosition, CommittedSeqs, EventBus as _, LogFollower, Messages, StoreResult,
};
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// The name of the position.
const NAME: &str = "republisher";
/// Entries whose numbers are read at once.
const PAGE: usize = 2_000;
/// Entries that are read at once to be published.
const ENTRIES: u64 = 200;
/// How often the log is read without being woken.
const POLL: Duration = Duration::from_millis(500);
/// The most entries that wait for their announcement; the reader waits meanwhile.
const MOST_WAITING: usize = 10_000;
/// The most events in the bus' queue before more are published again.
const MOST_QUEUED: usize = 1_000;
/// How often the position is stored.
const CONFIRM: Duration = Duration::from_secs(2);
/// Older entries are not published: every node that was away has read them from the log, and clients
/// have synced. It spares a cluster that comes back the republishing of its past.
const TOO_OLD_MS: i64 = 120_000;
/// Entries of before this node led are published without waiting for an announcement, which would
/// have come already.
const SETTLED_MS: i64 = 1_000;
const RETRY: Duration = Duration::from_secs(1);

/// Numbers of one conversation's entries, one after the other.
type Seqs = RangeInclusive<u64>;

pub(super) struct Log {
    pub(super) bus: RedisEventBus,
    pub(super) follower: Arc<dyn LogFollower>,
    pub(super) messages: Arc<dyn Messages>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counts: Arc<Counts>,
}

struct State {
    /// Only their numbers: an entry is read only if it was not announced.
    machine: Mutex<Announcements<(ConversationId, u64)>>,
    began: Instant,
}

impl State {
    fn now(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl Log {
    /// Republishes for as long as it is polled and the store answers.
    pub(super) async fn run(&self) {
        if let Err(error) = self.follow().await {
            log(&error);
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Stores a first position before any node leads: a leader that dies at once must not take with
    /// it where to begin. Retries for as long as it is polled.
    pub(super) async fn begin(&self) {
        loop {
            match self.first_position().await {
                Ok(()) => return,
                Err(error) => log(&error),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn first_position(&self) -> Result<(), String> {
        if bounded(self.follower.position(NAME)).await?.is_none() {
            let head = bounded(self.follower.head()).await?;
            bounded(self.follower.confirm(NAME, head)).await?;
        }
        Ok(())
    }

    async fn follow(&self) -> Result<(), String> {
        let state = Arc::new(State {
            machine: Mutex::new(Announcements::new(Limits::default())),
            began: Instant::now(),
        });
        // Announcements arrive before entries are read. While the subscription is interrupted none
        // arrives, so entries in doubt are published.
        let announced = Arc::clone(&state);
        let subscriber = self.bus.on_announcements(move |conversation, seqs| {
            let now = announced.now();
            let mut machine = announced.machine.lock();
            for seq in seqs {
                machine.announce(now, conversation, seq);
            }
        });
        let mut is_up = subscriber.watch();
        let up = tokio::time::timeout(STORE_DEADLINE, is_up.wait_for(|is_up| *is_up)).await;
        if !matches!(up, Ok(Ok(_))) {
            return Err("the announcements cannot be read".to_owned());
        }
        drop(up);
        // Entries up to here were committed before this node led.
        let before = bounded(self.follower.head()).await?;
        let position = bounded(self.follower.position(NAME)).await?;
        let mut position = position.unwrap_or(before);
        let mut confirmed = position;
        // A position that can be confirmed once Redis has what it covers, and the place of that on
        // the bus: this node may die with its queue.
        let mut unconfirmed: Option<(CommitPosition, u64)> = None;
        let mut next_confirm = Instant::now() + CONFIRM;
        // When each page was read, to find out what is settled.
        let mut pages: VecDeque<(Instant, CommitPosition)> = VecDeque::new();
        loop {
            let mut is_behind = false;
            let waiting = state.machine.lock().waiting();
            if waiting < MOST_WAITING {
                let page = bounded(self.follower.read_seqs(position, PAGE)).await?;
                let count: u64 = page.iter().map(|one| length(&one.seqs)).sum();
                is_behind = count >= PAGE as u64;
                for committed in page {
                    position = position.max(committed.position);
                    self.take(&state, committed, before).await?;
                }
                pages.push_back((Instant::now(), position));
            }
            let looked_at = Instant::now();
            let due = state.machine.lock().take_due(state.now());
            for (conversation, seqs) in runs(due) {
                self.publish(&conversation, seqs).await?;
            }
            let waiting = state.machine.lock().waiting();
            let waiting_count = u64::try_from(waiting).unwrap_or(u64::MAX);
            self.counts.waiting.store(waiting_count, Ordering::Relaxed);
            if let Some((up_to, place)) = unconfirmed
                && self.bus.has_sent(place)
            {
                bounded(self.follower.confirm(NAME, up_to)).await?;
                confirmed = up_to;
                unconfirmed = None;
            }
            if Instant::now() >= next_confirm {
                if unconfirmed.is_none()
                    && let Some(place) = self.bus.last_published()
                {
                    let settled = Limits::default().patience + POLL * 2;
                    let mut up_to = confirmed;
                    while let Some((at, last)) = pages.front()
                        && looked_at.saturating_duration_since(*at) > settled
                    {
                        up_to = *last;
                        pages.pop_front();
                    }
                    unconfirmed = (up_to > confirmed).then_some((up_to, place));
                }
                let head = bounded(self.follower.head()).await?;
                let behind = head.0.saturating_sub(position.0);
                self.counts.behind.store(behind, Ordering::Relaxed);
                next_confirm = Instant::now() + CONFIRM;
            }
            if !is_behind || waiting >= MOST_WAITING {
                let wake = state.machine.lock().next_wake();
                let now = state.now();
                let pause = wake.map_or(POLL, |wake| wake.since(now).min(POLL));
                tokio::select! {
                    () = self.follower.changed(position), if waiting < MOST_WAITING => {
                        // Commits arrive in bursts: one read for each burst.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    () = tokio::time::sleep(pause.max(Duration::from_millis(10))) => {}
                }
            }
        }
    }

    async fn take(
        &self,
        state: &State,
        committed: CommittedSeqs,
        before: CommitPosition,
    ) -> Result<(), String> {
        let CommittedSeqs {
            conversation,
            seqs,
            position,
            created_at,
        } = committed;
        let age = self.clock.now().wall.0 - created_at.0;
        if age > TOO_OLD_MS {
            self.counts.skip(length(&seqs));
        } else if position <= before && age > SETTLED_MS {
            self.publish(&conversation, seqs).await?;
        } else {
            let now = state.now();
            let mut machine = state.machine.lock();
            for seq in seqs {
                machine.read(now, &conversation, seq, (conversation.clone(), seq));
            }
        }
        Ok(())
    }

    /// Publishes entries that were not announced.
    async fn publish(&self, conversation: &ConversationId, seqs: Seqs) -> Result<(), String> {
        let mut after = seqs.start().saturating_sub(1);
        while after < *seqs.end() {
            // Again for each page: members change.
            let Some(readers) = bounded(self.messages.readers(conversation)).await? else {
                break;
            };
            let limit = usize::try_from((seqs.end() - after).min(ENTRIES)).unwrap_or(1);
            let read = self.messages.entries_after(conversation, after, limit);
            let mut entries = bounded(read).await?;
            entries.retain(|entry| entry.seq <= *seqs.end());
            let Some(last) = entries.last() else { break };
            after = last.seq;
            for entry in entries {
                if self.clock.now().wall.0 - entry.created_at.0 > TOO_OLD_MS {
                    self.counts.skip(1);
                } else {
                    self.publish_entry(&readers, Arc::new(entry)).await;
                }
            }
        }
        Ok(())
    }

    async fn publish_entry(&self, readers: &Readers, entry: Arc<Entry>) {
        while self.bus.stats().queued > MOST_QUEUED {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let Receivers { to, newcomers } = readers.receivers(&entry);
        self.counts.republished.fetch_add(1, Ordering::Relaxed);
        if let Some(Due { left_out }) = throttle::due("republished", "", None) {
            tracing::info!(
                conversation = %entry.conversation,
                seq = entry.seq,
                left_out,
                "published again an entry that its node had not announced"
            );
        }
        // Its node had not published either that the conversation looks different.
        let is_deletion = entry
            .change()
            .is_some_and(|change| change.action == MessageAction::Delete);
        let changed = match &entry.kind {
            EntryKind::Members(_) | EntryKind::Details(_)
                if readers.members.len() <= SHOWN_MEMBERS =>
            {
                Some(Arc::clone(&readers.members))
            }
            EntryKind::Members(change) => Some(change.added.clone().into()),
            _ => is_deletion.then(|| to.clone()),
        };
        let changed = changed.map(|to| Event::ConversationChanged {
            conversation: entry.conversation.clone(),
            to,
        });
        self.bus.publish(Event::Appended {
            entry,
            to,
            newcomers,
            except: None,
        });
        if let Some(changed) = changed {
            self.bus.publish(changed);
        }
    }
}

/// Joins what follows each other in one conversation.
fn runs(entries: Vec<(ConversationId, u64)>) -> Vec<(ConversationId, Seqs)> {
    let mut runs: Vec<(ConversationId, Seqs)> = Vec::new();
    for (conversation, seq) in entries {
        match runs.last_mut() {
            Some((last, seqs)) if *last == conversation && seqs.end() + 1 == seq => {
                *seqs = *seqs.start()..=seq;
            }
            _ => runs.push((conversation, seq..=seq)),
        }
    }
    runs
}

fn length(seqs: &Seqs) -> u64 {
    (seqs.end() - seqs.start()).saturating_add(1)
}

fn log(error: &str) {
    if let Some(Due { left_out }) = throttle::due("republisher", error, None) {
        tracing::warn!(error, left_out, "the log cannot be followed; trying again");
    }
}

async fn bounded<T>(work: impl Future<Output = StoreResult<T>>) -> Result<T, String> {
    match tokio::time::timeout(STORE_DEADLINE, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the store did not answer in time".to_owned()),
    }
}
