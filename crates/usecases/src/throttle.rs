//! Limits log lines that clients can cause, by kind and by address, so that no client fills a disk
//! or hides the lines about others. Lines that are left out are counted, and the count is logged.

use crate::network::network_of;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// The limits are for this long, and the same line is not repeated for this long.
const PERIOD: Duration = Duration::from_secs(60);
/// Lines of one kind about one address (an IPv6 /64 is one): few, so that one address does not use
/// up the lines of the others.
const PER_ADDRESS: u32 = 10;
/// Lines of one kind about all addresses.
const PER_KIND: u32 = 100;

/// A line may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Lines of its kind that were left out since the last one. A field of the line.
    pub left_out: Option<u64>,
}

/// Lines of one kind in this period. Only logged lines are remembered, so the limits bound the
/// tables too.
#[derive(Default)]
struct Kind {
    began: Option<Instant>,
    logged: u32,
    lines: HashSet<u64>,
    addresses: HashMap<IpAddr, u32>,
    left_out: u64,
}

impl Kind {
    fn due(&mut self, line: u64, address: Option<IpAddr>, now: Instant) -> Option<Due> {
        if self
            .began
            .is_none_or(|began| now.duration_since(began) >= PERIOD)
        {
            self.began = Some(now);
            self.logged = 0;
            self.lines.clear();
            self.addresses.clear();
        }
        let had = address.map_or(0, |address| {
            self.addresses.get(&address).copied().unwrap_or(0)
        });
        if self.logged >= PER_KIND || had >= PER_ADDRESS || self.lines.contains(&line) {
            self.left_out += 1;
            return None;
        }
        self.logged += 1;
        self.lines.insert(line);
        if let Some(address) = address {
            self.addresses.insert(address, had + 1);
        }
        let left_out = std::mem::take(&mut self.left_out);
        Some(Due {
            left_out: (left_out > 0).then_some(left_out),
        })
    }
}

/// Limits for each kind of line.
#[derive(Default)]
pub struct LogThrottle(Mutex<BTreeMap<&'static str, Kind>>);

impl LogThrottle {
    /// Whether to log a line now. `kind` is a fixed name, `what` distinguishes the lines of a kind,
    /// and `address` is the client that caused it.
    #[must_use]
    pub fn due(&self, kind: &'static str, what: &str, address: Option<IpAddr>) -> Option<Due> {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.0.lock().entry(kind).or_default().due(
            hasher.finish(),
            address.map(network_of),
            Instant::now(),
        )
    }

    /// Kinds with lines left out and no line logged for a whole period, with the number left out.
    pub fn take_left_out(&self) -> Vec<(&'static str, u64)> {
        let now = Instant::now();
        let mut kinds = self.0.lock();
        let is_over = |kind: &Kind| {
            kind.left_out > 0
                && kind
                    .began
                    .is_none_or(|began| now.duration_since(began) >= PERIOD)
        };
        kinds
            .iter_mut()
            .filter(|(_, kind)| is_over(kind))
            .map(|(name, kind)| (*name, std::mem::take(&mut kind.left_out)))
            .collect()
    }
}

static LOG: std::sync::LazyLock<LogThrottle> = std::sync::LazyLock::new(LogThrottle::default);

/// [`LogThrottle::due`] of the process.
#[must_use]
pub fn due(kind: &'static str, what: &str, address: Option<IpAddr>) -> Option<Due> {
    LOG.due(kind, what, address)
}

/// Logs how many lines were left out, for kinds where no later line says so. To be called about once
/// a minute.
pub fn report() {
    for (kind, left_out) in LOG.take_left_out() {
        tracing::info!(kind, left_out, "log lines were left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[tokio::test(start_paused = true)]
    async fn h4_a_line_is_logged_once_per_period_and_the_next_counts_the_omitted() {
        let log = LogThrottle::default();
        assert_eq!(
            log.due("token", "a", address(1)),
            Some(Due { left_out: None })
        );
        for _ in 0..7 {
            assert_eq!(log.due("token", "a", address(2)), None);
        }
        assert_eq!(
            log.due("token", "b", address(1)),
            Some(Due { left_out: Some(7) })
        );
        assert_eq!(
            log.due("origin", "a", address(1)),
            Some(Due { left_out: None }),
            "another kind is its own"
        );
        tokio::time::advance(PERIOD).await;
        assert_eq!(
            log.due("token", "a", address(1)),
            Some(Due { left_out: None })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn h4_texts_of_one_address_do_not_suppress_lines_of_others() {
        let log = LogThrottle::default();
        let logged = (0..100_000)
            .filter(|n| {
                log.due("origin", &format!("https://{n}.example"), address(1))
                    .is_some()
            })
            .count();
        assert_eq!(logged, 10);
        assert!(
            log.due("origin", "https://real.example", address(2))
                .is_some()
        );
        // Nor from as many addresses as a network of their own has.
        let v6 = |n: u64| {
            Some(IpAddr::from(std::net::Ipv6Addr::from(
                (0x2001_0db8_u128 << 96) | u128::from(n),
            )))
        };
        let logged = (0..1_000)
            .filter(|n| log.due("token", &n.to_string(), v6(*n)).is_some())
            .count();
        assert_eq!(logged, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn h4_lines_and_tables_are_bounded_over_all_addresses() {
        let log = LogThrottle::default();
        let flood = || {
            (0..50_000_u32)
                .filter(|n| {
                    log.due(
                        "origin",
                        &n.to_string(),
                        Some(IpAddr::from(n.to_be_bytes())),
                    )
                    .is_some()
                })
                .count()
        };
        assert_eq!(flood(), 100);
        {
            let kinds = log.0.lock();
            assert!(kinds["origin"].lines.len() <= 100 && kinds["origin"].addresses.len() <= 100);
        }
        assert_eq!(log.take_left_out(), [], "the next line may still say it");
        tokio::time::advance(PERIOD).await;
        assert_eq!(log.take_left_out(), [("origin", 49_900)]);
        assert_eq!(log.take_left_out(), []);
    }
}
