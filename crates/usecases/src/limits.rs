//! How often is too often: one keyed limiter for each kind of request.

use crate::caller::{Caller, Principal};
use crate::metadata::Budget;
use crate::ports::Clock;
use crate::refusal::Refusal;
use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::text::username_key;
use lamplight_domain::time::Moment;
use parking_lot::Mutex;
use std::collections::HashMap;
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
            Some(RateLimiter::new(
                quota,
                DashMapStateStore::default(),
                clock.clone(),
            ))
        });
        Self {
            what,
            limiter,
            clock,
        }
    }

    fn check(&self, key: &K) -> Result<(), Refusal> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        limiter.check_key(key).map_err(|not_yet| {
            let wait = not_yet
                .wait_time_from(self.clock.now())
                .max(Duration::from_millis(1));
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

/// How many secrets of one address were refused in the minute that began with the first of them.
/// Unlike [`Limit`] it can be asked without counting, so that a limit can stand before a comparison
/// that counts only where it fails.
struct Refused {
    most: u32,
    clock: Arc<dyn Clock>,
    counts: Mutex<HashMap<IpAddr, (Moment, u32)>>,
}

const REFUSED_WINDOW: Duration = Duration::from_secs(60);

impl Refused {
    fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let now = self.clock.now().moment;
        match self.counts.lock().get(&network_of(address)) {
            Some((since, count))
                if self.most > 0 && *count >= self.most && now.since(*since) < REFUSED_WINDOW =>
            {
                let wait = REFUSED_WINDOW - now.since(*since);
                Err(Refusal::rate_limited(
                    format!(
                        "Too many refused tokens from your address. {}",
                        how_long(wait)
                    ),
                    wait,
                ))
            }
            _ => Ok(()),
        }
    }

    /// Counts one more, unless there were too many before.
    fn add(&self, address: IpAddr) -> Result<(), Refusal> {
        self.check(address)?;
        if self.most == 0 {
            return Ok(());
        }
        let now = self.clock.now().moment;
        let mut counts = self.counts.lock();
        let count = counts.entry(network_of(address)).or_insert((now, 0));
        if now.since(count.0) >= REFUSED_WINDOW {
            *count = (now, 0);
        }
        count.1 += 1;
        Ok(())
    }

    fn forget_idle(&self) {
        let now = self.clock.now().moment;
        let mut counts = self.counts.lock();
        counts.retain(|_, (since, _)| now.since(*since) < REFUSED_WINDOW);
        counts.shrink_to_fit();
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
    /// Sign-ins a minute to an account from one network; from a network to any account three times
    /// as many, and ten times as many to an account from all networks that have not signed in to it
    /// lately.
    pub logins: u32,
    /// Conversations that a user may make, a minute.
    pub conversations: u32,
    /// Reads a second, by user; by address where there is no user. What they may cost together
    /// follows it.
    pub reads: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            sends: 20,
            typing: 5,
            joins: 10,
            logins: 10,
            conversations: 20,
            reads: 100,
        }
    }
}

/// Marks, statuses and the like that a user may write for each send that they may make: reading is
/// faster than writing.
const WRITES_PER_SEND: u32 = 5;

/// Searches that look at everyone in the directory: this many sends for each. A page that searches
/// while one types needs fewer.
const SENDS_PER_SEARCH: u32 = 2;

/// How often a minute what is told of a user to everyone may change: their name and picture.
const PROFILES_A_MINUTE: u32 = 5;
/// Statuses and activities, of which everybody is told: this many in [`CHANGES_IN`].
const CHANGES: u32 = 20;
/// The time for these.
const CHANGES_IN: Duration = Duration::from_secs(10);

/// Reads that a user may make for each refusal a second that they are given at once.
const READS_PER_REFUSAL: u32 = 5;

/// Requests that an address may make for each read that a user may: there may be many users behind
/// it.
const REQUESTS_PER_READ: u32 = 20;

/// Every limiter.
pub(crate) struct Limits {
    sends: Limit<UserId>,
    typing: Limit<UserId>,
    joins: Limit<ConnectionId>,
    accounts: Limit<(String, Option<IpAddr>)>,
    strangers: Limit<String>,
    networks: Limit<IpAddr>,
    sites: Limit<IpAddr>,
    tokens: Refused,
    conversations: Limit<UserId>,
    profiles: Limit<UserId>,
    writes: Limit<UserId>,
    searches: Limit<UserId>,
    reads: Limit<UserId>,
    /// Of whoever is nobody's.
    nameless_reads: Limit<IpAddr>,
    changes: Limit<UserId>,
    refusals: Limit<UserId>,
    address_refusals: Limit<IpAddr>,
    requests: Limit<IpAddr>,
}

impl Limits {
    pub(crate) fn new(quotas: Quotas, clock: &Arc<dyn Clock>) -> Self {
        let second = Duration::from_secs(1);
        let minute = Duration::from_secs(60);
        Self {
            writes: Limit::new(
                "You are changing things too fast.",
                quotas.sends.saturating_mul(WRITES_PER_SEND),
                second,
                clock,
            ),
            searches: Limit::new(
                "You are searching too fast. Wait a moment.",
                quotas.sends.div_ceil(SENDS_PER_SEARCH),
                second,
                clock,
            ),
            reads: Limit::new("You are reading too fast.", quotas.reads, second, clock),
            nameless_reads: Limit::new(
                "Too many reads from your address.",
                quotas.reads,
                second,
                clock,
            ),
            changes: Limit::new(
                "You are changing your status too fast.",
                if quotas.sends == 0 { 0 } else { CHANGES },
                CHANGES_IN,
                clock,
            ),
            refusals: Limit::new("", quotas.reads.div_ceil(READS_PER_REFUSAL), second, clock),
            address_refusals: Limit::new("", quotas.reads, second, clock),
            requests: Limit::new(
                "Too many requests from your address.",
                quotas.reads.saturating_mul(REQUESTS_PER_READ),
                second,
                clock,
            ),
            sends: Limit::new("You are sending too fast.", quotas.sends, second, clock),
            typing: Limit::new("Too many typing notices.", quotas.typing, second, clock),
            joins: Limit::new(
                "This connection announced itself too often.",
                quotas.joins,
                minute,
                clock,
            ),
            accounts: Limit::new(
                "Too many attempts to sign in to this account from your network.",
                quotas.logins,
                minute,
                clock,
            ),
            strangers: Limit::new(
                "Too many attempts to sign in to this account.",
                quotas.logins.saturating_mul(10),
                minute,
                clock,
            ),
            networks: Limit::new(
                "Too many attempts to sign in from your network.",
                quotas.logins.saturating_mul(3),
                minute,
                clock,
            ),
            sites: Limit::new(
                "Too many attempts to sign in from your network.",
                quotas.logins.saturating_mul(10),
                minute,
                clock,
            ),
            tokens: Refused {
                most: quotas.logins.saturating_mul(3),
                clock: Arc::clone(clock),
                counts: Mutex::default(),
            },
            conversations: Limit::new(
                "You are starting conversations too fast.",
                quotas.conversations,
                minute,
                clock,
            ),
            profiles: Limit::new(
                "Your name or picture changes too often.",
                PROFILES_A_MINUTE,
                minute,
                clock,
            ),
        }
    }

    pub(crate) fn send(&self, user: &UserId) -> Result<(), Refusal> {
        self.sends.check(user)
    }

    /// Asks the limits that a command counts against.
    pub(crate) fn admit(&self, budget: Budget, caller: &Caller) -> Result<(), Refusal> {
        match budget {
            Budget::Own | Budget::Service | Budget::Internal => Ok(()),
            _ if caller.principal == Principal::Service => Ok(()),
            Budget::Read | Budget::Lookup => match (caller.user(), caller.address) {
                (Ok(user), _) => self.read(user),
                (Err(_), Some(address)) => self.nameless_reads.check(&network_of(address)),
                (Err(_), None) => Ok(()),
            },
            // Whoever is nobody is refused for that.
            Budget::Write => caller.user().map_or(Ok(()), |user| self.writes.check(user)),
            Budget::Change => caller.user().map_or(Ok(()), |user| {
                self.writes
                    .check(user)
                    .and_then(|()| self.changes.check(user))
            }),
        }
    }

    pub(crate) fn read(&self, user: &UserId) -> Result<(), Refusal> {
        self.reads.check(user)
    }

    pub(crate) fn refused(&self, user: Option<&UserId>, address: IpAddr) -> Result<(), Refusal> {
        match user {
            Some(user) => self.refusals.check(user),
            None => self.address_refusals.check(&network_of(address)),
        }
    }

    pub(crate) fn request(&self, address: IpAddr) -> Result<(), Refusal> {
        self.requests.check(&network_of(address))
    }

    pub(crate) fn search(&self, user: &UserId) -> Result<(), Refusal> {
        self.searches.check(user)
    }

    pub(crate) fn typing(&self, user: &UserId) -> Result<(), Refusal> {
        self.typing.check(user)
    }

    pub(crate) fn join(&self, session: &ConnectionId) -> Result<(), Refusal> {
        self.joins.check(session)
    }

    /// A network's attempts to sign in, to whichever account. Asked before anything is looked up.
    pub(crate) fn network(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        address.map_or(Ok(()), |address| {
            self.networks.check(&login_network(address))
        })
    }

    /// A /48's attempts, of which one customer may have all networks, or a provider's customers one
    /// each.
    pub(crate) fn site(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        address
            .and_then(site_of)
            .map_or(Ok(()), |site| self.sites.check(&site))
    }

    /// Attempts at one account. Each network has its own allowance, so that nobody keeps its owner
    /// out by guessing from elsewhere; those that have not signed in to it lately have one together
    /// besides, which bounds what many addresses can guess.
    pub(crate) fn account(
        &self,
        account: &str,
        address: Option<IpAddr>,
        is_known: bool,
    ) -> Result<(), Refusal> {
        // Normalised as the store does it: every spelling that opens the account counts against it.
        let key = username_key(account);
        self.accounts
            .check(&(key.clone(), address.map(login_network)))?;
        if is_known {
            // Neither what strangers do elsewhere nor what the neighbours do with the other
            // networks of the site keeps them out.
            return Ok(());
        }
        self.site(address)?;
        self.strangers.check(&key)
    }

    pub(crate) fn may_try_token(&self, address: IpAddr) -> Result<(), Refusal> {
        self.tokens.check(address)
    }

    /// Counts a refused token.
    pub(crate) fn refused_token(&self, address: IpAddr) -> Result<(), Refusal> {
        self.tokens.add(address)
    }

    pub(crate) fn conversation(&self, user: &UserId) -> Result<(), Refusal> {
        self.conversations.check(user)
    }

    pub(crate) fn profile(&self, user: &UserId) -> Result<(), Refusal> {
        self.profiles.check(user)
    }

    /// Forgets the keys that have all their allowance back, so that memory follows who is busy now.
    pub(crate) fn forget_idle(&self) {
        self.sends.forget_idle();
        self.typing.forget_idle();
        self.joins.forget_idle();
        self.accounts.forget_idle();
        self.strangers.forget_idle();
        self.networks.forget_idle();
        self.sites.forget_idle();
        self.conversations.forget_idle();
        self.profiles.forget_idle();
        self.tokens.forget_idle();
        self.writes.forget_idle();
        self.searches.forget_idle();
        self.reads.forget_idle();
        self.nameless_reads.forget_idle();
        self.changes.forget_idle();
        self.refusals.forget_idle();
        self.address_refusals.forget_idle();
        self.requests.forget_idle();
    }

    /// How many keys are held.
    pub(crate) fn len(&self) -> usize {
        let by_name = self.sends.len()
            + self.typing.len()
            + self.writes.len()
            + self.joins.len()
            + self.accounts.len();
        let by_network = self.networks.len() + self.sites.len() + self.tokens.counts.lock().len();
        let reads = self.reads.len() + self.nameless_reads.len() + self.requests.len();
        let refusals = self.refusals.len() + self.address_refusals.len();
        let by_user = self.searches.len()
            + self.conversations.len()
            + self.profiles.len()
            + self.changes.len();
        by_name + by_network + by_user + reads + refusals + self.strangers.len()
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

/// The network that attempts to sign in are counted by: a /24 of IPv4, a /64 of IPv6. A household
/// or an office has one, and an attacker who has many pays for each.
#[must_use]
pub fn login_network(address: IpAddr) -> IpAddr {
    match network_of(address) {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0])
        }
        v6 @ IpAddr::V6(_) => v6,
    }
}

/// What one customer of a provider may be given of IPv6: a /48, which has 65,536 networks to rotate
/// through.
#[must_use]
pub fn site_of(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = network_of(address) else {
        return None;
    };
    let mut octets = v6.octets();
    octets[6..].fill(0);
    Some(IpAddr::V6(octets.into()))
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
