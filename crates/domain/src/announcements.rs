//! Finds committed entries that were not announced because their publisher died between the commit
//! and the bus: a pure state machine.
//!
//! One node follows the log and receives the announcements of all publishers. It announces each
//! entry that was not announced in time. That may repeat an announcement that is late or was lost
//! on the way here; receivers drop repetitions.

use crate::identity::ConversationId;
use crate::time::Moment;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// Limits of the machine's memory and waiting times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long after an entry was read its announcement may still come.
    pub patience: Duration,
    /// How long an announcement is remembered whose entry was not read yet: longer than the reader
    /// is ever behind.
    pub retain: Duration,
    /// The most announcements that are remembered. A forgotten one costs a repetition.
    pub announced: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(2),
            retain: Duration::from_secs(60),
            announced: 65_536,
        }
    }
}

type Key = (ConversationId, u64);

/// The entries that were read and not announced, and the reverse.
#[derive(Debug)]
pub struct Announcements<T> {
    limits: Limits,
    /// Announced and not read yet.
    announced: HashSet<Key>,
    /// The same, in order of arrival; those that were read since are skipped.
    oldest: VecDeque<(Moment, Key)>,
    /// Read and not announced yet.
    waiting: HashMap<Key, T>,
    /// The same, in the order in which they were read.
    due: VecDeque<(Moment, Key)>,
}

impl<T> Announcements<T> {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            announced: HashSet::new(),
            oldest: VecDeque::new(),
            waiting: HashMap::new(),
            due: VecDeque::new(),
        }
    }

    /// The number of entries that wait for their announcement: the reader stops while they are many.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The number of announcements that wait for their entry.
    #[must_use]
    pub fn announced(&self) -> usize {
        self.announced.len()
    }

    /// A publisher announced the entry at `seq`.
    pub fn announce(&mut self, now: Moment, conversation: &ConversationId, seq: u64) {
        let key = (conversation.clone(), seq);
        if self.waiting.remove(&key).is_some() {
            return;
        }
        if self.announced.insert(key.clone()) {
            self.oldest.push_back((now, key));
        }
        self.forget(now);
    }

    /// The log has the entry at `seq`.
    pub fn read(&mut self, now: Moment, conversation: &ConversationId, seq: u64, entry: T) {
        let key = (conversation.clone(), seq);
        if !self.announced.remove(&key) {
            self.due
                .push_back((now.plus(self.limits.patience), key.clone()));
            self.waiting.insert(key, entry);
        }
    }

    /// When [`Announcements::take_due`] has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<Moment> {
        self.due.front().map(|(due, _)| *due)
    }

    /// The entries to announce now, in the order in which they were read.
    pub fn take_due(&mut self, now: Moment) -> Vec<T> {
        let mut entries = Vec::new();
        while self.due.front().is_some_and(|(due, _)| *due <= now)
            && let Some((_, key)) = self.due.pop_front()
        {
            entries.extend(self.waiting.remove(&key));
        }
        self.forget(now);
        entries
    }

    fn forget(&mut self, now: Moment) {
        // Entries that were read meanwhile are in the queue only, which is bounded too.
        while self.oldest.front().is_some_and(|(since, key)| {
            since.plus(self.limits.retain) <= now
                || self.oldest.len() > self.limits.announced
                || !self.announced.contains(key)
        }) {
            if let Some((_, key)) = self.oldest.pop_front() {
                self.announced.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn conversation(n: u8) -> ConversationId {
        ConversationId::trusted(format!("c{n}"))
    }

    fn machine() -> Announcements<u64> {
        Announcements::new(Limits::default())
    }

    #[test]
    fn m10_unannounced_entries_are_announced_after_the_patience() {
        let mut machine = machine();
        let at = |ms| Moment(ms);
        machine.announce(at(0), &conversation(1), 1);
        machine.read(at(10), &conversation(1), 1, 1);
        machine.read(at(10), &conversation(1), 2, 2);
        machine.read(at(20), &conversation(1), 3, 3);
        machine.announce(at(30), &conversation(1), 3);
        assert_eq!(machine.next_wake(), Some(at(2_010)));
        assert!(machine.take_due(at(2_009)).is_empty());
        assert_eq!(machine.take_due(at(2_010)), [2]);
        assert!(machine.take_due(at(9_000)).is_empty());
        assert_eq!((machine.waiting(), machine.announced()), (0, 0));
        assert_eq!(machine.next_wake(), None);
    }

    #[test]
    fn announcements_of_entries_that_are_never_read_are_bounded() {
        let mut machine = Announcements::<u64>::new(Limits {
            announced: 10,
            ..Limits::default()
        });
        for seq in 0..100 {
            machine.announce(Moment(seq), &conversation(1), seq);
            assert!(machine.announced() <= 10 && machine.oldest.len() <= 10);
        }
        machine.take_due(Moment(99 + 60_000));
        assert_eq!((machine.announced(), machine.oldest.len()), (0, 0));
    }

    proptest! {
        /// Each entry is announced by its publisher, or once by the machine.
        #[test]
        fn m10_every_entry_is_announced_in_time(
            entries in prop::collection::vec((0_u8..3, 0_u64..5_000, prop::option::of(0_u64..5_000)), 1..60),
        ) {
            let mut events = Vec::new();
            for (seq, (n, read, announced)) in entries.iter().enumerate() {
                events.push((*read, seq as u64, *n, true));
                events.extend(announced.map(|at| (at, seq as u64, *n, false)));
            }
            events.sort_unstable();
            let mut machine = machine();
            let mut taken: Vec<u64> = Vec::new();
            for (at, seq, n, is_read) in events {
                taken.extend(machine.take_due(Moment(at)));
                if is_read {
                    machine.read(Moment(at), &conversation(n), seq, seq);
                } else {
                    machine.announce(Moment(at), &conversation(n), seq);
                }
            }
            taken.extend(machine.take_due(Moment(10_000)));
            taken.sort_unstable();
            let expected = entries.iter().enumerate().filter(|(_, (_, read, announced))| {
                announced.is_none_or(|at| at >= *read + 2_000)
            });
            let expected: Vec<u64> = expected.map(|(seq, _)| seq as u64).collect();
            prop_assert_eq!(taken, expected);
            prop_assert_eq!(machine.waiting(), 0);
        }
    }
}
