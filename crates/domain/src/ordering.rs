//! Puts the entries of logs in order and drops repetitions, so that several sources (a bus and a
//! follower of the log) may deliver the same entries: a pure state machine.
//!
//! Entries of a conversation come out with growing `seq`, each at most once. An entry that is ahead
//! of its turn is held for a bounded time; when that is over, the machine reports the gap and goes
//! on behind it, and the caller heals the gap from the store or lets clients heal it by a sync.
//!
//! The first entry of a conversation that the machine does not know is delivered at once, whatever
//! its `seq`: waiting for earlier ones would delay every conversation's first message. Memory is
//! bounded, so a conversation is forgotten after [`Limits::retain`] without entries, and earlier if
//! there are many. A repetition that comes later than that passes as new; clients drop it by its
//! `seq`.

#[cfg(test)]
mod tests;

use crate::identity::ConversationId;
use crate::time::Moment;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// What the machine may keep.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long entries behind a gap wait for the missing ones.
    pub hold: Duration,
    /// The most entries that wait in one conversation.
    pub held_per_conversation: usize,
    /// The most entries that wait in all conversations.
    pub held: usize,
    /// A conversation without entries is remembered for this long at least, and at most twice as
    /// long, unless there are too many. Longer than a source can lag behind another.
    pub retain: Duration,
    /// The most conversations that are remembered.
    pub conversations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hold: Duration::from_millis(200),
            held_per_conversation: 64,
            held: 4_096,
            retain: Duration::from_secs(300),
            conversations: 65_536,
        }
    }
}

/// Entries of a conversation that did not come in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The conversation.
    pub conversation: ConversationId,
    /// The last entry that was delivered before the gap.
    pub after: u64,
    /// The entry that is delivered next.
    pub before: u64,
}

/// One thing to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Deliver the entry.
    Deliver(T),
    /// Entries are missing: read them from the store before going on, or go on without.
    Gap(Gap),
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It is the next: deliver it. The common case, which allocates nothing.
    Deliver(T),
    /// It was delivered before, or waits already.
    Repeated,
    /// It waits for entries before it.
    Held,
    /// It released others, or a limit did.
    Steps(Vec<Step<T>>),
}

#[derive(Debug)]
struct Log<T> {
    /// The newest `seq` that was delivered.
    last: u64,
    /// Entries past a gap. `None` while there are none, to keep this small.
    held: Option<Box<Held<T>>>,
}

#[derive(Debug)]
struct Held<T> {
    entries: BTreeMap<u64, (Moment, T)>,
    /// When the oldest of the entries came: the key in [`EntryOrder::waiting`].
    since: Moment,
}

/// The order of the entries that reach one node.
#[derive(Debug)]
pub struct EntryOrder<T> {
    limits: Limits,
    /// Conversations with an entry since the last rotation.
    recent: HashMap<ConversationId, Log<T>>,
    /// Those with one in the period before. A rotation forgets them: an approximate LRU that costs
    /// nothing when an entry comes.
    older: HashMap<ConversationId, Log<T>>,
    rotated_at: Moment,
    /// Conversations with held entries, by since when.
    waiting: BTreeSet<(Moment, ConversationId)>,
    held: usize,
}

impl<T> EntryOrder<T> {
    /// A machine that knows no conversation, started at `now`.
    #[must_use]
    pub fn new(limits: Limits, now: Moment) -> Self {
        Self {
            limits,
            recent: HashMap::new(),
            older: HashMap::new(),
            rotated_at: now,
            waiting: BTreeSet::new(),
            held: 0,
        }
    }

    /// The number of entries that wait.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// The number of conversations that are remembered.
    #[must_use]
    pub fn conversations(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    /// Takes an entry from any source.
    pub fn push(
        &mut self,
        now: Moment,
        conversation: &ConversationId,
        seq: u64,
        entry: T,
    ) -> Outcome<T> {
        if let Some(log) = self.recent.get_mut(conversation) {
            // One source in order: always this.
            if log.held.is_none() && seq == log.last + 1 {
                log.last = seq;
                return Outcome::Deliver(entry);
            }
            if seq <= log.last {
                return Outcome::Repeated;
            }
            return self.push_out_of_order(now, conversation, seq, entry);
        }
        if let Some((conversation, log)) = self.older.remove_entry(conversation) {
            self.recent.insert(conversation.clone(), log);
            return self.push(now, &conversation, seq, entry);
        }
        let mut steps = if self.recent.len() >= self.limits.conversations.div_ceil(2) {
            self.rotate(now)
        } else {
            Vec::new()
        };
        let log = Log {
            last: seq,
            held: None,
        };
        self.recent.insert(conversation.clone(), log);
        if steps.is_empty() {
            return Outcome::Deliver(entry);
        }
        steps.push(Step::Deliver(entry));
        Outcome::Steps(steps)
    }

    fn push_out_of_order(
        &mut self,
        now: Moment,
        conversation: &ConversationId,
        seq: u64,
        entry: T,
    ) -> Outcome<T> {
        let Some(log) = self.recent.get_mut(conversation) else {
            return Outcome::Repeated; // `push` has just found it.
        };
        let held = log.held.get_or_insert_with(|| {
            self.waiting.insert((now, conversation.clone()));
            Box::new(Held {
                entries: BTreeMap::new(),
                since: now,
            })
        });
        if held.entries.contains_key(&seq) {
            return Outcome::Repeated;
        }
        held.entries.insert(seq, (now, entry));
        self.held += 1;
        if seq == log.last + 1 {
            return Outcome::Steps(self.release(conversation, false));
        }
        if held.entries.len() > self.limits.held_per_conversation {
            return Outcome::Steps(self.release(conversation, true));
        }
        if self.held > self.limits.held
            && let Some((_, oldest)) = self.waiting.first().cloned()
        {
            return Outcome::Steps(self.release(&oldest, true));
        }
        Outcome::Held
    }

    /// When [`EntryOrder::pass_time`] has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Moment {
        let rotation = self.rotated_at.plus(self.limits.retain);
        self.waiting.first().map_or(rotation, |(since, _)| {
            since.plus(self.limits.hold).min(rotation)
        })
    }

    /// Gives up waiting where that is due, and forgets idle conversations.
    pub fn pass_time(&mut self, now: Moment) -> Vec<Step<T>> {
        let mut steps = Vec::new();
        while let Some((since, conversation)) = self.waiting.first()
            && since.plus(self.limits.hold) <= now
        {
            let conversation = conversation.clone();
            steps.extend(self.release(&conversation, true));
        }
        if self.rotated_at.plus(self.limits.retain) <= now {
            steps.extend(self.rotate(now));
        }
        steps
    }

    /// Delivers the held entries that are next; with `past_gap` also those behind the first gap.
    fn release(&mut self, conversation: &ConversationId, past_gap: bool) -> Vec<Step<T>> {
        let log = match self.recent.get_mut(conversation) {
            Some(log) => Some(log),
            None => self.older.get_mut(conversation),
        };
        let Some(log) = log else {
            return Vec::new();
        };
        let Some(mut held) = log.held.take() else {
            return Vec::new();
        };
        self.waiting.remove(&(held.since, conversation.clone()));
        let mut steps = Vec::new();
        if past_gap
            && let Some((first, _)) = held.entries.first_key_value()
            && *first > log.last + 1
        {
            steps.push(Step::Gap(Gap {
                conversation: conversation.clone(),
                after: log.last,
                before: *first,
            }));
            log.last = *first - 1;
        }
        while let Some(next) = held.entries.first_entry()
            && *next.key() == log.last + 1
        {
            log.last += 1;
            self.held -= 1;
            steps.push(Step::Deliver(next.remove().1));
        }
        if let Some(since) = held.entries.values().map(|(since, _)| *since).min() {
            held.since = since;
            self.waiting.insert((since, conversation.clone()));
            log.held = Some(held);
        }
        steps
    }

    /// Forgets the conversations without an entry since the rotation before this one.
    fn rotate(&mut self, now: Moment) -> Vec<Step<T>> {
        let mut steps = Vec::new();
        let forgotten: Vec<ConversationId> = self
            .waiting
            .iter()
            .map(|(_, conversation)| conversation)
            .filter(|conversation| self.older.contains_key(*conversation))
            .cloned()
            .collect();
        for conversation in forgotten {
            while self
                .older
                .get(&conversation)
                .is_some_and(|log| log.held.is_some())
            {
                steps.extend(self.release(&conversation, true));
            }
        }
        self.older = std::mem::take(&mut self.recent);
        self.rotated_at = now;
        steps
    }
}
