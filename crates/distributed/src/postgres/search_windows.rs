//! Windows of the log, the newest first. A search reads a window at a time and stops when it has enough,
//! so that a frequent word does not cost all of its messages. What the index has of an entry names the
//! ranges that the entry is in: a window is an alternative of some of them, which the index intersects
//! with the words before any row is read.

use std::fmt::Write;

/// Ranges of 4,096 entries, and of 16 times as many each.
const SHIFTS: [u32; 4] = [12, 16, 20, 24];
/// Of the largest ranges, so many are read at once.
const LARGEST_AT_ONCE: i64 = 16;

/// Entries from `from` on and before `below`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: i64,
    pub(super) below: i64,
}

/// The windows that have all entries up to `newest`.
pub(super) fn windows(newest: i64) -> impl Iterator<Item = Window> {
    let mut below = newest.max(0).saturating_add(1);
    let mut step = 0;
    std::iter::from_fn(move || {
        if below <= 0 {
            return None;
        }
        let last = SHIFTS.len() - 1;
        let shift = SHIFTS[step.min(last)];
        // At least one whole range, and the rest of the next one.
        let more = if step > last { LARGEST_AT_ONCE - 1 } else { 1 };
        let from = ((below - 1) >> shift).saturating_sub(more).max(0) << shift;
        let window = Window { from, below };
        below = from;
        step += 1;
        Some(window)
    })
}

impl Window {
    /// In the language of `tsquery`: any of the ranges that cover it.
    pub(super) fn question(self) -> String {
        let mut text = String::from("(");
        let mut at = self.from;
        while at < self.below {
            // The largest that begins here and ends within. The newest ones may end later: nothing is there.
            let fits = |shift: &&u32| {
                let size = 1_i64 << **shift;
                at % size == 0 && at.saturating_add(size) <= self.below
            };
            let level = SHIFTS
                .iter()
                .rev()
                .find(fits)
                .map_or(SHIFTS[0], |shift| *shift);
            let separator = if at == self.from { "" } else { "|" };
            let _ = write!(text, "{separator}'{}'", range(level, at));
            at = at.saturating_add(1 << level);
        }
        text.push(')');
        text
    }
}

/// The index terms of an entry besides the terms of its message.
pub(super) fn ranges(entry: i64) -> String {
    SHIFTS.map(|shift| range(shift, entry)).join(" ")
}

/// Tokens of terms begin with a digit.
fn range(shift: u32, entry: i64) -> String {
    format!("r{shift}x{:x}", entry >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_each_entry_once_and_grow() {
        for newest in [0, 1, 4_095, 4_096, 65_536, 1_000_000, 5_000_000_000] {
            let all: Vec<Window> = windows(newest).collect();
            assert_eq!(all[0].below, newest + 1);
            assert_eq!(all.last().map(|window| window.from), Some(0));
            for pair in all.windows(2) {
                assert_eq!(pair[0].from, pair[1].below, "{newest}");
            }
            assert!(all[0].below - all[0].from <= 2 << 12);
            assert!(all.len() < 30, "{newest}: {}", all.len());
        }
        assert_eq!(windows(1_000_000).count(), 3);
    }

    #[test]
    fn a_window_asks_for_the_ranges_of_its_entries_and_for_no_others() {
        for newest in [0, 5_000, 70_000, 1_234_567, 40_000_000] {
            for window in windows(newest) {
                let question = window.question();
                let asked: Vec<&str> = question[1..question.len() - 1].split('|').collect();
                assert!(asked.len() <= 48, "{}", asked.len());
                let is_asked = |entry: i64| {
                    let has = ranges(entry);
                    has.split(' ')
                        .any(|one| asked.contains(&format!("'{one}'").as_str()))
                };
                let middle = i64::midpoint(window.from, window.below);
                for inside in [window.from, middle.min(window.below - 1), window.below - 1] {
                    assert!(is_asked(inside), "{window:?} {inside}");
                }
                if window.from > 0 {
                    assert!(!is_asked(window.from - 1), "{window:?}");
                }
                if window.below <= newest {
                    assert!(!is_asked(window.below), "{window:?}");
                }
            }
        }
    }
}
