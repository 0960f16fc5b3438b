//! How often is too often: one keyed limiter for each kind of request.

use crate::ports::Clock;
use crate::refusal::Refusal;
use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use lamplight_domain::identity::{SessionId, UserId};
use lamplight_domain::text::username_key;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The [`Clock`] port as the limiters' clock, so that tests decide how time passes.
#[derive(Clone)]
struct PortClock(Arc<dyn Clock>);

impl GovernorClock for PortClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Duration::from_millis(self.0.now().moment.0).into()
    }
}

/// A limit on one kind of request by one kind of key.
struct Limit<K: Hash + Eq + Clone> {
    what: &'static str,
    limiter: Option<RateLimiter<K, DashMapStateStore<K>, PortClock, NoOpMiddleware<Nanos>>>,
    clock: PortClock,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    /// `count` in `per`, 0 for no limit.
    fn new(what: &'static str, count: u32, per: Duration, clock: &Arc<dyn Clock>) -> Self {
        let clock = PortClock(Arc::clone(clock));
        let limiter = NonZeroU32::new(count).and_then(|burst| {
            let quota = Quota::with_period(per / burst.get())?.allow_burst(burst);
            Some(RateLimiter::new(quota, DashMapStateStore::default(), clock.clone()))
        });
        Self { what, limiter, clock }
    }

    fn check(&self, key: &K) -> Result<(), Refusal> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check_key(key).map_err(|not_yet| {
            let wait = not_yet.wait_time_from(self.clock.now()).max(Duration::from_millis(1));
            Refusal::rate_limited(format!("{} {}", self.what, how_long(wait)), wait)
        })
    }

    fn forget_idle(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.limiter.as_ref().map_or(0, RateLimiter::len)
    }
}

/// The wait in words, never a second too short.
fn how_long(wait: Duration) -> String {
    match wait.as_millis().div_ceil(1_000) {
        0 | 1 => "Wait a moment.".to_owned(),
        seconds => format!("Wait {seconds} seconds."),
    }
}

/// The limits in force; 0 turns one off.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Sends a second, by user.
    pub sends: u32,
    /// Typing notices a second, by user.
    pub typing: u32,
    /// `join_user` a minute, by socket.
    pub joins: u32,
    /// Sign-ins a minute, by account; by address three times as many.
    pub logins: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { sends: 20, typing: 5, joins: 10, logins: 10 }
    }
}

/// Marks, statuses and the like that a user may write for each send that they may make: reading is faster than writing.
const WRITES_PER_SEND: u32 = 5;

/// Searches that look at everyone in the directory: this many sends for each. A page that searches while one types needs fewer.
const SENDS_PER_SEARCH: u32 = 2;

/// Every limiter.
pub(crate) struct Limits {
    sends: Limit<UserId>,
    typing: Limit<UserId>,
    joins: Limit<SessionId>,
    accounts: Limit<String>,
    addresses: Limit<IpAddr>,
    tokens: Limit<IpAddr>,
    writes: Limit<UserId>,
    searches: Limit<UserId>,
}

impl Limits {
    pub(crate) fn new(quotas: Quotas, clock: &Arc<dyn Clock>) -> Self {
        let second = Duration::from_secs(1);
        let minute = Duration::from_secs(60);
        Self {
            writes: Limit::new("You are changing things too fast.", quotas.sends.saturating_mul(WRITES_PER_SEND), second, clock),
            searches: Limit::new("You are searching too fast. Wait a moment.", quotas.sends.div_ceil(SENDS_PER_SEARCH), second, clock),
            sends: Limit::new("You are sending too fast.", quotas.sends, second, clock),
            typing: Limit::new("Too many typing notices.", quotas.typing, second, clock),
            joins: Limit::new("This connection announced itself too often.", quotas.joins, minute, clock),
            accounts: Limit::new("Too many attempts to sign in to this account.", quotas.logins, minute, clock),
            addresses: Limit::new("Too many attempts to sign in from your address.", quotas.logins.saturating_mul(3), minute, clock),
            tokens: Limit::new("Too many refused tokens from your address.", quotas.logins.saturating_mul(3), minute, clock),
        }
    }

    pub(crate) fn send(&self, user: &UserId) -> Result<(), Refusal> {
        self.sends.check(user)
    }

    pub(crate) fn write(&self, user: &UserId) -> Result<(), Refusal> {
        self.writes.check(user)
    }

    pub(crate) fn search(&self, user: &UserId) -> Result<(), Refusal> {
        self.searches.check(user)
    }

    pub(crate) fn typing(&self, user: &UserId) -> Result<(), Refusal> {
        self.typing.check(user)
    }

    pub(crate) fn join(&self, session: &SessionId) -> Result<(), Refusal> {
        self.joins.check(session)
    }

    /// The address first, so that one address uses up little of other people's accounts. All the same, an account's limit can
    /// be used up by somebody else: whoever guesses at it from a few addresses keeps its owner from signing in for as long as
    /// they go on. That is the price of a bound on guesses that come from many addresses; who is signed in stays so.
    pub(crate) fn login(&self, account: &str, address: Option<IpAddr>) -> Result<(), Refusal> {
        self.address(address)?;
        // Normalised as the store does it: every spelling that opens the account counts against it.
        self.accounts.check(&username_key(account))
    }

    pub(crate) fn address(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        address.map_or(Ok(()), |address| self.addresses.check(&network_of(address)))
    }

    /// Counts a refused token.
    pub(crate) fn refused_token(&self, address: IpAddr) -> Result<(), Refusal> {
        self.tokens.check(&network_of(address))
    }

    /// Forgets the keys that have all their allowance back, so that memory follows who is busy now.
    pub(crate) fn forget_idle(&self) {
        self.sends.forget_idle();
        self.typing.forget_idle();
        self.joins.forget_idle();
        self.accounts.forget_idle();
        self.addresses.forget_idle();
        self.tokens.forget_idle();
        self.writes.forget_idle();
        self.searches.forget_idle();
    }

    /// How many keys are held.
    pub(crate) fn len(&self) -> usize {
        let by_name = self.sends.len() + self.typing.len() + self.writes.len() + self.joins.len() + self.accounts.len();
        by_name + self.searches.len() + self.addresses.len() + self.tokens.len()
    }
}

/// What one household or one machine can choose freely within: an IPv6 /64 counts as one address.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let mut octets = v6.octets();
                octets[8..].fill(0);
                IpAddr::V6(octets.into())
            }
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

const _: fn() = || {
    fn assert_reference<R: Reference>() {}
    assert_reference::<Nanos>();
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_that_is_told_is_the_wait_there_is() {
        for (millis, words) in [(1, "a moment"), (1_000, "a moment"), (1_001, "2 seconds"), (5_793, "6 seconds"), (60_000, "60 seconds")] {
            assert_eq!(how_long(Duration::from_millis(millis)), format!("Wait {words}."));
        }
    }
}
