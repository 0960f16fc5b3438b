//! Delivers the entries of logs in order and once, from any source. Entries that the event bus did
//! not bring in time are read from the store.

pub use crate::hub::Appended;
use crate::hub::Hub;
use crate::metrics;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lamplight_domain::entry::Entry;
use lamplight_domain::group::{Readers, Receivers};
use lamplight_domain::ordering::{EntryOrder, Gap, Limits, Outcome, Step};
use lamplight_usecases::deadline::STORE_DEADLINE;
use lamplight_usecases::delivery::DeliveryObserver;
use lamplight_usecases::ports::{Clock, Messages, StoreResult};
use lamplight_usecases::throttle::{self, Due};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Gaps that are read at the same time, and the most that wait to be read.
const READS: usize = 8;
const GAPS: usize = 4_096;
/// Entries in one read. A wider gap takes several.
const PAGE: u64 = 200;
/// How often [`EntryDelivery::settle`] looks, and for how long: an entry that waits longer is behind
/// a gap that the store has to fill.
const SETTLE_CHECK: Duration = Duration::from_millis(5);
const SETTLE_WITHIN: Duration = Duration::from_millis(500);

/// Puts entries in order and sends them.
pub struct EntryDelivery {
    hub: Arc<Hub>,
    observer: Arc<dyn DeliveryObserver>,
    messages: Arc<dyn Messages>,
    /// Locked while entries are sent, or two sources could overtake each other between the machine
    /// and the connections.
    order: Mutex<EntryOrder<Appended>>,
    /// To be read from the store.
    missing: Mutex<VecDeque<Gap>>,
    wake: Notify,
    clock: Arc<dyn Clock>,
}

/// The entries of a gap that the store has.
struct Read {
    gap: Gap,
    readers: Readers,
    entries: Vec<Entry>,
}

impl EntryDelivery {
    /// Sends entries to the connections of `hub`.
    #[must_use]
    pub fn new(
        hub: Arc<Hub>,
        observer: Arc<dyn DeliveryObserver>,
        messages: Arc<dyn Messages>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let now = clock.now().moment;
        Self {
            hub,
            observer,
            messages,
            order: Mutex::new(EntryOrder::new(Limits::default(), now)),
            missing: Mutex::default(),
            wake: Notify::new(),
            clock,
        }
    }

    /// Takes an entry from any source, and sends the entries that are in order now.
    pub fn push(&self, appended: Appended) {
        self.push_to(&mut self.order.lock(), appended);
    }

    /// The number of entries that wait for others.
    #[must_use]
    pub fn held(&self) -> usize {
        self.order.lock().held()
    }

    /// Resolves to true once no entry waits for others, so every entry that came before has been sent;
    /// to false if some wait for long.
    pub async fn settle(&self) -> bool {
        let until = self.clock.now().moment.plus(SETTLE_WITHIN);
        while self.held() > 0 {
            if self.clock.now().moment >= until {
                return false;
            }
            tokio::time::sleep(SETTLE_CHECK).await;
        }
        true
    }

    /// Reads missing entries, and skips gaps that are not filled in time, for as long as it is
    /// polled.
    pub async fn run(&self) {
        let mut reads = FuturesUnordered::new();
        loop {
            while reads.len() < READS
                && let Some(gap) = self.next_missing()
            {
                reads.push(self.read(gap));
            }
            let now = self.clock.now().moment;
            let wake = self.order.lock().next_wake();
            tokio::select! {
                () = tokio::time::sleep(wake.since(now)) => {
                    let mut order = self.order.lock();
                    let steps = order.pass_time(self.clock.now().moment);
                    self.take(steps);
                }
                () = self.wake.notified() => {}
                Some(read) = reads.next() => if let Some(read) = read {
                    self.fill(read);
                }
            }
        }
    }

    fn push_to(&self, order: &mut EntryOrder<Appended>, appended: Appended) {
        let entry = Arc::clone(&appended.entry);
        let now = self.clock.now().moment;
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

    fn take(&self, steps: Vec<Step<Appended>>) {
        for step in steps {
            match step {
                Step::Deliver(appended) => self.send(&appended),
                Step::Missing(gap) => {
                    let mut missing = self.missing.lock();
                    if missing.len() < GAPS {
                        missing.push_back(gap);
                        self.wake.notify_one();
                    }
                }
                Step::Gap(gap) => report(&gap),
            }
        }
    }

    fn send(&self, appended: &Appended) {
        self.hub.send_entry(appended, &self.observer);
    }

    fn next_missing(&self) -> Option<Gap> {
        self.missing.lock().pop_front()
    }

    /// `None` if the store did not answer. The entries behind the gap wait on then, since another
    /// source may have the missing entries.
    async fn read(&self, gap: Gap) -> Option<Read> {
        let (readers, entries) = self.entries(&gap).await.unwrap_or_else(|error| {
            if let Some(Due { left_out }) = throttle::due("gap read", &error, None) {
                tracing::warn!(error, left_out, "what the event bus lost cannot be read");
            }
            None
        })?;
        Some(Read {
            gap,
            readers,
            entries,
        })
    }

    async fn entries(&self, gap: &Gap) -> Result<Option<(Readers, Vec<Entry>)>, String> {
        let Gap {
            conversation,
            after,
            before,
        } = gap;
        let Some(readers) = bounded(self.messages.readers(conversation)).await? else {
            return Ok(None);
        };
        let count = (before - after - 1).min(PAGE);
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let read = self.messages.entries_after(conversation, *after, limit);
        let mut entries = bounded(read).await?;
        entries.retain(|entry| !self.hub.present(&readers.receivers(entry).to).is_empty());
        Ok(Some((readers, entries)))
    }

    /// Delivers the entries that were read, or skips the gap.
    fn fill(&self, read: Read) {
        let Read {
            gap,
            readers,
            entries,
        } = read;
        let mut order = self.order.lock();
        for entry in entries {
            let Receivers { to, newcomers } = readers.receivers(&entry);
            let appended = Appended {
                entry: Arc::new(entry),
                to,
                newcomers,
                except: None,
            };
            self.push_to(&mut order, appended);
        }
        self.take(order.give_up(&gap));
    }
}

async fn bounded<T>(work: impl Future<Output = StoreResult<T>>) -> Result<T, String> {
    match tokio::time::timeout(STORE_DEADLINE, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the store did not answer in time".to_owned()),
    }
}

/// Clients see the gap by its `seq` and read the missing entries, unless they arrive late.
fn report(gap: &Gap) {
    metrics::gap();
    if let Some(Due { left_out }) = throttle::due("gap", "", None) {
        tracing::warn!(
            conversation = %gap.conversation,
            after = gap.after,
            before = gap.before,
            left_out,
            "entries that the event bus lost were not read in time; clients read them"
        );
    }
}
