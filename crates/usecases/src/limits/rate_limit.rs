//! Rate limits by key.

use super::shared_key::SharedKey;
use crate::network::network_of;
use crate::ports::{Clock, SharedLimits, SharedRule};
use crate::refusal::Refusal;
use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use lamplight_domain::time::Moment;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The [`Clock`] port as the limiters' clock, so that tests control the time.
#[derive(Clone)]
struct PortClock(Arc<dyn Clock>);

impl GovernorClock for PortClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Duration::from_millis(self.0.now().moment.0).into()
    }
}

const _: fn() = || {
    fn assert_reference<R: Reference>() {}
    assert_reference::<Nanos>();
};

/// A limit on one kind of request by one kind of key.
pub(super) struct RateLimit<K: Hash + Eq + Clone> {
    /// The first sentence of the refusal; the second says how long to wait.
    message: &'static str,
    count: u32,
    per: Duration,
    limiter: Option<Limiter<K>>,
    clock: PortClock,
    /// Of a limit that counts for all nodes together.
    shared: Option<Shared<K>>,
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, PortClock, NoOpMiddleware<Nanos>>;

struct Shared<K> {
    limits: Arc<dyn SharedLimits>,
    rule: SharedRule,
    text: fn(&K) -> String,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// `count` in `per`, 0 for no limit.
    pub(super) fn new(
        message: &'static str,
        count: u32,
        per: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let clock = PortClock(Arc::clone(clock));
        let limiter = NonZeroU32::new(count).and_then(|burst| {
            let quota = Quota::with_period(per / burst.get())?.allow_burst(burst);
            Some(RateLimiter::new(
                quota,
                DashMapStateStore::default(),
                clock.clone(),
            ))
        });
        Self {
            message,
            count,
            per,
            limiter,
            clock,
            shared: None,
        }
    }

    /// Makes the limit count for all nodes together, under a name.
    pub(super) fn shared(
        mut self,
        name: &'static str,
        limits: Option<&Arc<dyn SharedLimits>>,
    ) -> Self
    where
        K: SharedKey,
    {
        self.shared = limits.map(|limits| Shared {
            limits: Arc::clone(limits),
            rule: SharedRule {
                name,
                count: self.count,
                per: self.per,
            },
            text: K::text,
        });
        self
    }

    pub(super) fn check(&self, key: &K) -> Result<(), Refusal> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        if let Some(shared) = &self.shared
            && let Some(wait) = shared.limits.wait(shared.rule, &(shared.text)(key))
        {
            return Err(self.refusal(wait));
        }
        limiter
            .check_key(key)
            .map_err(|not_yet| self.refusal(not_yet.wait_time_from(self.clock.now())))?;
        if let Some(shared) = &self.shared {
            shared.limits.add(shared.rule, &(shared.text)(key), 1);
        }
        Ok(())
    }

    fn refusal(&self, wait: Duration) -> Refusal {
        let wait = wait.max(Duration::from_millis(1));
        Refusal::rate_limited(format!("{} {}", self.message, how_long(wait)), wait)
    }

    pub(super) fn forget_idle(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.limiter.as_ref().map_or(0, RateLimiter::len)
    }
}

/// The wait in words, rounded up to seconds.
fn how_long(wait: Duration) -> String {
    match wait.as_millis().div_ceil(1_000) {
        0 | 1 => "Wait a moment.".to_owned(),
        seconds => format!("Wait {seconds} seconds."),
    }
}

/// Counts the refused tokens of an address in the minute that began with the first of them. Unlike
/// [`RateLimit`] it can be checked without counting, so that a check can come before a comparison
/// that counts only if it fails.
pub(super) struct RefusedTokens {
    most: u32,
    shared: Option<Arc<dyn SharedLimits>>,
    clock: Arc<dyn Clock>,
    counts: Mutex<HashMap<IpAddr, (Moment, u32)>>,
}

const REFUSED_WINDOW: Duration = Duration::from_secs(60);

impl RefusedTokens {
    /// At most `most` a minute, 0 for no limit.
    pub(super) fn new(
        most: u32,
        clock: &Arc<dyn Clock>,
        shared: Option<&Arc<dyn SharedLimits>>,
    ) -> Self {
        Self {
            most,
            shared: shared.cloned(),
            clock: Arc::clone(clock),
            counts: Mutex::default(),
        }
    }

    pub(super) fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        if self.most == 0 {
            return Ok(());
        }
        let (now, network) = (self.clock.now().moment, network_of(address));
        let elsewhere = self
            .shared
            .as_ref()
            .and_then(|shared| shared.wait(self.rule(), &network.text()));
        if let Some(wait) = elsewhere {
            return Err(refused_tokens(wait));
        }
        match self.counts.lock().get(&network) {
            Some((since, count)) if *count >= self.most && now.since(*since) < REFUSED_WINDOW => {
                Err(refused_tokens(REFUSED_WINDOW - now.since(*since)))
            }
            _ => Ok(()),
        }
    }

    /// Counts one more, unless there were too many before.
    pub(super) fn add(&self, address: IpAddr) -> Result<(), Refusal> {
        self.check(address)?;
        if self.most == 0 {
            return Ok(());
        }
        let (now, network) = (self.clock.now().moment, network_of(address));
        let mut counts = self.counts.lock();
        let count = counts.entry(network).or_insert((now, 0));
        if now.since(count.0) >= REFUSED_WINDOW {
            *count = (now, 0);
        }
        count.1 += 1;
        drop(counts);
        if let Some(shared) = &self.shared {
            shared.add(self.rule(), &network.text(), 1);
        }
        Ok(())
    }

    fn rule(&self) -> SharedRule {
        SharedRule {
            name: "tokens",
            count: self.most,
            per: REFUSED_WINDOW,
        }
    }

    pub(super) fn forget_idle(&self) {
        let now = self.clock.now().moment;
        let mut counts = self.counts.lock();
        counts.retain(|_, (since, _)| now.since(*since) < REFUSED_WINDOW);
        counts.shrink_to_fit();
    }

    pub(super) fn len(&self) -> usize {
        self.counts.lock().len()
    }
}

fn refused_tokens(wait: Duration) -> Refusal {
    Refusal::rate_limited(
        format!(
            "Too many refused tokens from your address. {}",
            how_long(wait)
        ),
        wait,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reported_wait_is_exact() {
        for (millis, words) in [
            (1, "a moment"),
            (1_000, "a moment"),
            (1_001, "2 seconds"),
            (5_793, "6 seconds"),
            (60_000, "60 seconds"),
        ] {
            assert_eq!(
                how_long(Duration::from_millis(millis)),
                format!("Wait {words}.")
            );
        }
    }
}
