//! The writer of appends. Appends that arrive while batches are running form the next batches.
//! Several batches run concurrently on separate connections. The appends of one sender, and those
//! to one conversation, are never in two running batches, so that both keep the order of their
//! calls. Replies follow the commit; events are published in the order of each conversation's
//! commits.

use super::append::Append;
use super::batch::{self, Settled};
use super::database::Database;
use super::error::CLOSED;
use super::options::PostgresOptions;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{AppendError, Appended, EventBus, StoreError};
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, coop::consume_budget};
use tokio::time::{Instant, sleep_until};

/// The most items of one commit.
pub(super) const BATCH_AT_MOST: usize = 256;
/// Batches that run at once.
pub(super) const LANES: usize = 3;
/// A further batch begins beside others once this many wait, or one has waited for [`PATIENCE`]:
/// large batches cost less, and a batch that waits for a lock must not hold up the others.
const WORTH_A_LANE: usize = 64;
const PATIENCE: Duration = Duration::from_millis(10);
/// Waiting appends that are looked at for a batch, since those of busy senders and conversations
/// are passed over.
const LOOK_AT: usize = 4 * BATCH_AT_MOST;
/// Commits that may wait for the event bus before batches themselves wait.
const UNPUBLISHED_COMMITS: usize = 64;

type Reply = oneshot::Sender<Result<Appended, AppendError>>;

struct Queued {
    append: Append,
    reply: Reply,
    queued_at: Instant,
}

/// The queue of a [`Writer`].
pub(super) struct AppendQueue {
    /// `None` once it is closed.
    queue: Mutex<Option<mpsc::UnboundedSender<Queued>>>,
    /// Appends that are queued or under way.
    depth: Arc<AtomicUsize>,
    limit: usize,
    digest_key: Arc<str>,
    /// `None` once it is closed.
    events: Mutex<Option<mpsc::Sender<Vec<Event>>>>,
    /// The writer and the publisher.
    tasks: Mutex<Option<(JoinHandle<()>, JoinHandle<()>)>>,
}

impl AppendQueue {
    /// Starts a writer, which ends with the queue.
    pub(super) fn start(
        database: &Arc<Database>,
        bus: Arc<dyn EventBus>,
        options: &PostgresOptions,
    ) -> Self {
        let (queue, incoming) = mpsc::unbounded_channel();
        let depth = Arc::new(AtomicUsize::new(0));
        let (events, published) = publisher(bus);
        let writer = Writer {
            database: Arc::clone(database),
            events: events.clone(),
            depth: Arc::clone(&depth),
            deadline: options.deadline,
        };
        Self {
            queue: Mutex::new(Some(queue)),
            depth,
            limit: options.queue,
            digest_key: Arc::clone(&database.digest_key),
            events: Mutex::new(Some(events)),
            tasks: Mutex::new(Some((tokio::spawn(writer.run(incoming)), published))),
        }
    }

    /// Queues an append: its place is settled when this returns.
    pub(super) fn push(
        &self,
        message: NewEntry,
        except: Option<ConnectionId>,
    ) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, StoreError> {
        self.queue(Append::new(message, except, &self.digest_key))
    }

    /// Queues the deletion of a message whose author deleted their account.
    pub(super) fn push_erasure(
        &self,
        deletion: NewEntry,
    ) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, StoreError> {
        self.queue(Append::erasure(deletion, &self.digest_key))
    }

    fn queue(
        &self,
        append: Append,
    ) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, StoreError> {
        if self.depth.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            let full = "too many messages are waiting for PostgreSQL";
            return Err(StoreError::Unavailable(full.into()));
        }
        let (reply, answer) = oneshot::channel();
        let queued = Queued {
            append,
            reply,
            queued_at: Instant::now(),
        };
        if let Some(queue) = &*self.queue.lock()
            && queue.send(queued).is_ok()
        {
            return Ok(answer);
        }
        self.depth.fetch_sub(1, Ordering::Relaxed);
        Err(StoreError::Unavailable(CLOSED.into()))
    }

    /// Where the events of other writes go after their commits.
    pub(super) fn events(&self) -> EventSender {
        EventSender(self.events.lock().clone())
    }

    /// Appends that wait or are under way.
    pub(super) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// Finishes queued appends, and publishes them. Later appends fail.
    pub(super) async fn close(&self) {
        drop(self.queue.lock().take());
        drop(self.events.lock().take());
        let tasks = self.tasks.lock().take();
        if let Some((writer, published)) = tasks {
            drop(writer.await);
            drop(published.await);
        }
    }
}

/// Publishes the events of committed writes.
pub(crate) struct EventSender(Option<mpsc::Sender<Vec<Event>>>);

impl EventSender {
    pub(crate) async fn send(self, events: Vec<Event>) {
        if let Some(sender) = self.0
            && !events.is_empty()
        {
            // Fails only without a publisher, which was logged.
            drop(sender.send(events).await);
        }
    }
}

/// The senders and conversations of batches under way, or of appends that were passed over.
#[derive(Default)]
struct Busy {
    conversations: HashSet<ConversationId>,
    senders: HashSet<UserId>,
}

impl Busy {
    fn has(&self, message: &NewEntry) -> bool {
        self.conversations.contains(&message.conversation) || self.senders.contains(&message.sender)
    }

    fn add(&mut self, message: &NewEntry) {
        self.conversations.insert(message.conversation.clone());
        self.senders.insert(message.sender.clone());
    }

    fn remove(&mut self, message: &NewEntry) {
        self.conversations.remove(&message.conversation);
        self.senders.remove(&message.sender);
    }
}

#[derive(Clone)]
struct Writer {
    database: Arc<Database>,
    events: mpsc::Sender<Vec<Event>>,
    depth: Arc<AtomicUsize>,
    deadline: Duration,
}

impl Writer {
    async fn run(self, mut incoming: mpsc::UnboundedReceiver<Queued>) {
        let mut waiting: VecDeque<Queued> = VecDeque::new();
        let mut lanes = FuturesUnordered::new();
        let mut busy = Busy::default();
        let mut is_open = true;
        // Whether nothing of what waits may begin before a batch ends.
        let mut is_blocked = false;
        while is_open || !waiting.is_empty() || !lanes.is_empty() {
            self.expire(&mut waiting);
            while !is_blocked && lanes.len() < LANES && is_due(&waiting, lanes.len()) {
                let batch = take(&mut waiting, &mut busy);
                if batch.is_empty() {
                    is_blocked = true;
                } else {
                    lanes.push(self.clone().run_batch(batch).boxed());
                }
            }
            // When a further lane is due, or the first of those that wait is too old.
            let wake = waiting.front().map(|front| {
                let may_begin = !is_blocked && lanes.len() < LANES;
                let until = if may_begin { PATIENCE } else { self.deadline };
                front.queued_at + until
            });
            tokio::select! {
                biased;
                Some(batch) = lanes.next(), if !lanes.is_empty() => {
                    batch.iter().for_each(|append| busy.remove(&append.message));
                    is_blocked = false;
                }
                queued = incoming.recv(), if is_open => {
                    is_open = queued.is_some();
                    let more = std::iter::from_fn(|| incoming.try_recv().ok());
                    for queued in queued.into_iter().chain(more) {
                        is_blocked &= busy.has(&queued.append.message);
                        waiting.push_back(queued);
                    }
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    /// Answers those that have waited too long.
    fn expire(&self, waiting: &mut VecDeque<Queued>) {
        let Some(latest) = Instant::now().checked_sub(self.deadline) else {
            return;
        };
        while waiting
            .front()
            .is_some_and(|front| front.queued_at <= latest)
        {
            if let Some(expired) = waiting.pop_front() {
                self.depth.fetch_sub(1, Ordering::Relaxed);
                drop(expired.reply.send(Err(late().into())));
            }
        }
    }

    /// Runs a batch, answers it, and hands its events on. Returns it for its senders and
    /// conversations, which may go on now.
    async fn run_batch(self, batch: Vec<Queued>) -> Vec<Append> {
        let count = batch.len();
        let (mut appends, mut replies) =
            (Vec::with_capacity(count), VecDeque::with_capacity(count));
        let mut newest = Instant::now();
        for Queued {
            append,
            reply,
            queued_at,
        } in batch
        {
            appends.push(append);
            replies.push_back((reply, queued_at + self.deadline));
            newest = queued_at;
        }
        let last_ends_at = newest + self.deadline;
        let settle = Box::pin(batch::run(&self.database, &appends, last_ends_at));
        let outcome = answering_late(settle, &mut replies).await;
        if let Ok(Settled {
            newest: Some(newest),
            ..
        }) = &outcome
        {
            self.database.committed(*newest);
        }
        self.database.note_write(&outcome);
        self.depth.fetch_sub(count, Ordering::Relaxed);
        match outcome {
            Ok(settled) => {
                // Those that were answered late are at the front.
                let answered = count - replies.len();
                let answers = settled.answers.into_iter().skip(answered);
                for ((reply, _), answer) in replies.into_iter().zip(answers) {
                    // The caller may have stopped waiting.
                    drop(reply.send(answer));
                }
                if !settled.events.is_empty() {
                    // Fails only without a publisher, which was logged.
                    drop(self.events.send(settled.events).await);
                }
            }
            Err(error) => {
                for (reply, _) in replies {
                    drop(reply.send(Err(error.clone().into())));
                }
            }
        }
        appends
    }
}

/// Waits for a batch; answers those whose time ends before.
async fn answering_late<T>(
    batch: impl Future<Output = T>,
    replies: &mut VecDeque<(Reply, Instant)>,
) -> T {
    let mut batch = std::pin::pin!(batch);
    while let Some((_, ends_at)) = replies.front() {
        tokio::select! {
            biased;
            outcome = &mut batch => return outcome,
            () = sleep_until(*ends_at) => {
                if let Some((reply, _)) = replies.pop_front() {
                    drop(reply.send(Err(late().into())));
                }
            }
        }
    }
    batch.await
}

fn late() -> StoreError {
    StoreError::Unavailable("PostgreSQL did not answer in time".into())
}

/// Whether a batch should begin beside this many others.
fn is_due(waiting: &VecDeque<Queued>, lanes: usize) -> bool {
    let Some(front) = waiting.front() else {
        return false;
    };
    lanes == 0 || waiting.len() >= WORTH_A_LANE || front.queued_at.elapsed() >= PATIENCE
}

/// Takes the next batch: the first of those that wait whose sender and conversation are not busy,
/// neither under way nor passed over here.
fn take(waiting: &mut VecDeque<Queued>, busy: &mut Busy) -> Vec<Queued> {
    let mut batch = Vec::with_capacity(waiting.len().min(BATCH_AT_MOST));
    let mut passed = VecDeque::new();
    let mut passed_over = Busy::default();
    for _ in 0..LOOK_AT {
        if batch.len() == BATCH_AT_MOST {
            break;
        }
        let Some(queued) = waiting.pop_front() else {
            break;
        };
        let message = &queued.append.message;
        if busy.has(message) || passed_over.has(message) {
            passed_over.add(message);
            passed.push_back(queued);
        } else {
            batch.push(queued);
        }
    }
    for queued in &batch {
        busy.add(&queued.append.message);
    }
    while let Some(queued) = passed.pop_back() {
        waiting.push_front(queued);
    }
    batch
}

/// Hands events to the bus on a task of its own, in their order: subscribers encode and deliver on
/// it, as they do on the task that receives the events of other nodes. A thread of its own would cost
/// each commit two switches.
fn publisher(bus: Arc<dyn EventBus>) -> (mpsc::Sender<Vec<Event>>, JoinHandle<()>) {
    let (events, mut unpublished) = mpsc::channel::<Vec<Event>>(UNPUBLISHED_COMMITS);
    let task = tokio::spawn(async move {
        while let Some(events) = unpublished.recv().await {
            for event in events {
                if catch_unwind(AssertUnwindSafe(|| bus.publish(event))).is_err() {
                    tracing::error!("the event bus panicked on an event; clients heal by the log");
                }
                consume_budget().await;
            }
        }
    });
    (events, task)
}
