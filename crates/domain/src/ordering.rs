//! Puts the entries of logs in order and drops repetitions, so that several sources (a bus and a
//! follower of the log) may deliver the same entries: a pure state machine.
//!
//! Entries of a conversation come out once each, with growing `seq`. An entry behind a gap waits.
//! After a moment the machine requests the missing entries ([`Step::Missing`]); the caller reads them
//! from the store and pushes them. If that fails, the machine reports the gap after a bounded time
//! and continues after it. The first entry of an unknown conversation is delivered at once, whatever
//! its `seq`: waiting for earlier ones would delay every conversation's first message.
//!
//! An entry that was given up, or that precedes the first one, is delivered late when it arrives
//! ([`Outcome::Late`]): out of order, but a client that reads events only must not lose it. For this
//! a log remembers which of the last 512 entries are missing, in two words while none is.
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

/// Limits of the machine's memory and waiting times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long entries behind a gap wait before the machine asks for the missing ones.
    pub hold: Duration,
    /// How many entries of one conversation wait without asking.
    pub held_without_asking: usize,
    /// How long entries wait for requested ones.
    pub patience: Duration,
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
            held_without_asking: 64,
            patience: Duration::from_secs(4),
            held_per_conversation: 512,
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
    /// The entry behind it that waits.
    pub before: u64,
}

/// One step for the caller to execute, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Deliver the entry.
    Deliver(T),
    /// Entries are missing: read them from the store and push them, or call
    /// [`EntryOrder::give_up`]. The entries behind them wait meanwhile.
    Missing(Gap),
    /// Entries are missing and are waited for no longer. They are delivered late if they come.
    Gap(Gap),
}

/// The outcome for an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It is the next: deliver it. The common case, which allocates nothing.
    Deliver(T),
    /// It comes after later ones, and was not delivered before: deliver it.
    Late(T),
    /// It was delivered before, waits already, or is too old to decide.
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
    /// Conversations with held entries, by when something is due.
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
            held.due = now.plus(self.limits.hold);
            held.is_asked = false;
            self.waiting.insert((held.due, conversation.clone()));
        }
        held.entries.insert(seq, (now, entry));
        let count = held.entries.len();
        let is_asked = held.is_asked;
        self.held += 1;
        if seq == last + 1 {
            return Outcome::Steps(self.release(conversation, false));
        }
        if count > self.limits.held_per_conversation {
            return Outcome::Steps(self.release(conversation, true));
        }
        if self.held > self.limits.held
            && let Some((_, first)) = self.waiting.first().cloned()
        {
            return Outcome::Steps(self.release(&first, true));
        }
        if count > self.limits.held_without_asking && !is_asked {
            return Outcome::Steps(self.ask(now, conversation));
        }
        Outcome::Held
    }

    /// Goes on behind a gap, if nothing of it came since it was asked for.
    pub fn give_up(&mut self, gap: &Gap) -> Vec<Step<T>> {
        let Some(log) = self.find(&gap.conversation) else {
            return Vec::new();
        };
        let first = log.held().and_then(|held| held.entries.keys().next());
        if log.last() == gap.after && first == Some(&gap.before) {
            self.release(&gap.conversation, true)
        } else {
            Vec::new()
        }
    }

    /// When [`EntryOrder::pass_time`] has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Moment {
        let rotation = self.rotated_at.plus(self.limits.retain);
        let first = self.waiting.first();
        first.map_or(rotation, |(due, _)| rotation.min(*due))
    }

    /// Requests missing entries, skips gaps whose time is over, and evicts idle conversations.
    pub fn pass_time(&mut self, now: Moment) -> Vec<Step<T>> {
        let mut steps = Vec::new();
        while let Some((due, conversation)) = self.waiting.first()
            && *due <= now
        {
            let conversation = conversation.clone();
            let held = self.find(&conversation).and_then(Log::held);
            if held.is_some_and(|held| held.is_asked) {
                steps.extend(self.release(&conversation, true));
            } else {
                steps.extend(self.ask(now, &conversation));
            }
        }
        if self.rotated_at.plus(self.limits.retain) <= now {
            steps.extend(self.rotate(now));
        }
        steps
    }

    fn find(&self, conversation: &ConversationId) -> Option<&Log<T>> {
        let log = self.recent.get(conversation);
        log.or_else(|| self.older.get(conversation))
    }

    /// Requests the entries missing before the first held one, which keeps waiting.
    fn ask(&mut self, now: Moment, conversation: &ConversationId) -> Vec<Step<T>> {
        let log = self.recent.get_mut(conversation);
        let Some(log) = log.or_else(|| self.older.get_mut(conversation)) else {
            return Vec::new();
        };
        let after = log.last();
        let held = log.held_mut();
        let Some((&before, _)) = held.entries.first_key_value() else {
            return Vec::new();
        };
        self.waiting.remove(&(held.due, conversation.clone()));
        held.due = now.plus(self.limits.patience);
        held.is_asked = true;
        self.waiting.insert((held.due, conversation.clone()));
        vec![Step::Missing(Gap {
            conversation: conversation.clone(),
            after,
            before,
        })]
    }

    /// Delivers the held entries that are next; with `past_gap` also those behind the first gap.
    fn release(&mut self, conversation: &ConversationId, past_gap: bool) -> Vec<Step<T>> {
        let log = self.recent.get_mut(conversation);
        let Some(log) = log.or_else(|| self.older.get_mut(conversation)) else {
            return Vec::new();
        };
        let Some(held) = log.held() else {
            return Vec::new();
        };
        self.waiting.remove(&(held.due, conversation.clone()));
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
        // Entries behind the next gap wait from their arrival.
        if let Some(came) = log.oldest_held() {
            let held = log.held_mut();
            held.due = came.plus(self.limits.hold);
            held.is_asked = false;
            self.waiting.insert((held.due, conversation.clone()));
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
