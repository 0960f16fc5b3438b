//! The durations that decide about presence.

use std::time::Duration;

/// Durations and rates.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long a session that closed still counts, so that a reload is no event.
    pub grace: Duration,
    /// How long a node's sessions count after it renewed its lease for the last time.
    pub lease: Duration,
    /// How long a session lives without activity.
    pub time_to_live: Duration,
    /// For how long no device is active until the user is shown as away.
    pub away_after: Duration,
    /// The pace of updates of one user after a burst of five: later ones wait, and only the newest is
    /// published. Joining and leaving never wait. Zero for no limit.
    pub update_every: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            time_to_live: Duration::from_secs(3_600),
            away_after: Duration::from_secs(300),
            update_every: Duration::from_secs(5),
        }
    }
}
