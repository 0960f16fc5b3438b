//! What reads may cost: for each user and each address so many bytes a second, by what was
//! answered, and so many at a time.
//!
//! A limit on how often does not bound this, since one request may be answered with nothing and
//! another with a megabyte. What a read costs is known when it is done, so it is charged then, and
//! whoever is in debt waits until it is worn off.

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

/// What a user's reads may cost, for each read a second that `LIMIT_READS` allows: 4 MB a second by
/// default.
const BYTES_PER_READ: u64 = 40_000;
/// This many seconds' worth may be had at once.
const SAVED: u64 = 2;
/// An address has as much as this many users who do nothing but read.
const USERS_AN_ADDRESS: u64 = 4;
/// Reads of one user that run or wait in the store at once.
const AT_ONCE_A_USER: usize = 4;
/// … and of one address.
const AT_ONCE_AN_ADDRESS: usize = 16;
/// How many more may wait for these: of a user, and of an address.
const WAITING: (usize, usize) = (64, 256);

/// One user's or address' account.
struct Account {
    /// When all that was charged is worn off.
    worn_off: Moment,
    slots: Arc<Semaphore>,
    waiting: usize,
}

/// The accounts of one kind of key.
struct Accounts<K> {
    per_second: u64,
    at_once: usize,
    waiting: usize,
    held: Mutex<HashMap<K, Account>>,
}

impl<K: Hash + Eq + Clone> Accounts<K> {
    fn new(per_second: u64, at_once: usize, waiting: usize) -> Self {
        Self {
            per_second,
            at_once,
            waiting,
            held: Mutex::default(),
        }
    }

    /// Whether there is no debt and room to wait in.
    fn admit(&self, key: &K, now: Moment) -> Result<Arc<Semaphore>, Refusal> {
        let mut held = self.held.lock();
        let account = held.entry(key.clone()).or_insert_with(|| Account {
            worn_off: Moment(0),
            slots: Arc::new(Semaphore::new(self.at_once)),
            waiting: 0,
        });
        let debt = account
            .worn_off
            .0
            .saturating_sub(now.0.saturating_add(SAVED * 1_000));
        if debt > 0 {
            return Err(Refusal::rate_limited(
                "You are reading too much at once. Wait a moment.",
                Duration::from_millis(debt),
            ));
        }
        if account.waiting >= self.at_once + self.waiting {
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
        if let Some(account) = self.held.lock().get_mut(key) {
            account.waiting = account.waiting.saturating_sub(1);
            account.worn_off = Moment(
                account
                    .worn_off
                    .0
                    .max(now.0)
                    .saturating_add(cost * 1_000 / self.per_second),
            );
        }
    }

    fn forget_idle(&self, now: Moment) {
        let mut held = self.held.lock();
        held.retain(|_, account| account.waiting > 0 || account.worn_off > now);
        held.shrink_to_fit();
    }
}

/// Everyone's accounts.
pub(crate) struct ReadBudget {
    users: Accounts<UserId>,
    addresses: Accounts<IpAddr>,
    clock: Arc<dyn Clock>,
    is_off: bool,
}

/// A read that is admitted: it holds its place until it is charged or dropped.
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
            users: Accounts::new(user, AT_ONCE_A_USER, WAITING.0),
            addresses: Accounts::new(user * USERS_AN_ADDRESS, AT_ONCE_AN_ADDRESS, WAITING.1),
            clock: Arc::clone(clock),
            is_off: reads == 0,
        }
    }

    /// Waits for a place among the reads of this user and this address.
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
        // What was taken of the first is given back by its drop if the second refuses.
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
        self.users.held.lock().len() + self.addresses.held.lock().len()
    }
}

impl Admitted<'_> {
    /// Notes what was answered.
    pub(crate) fn costs(&mut self, bytes: usize) {
        self.cost = bytes as u64;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let now = self.budget.clock.now().moment;
        // What was given up was looked for all the same.
        let cost = self.cost.max(ROW as u64);
        if let Some(user) = &self.user {
            self.budget.users.charge(user, cost, now);
        }
        if let Some(address) = &self.address {
            self.budget.addresses.charge(address, cost, now);
        }
    }
}
