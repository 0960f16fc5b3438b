//! Pages of a log, cut to the limits of an answer. A store reads the entries nearest to an edge; what
//! is kept of them is decided here, for every store.

use crate::ports::{History, MoreAround};
use crate::weight::{self, ANSWER_BYTES};
use lamplight_domain::entry::Entry;

/// The bytes that an answer may still have. The first item always fits.
pub struct ByteBudget {
    left: usize,
    is_untouched: bool,
}

impl Default for ByteBudget {
    fn default() -> Self {
        Self {
            left: ANSWER_BYTES,
            is_untouched: true,
        }
    }
}

impl ByteBudget {
    /// Whether an item of this weight still fits; takes its bytes.
    pub fn takes(&mut self, weight: usize) -> bool {
        let takes = weight <= self.left || self.is_untouched;
        self.left = self.left.saturating_sub(weight);
        self.is_untouched = false;
        takes
    }
}

/// Entries on one side of an edge, the nearest first.
#[derive(Debug, Default)]
pub struct Side {
    pub entries: Vec<Entry>,
    /// There are more beyond them.
    pub has_more: bool,
}

impl Side {
    /// At most `limit` of the entries found, the nearest first, within the byte budget. The store
    /// looks for one more than `limit`.
    ///
    /// # Errors
    /// When reading an entry fails.
    pub fn nearest<E>(
        found: impl IntoIterator<Item = Result<Entry, E>>,
        limit: usize,
    ) -> Result<Self, E> {
        let mut budget = ByteBudget::default();
        let mut entries = Vec::new();
        for entry in found {
            let entry = entry?;
            if entries.len() == limit || !budget.takes(weight::entry(&entry)) {
                return Ok(Self {
                    entries,
                    has_more: true,
                });
            }
            entries.push(entry);
        }
        Ok(Self {
            entries,
            has_more: false,
        })
    }

    /// The page of entries before an edge.
    #[must_use]
    pub fn older(mut self) -> History {
        self.entries.reverse();
        self.newer()
    }

    /// The page of entries after an edge.
    #[must_use]
    pub fn newer(self) -> History {
        History {
            entries: self.entries,
            has_more: self.has_more,
            around: None,
        }
    }
}

/// The page around an entry, from what stands before it and from what follows, the entry itself
/// included: half of `limit` on each side, where a side that needs less than half leaves the rest to
/// the other. The same for bytes.
#[must_use]
pub fn around(older: Side, newer: Side, limit: usize) -> History {
    let (more_older, more_newer) = (older.has_more, newer.has_more);
    let (mut older, mut newer) = (older.entries, newer.entries);
    let before = older
        .len()
        .min((limit / 2).max(limit.saturating_sub(newer.len())));
    let after = newer.len().min(limit - before);
    let half = (ANSWER_BYTES / 2).min(bytes(&older[..before]));
    let after = after.min(fitting(&newer[..after], ANSWER_BYTES - half).max(1));
    let before = fitting(
        &older[..before],
        ANSWER_BYTES.saturating_sub(bytes(&newer[..after])),
    );
    let around = MoreAround {
        before: more_older || before < older.len(),
        after: more_newer || after < newer.len(),
    };
    older.truncate(before);
    newer.truncate(after);
    older.reverse();
    older.append(&mut newer);
    History {
        entries: older,
        has_more: around.before || around.after,
        around: Some(around),
    }
}

fn bytes(entries: &[Entry]) -> usize {
    entries.iter().map(weight::entry).sum()
}

/// How many of these fit into `bytes`.
fn fitting(entries: &[Entry], bytes: usize) -> usize {
    let mut total = 0;
    entries
        .iter()
        .take_while(|entry| {
            total += weight::entry(entry);
            total <= bytes
        })
        .count()
}
