//! The time of a shared store, read from a clock that may jump.

use crate::time::Moment;
use std::time::Duration;

/// The clock of one bucket of a shared store. Each step advances it by the time that the server's
/// clock has advanced since the previous step. Stored with the bucket.
///
/// Setting the server's clock back or ahead must not end sessions. Neither must a time in which no
/// node reached the store, because no lease could be renewed. So a step counts as no time if the
/// server's clock is behind the last step, or further ahead than the longest pause between two
/// steps of a reachable store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketClock {
    /// The time that has passed, for every duration.
    pub moment: Moment,
    /// The server's clock at the last step, in milliseconds; 0 before the first.
    pub server_ms: u64,
}

/// A reading of a [`BucketClock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The clock after it.
    pub clock: BucketClock,
    /// Whether the server's clock jumped, or no node made a step for long: leases are granted
    /// again.
    pub has_jumped: bool,
}

impl BucketClock {
    /// The clock at a step, where the server's clock shows `server_ms`. Nodes make a step at least
    /// every `quiet`.
    #[must_use]
    pub fn read(self, server_ms: u64, quiet: Duration) -> Reading {
        let passed = server_ms
            .checked_sub(self.server_ms)
            .map(Duration::from_millis)
            .filter(|passed| *passed <= quiet);
        Reading {
            clock: Self {
                moment: self.moment.plus(passed.unwrap_or_default()),
                server_ms,
            },
            has_jumped: passed.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUIET: Duration = Duration::from_secs(5);

    #[test]
    fn p9_a_clock_that_jumps_passes_no_time() {
        let start = BucketClock {
            moment: Moment(500),
            server_ms: 10_000,
        };
        let ordinary = start.read(15_000, QUIET);
        assert_eq!(ordinary.clock.moment, Moment(5_500));
        assert!(!ordinary.has_jumped);
        for jumped in [15_001, 3_610_000, 9_999, 0] {
            let reading = start.read(jumped, QUIET);
            assert!(reading.has_jumped, "{jumped}");
            assert_eq!(reading.clock.moment, Moment(500));
            // Time passes again from the new time on.
            let next = reading.clock.read(jumped + 100, QUIET);
            assert_eq!(next.clock.moment, Moment(600));
            assert!(!next.has_jumped);
        }
    }

    proptest! {
        #[test]
        fn p9_no_more_time_passes_than_steps_allow(readings in prop::collection::vec(0_u64..40_000, 1..50)) {
            let mut clock = BucketClock::default();
            for server_ms in readings {
                let after = clock.read(server_ms, QUIET).clock;
                prop_assert!(after.moment >= clock.moment);
                prop_assert!(after.moment.since(clock.moment) <= QUIET);
                prop_assert_eq!(after.server_ms, server_ms);
                clock = after;
            }
        }
    }
}
