//! The state of one log: its newest entry, which earlier entries are still missing, and entries
//! that wait behind a gap.

use crate::time::Moment;
use std::collections::BTreeMap;

/// An entry that is this far below the newest one counts as delivered.
pub(super) const WINDOW: u64 = 512;

/// The bits of [`Log::head`] that count, up to [`WINDOW`].
const COUNT_BITS: u32 = 10;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// One log, in two words: a node remembers many logs, and most have only a newest entry.
#[derive(Debug)]
pub(super) struct Log<T> {
    /// The newest `seq` that was passed, and in the low bits how many entries before it are accounted
    /// for: each was delivered, or is in [`Aside::missing`]. Those before them were never seen, and
    /// may come late. A `seq` has at most 53 bits.
    head: u64,
    /// `None` while nothing waits and nothing is missing.
    aside: Option<Box<Aside<T>>>,
}

#[derive(Debug)]
struct Aside<T> {
    missing: Missing,
    held: Held<T>,
}

/// Entries past a gap.
#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) entries: BTreeMap<u64, (Moment, T)>,
    /// When something is to be done: the key in `EntryOrder::waiting`.
    pub(super) due: Moment,
    /// The missing entries were requested.
    pub(super) is_asked: bool,
}

impl<T> Log<T> {
    /// A log whose first entry to be seen is `seq`.
    pub(super) fn new(seq: u64) -> Self {
        Self {
            head: seq << COUNT_BITS,
            aside: None,
        }
    }

    /// The newest `seq` that was delivered or given up.
    pub(super) fn last(&self) -> u64 {
        self.head >> COUNT_BITS
    }

    /// Whether `seq` is next and holds nothing back.
    pub(super) fn is_plain_next(&self, seq: u64) -> bool {
        seq == self.last() + 1 && self.held().is_none()
    }

    /// The next entry is delivered.
    pub(super) fn advance(&mut self) {
        self.head += 1 << COUNT_BITS;
        if self.head & COUNT < WINDOW {
            self.head += 1;
        }
        let last = self.last();
        if let Some(aside) = &mut self.aside {
            // Its place belonged to the one that leaves the window.
            aside.missing.take(last);
            self.tidy();
        }
    }

    /// Whether an entry before the newest one comes for the first time. It counts as delivered then.
    pub(super) fn take_late(&mut self, seq: u64) -> bool {
        let (last, known) = (self.last(), self.head & COUNT);
        let distance = last - seq;
        if distance >= WINDOW {
            return false;
        }
        if distance <= known {
            let taken = match &mut self.aside {
                Some(aside) => aside.missing.take(seq),
                None => false,
            };
            self.tidy();
            return taken;
        }
        // From now on the log is known from here.
        if distance > known + 1 {
            let missing = &mut self.aside().missing;
            (seq + 1..last - known).for_each(|between| missing.add(between));
        }
        self.head += distance - known;
        true
    }

    /// Goes on before `next`; what lies between may come late.
    pub(super) fn skip_to(&mut self, next: u64) {
        let last = self.last();
        for skipped in (last + 1).max(next.saturating_sub(WINDOW))..next {
            self.aside().missing.add(skipped);
        }
        let known = (self.head & COUNT) + (next - 1 - last);
        self.head = ((next - 1) << COUNT_BITS) | known.min(WINDOW);
    }

    /// The waiting entries.
    pub(super) fn held(&self) -> Option<&Held<T>> {
        let held = &self.aside.as_ref()?.held;
        (!held.entries.is_empty()).then_some(held)
    }

    pub(super) fn held_mut(&mut self) -> &mut Held<T> {
        &mut self.aside().held
    }

    /// Removes the next entry from what waits, as delivered.
    pub(super) fn take_next(&mut self) -> Option<T> {
        let next = self.last() + 1;
        let (_, entry) = self.aside.as_mut()?.held.entries.remove(&next)?;
        self.advance();
        Some(entry)
    }

    /// When the oldest entry came of those that wait.
    pub(super) fn oldest_held(&self) -> Option<Moment> {
        let entries = self.held()?.entries.values();
        entries.map(|(since, _)| *since).min()
    }

    fn aside(&mut self) -> &mut Aside<T> {
        self.aside.get_or_insert_with(|| {
            Box::new(Aside {
                missing: Missing::default(),
                held: Held {
                    entries: BTreeMap::new(),
                    due: Moment(0),
                    is_asked: false,
                },
            })
        })
    }

    /// Frees what is empty.
    fn tidy(&mut self) {
        if let Some(aside) = &self.aside
            && aside.held.entries.is_empty()
            && aside.missing.is_empty()
        {
            self.aside = None;
        }
    }
}

/// A set of `seq`s of which no two are [`WINDOW`] or more apart.
#[derive(Debug, Default)]
struct Missing([u64; (WINDOW / 64) as usize]);

impl Missing {
    fn place(seq: u64) -> (usize, u64) {
        let place = seq % WINDOW;
        ((place / 64) as usize, 1 << (place % 64))
    }

    fn add(&mut self, seq: u64) {
        let (word, bit) = Self::place(seq);
        self.0[word] |= bit;
    }

    /// Removes it. Whether it was in the set.
    fn take(&mut self, seq: u64) -> bool {
        let (word, bit) = Self::place(seq);
        let was_there = self.0[word] & bit != 0;
        self.0[word] &= !bit;
        was_there
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; (WINDOW / 64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_takes_two_words() {
        assert_eq!(size_of::<Log<String>>(), 2 * size_of::<u64>());
    }

    #[test]
    fn m10_skipped_entries_are_delivered_late_once_within_the_window() {
        let mut log = Log::<()>::new(1_000);
        log.skip_to(3_000);
        log.advance();
        assert_eq!(log.last(), 3_000);
        for (seq, is_taken) in [
            (3_000, false),
            (2_999, true),
            (2_999, false),
            (3_000 - WINDOW + 1, true),
            (3_000 - WINDOW, false),
            (999, false),
        ] {
            assert_eq!(log.take_late(seq), is_taken, "{seq}");
        }
        (0..WINDOW).for_each(|_| log.advance());
        assert!(log.aside.is_none(), "nothing can come late any more");
        assert!(!log.take_late(3_001));
    }

    #[test]
    fn m10_entries_before_the_first_are_delivered_late_once() {
        let mut log = Log::<()>::new(1_000);
        log.advance();
        for (seq, is_taken) in [
            (1_000, false),
            (999, true),
            (999, false),
            (990, true),
            (995, true),
            (995, false),
            (400, false),
            (991, true),
        ] {
            assert_eq!(log.take_late(seq), is_taken, "{seq}");
        }
        assert_eq!(log.last(), 1_001);
        for seq in [992, 993, 994, 996, 997, 998] {
            assert!(log.take_late(seq), "{seq}");
        }
        assert!(log.aside.is_none(), "nothing is missing any more");
        (0..2 * WINDOW).for_each(|_| log.advance());
        assert!((1_001..log.last()).all(|seq| !log.take_late(seq)));
    }
}
