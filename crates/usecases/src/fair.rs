//! A fair queue: urgent items first, then round-robin over networks, and within a network over
//! users. A caller with one item waits for at most one item of every other caller, however much
//! they ask for.

use crate::flow::{Flow, Urgency};
use lamplight_domain::identity::UserId;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;

/// After this many urgent items in a row, one that is not urgent is served.
const URGENT_IN_A_ROW: u32 = 16;

/// Queues by key, served round-robin.
struct Round<K, Q> {
    turns: VecDeque<K>,
    queues: HashMap<K, Q>,
}

impl<K: Clone + Eq + Hash, Q> Default for Round<K, Q> {
    fn default() -> Self {
        Self {
            turns: VecDeque::new(),
            queues: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, Q: Default> Round<K, Q> {
    /// The queue of a key, added to the rotation if it is not in it.
    fn queue(&mut self, key: &K) -> &mut Q {
        if !self.queues.contains_key(key) {
            self.turns.push_back(key.clone());
        }
        self.queues.entry(key.clone()).or_default()
    }

    /// Takes an item from the next queue. `take` returns the item, and whether the queue is empty
    /// now.
    fn next<T>(&mut self, take: impl FnOnce(&mut Q) -> (Option<T>, bool)) -> Option<T> {
        let key = self.turns.pop_front()?;
        let (taken, is_empty) = take(self.queues.get_mut(&key)?);
        if is_empty {
            self.queues.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        taken
    }
}

type Users<T> = Round<Option<UserId>, VecDeque<T>>;

/// The items of one urgency.
struct Lane<T> {
    networks: Round<Option<IpAddr>, Users<T>>,
}

impl<T> Lane<T> {
    fn push(&mut self, flow: &Flow, item: T) {
        self.networks
            .queue(&flow.network)
            .queue(&flow.user)
            .push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.networks.next(|users| {
            let taken = users.next(|items| (items.pop_front(), items.is_empty()));
            (taken, users.turns.is_empty())
        })
    }
}

pub struct FairQueue<T> {
    /// An item that was pushed to an empty queue, as most are: it does not enter the tables.
    alone: Option<(Flow, T)>,
    first: Lane<T>,
    bulk: Lane<T>,
    in_a_row: u32,
    length: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        let lane = || Lane {
            networks: Round::default(),
        };
        Self {
            alone: None,
            first: lane(),
            bulk: lane(),
            in_a_row: 0,
            length: 0,
        }
    }
}

impl<T> FairQueue<T> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn push(&mut self, flow: Flow, item: T) {
        if self.length == 0 {
            self.alone = Some((flow, item));
        } else {
            if let Some((earlier, alone)) = self.alone.take() {
                self.enqueue(&earlier, alone);
            }
            self.enqueue(&flow, item);
        }
        self.length += 1;
    }

    fn enqueue(&mut self, flow: &Flow, item: T) {
        let lane = match flow.urgency {
            Urgency::First => &mut self.first,
            Urgency::Bulk => &mut self.bulk,
        };
        lane.push(flow, item);
    }

    /// The next item and its urgency. Only with `with_bulk` it may be one that is not urgent.
    pub fn pop(&mut self, with_bulk: bool) -> Option<(T, Urgency)> {
        let may_go = |(flow, _): &mut (Flow, T)| with_bulk || flow.urgency == Urgency::First;
        let alone = self
            .alone
            .take_if(may_go)
            .map(|(flow, item)| (item, flow.urgency));
        let bulk_is_due = with_bulk && self.in_a_row >= URGENT_IN_A_ROW;
        let bulk = |queue: &mut Self| queue.bulk.pop().map(|item| (item, Urgency::Bulk));
        let first = |queue: &mut Self| queue.first.pop().map(|item| (item, Urgency::First));
        let next = if alone.is_some() {
            alone
        } else if bulk_is_due {
            bulk(self).or_else(|| first(self))
        } else {
            first(self).or_else(|| if with_bulk { bulk(self) } else { None })
        };
        if let Some((_, urgency)) = &next {
            self.length -= 1;
            self.in_a_row = if *urgency == Urgency::First {
                self.in_a_row.saturating_add(1)
            } else {
                0
            };
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(network: u8, user: &str, urgency: Urgency) -> Flow {
        Flow::from(
            Some(IpAddr::from([192, 0, 2, network])),
            Some(UserId::trusted(user)),
            urgency,
        )
    }

    fn drain(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop(true).map(|(item, _)| item)).collect()
    }

    #[test]
    fn h2_networks_and_their_users_are_served_round_robin() {
        let mut queue = FairQueue::default();
        for _ in 0..3 {
            queue.push(flow(1, "a", Urgency::Bulk), "a");
        }
        for _ in 0..3 {
            queue.push(flow(1, "b", Urgency::Bulk), "b");
        }
        queue.push(flow(2, "c", Urgency::Bulk), "c");
        queue.push(flow(2, "c", Urgency::Bulk), "c");
        assert_eq!(drain(&mut queue), ["a", "c", "b", "c", "a", "b", "a", "b"]);
        assert_eq!(
            (
                queue.len(),
                queue.bulk.networks.queues.len(),
                queue.bulk.networks.turns.len()
            ),
            (0, 0, 0)
        );
    }

    #[test]
    fn h2_urgent_work_goes_first_without_starving_others() {
        let mut queue = FairQueue::default();
        for _ in 0..40 {
            queue.push(flow(1, "a", Urgency::Bulk), "page");
            queue.push(flow(1, "a", Urgency::First), "login");
        }
        let order = drain(&mut queue);
        assert!(order[..16].iter().all(|item| *item == "login"));
        assert_eq!(order[16], "page");
        assert_eq!(
            order[..40].iter().filter(|item| **item == "page").count(),
            2
        );
        queue.push(flow(1, "a", Urgency::Bulk), "page");
        assert!(queue.pop(false).is_none() && queue.len() == 1);
    }

    #[test]
    fn a_thousand_requests_of_one_user_delay_another_by_one() {
        let mut queue = FairQueue::default();
        for _ in 0..1_000 {
            queue.push(flow(1, "a", Urgency::Bulk), "a");
        }
        queue.push(flow(2, "b", Urgency::Bulk), "b");
        assert_eq!(drain(&mut queue)[1], "b");
    }
}
