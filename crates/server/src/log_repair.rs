//! Reads entries from the log that the event bus lost on the way to this node, and delivers them.
//!
//! While the bus is healthy, the position of the log is recorded every few seconds. After `Lagged`,
//! the entries committed since some seconds before the newest record are read and delivered to the
//! connections of this node. Entries that the bus has already delivered are dropped as repetitions.

use crate::entry_delivery::Appended;
use lamplight_domain::conversation::Members;
use lamplight_domain::group::{Readers, Receivers};
use lamplight_domain::identity::ConversationId;
use lamplight_usecases::deadline::STORE_DEADLINE;
use lamplight_usecases::ports::{
    CommitPosition, CommittedEntry, EventBus, LogFollower, Messages, StoreResult,
};
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How often a position is noted.
const NOTE: Duration = Duration::from_secs(2);
/// The repair begins this long before the newest note: the bus may have been ill for some seconds
/// before it was noticed, and a publisher sends some time after the commit.
const MARGIN: Duration = Duration::from_secs(15);
/// Entries in one read, and the pause after it.
const PAGE: usize = 200;
const PACE: Duration = Duration::from_millis(20);
/// The most entries of one repair. Clients that miss more see the gap and read it themselves.
const MOST: usize = 50_000;
/// Conversations whose members a repair remembers.
const MEMBERS: usize = 10_000;
/// The pause after a failed read, and between two repairs.
const RETRY: Duration = Duration::from_secs(1);

/// The parts of this node that a repair uses.
pub trait RepairTarget: Send + Sync {
    /// Whether any of these users has a connection here.
    fn has_any(&self, users: &Members) -> bool;
    fn deliver(&self, appended: Appended);
    /// A conversation may look different to its members.
    fn changed(&self, conversation: &ConversationId, to: &Members);
}

/// Delivers entries that the bus lost.
pub struct LogRepair {
    bus: Arc<dyn EventBus>,
    follower: Arc<dyn LogFollower>,
    messages: Arc<dyn Messages>,
    notes: Mutex<VecDeque<(Instant, CommitPosition)>>,
    lagged: Notify,
}

/// The result of a repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Entries that were read.
    pub read: usize,
    /// Entries that were handed over for users with connections here.
    pub delivered: usize,
    /// Whether there were too many to read them all.
    pub is_cut: bool,
}

impl LogRepair {
    #[must_use]
    pub fn new(
        bus: Arc<dyn EventBus>,
        follower: Arc<dyn LogFollower>,
        messages: Arc<dyn Messages>,
    ) -> Self {
        Self {
            bus,
            follower,
            messages,
            notes: Mutex::default(),
            lagged: Notify::new(),
        }
    }

    /// The bus lost events.
    pub fn lagged(&self) {
        self.lagged.notify_one();
    }

    /// Notes positions and repairs, for as long as it is polled.
    pub async fn run(&self, target: &dyn RepairTarget) {
        let mut next_note = Instant::now();
        loop {
            tokio::select! {
                () = self.lagged.notified() => {
                    let began = Instant::now();
                    let repaired = self.repair(target).await;
                    tracing::info!(
                        read = repaired.read,
                        delivered = repaired.delivered,
                        is_cut = repaired.is_cut,
                        took_ms = began.elapsed().as_millis(),
                        "read from the log what the event bus may have lost"
                    );
                    tokio::time::sleep(RETRY).await;
                }
                () = tokio::time::sleep_until(next_note) => {
                    // The first position is recorded in any state of the bus: no connection of this
                    // node can have missed an earlier commit.
                    if self.notes.lock().is_empty() || self.bus.is_healthy() {
                        self.note().await;
                    }
                    next_note = Instant::now() + NOTE;
                }
            }
        }
    }

    async fn note(&self) {
        // The time before the read: later commits come after the recorded position.
        let now = Instant::now();
        match read(self.follower.head()).await {
            Ok(head) => {
                let mut notes = self.notes.lock();
                notes.push_back((now, head));
                // The oldest that is not younger than the margin is kept.
                while notes.len() > 2 && now.duration_since(notes[1].0) > MARGIN {
                    notes.pop_front();
                }
            }
            Err(error) => log(&error),
        }
    }

    /// The latest position at which the bus was known to be healthy.
    fn start(&self) -> Option<CommitPosition> {
        let notes = self.notes.lock();
        let newest = notes.back()?.0;
        let before = |(at, _): &&(Instant, CommitPosition)| newest.duration_since(*at) >= MARGIN;
        let note = notes.iter().rev().find(before).or_else(|| notes.front());
        note.map(|(_, position)| *position)
    }

    /// Delivers the entries committed since the bus was known to be healthy.
    pub async fn repair(&self, target: &dyn RepairTarget) -> Repaired {
        let mut repaired = Repaired::default();
        let Some(mut after) = self.start() else {
            return repaired;
        };
        let mut readers = HashMap::new();
        loop {
            match self.page(after, &mut readers, target).await {
                Ok((count, delivered, last)) => {
                    repaired.read += count;
                    repaired.delivered += delivered;
                    let Some(last) = last else { return repaired };
                    after = last;
                }
                Err(error) => {
                    log(&error);
                    tokio::time::sleep(RETRY).await;
                }
            }
            if repaired.read >= MOST {
                repaired.is_cut = true;
                return repaired;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn page(
        &self,
        after: CommitPosition,
        readers: &mut HashMap<ConversationId, Option<Readers>>,
        target: &dyn RepairTarget,
    ) -> Result<(usize, usize, Option<CommitPosition>), String> {
        let page = read(self.follower.read(after, PAGE)).await?;
        let (count, last) = (page.len(), page.last().map(|last| last.position));
        let mut delivered = 0;
        let mut touched = HashMap::new();
        for CommittedEntry { entry, .. } in page {
            let place = entry.conversation.clone();
            // Removed members must not get later entries, but the members that were read before may
            // include them.
            if entry.members_change().is_some() {
                readers.remove(&place);
            }
            if !readers.contains_key(&place) {
                if readers.len() >= MEMBERS {
                    readers.clear();
                }
                let found = read(self.messages.readers(&place)).await?;
                readers.insert(place.clone(), found);
            }
            let Some(Some(of)) = readers.get(&place) else {
                continue;
            };
            let Receivers { to, newcomers } = of.receivers(&entry);
            if !target.has_any(&to) {
                continue;
            }
            touched.insert(place, Arc::clone(&of.members));
            delivered += 1;
            target.deliver(Appended {
                entry: Arc::new(entry),
                to,
                newcomers,
                except: None,
            });
        }
        for (conversation, to) in touched {
            target.changed(&conversation, &to);
        }
        Ok((count, delivered, last))
    }
}

async fn read<T>(work: impl Future<Output = StoreResult<T>>) -> Result<T, String> {
    match tokio::time::timeout(STORE_DEADLINE, work).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the store did not answer in time".to_owned()),
    }
}

fn log(error: &str) {
    if let Some(Due { left_out }) = throttle::due("log repair", error, None) {
        tracing::warn!(error, left_out, "the log cannot be read; trying again");
    }
}
