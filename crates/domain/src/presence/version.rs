//! Versions of a user's visible state: they grow for each user, over restarts and restored stores too.

use crate::time::Timestamp;

/// 2020-01-01T00:00:00Z.
const START_MS: i64 = 1_577_836_800_000;
/// Versions in a millisecond.
const PER_MS: u64 = 4_096;
/// Versions are below 2^53, so that JavaScript's numbers hold them. The clock's part stays this far
/// below, at any time, so that versions still grow after a clock that was far ahead.
const CLOCK_AT_MOST: u64 = (1 << 53) - (1 << 40);

/// The version that the clock alone would give.
#[must_use]
pub fn clock_version(wall: Timestamp) -> u64 {
    let since = u64::try_from(wall.0.saturating_sub(START_MS)).unwrap_or(0);
    since.saturating_mul(PER_MS).min(CLOCK_AT_MOST)
}

/// The version after `previous`.
#[must_use]
pub fn next_version(previous: u64, wall: Timestamp) -> u64 {
    clock_version(wall).max(previous.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f14_versions_grow_by_the_clock_and_without_it() {
        let noon = Timestamp(1_795_953_600_000);
        let first = next_version(0, noon);
        assert_eq!(first, u64::try_from(noon.0 - START_MS).unwrap() * 4_096);
        assert_eq!(next_version(first, noon), first + 1);
        assert_eq!(
            next_version(first, Timestamp(noon.0 - 3_600_000)),
            first + 1,
            "the clock went back"
        );
        assert_eq!(
            next_version(first + 5, Timestamp(noon.0 + 1)),
            first + 4_096
        );
        assert_eq!(
            next_version(7, Timestamp(0)),
            8,
            "a clock that was never set"
        );
        assert!(next_version(0, Timestamp(i64::MAX)) < 1 << 53);
        assert!(next_version(clock_version(Timestamp(i64::MAX)), Timestamp(i64::MAX)) < 1 << 53);
    }
}
