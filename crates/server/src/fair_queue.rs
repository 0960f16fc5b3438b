//! Limits how much expensive work runs at once, with a bounded queue that serves networks in
//! rotation.

use lamplight_usecases::network::{login_network, site_of};
use lamplight_usecases::ports::{HashError, HashFor};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Permits.
    pub places: usize,
    /// Maximum number of waiting requests.
    pub waiting: usize,
    /// Maximum number of waiting requests of one network.
    pub waiting_of_one: usize,
}

/// The queue. Requests of networks that are known to their account come first. Within both groups
/// networks are served in rotation, so that a network with many requests delays only itself.
#[derive(Debug)]
pub struct FairQueue {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
    known: Lane,
    others: Lane,
}

/// The waiting requests of one group.
#[derive(Debug, Default)]
struct Lane {
    /// The waiting networks, the next one first, each once.
    turns: VecDeque<IpAddr>,
    waiting: HashMap<IpAddr, VecDeque<oneshot::Sender<Place>>>,
}

impl Lane {
    fn count(&self, network: IpAddr) -> usize {
        self.waiting.get(&network).map_or(0, VecDeque::len)
    }

    fn push(&mut self, network: IpAddr, waiter: oneshot::Sender<Place>) {
        let waiters = self.waiting.entry(network).or_default();
        if waiters.is_empty() {
            self.turns.push_back(network);
        }
        waiters.push_back(waiter);
    }

    fn pop(&mut self) -> Option<oneshot::Sender<Place>> {
        let network = self.turns.pop_front()?;
        let waiters = self.waiting.get_mut(&network)?;
        let waiter = waiters.pop_front();
        if waiters.is_empty() {
            self.waiting.remove(&network);
        } else {
            self.turns.push_back(network);
        }
        waiter
    }

    /// Removes the newest request of the network with the most, if that is more than one.
    fn shed(&mut self) -> Option<oneshot::Sender<Place>> {
        let (_, waiters) = self
            .waiting
            .iter_mut()
            .max_by_key(|(_, waiters)| waiters.len())?;
        if waiters.len() < 2 {
            None
        } else {
            waiters.pop_back()
        }
    }

    /// Removes requests whose callers gave up.
    fn forget_gone(&mut self) -> usize {
        let before: usize = self.waiting.values().map(VecDeque::len).sum();
        for waiters in self.waiting.values_mut() {
            waiters.retain(|waiter| !waiter.is_closed());
        }
        self.waiting.retain(|_, waiters| !waiters.is_empty());
        let waiting = &self.waiting;
        self.turns.retain(|network| waiting.contains_key(network));
        before - self.waiting.values().map(VecDeque::len).sum::<usize>()
    }
}

/// A permit. Dropping it passes it to the next request in the queue.
#[derive(Debug)]
pub struct Place(Option<Arc<FairQueue>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            FairQueue::pass_on(&queue);
        }
    }
}

impl FairQueue {
    #[must_use]
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            state: Mutex::default(),
        })
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// At once if the queue is full.
    pub async fn place(self: &Arc<Self>, who: HashFor) -> Result<Place, HashError> {
        let waiter = {
            let mut state = self.state.lock();
            if state.running < self.bounds.places {
                state.running += 1;
                return Ok(Place(Some(Arc::clone(self))));
            }
            self.enqueue(&mut state, who)?
        };
        // A dropped sender reports to a removed request that the queue was full.
        waiter.await.map_err(|_| HashError::Full)
    }

    fn enqueue(
        &self,
        state: &mut State,
        who: HashFor,
    ) -> Result<oneshot::Receiver<Place>, HashError> {
        let network = fair_share(who);
        let count = |state: &State| {
            if who.is_known {
                state.known.count(network)
            } else {
                state.others.count(network)
            }
        };
        if state.waiting >= self.bounds.waiting || count(state) >= self.bounds.waiting_of_one {
            state.waiting -= state.known.forget_gone() + state.others.forget_gone();
        }
        let count = count(state);
        if count >= self.bounds.waiting_of_one {
            return Err(HashError::NetworkFull);
        }
        if state.waiting >= self.bounds.waiting {
            // In a full queue a network without waiting requests displaces one of a network with
            // many, and a known network displaces an unknown one.
            let shed = if count == 0 || who.is_known {
                state.others.shed()
            } else {
                None
            };
            if shed.is_none() {
                return Err(HashError::Full);
            }
            state.waiting -= 1;
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting += 1;
        if who.is_known {
            state.known.push(network, sender)
        } else {
            state.others.push(network, sender)
        }
        Ok(receiver)
    }

    /// Passes a permit to the next request, or returns it.
    fn pass_on(queue: &Arc<Self>) {
        loop {
            let next = {
                let mut state = queue.state.lock();
                let next = state.known.pop().or_else(|| state.others.pop());
                match next {
                    Some(_) => state.waiting -= 1,
                    None => state.running -= 1,
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Place(Some(Arc::clone(queue)))) {
                Ok(()) => return,
                // The caller gave up: this loop passes the permit on, not the permit's drop.
                Err(mut place) => place.0 = None,
            }
        }
    }

    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting
    }
}

/// The network that a request counts for. An unknown IPv6 address counts for the /48 that one
/// customer may have; a known one counts for its /64 only, so that its neighbours do not delay it.
fn fair_share(who: HashFor) -> IpAddr {
    let address = who.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    site_of(address)
        .filter(|_| !who.is_known)
        .unwrap_or_else(|| login_network(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const BOUNDS: Bounds = Bounds {
        places: 1,
        waiting: 6,
        waiting_of_one: 4,
    };

    fn from(address: &str) -> HashFor {
        HashFor {
            address: Some(address.parse().unwrap()),
            is_known: false,
        }
    }

    fn known(address: &str) -> HashFor {
        HashFor {
            is_known: true,
            ..from(address)
        }
    }

    /// Asks for a place in a task of its own; the queue has it when this returns.
    async fn ask(
        queue: &Arc<FairQueue>,
        who: HashFor,
        name: &'static str,
        order: &Arc<Mutex<Vec<&'static str>>>,
    ) {
        let (queue, order) = (Arc::clone(queue), Arc::clone(order));
        tokio::spawn(async move {
            match queue.place(who).await {
                Ok(_place) => order.lock().push(name),
                Err(error) => order.lock().push(if error == HashError::Full {
                    "full"
                } else {
                    "network full"
                }),
            }
        });
        tokio::task::yield_now().await;
    }

    async fn settle() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn h12_networks_are_served_round_robin_after_known_ones() {
        let queue = FairQueue::new(BOUNDS);
        let order = Arc::default();
        let held = queue.place(from("192.0.2.1")).await.unwrap();
        ask(&queue, from("192.0.2.1"), "a1", &order).await;
        ask(&queue, from("192.0.2.99"), "a2", &order).await;
        ask(&queue, from("192.0.2.1"), "a3", &order).await;
        ask(&queue, from("198.51.100.1"), "b1", &order).await;
        ask(&queue, known("203.0.113.1"), "owner", &order).await;
        drop(held);
        settle().await;
        assert_eq!(*order.lock(), ["owner", "a1", "b1", "a2", "a3"]);
        let state = queue.state.lock();
        assert_eq!(
            (
                state.running,
                state.waiting,
                state.others.waiting.len(),
                state.others.turns.len()
            ),
            (0, 0, 0, 0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn h12_a_full_queue_drops_a_request_of_the_network_with_the_most() {
        let queue = FairQueue::new(BOUNDS);
        let order = Arc::default();
        let held = queue.place(from("192.0.2.1")).await.unwrap();
        for name in ["a1", "a2", "a3", "a4", "a5"] {
            ask(&queue, from("192.0.2.1"), name, &order).await;
        }
        assert_eq!(*order.lock(), ["network full"]);
        // Networks of one customer are one.
        for name in ["c1", "c2"] {
            ask(
                &queue,
                from(if name == "c1" {
                    "2001:db8:1:1::1"
                } else {
                    "2001:db8:1:2::1"
                }),
                name,
                &order,
            )
            .await;
        }
        ask(&queue, from("2001:db8:1:3::1"), "c3", &order).await;
        assert_eq!(*order.lock(), ["network full", "full"], "six wait");
        ask(&queue, from("198.51.100.1"), "b1", &order).await;
        ask(&queue, known("203.0.113.1"), "owner", &order).await;
        assert_eq!(queue.waiting(), 6);
        drop(held);
        settle().await;
        assert_eq!(
            *order.lock(),
            [
                "network full",
                "full",
                "full",
                "full",
                "owner",
                "a1",
                "c1",
                "b1",
                "a2",
                "c2"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn h12_abandoned_requests_take_no_place() {
        let queue = FairQueue::new(BOUNDS);
        let order = Arc::default();
        let held = queue.place(from("192.0.2.1")).await.unwrap();
        for _ in 0..6 {
            let gone = queue.place(from("192.0.2.1"));
            assert!(
                tokio::time::timeout(Duration::from_millis(1), gone)
                    .await
                    .is_err()
                    || queue.waiting() <= 4
            );
        }
        for address in ["198.51.100.1", "203.0.113.1", "203.0.114.1"] {
            ask(&queue, from(address), "b", &order).await;
        }
        drop(held);
        settle().await;
        assert_eq!(*order.lock(), ["b", "b", "b"]);
        assert_eq!((queue.waiting(), queue.state.lock().running), (0, 0));
    }
}
