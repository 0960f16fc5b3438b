//! Rate limits: one for each kind of request.

mod rate_limit;
mod shared_key;

use crate::caller::{Caller, Principal};
use crate::metadata::Budget;
use crate::network::{login_network, network_of, site_of};
use crate::ports::{Clock, SharedLimits};
use crate::quotas::Quotas;
use crate::refusal::Refusal;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::text::username_key;
use rate_limit::{RateLimit, RefusedTokens};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Small writes (marks, statuses) that a user may make for each send that the quota allows: people
/// read faster than they write.
const WRITES_PER_SEND: u32 = 5;

/// Sends for each search of the whole directory that a user may make. A page that searches while
/// the user types needs fewer.
const SENDS_PER_SEARCH: u32 = 2;

/// Changes of a user's name and picture a minute: each is announced to everyone.
const PROFILES_A_MINUTE: u32 = 5;
/// Changes of a user's status and activities in [`CHANGES_IN`]: each is announced to everyone.
const CHANGES: u32 = 20;
const CHANGES_IN: Duration = Duration::from_secs(10);

/// Reads that the quota allows for each refusal a second that is answered without delay.
const READS_PER_REFUSAL: u32 = 5;

/// Requests of an address for each read that the quota allows a user: many users may share an
/// address.
const REQUESTS_PER_READ: u32 = 20;

/// The part of a socket's event that counts as a large one: no event of a usual client has as much.
pub(crate) const LARGE_EVENT: usize = 64 << 10;

/// Reads that the quota allows for each [`LARGE_EVENT`] a second of an address.
const READS_PER_LARGE_EVENT: u32 = 2;

pub(crate) struct Limits {
    sends: RateLimit<UserId>,
    typing: RateLimit<UserId>,
    joins: RateLimit<ConnectionId>,
    accounts: RateLimit<(String, Option<IpAddr>)>,
    strangers: RateLimit<String>,
    networks: RateLimit<IpAddr>,
    sites: RateLimit<IpAddr>,
    tokens: RefusedTokens,
    /// Tokens that did not exempt a request from the limit on requests.
    exemptions: RefusedTokens,
    conversations: RateLimit<UserId>,
    profiles: RateLimit<UserId>,
    writes: RateLimit<UserId>,
    searches: RateLimit<UserId>,
    message_searches: RateLimit<UserId>,
    reads: RateLimit<UserId>,
    /// Of callers without a user.
    anonymous_reads: RateLimit<IpAddr>,
    changes: RateLimit<UserId>,
    refusals: RateLimit<UserId>,
    address_refusals: RateLimit<IpAddr>,
    requests: RateLimit<IpAddr>,
    large_events: RateLimit<IpAddr>,
}

impl Limits {
    /// With `shared`, the limits on what harms others (sends, new conversations, attempts to sign in)
    /// count for all nodes together. The others protect each node from its own clients.
    pub(crate) fn new(
        quotas: Quotas,
        clock: &Arc<dyn Clock>,
        shared: Option<&Arc<dyn SharedLimits>>,
    ) -> Self {
        let second = Duration::from_secs(1);
        let minute = Duration::from_secs(60);
        Self {
            writes: RateLimit::new(
                "You are changing things too fast.",
                quotas.sends.saturating_mul(WRITES_PER_SEND),
                second,
                clock,
            ),
            searches: RateLimit::new(
                "You are searching too fast.",
                quotas.sends.div_ceil(SENDS_PER_SEARCH),
                second,
                clock,
            ),
            message_searches: RateLimit::new(
                "You are searching too fast.",
                quotas.sends.div_ceil(SENDS_PER_SEARCH),
                second,
                clock,
            ),
            reads: RateLimit::new("You are reading too fast.", quotas.reads, second, clock),
            anonymous_reads: RateLimit::new(
                "Too many reads from your address.",
                quotas.reads,
                second,
                clock,
            ),
            changes: RateLimit::new(
                "You are changing your status too fast.",
                if quotas.sends == 0 { 0 } else { CHANGES },
                CHANGES_IN,
                clock,
            ),
            refusals: RateLimit::new("", quotas.reads.div_ceil(READS_PER_REFUSAL), second, clock),
            address_refusals: RateLimit::new("", quotas.reads, second, clock),
            requests: RateLimit::new(
                "Too many requests from your address.",
                quotas.reads.saturating_mul(REQUESTS_PER_READ),
                second,
                clock,
            ),
            large_events: RateLimit::new(
                "Too many large events from your address.",
                quotas.reads.div_ceil(READS_PER_LARGE_EVENT),
                second,
                clock,
            ),
            sends: RateLimit::new("You are sending too fast.", quotas.sends, second, clock)
                .shared("sends", shared),
            typing: RateLimit::new("Too many typing notices.", quotas.typing, second, clock),
            joins: RateLimit::new(
                "This connection sent join_user too often.",
                quotas.joins,
                minute,
                clock,
            ),
            accounts: RateLimit::new(
                "Too many attempts to sign in to this account from your network.",
                quotas.logins,
                minute,
                clock,
            )
            .shared("accounts", shared),
            strangers: RateLimit::new(
                "Too many attempts to sign in to this account.",
                quotas.logins.saturating_mul(10),
                minute,
                clock,
            )
            .shared("strangers", shared),
            networks: RateLimit::new(
                "Too many attempts to sign in from your network.",
                quotas.logins.saturating_mul(3),
                minute,
                clock,
            )
            .shared("networks", shared),
            sites: RateLimit::new(
                "Too many attempts to sign in from your network.",
                quotas.logins.saturating_mul(10),
                minute,
                clock,
            )
            .shared("sites", shared),
            tokens: RefusedTokens::new(quotas.logins.saturating_mul(3), clock, shared),
            exemptions: RefusedTokens::new(quotas.logins.saturating_mul(3), clock, None),
            conversations: RateLimit::new(
                "You are starting conversations too fast.",
                quotas.conversations,
                minute,
                clock,
            )
            .shared("conversations", shared),
            profiles: RateLimit::new(
                "Your name or picture changes too often.",
                PROFILES_A_MINUTE,
                minute,
                clock,
            )
            .shared("profiles", shared),
        }
    }

    pub(crate) fn send(&self, user: &UserId) -> Result<(), Refusal> {
        self.sends.check(user)
    }

    /// Checks the limits of a budget.
    pub(crate) fn admit(&self, budget: Budget, caller: &Caller) -> Result<(), Refusal> {
        match budget {
            Budget::Own | Budget::Service | Budget::Internal => Ok(()),
            _ if caller.principal == Principal::Service => Ok(()),
            Budget::Read | Budget::Lookup => match (caller.user(), caller.address) {
                (Ok(user), _) => self.read(user),
                (Err(_), Some(address)) => self.anonymous_reads.check(&network_of(address)),
                (Err(_), None) => Ok(()),
            },
            // A caller without a user is refused by the command's scope.
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

    /// An event of so many bytes. Decoding it costs as much as many ordinary events.
    pub(crate) fn event(&self, address: IpAddr, bytes: usize) -> Result<(), Refusal> {
        let network = network_of(address);
        (0..bytes / LARGE_EVENT).try_for_each(|_| self.large_events.check(&network))
    }

    pub(crate) fn search(&self, user: &UserId) -> Result<(), Refusal> {
        self.searches.check(user)
    }

    /// A search of the user's messages.
    pub(crate) fn message_search(&self, user: &UserId) -> Result<(), Refusal> {
        self.message_searches.check(user)
    }

    pub(crate) fn typing(&self, user: &UserId) -> Result<(), Refusal> {
        self.typing.check(user)
    }

    pub(crate) fn join(&self, session: &ConnectionId) -> Result<(), Refusal> {
        self.joins.check(session)
    }

    /// Attempts of a network to sign in to any account. To be checked before anything is read.
    pub(crate) fn network(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        address.map_or(Ok(()), |address| {
            self.networks.check(&login_network(address))
        })
    }

    /// Attempts of an IPv6 /48: one customer may have all its networks, or each customer of a
    /// provider one.
    pub(crate) fn site(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        address
            .and_then(site_of)
            .map_or(Ok(()), |site| self.sites.check(&site))
    }

    /// Attempts at one account. Each network has its own allowance, so that guesses from elsewhere
    /// do not keep the owner out. The networks that have not signed in to it lately also share one,
    /// which bounds the guesses of many addresses.
    pub(crate) fn account(
        &self,
        account: &str,
        address: Option<IpAddr>,
        is_known: bool,
    ) -> Result<(), Refusal> {
        // Normalized as the store does it: every spelling that opens the account counts.
        let key = username_key(account);
        self.accounts
            .check(&(key.clone(), address.map(login_network)))?;
        if is_known {
            // Attempts from unknown networks, or from other networks of the same site, do not lock
            // the owner out.
            return Ok(());
        }
        self.site(address)?;
        self.strangers.check(&key)
    }

    pub(crate) fn may_try_token(&self, address: IpAddr) -> Result<(), Refusal> {
        self.tokens.check(address)
    }

    pub(crate) fn refused_token(&self, address: IpAddr) -> Result<(), Refusal> {
        self.tokens.add(address)
    }

    /// Whether a request beyond the limit on requests is admitted, because its token is the server
    /// key. The answer shows which token is: after too many others none is compared.
    pub(crate) fn is_exempt(&self, address: IpAddr, is_key: impl FnOnce() -> bool) -> bool {
        if self.exemptions.check(address).is_err() {
            return false;
        }
        let is_key = is_key();
        // Apart from the refused tokens: these may be of users, and the host application, if it has
        // the same address, loses the exemption only.
        if !is_key {
            let _ = self.exemptions.add(address);
        }
        is_key
    }

    pub(crate) fn conversation(&self, user: &UserId) -> Result<(), Refusal> {
        self.conversations.check(user)
    }

    pub(crate) fn profile(&self, user: &UserId) -> Result<(), Refusal> {
        self.profiles.check(user)
    }

    /// Drops the keys that have their whole allowance back, so that memory follows the keys in use.
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
        self.exemptions.forget_idle();
        self.writes.forget_idle();
        self.searches.forget_idle();
        self.message_searches.forget_idle();
        self.reads.forget_idle();
        self.anonymous_reads.forget_idle();
        self.changes.forget_idle();
        self.refusals.forget_idle();
        self.address_refusals.forget_idle();
        self.requests.forget_idle();
        self.large_events.forget_idle();
    }

    pub(crate) fn len(&self) -> usize {
        let by_name = self.sends.len()
            + self.typing.len()
            + self.writes.len()
            + self.joins.len()
            + self.accounts.len();
        let by_network =
            self.networks.len() + self.sites.len() + self.tokens.len() + self.exemptions.len();
        let reads = self.reads.len() + self.anonymous_reads.len() + self.requests.len();
        let refusals = self.refusals.len() + self.address_refusals.len();
        let by_user = self.searches.len()
            + self.message_searches.len()
            + self.conversations.len()
            + self.profiles.len()
            + self.changes.len();
        by_name + by_network + by_user + reads + refusals + self.strangers.len()
    }
}
