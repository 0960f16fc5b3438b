//! Which envelopes came before.

use std::collections::HashMap;

/// Numbers that are remembered of each run, at least. A node gets an envelope once for each of its
/// users who receive it, one after the other, and again when a publisher repeats a batch.
const WINDOW: u64 = 1_024;
/// Runs that are remembered. A node that restarts begins another.
const RUNS: usize = 256;

/// The envelopes that came lately.
#[derive(Debug, Default)]
pub(super) struct Seen {
    runs: HashMap<u64, Window>,
    /// Counts envelopes, to find the run that was quiet for longest.
    count: u64,
}

#[derive(Debug)]
struct Window {
    highest: u64,
    bits: [u64; (WINDOW / 64) as usize],
    last_use: u64,
}

impl Seen {
    /// Whether an envelope is new. An envelope older than the window counts as new: receivers drop
    /// repeated entries.
    pub(super) fn is_new(&mut self, run: u64, number: u64) -> bool {
        self.count += 1;
        if !self.runs.contains_key(&run) && self.runs.len() >= RUNS {
            let quiet = self.runs.iter().min_by_key(|(_, window)| window.last_use);
            if let Some(quiet) = quiet.map(|(run, _)| *run) {
                self.runs.remove(&quiet);
            }
        }
        let window = self.runs.entry(run).or_insert_with(|| Window {
            highest: number,
            bits: [0; (WINDOW / 64) as usize],
            last_use: 0,
        });
        window.last_use = self.count;
        window.is_new(number)
    }
}

impl Window {
    fn is_new(&mut self, number: u64) -> bool {
        if number > self.highest {
            let passed = (number - self.highest).min(WINDOW);
            for next in 1..=passed {
                self.set(number - passed + next, false);
            }
            self.highest = number;
        } else if self.highest - number >= WINDOW {
            return true;
        }
        let is_new = !self.get(number);
        self.set(number, true);
        is_new
    }

    fn place(number: u64) -> (usize, u64) {
        let bit = number % WINDOW;
        (usize::try_from(bit / 64).unwrap_or(0), 1 << (bit % 64))
    }

    fn get(&self, number: u64) -> bool {
        let (index, mask) = Self::place(number);
        self.bits[index] & mask != 0
    }

    fn set(&mut self, number: u64, value: bool) {
        let (index, mask) = Self::place(number);
        if value {
            self.bits[index] |= mask;
        } else {
            self.bits[index] &= !mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_within_the_window_are_detected_in_any_order() {
        let mut seen = Seen::default();
        for number in [5, 6, 7, 3, 2_000, 1_999, 1_500, 2_001] {
            assert!(seen.is_new(1, number), "{number}");
            assert!(!seen.is_new(1, number), "{number} again");
        }
        assert!(seen.is_new(2, 7), "another run");
        assert!(seen.is_new(1, 1_998), "never came");
        assert!(seen.is_new(1, 6), "older than the window");
        for number in 10_000..12_000 {
            assert!(seen.is_new(1, number));
        }
        assert!((10_977..12_000).all(|number| !seen.is_new(1, number)));
    }

    #[test]
    fn runs_are_bounded() {
        let mut seen = Seen::default();
        for run in 0..10_000 {
            assert!(seen.is_new(run, 1));
            assert!(seen.is_new(u64::MAX, run));
        }
        assert_eq!(seen.runs.len(), RUNS);
        assert!(!seen.is_new(u64::MAX, 9_999), "a run in use is kept");
    }
}
