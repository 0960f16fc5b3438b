//! An event bus that delays, reorders, repeats and loses events, the same way for the same seed.

use lamplight_domain::event::Event;
use lamplight_usecases::ports::{BusMessage, EventBus, Subscriber, Subscription};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// In so many of a hundred events for one subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub lost: u64,
    pub repeated: u64,
    pub delayed: u64,
    /// The longest delay, in steps.
    pub delay: u64,
}

/// Delivers on the caller's thread, as time passes in steps.
pub struct FaultyBus {
    faults: Faults,
    state: Mutex<State>,
}

/// Events by the step at which they are due, and a number.
type Queue = BTreeMap<(u64, u64), Event>;

#[derive(Default)]
struct State {
    random: u64,
    step: u64,
    count: u64,
    subscribers: Vec<(Arc<Subscriber>, Queue)>,
}

impl State {
    /// Xorshift: enough for faults.
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit.max(1)
    }
}

impl FaultyBus {
    #[must_use]
    pub fn new(faults: Faults, seed: u64) -> Self {
        let state = State {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            ..State::default()
        };
        Self {
            faults,
            state: Mutex::new(state),
        }
    }

    /// Lets steps pass, and delivers due events.
    pub fn pass(&self, steps: u64) {
        for _ in 0..steps {
            let mut state = self.state.lock();
            state.step += 1;
            let step = state.step;
            let mut due = Vec::new();
            for (subscriber, queue) in &mut state.subscribers {
                while let Some(next) = queue.first_entry()
                    && next.key().0 <= step
                {
                    due.push((Arc::clone(subscriber), next.remove()));
                }
            }
            drop(state);
            for (subscriber, event) in due {
                subscriber(BusMessage::Event(event));
            }
        }
    }
}

impl EventBus for FaultyBus {
    fn publish(&self, event: Event) {
        let mut state = self.state.lock();
        for index in 0..state.subscribers.len() {
            if state.below(100) < self.faults.lost {
                continue;
            }
            let copies = 1 + u64::from(state.below(100) < self.faults.repeated);
            for _ in 0..copies {
                let is_delayed = state.below(100) < self.faults.delayed;
                let delay = if is_delayed {
                    state.below(self.faults.delay)
                } else {
                    0
                };
                state.count += 1;
                let key = (state.step + 1 + delay, state.count);
                state.subscribers[index].1.insert(key, event.clone());
            }
        }
    }

    /// For as long as the bus lives.
    fn subscribe(&self, subscriber: Subscriber) -> Subscription {
        let queue = (Arc::new(subscriber), Queue::new());
        self.state.lock().subscribers.push(queue);
        Subscription::new(|| {})
    }
}
