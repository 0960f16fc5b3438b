//! Push services that do not answer: they are left alone for a while, so that the others do not wait
//! for the requests to them.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// The most hosts remembered.
const AT_MOST: usize = 256;
/// So many failures in a row leave a host alone.
const PATIENCE: u32 = 3;
/// For how long at most.
const LONGEST: Duration = Duration::from_secs(60);

struct Failing {
    failures: u32,
    until: Instant,
}

/// The hosts that failed last.
#[derive(Default)]
pub(super) struct Hosts(Mutex<HashMap<String, Failing>>);

impl Hosts {
    /// For how long a host is left alone.
    pub(super) fn pause(&self, host: &str) -> Option<Duration> {
        let hosts = self.0.lock();
        let left = hosts
            .get(host)?
            .until
            .checked_duration_since(Instant::now())?;
        Some(left).filter(|left| !left.is_zero())
    }

    pub(super) fn answered(&self, host: &str) {
        self.0.lock().remove(host);
    }

    pub(super) fn failed(&self, host: &str) {
        let mut hosts = self.0.lock();
        if hosts.len() >= AT_MOST && !hosts.contains_key(host) {
            hosts.clear();
        }
        let failing = hosts.entry(host.to_owned()).or_insert(Failing {
            failures: 0,
            until: Instant::now(),
        });
        failing.failures = failing.failures.saturating_add(1);
        if let Some(more) = failing.failures.checked_sub(PATIENCE) {
            let pause = Duration::from_secs(2_u64.saturating_pow(more.min(16)));
            failing.until = Instant::now() + pause.min(LONGEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_after_failures_of_a_host_grow() {
        let hosts = Hosts::default();
        for _ in 0..PATIENCE - 1 {
            hosts.failed("a");
            assert_eq!(hosts.pause("a"), None);
        }
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            hosts.failed("a");
            assert_eq!(hosts.pause("a"), Some(Duration::from_secs(pause)));
            assert_eq!(hosts.pause("b"), None);
        }
        tokio::time::advance(LONGEST).await;
        assert_eq!(hosts.pause("a"), None);
        hosts.failed("a");
        assert!(hosts.pause("a").is_some());
        hosts.answered("a");
        assert_eq!(hosts.pause("a"), None);
        for other in 0..2 * AT_MOST {
            hosts.failed(&other.to_string());
        }
        assert!(hosts.0.lock().len() <= AT_MOST);
    }
}
