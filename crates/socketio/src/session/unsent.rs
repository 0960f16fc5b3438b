//! Bytes queued for clients that do not read: since when, and how many for each address.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{network::network_of, sync::Mutex};

/// A client with fewer bytes queued does not count towards its address. Most clients are never
/// counted and cost nothing.
pub(crate) const MIN_COUNTED_BYTES: usize = 64 << 10;
/// Bytes that each buffer counts in addition to its content.
const OVERHEAD: usize = 128;

/// The budgets of all addresses with counted buffers.
pub(crate) struct SendBudgets {
    limit: Option<usize>,
    networks: Arc<Networks>,
}

type Networks = Mutex<HashMap<IpAddr, Weak<Budget>>>;

impl SendBudgets {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            networks: Arc::default(),
        }
    }

    /// Returns the budget of an address; `None` if there is no limit.
    pub(crate) fn of(&self, address: IpAddr) -> Option<Arc<Budget>> {
        let limit = self.limit?;
        let network = network_of(address);
        let mut networks = self.networks.lock();
        if let Some(budget) = networks.get(&network).and_then(Weak::upgrade) {
            return Some(budget);
        }
        let budget = Arc::new(Budget {
            limit,
            network,
            held: Mutex::default(),
            networks: self.networks.clone(),
        });
        networks.insert(network, Arc::downgrade(&budget));
        Some(budget)
    }
}

/// Bytes counted for one address (an IPv6 /64 network is one address).
///
/// It counts memory, not deliveries: a buffer that is queued for many clients of the address, as a
/// broadcast is, counts once. Buffers are identified by their end address, which stays the same
/// while they are written from the front.
pub(crate) struct Budget {
    limit: usize,
    network: IpAddr,
    held: Mutex<Held>,
    networks: Arc<Networks>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    buffers: HashMap<usize, Buffer>,
}

struct Buffer {
    bytes: usize,
    holders: usize,
}

impl Budget {
    /// Counts a buffer for one more holder; returns the key with which to release it. Returns
    /// `None` and does nothing if the limit would be exceeded.
    fn hold(&self, frames: &[u8]) -> Option<usize> {
        let end = frames.as_ptr_range().end as usize;
        let bytes = frames.len() + OVERHEAD;
        let mut held = self.held.lock();
        let before = held.buffers.get(&end).map_or(0, |buffer| buffer.bytes);
        let more = bytes.saturating_sub(before);
        if held.bytes + more > self.limit {
            return None;
        }
        held.bytes += more;
        let buffer = held.buffers.entry(end).or_insert(Buffer {
            bytes: 0,
            holders: 0,
        });
        buffer.bytes += more;
        buffer.holders += 1;
        Some(end)
    }

    fn release(&self, end: usize) {
        let mut held = self.held.lock();
        let Some(buffer) = held.buffers.get_mut(&end) else {
            return;
        };
        buffer.holders -= 1;
        if buffer.holders == 0 {
            let bytes = buffer.bytes;
            held.buffers.remove(&end);
            held.bytes -= bytes;
            let buffers = &mut held.buffers;
            if buffers.capacity() > 256 && buffers.len() < buffers.capacity() / 4 {
                let capacity = buffers.len() * 2;
                buffers.shrink_to(capacity);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.held.lock().bytes
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        let mut networks = self.networks.lock();
        // A new budget may have replaced it.
        if networks
            .get(&self.network)
            .is_some_and(|budget| budget.strong_count() == 0)
        {
            networks.remove(&self.network);
        }
        if networks.capacity() > 256 && networks.len() < networks.capacity() / 4 {
            let capacity = networks.len() * 2;
            networks.shrink_to(capacity);
        }
    }
}

/// State of a client that has bytes queued and is not reading them. Other clients have none.
pub(super) struct Stall {
    /// When the client last read, or when the first bytes began to wait.
    pub(super) since: Instant,
    counting: Option<Counting>,
}

struct Counting {
    budget: Arc<Budget>,
    /// In writing order: the key with which to release each buffer (`None` if it is not counted),
    /// and its remaining bytes.
    waiting: VecDeque<(Option<usize>, usize)>,
}

impl Stall {
    pub(super) fn new(since: Instant) -> Self {
        Self {
            since,
            counting: None,
        }
    }

    pub(super) fn is_counting(&self) -> bool {
        self.counting.is_some()
    }

    /// Starts counting for the client's address, behind `uncounted` bytes that are not counted.
    pub(super) fn start_counting(&mut self, budget: Arc<Budget>, uncounted: usize) {
        let waiting = if uncounted == 0 {
            VecDeque::new()
        } else {
            VecDeque::from([(None, uncounted)])
        };
        self.counting = Some(Counting { budget, waiting });
    }

    /// Stops counting and releases everything.
    pub(super) fn stop_counting(&mut self) {
        self.written(usize::MAX);
        self.counting = None;
    }

    /// Counts newly queued frames, if counting has started. Returns false if the limit is exceeded.
    pub(super) fn count(&mut self, frames: &[u8]) -> bool {
        let Some(counting) = &mut self.counting else {
            return true;
        };
        let held = counting.budget.hold(frames);
        if held.is_some() {
            counting.waiting.push_back((held, frames.len()));
        }
        held.is_some()
    }

    /// Records bytes that are never counted.
    pub(super) fn skip(&mut self, bytes: usize) {
        if let Some(counting) = &mut self.counting {
            counting.waiting.push_back((None, bytes));
        }
    }

    /// Releases this many bytes from the front.
    pub(super) fn written(&mut self, mut bytes: usize) {
        let Some(Counting { budget, waiting }) = &mut self.counting else {
            return;
        };
        while let Some((held, left)) = waiting.front_mut() {
            if *left > bytes {
                *left -= bytes;
                return;
            }
            bytes -= *left;
            held.iter().for_each(|&end| budget.release(end));
            waiting.pop_front();
        }
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.written(usize::MAX);
    }
}

/// A poll response that the client has not read yet. It counts for its address until it is dropped.
pub(super) struct UnreadResponse {
    payload: Vec<u8>,
    held: Option<(Arc<Budget>, usize)>,
    read: Box<dyn Fn() + Send + Sync>,
}

impl UnreadResponse {
    /// Returns `None` if the limit of the address would be exceeded. `read` is called when the
    /// response is dropped.
    pub(super) fn keep(
        payload: Vec<u8>,
        budget: Option<Arc<Budget>>,
        read: impl Fn() + Send + Sync + 'static,
    ) -> Option<Bytes> {
        let held = match budget {
            None => None,
            Some(budget) => {
                let end = budget.hold(&payload)?;
                Some((budget, end))
            }
        };
        Some(Bytes::from_owner(Self {
            payload,
            held,
            read: Box::new(read),
        }))
    }
}

impl AsRef<[u8]> for UnreadResponse {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

impl Drop for UnreadResponse {
    fn drop(&mut self) {
        if let Some((budget, end)) = &self.held {
            budget.release(*end);
        }
        (self.read)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(limit: usize) -> (SendBudgets, Arc<Budget>) {
        let budgets = SendBudgets::new(Some(limit));
        let budget = budgets.of("2001:db8::1".parse().unwrap()).unwrap();
        (budgets, budget)
    }

    fn stall(budget: &Arc<Budget>) -> Stall {
        let mut stall = Stall::new(Instant::now());
        stall.start_counting(budget.clone(), 0);
        stall
    }

    #[test]
    fn s9_one_network_has_one_budget_for_as_long_as_something_is_counted() {
        let (budgets, budget) = budgets(10_000);
        let same = budgets.of("2001:db8::ffff".parse().unwrap()).unwrap();
        assert!(Arc::ptr_eq(&budget, &same));
        assert!(!Arc::ptr_eq(
            &budget,
            &budgets.of("2001:db8:0:1::1".parse().unwrap()).unwrap()
        ));
        drop((budget, same));
        assert!(budgets.networks.lock().is_empty());
        assert!(SendBudgets::new(None).of("::1".parse().unwrap()).is_none());
    }

    #[test]
    fn s9_a_buffer_that_waits_for_many_counts_once() {
        let (_budgets, budget) = budgets(1_000);
        let broadcast = Bytes::from(vec![0; 700]);
        let mut stalls: Vec<Stall> = (0..50).map(|_| stall(&budget)).collect();
        for (number, stall) in stalls.iter_mut().enumerate() {
            // Each has written a different part of it.
            assert!(stall.count(&broadcast.slice(number..)));
        }
        assert_eq!(budget.bytes(), 700 + OVERHEAD);
        assert!(
            !stalls[0].count(&[0; 200]),
            "what is only its own counts on top"
        );
        drop(stalls);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn s9_what_is_written_is_counted_no_more() {
        let (_budgets, budget) = budgets(1_000);
        let mut stall = stall(&budget);
        let (one, two, three) = ([1; 100], [2; 100], [3; 900]);
        assert!(stall.count(&one) && stall.count(&two) && !stall.count(&three));
        stall.skip(3);
        stall.written(99);
        assert_eq!(budget.bytes(), 2 * (100 + OVERHEAD));
        stall.written(1);
        assert_eq!(budget.bytes(), 100 + OVERHEAD);
        stall.written(103);
        assert_eq!(budget.bytes(), 0);
        assert!(
            !stall.count(&three),
            "with its overhead it is over the limit"
        );
    }
}
