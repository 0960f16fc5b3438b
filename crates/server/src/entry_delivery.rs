//! Delivers the entries of logs in their order, once, from whichever source they come; and late what
//! comes after its turn.

use crate::hub::Hub;
use crate::metrics;
use lamplight_domain::conversation::Members;
use lamplight_domain::entry::Entry;
use lamplight_domain::identity::ConnectionId;
use lamplight_domain::ordering::{EntryOrder, Gap, Limits, Outcome, Step};
use lamplight_usecases::delivery::DeliveryObserver;
use lamplight_usecases::ports::Clock;
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// An entry on its way to the members' connections.
pub struct Appended {
    pub entry: Arc<Entry>,
    pub to: Members,
    pub except: Option<ConnectionId>,
}

/// Puts entries in order and sends them.
pub struct EntryDelivery {
    hub: Arc<Hub>,
    observer: Arc<dyn DeliveryObserver>,
    /// Locked while entries are sent, or two sources could overtake each other between the machine
    /// and the connections.
    order: Mutex<EntryOrder<Appended>>,
    wake: Notify,
    clock: Arc<dyn Clock>,
}

impl EntryDelivery {
    /// Sends entries to the connections of `hub`.
    #[must_use]
    pub fn new(hub: Arc<Hub>, observer: Arc<dyn DeliveryObserver>, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now().moment;
        Self {
            hub,
            observer,
            order: Mutex::new(EntryOrder::new(Limits::default(), now)),
            wake: Notify::new(),
            clock,
        }
    }

    /// Takes an entry from any source, and sends what is in order now.
    pub fn push(&self, appended: Appended) {
        let entry = Arc::clone(&appended.entry);
        let now = self.clock.now().moment;
        let mut order = self.order.lock();
        match order.push(now, &entry.conversation, entry.seq, appended) {
            Outcome::Deliver(appended) => self.send(&appended),
            Outcome::Late(appended) => {
                metrics::late_entry();
                self.send(&appended);
            }
            Outcome::Repeated => {}
            Outcome::Held => self.wake.notify_one(),
            Outcome::Steps(steps) => self.take(steps),
        }
    }

    /// The number of entries that wait for others.
    #[must_use]
    pub fn held(&self) -> usize {
        self.order.lock().held()
    }

    /// Passes gaps that are not filled in time, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            let now = self.clock.now().moment;
            let wake = self.order.lock().next_wake();
            tokio::select! {
                () = tokio::time::sleep(wake.since(now)) => {
                    let mut order = self.order.lock();
                    let steps = order.pass_time(self.clock.now().moment);
                    self.take(steps);
                }
                () = self.wake.notified() => {}
            }
        }
    }

    fn take(&self, steps: Vec<Step<Appended>>) {
        for step in steps {
            match step {
                Step::Deliver(appended) => self.send(&appended),
                Step::Gap(gap) => report(&gap),
            }
        }
    }

    fn send(&self, appended: &Appended) {
        let Appended { entry, to, except } = appended;
        self.hub
            .send_entry(entry, to, except.as_ref(), &self.observer);
    }
}

/// Clients see the gap by its `seq` and read what is missing from the store, unless it comes late.
fn report(gap: &Gap) {
    metrics::gap();
    if let Some(Due { left_out }) = throttle::due("gap", "", None) {
        tracing::warn!(
            conversation = %gap.conversation,
            after = gap.after,
            before = gap.before,
            left_out,
            "the event bus lost entries; clients read them from the store"
        );
    }
}
