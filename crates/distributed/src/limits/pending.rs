//! Uses that this node has not reported yet.

use lamplight_usecases::ports::SharedRule;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

/// The maximum number of keys in a report. Uses of further keys count on this node only.
const MOST: usize = 50_000;

/// The key of a limit as Redis holds it: user names and addresses are no one's business there, and
/// some are long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyDigest(u128);

impl KeyDigest {
    pub(super) fn of(key: &str) -> Self {
        let digest = Sha256::digest(key.as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        Self(u128::from_be_bytes(first))
    }

    pub(super) fn bucket(&self, buckets: u8) -> u8 {
        u8::try_from(self.0 % u128::from(buckets)).unwrap_or(0)
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Uses since the last report.
#[derive(Default)]
pub(super) struct Uses(HashMap<(SharedRule, KeyDigest), u32>);

impl Uses {
    pub(super) fn add(&mut self, rule: SharedRule, key: KeyDigest, uses: u32) {
        let is_full = self.0.len() >= MOST;
        match self.0.get_mut(&(rule, key)) {
            Some(sum) => *sum = sum.saturating_add(uses),
            None if is_full => {}
            None => drop(self.0.insert((rule, key), uses)),
        }
    }

    pub(super) fn take(&mut self) -> HashMap<(SharedRule, KeyDigest), u32> {
        std::mem::take(&mut self.0)
    }
}

#[derive(Clone, Copy, Default)]
struct Count {
    here: usize,
    elsewhere: usize,
}

/// Connections by address.
#[derive(Default)]
pub(super) struct Connections {
    counts: HashMap<IpAddr, Count>,
    changed: HashSet<IpAddr>,
}

impl Connections {
    pub(super) fn set(&mut self, address: IpAddr, count: usize) {
        if count == 0 && !self.counts.contains_key(&address) {
            return;
        }
        if self.counts.len() < MOST || self.counts.contains_key(&address) {
            self.counts.entry(address).or_default().here = count;
            self.changed.insert(address);
        }
    }

    pub(super) fn elsewhere(&self, address: IpAddr) -> usize {
        self.counts.get(&address).map_or(0, |count| count.elsewhere)
    }

    pub(super) fn set_elsewhere(&mut self, address: IpAddr, elsewhere: usize) {
        if let Some(count) = self.counts.get_mut(&address) {
            count.elsewhere = elsewhere;
        }
    }

    /// Counts are valid for a while only.
    pub(super) fn repeat(&mut self) {
        self.changed.extend(self.counts.keys());
    }

    pub(super) fn report_again(&mut self, address: IpAddr) {
        self.changed.insert(address);
    }

    pub(super) fn take_changes(&mut self) -> Vec<(IpAddr, usize)> {
        let changed = std::mem::take(&mut self.changed);
        let counts = changed.into_iter().map(|address| {
            let here = self.counts.get(&address).map_or(0, |count| count.here);
            if here == 0 {
                self.counts.remove(&address);
            }
            (address, here)
        });
        counts.collect()
    }
}
