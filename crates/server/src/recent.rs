//! A map that forgets its entries after a time.

use lamplight_domain::time::Moment;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// No scan for expired entries below this size.
const SMALL: usize = 64;

/// Entries of the last `life`, and at most as many expired ones, plus [`SMALL`]. An insertion costs constant time
/// on average: a scan removes expired entries only once the map has doubled since the last scan.
pub(crate) struct Recent<K, V> {
    life: Duration,
    entries: HashMap<K, (V, Moment)>,
    scan_at: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(crate) fn new(life: Duration) -> Self {
        Self {
            life,
            entries: HashMap::new(),
            scan_at: SMALL,
        }
    }

    /// Inserts or replaces an entry, which then lives from `now` on.
    pub(crate) fn insert(&mut self, key: K, value: V, now: Moment) {
        if self.entries.len() >= self.scan_at {
            let life = self.life;
            self.entries.retain(|_, (_, at)| now.since(*at) < life);
            self.scan_at = SMALL.max(2 * self.entries.len());
        }
        self.entries.insert(key, (value, now));
    }

    /// The value of a key; it may be one that has expired.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn expired_entries_are_removed_and_live_ones_stay() {
        let mut recent = Recent::new(Duration::from_secs(60));
        for key in 0..1_000 {
            recent.insert(key, (), at(0));
        }
        assert!((0..1_000).all(|key| recent.get(&key).is_some()));
        for key in 1_000..2_100 {
            recent.insert(key, (), at(61));
        }
        assert!(recent.get(&0).is_none());
        assert!((1_000..2_100).all(|key| recent.get(&key).is_some()));
    }

    #[test]
    fn a_repeated_insertion_renews_an_entry() {
        let mut recent = Recent::new(Duration::from_secs(60));
        recent.insert(0, 1, at(0));
        recent.insert(0, 2, at(50));
        for key in 1..200 {
            recent.insert(key, 0, at(100));
        }
        assert_eq!(recent.get(&0), Some(&2));
    }
}
