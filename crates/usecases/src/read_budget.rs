//! Bounds what reads cost: each user and each address may read so many bytes a second, and so many
//! reads at a time.
//!
//! A rate limit does not bound this, since the reply to one request is empty and to another a
//! megabyte. The cost of a read is known when it is done, so it is charged then, and a user in debt
//! is refused until the debt has been paid off by time.

use crate::network::network_of;
use crate::ports::Clock;
use crate::refusal::Refusal;
use crate::weight::ROW;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Moment;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes a second that a user may read, for each read a second that `LIMIT_READS` allows: 4 MB a
/// second by default.
const BYTES_PER_READ: u64 = 40_000;
/// The burst: the allowance of this many seconds may be used at once.
const BURST_SECONDS: u64 = 2;
/// An address has the allowance of this many users.
const USERS_PER_ADDRESS: u64 = 4;
/// The maximum of reads of one user that run, or wait in the store, at once.
const CONCURRENT_PER_USER: usize = 4;
const CONCURRENT_PER_ADDRESS: usize = 16;
/// The maximum of further reads of one user that wait for those.
const WAITING_PER_USER: usize = 64;
const WAITING_PER_ADDRESS: usize = 256;

/// The account of one user or address.
struct Account {
    /// When everything charged is paid off.
    paid_off: Moment,
    slots: Arc<Semaphore>,
    waiting: usize,
}

/// The accounts of all users, or of all addresses.
struct Accounts<K> {
    bytes_per_second: u64,
    concurrent: usize,
    waiting: usize,
    accounts: Mutex<HashMap<K, Account>>,
}

impl<K: Hash + Eq + Clone> Accounts<K> {
    fn new(bytes_per_second: u64, concurrent: usize, waiting: usize) -> Self {
        Self {
            bytes_per_second,
            concurrent,
            waiting,
            accounts: Mutex::default(),
        }
    }

    /// Refuses a key in debt, or one with too many reads waiting. A read that is admitted must be
    /// charged.
    fn admit(&self, key: &K, now: Moment) -> Result<Arc<Semaphore>, Refusal> {
        let mut accounts = self.accounts.lock();
        let account = accounts.entry(key.clone()).or_insert_with(|| Account {
            paid_off: Moment(0),
            slots: Arc::new(Semaphore::new(self.concurrent)),
            waiting: 0,
        });
        let debt = account
            .paid_off
            .0
            .saturating_sub(now.0.saturating_add(BURST_SECONDS * 1_000));
        if debt > 0 {
            return Err(Refusal::rate_limited(
                "You are reading too much at once. Wait a moment.",
                Duration::from_millis(debt),
            ));
        }
        if account.waiting >= self.concurrent + self.waiting {
            let wait = Duration::from_millis(500);
            return Err(Refusal::rate_limited(
                "Too many of your requests are waiting. Wait a moment.",
                wait,
            ));
        }
        account.waiting += 1;
        Ok(Arc::clone(&account.slots))
    }

    fn charge(&self, key: &K, cost: u64, now: Moment) {
        if let Some(account) = self.accounts.lock().get_mut(key) {
            account.waiting = account.waiting.saturating_sub(1);
            account.paid_off = Moment(
                account
                    .paid_off
                    .0
                    .max(now.0)
                    .saturating_add(cost * 1_000 / self.bytes_per_second),
            );
        }
    }

    fn forget_idle(&self, now: Moment) {
        let mut accounts = self.accounts.lock();
        accounts.retain(|_, account| account.waiting > 0 || account.paid_off > now);
        accounts.shrink_to_fit();
    }
}

pub(crate) struct ReadBudget {
    users: Accounts<UserId>,
    addresses: Accounts<IpAddr>,
    clock: Arc<dyn Clock>,
    is_off: bool,
}

/// An admitted read. Its drop charges it and frees its place.
pub(crate) struct Admitted<'a> {
    budget: &'a ReadBudget,
    user: Option<UserId>,
    address: Option<IpAddr>,
    cost: u64,
    _slots: [Option<OwnedSemaphorePermit>; 2],
}

impl ReadBudget {
    /// `reads` a second for a user, 0 for no budget.
    pub(crate) fn new(reads: u32, clock: &Arc<dyn Clock>) -> Self {
        let user = u64::from(reads.max(1)) * BYTES_PER_READ;
        Self {
            users: Accounts::new(user, CONCURRENT_PER_USER, WAITING_PER_USER),
            addresses: Accounts::new(
                user * USERS_PER_ADDRESS,
                CONCURRENT_PER_ADDRESS,
                WAITING_PER_ADDRESS,
            ),
            clock: Arc::clone(clock),
            is_off: reads == 0,
        }
    }

    /// Waits until a read of this user and this address may run.
    pub(crate) async fn admit(
        &self,
        user: Option<&UserId>,
        address: Option<IpAddr>,
    ) -> Result<Admitted<'_>, Refusal> {
        let mut admitted = Admitted {
            budget: self,
            user: None,
            address: None,
            cost: 0,
            _slots: [None, None],
        };
        if self.is_off {
            return Ok(admitted);
        }
        let now = self.clock.now().moment;
        // If the address is refused, the drop of `admitted` frees the user's place.
        if let Some(user) = user {
            let slots = self.users.admit(user, now)?;
            admitted.user = Some(user.clone());
            admitted._slots[0] = slots.acquire_owned().await.ok();
        }
        if let Some(address) = address.map(network_of) {
            let slots = self.addresses.admit(&address, now)?;
            admitted.address = Some(address);
            admitted._slots[1] = slots.acquire_owned().await.ok();
        }
        Ok(admitted)
    }

    pub(crate) fn forget_idle(&self) {
        let now = self.clock.now().moment;
        self.users.forget_idle(now);
        self.addresses.forget_idle(now);
    }

    pub(crate) fn len(&self) -> usize {
        self.users.accounts.lock().len() + self.addresses.accounts.lock().len()
    }
}

impl Admitted<'_> {
    pub(crate) fn set_cost(&mut self, bytes: usize) {
        self.cost = bytes as u64;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let now = self.budget.clock.now().moment;
        // A cancelled read costs the store something too.
        let cost = self.cost.max(ROW as u64);
        if let Some(user) = &self.user {
            self.budget.users.charge(user, cost, now);
        }
        if let Some(address) = &self.address {
            self.budget.addresses.charge(address, cost, now);
        }
    }
}
