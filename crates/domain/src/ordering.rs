//! Puts the entries of logs in order and drops repetitions, so that several sources (a bus and a
//! follower of the log) may deliver the same entries: a pure state machine.
//!
//! Entries of a conversation come out with growing `seq`, each once. An entry that is ahead of its
//! turn is held for a bounded time; when that is over, the machine reports the gap and goes on
//! behind it. The first entry of a conversation that the machine does not know is delivered at once,
//! whatever its `seq`: waiting for earlier ones would delay every conversation's first message.
//!
//! An entry that was given up, or that precedes the first one, is delivered late when it comes
//! ([`Outcome::Late`]): out of order, but a client that reads events only must not lose it. For this
//! a log remembers which of the last 512 entries did not come, in two words as long as that is none.
//!
//! Memory is bounded, so a conversation is forgotten after [`Limits::retain`] without entries, and
//! earlier if there are many. A repetition that comes later than that passes as new or as late;
//! clients drop it by its `seq`.

mod log;
#[cfg(test)]
mod tests;

use crate::identity::ConversationId;
use crate::time::Moment;
use log::Log;
use std::collections::{BTreeSet, HashMap};
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
    /// It comes after later ones, and was not delivered before: deliver it.
    Late(T),
    /// It was delivered before, waits already, or is too old to tell.
    Repeated,
    /// It waits for entries before it.
    Held,
    /// It released others, or a limit did.
    Steps(Vec<Step<T>>),
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
            if log.is_plain_next(seq) {
                log.advance();
                return Outcome::Deliver(entry);
            }
            if seq <= log.last() {
                return if log.take_late(seq) {
                    Outcome::Late(entry)
                } else {
                    Outcome::Repeated
                };
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
        self.recent.insert(conversation.clone(), Log::new(seq));
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
        let last = log.last();
        let held = log.held_mut();
        if held.entries.contains_key(&seq) {
            return Outcome::Repeated;
        }
        if held.entries.is_empty() {
            held.since = now;
            self.waiting.insert((now, conversation.clone()));
        }
        held.entries.insert(seq, (now, entry));
        let count = held.entries.len();
        self.held += 1;
        if seq == last + 1 {
            return Outcome::Steps(self.release(conversation, false));
        }
        if count > self.limits.held_per_conversation {
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
        let Some(held) = log.held() else {
            return Vec::new();
        };
        self.waiting.remove(&(held.since, conversation.clone()));
        let mut steps = Vec::new();
        if past_gap
            && let Some((&first, _)) = held.entries.first_key_value()
            && first > log.last() + 1
        {
            steps.push(Step::Gap(Gap {
                conversation: conversation.clone(),
                after: log.last(),
                before: first,
            }));
            log.skip_to(first);
        }
        while let Some(entry) = log.take_next() {
            self.held -= 1;
            steps.push(Step::Deliver(entry));
        }
        if let Some(since) = log.oldest_held() {
            log.held_mut().since = since;
            self.waiting.insert((since, conversation.clone()));
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
                .is_some_and(|log| log.held().is_some())
            {
                steps.extend(self.release(&conversation, true));
            }
        }
        self.older = std::mem::take(&mut self.recent);
        self.rotated_at = now;
        steps
    }
}
