//! Two kinds of time, kept apart so that they cannot be mixed up.
//!
//! A [`Moment`] orders what happens on one node and never jumps; a [`Timestamp`] is what people
//! read and may jump with the machine's clock. Every rule about *how long* uses moments; only what
//! is shown, and what a person set for a wall-clock time (`until`, a token's expiry), uses
//! timestamps.

use std::time::Duration;

/// A point on this process' monotonic clock, in milliseconds from an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// This moment, `after` later.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(
            self.0
                .saturating_add(after.as_millis().try_into().unwrap_or(u64::MAX)),
        )
    }

    /// How long ago `earlier` was, zero if it is yet to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A point in UTC, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A time that is further ahead than this was read from a clock that was wrong.
const WRONG_MS: i64 = 7 * 24 * 3_600_000;

impl Timestamp {
    /// The later of this and `now`, so that a clock that is set back moves nothing back. Where this
    /// is so far ahead that the clock was wrong then, `now`: it would stay there for good
    /// otherwise.
    #[must_use]
    pub fn advance_to(self, now: Self) -> Self {
        if self.0.saturating_sub(now.0) > WRONG_MS {
            now
        } else {
            self.max(now)
        }
    }
}

/// Now, on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock, for every duration.
    pub moment: Moment,
    /// The wall clock, for displayed times.
    pub wall: Timestamp,
}
