//! The writer of marks. Those that arrive while others are written are written together. Their order
//! does not matter, since marks only grow, but a batch keeps it, so that each mover learns what it
//! moved.

use super::batch::{Retry, end_failed};
use super::database::Database;
use super::error::{CLOSED, Failure};
use super::marks::{Move, Written, advance};
use super::options::PostgresOptions;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use lamplight_usecases::ports::{MarkUpdate, StoreError, StoreResult};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// The most marks of one commit, and of one queued item.
pub(crate) const MARKS_AT_ONCE: usize = 256;
/// Batches that run at once.
pub(super) const LANES: usize = 2;
/// Beside a batch that runs, another one begins once this many wait.
const WORTH_A_LANE: usize = 64;

type Answer = StoreResult<Vec<Option<MarkUpdate>>>;

struct Queued {
    moves: Vec<Move>,
    reply: oneshot::Sender<Answer>,
}

/// The queue of marks that wait.
pub(super) struct MarkQueue {
    /// `None` once it is closed.
    queue: Mutex<Option<mpsc::UnboundedSender<Queued>>>,
    /// Items that are queued or under way.
    depth: Arc<AtomicUsize>,
    limit: usize,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl MarkQueue {
    pub(super) fn start(database: &Arc<Database>, options: &PostgresOptions) -> Self {
        let (queue, incoming) = mpsc::unbounded_channel();
        let depth = Arc::new(AtomicUsize::new(0));
        let running = run(
            Arc::clone(database),
            incoming,
            Arc::clone(&depth),
            options.deadline,
        );
        let task = tokio::spawn(running);
        Self {
            queue: Mutex::new(Some(queue)),
            depth,
            limit: options.queue,
            task: Mutex::new(Some(task)),
        }
    }

    /// Moves at most [`MARKS_AT_ONCE`] marks. They are moved even if the caller stops waiting.
    pub(super) async fn advance(&self, moves: Vec<Move>) -> Answer {
        if self.depth.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            let full = "too many marks are waiting for PostgreSQL";
            return Err(StoreError::Unavailable(full.into()));
        }
        let (reply, answer) = oneshot::channel();
        let sent = {
            let queue = self.queue.lock();
            queue
                .as_ref()
                .map(|queue| queue.send(Queued { moves, reply }))
        };
        if !matches!(sent, Some(Ok(()))) {
            self.depth.fetch_sub(1, Ordering::Relaxed);
        }
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable(CLOSED.into())))
    }

    pub(super) fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// Finishes queued marks. Later marks fail.
    pub(super) async fn close(&self) {
        drop(self.queue.lock().take());
        let task = self.task.lock().take();
        if let Some(task) = task {
            drop(task.await);
        }
    }
}

async fn run(
    database: Arc<Database>,
    mut incoming: mpsc::UnboundedReceiver<Queued>,
    depth: Arc<AtomicUsize>,
    deadline: Duration,
) {
    let mut waiting: VecDeque<Queued> = VecDeque::new();
    let mut lanes = FuturesUnordered::new();
    let mut is_open = true;
    while is_open || !waiting.is_empty() || !lanes.is_empty() {
        while lanes.len() < LANES
            && !waiting.is_empty()
            && (lanes.is_empty() || waiting.len() >= WORTH_A_LANE)
        {
            let batch = take(&mut waiting);
            let (database, depth) = (database.clone(), Arc::clone(&depth));
            let lane = async move {
                let count = batch.len();
                run_batch(&database, batch, Instant::now() + deadline).await;
                depth.fetch_sub(count, Ordering::Relaxed);
            };
            lanes.push(lane.boxed());
        }
        tokio::select! {
            biased;
            Some(()) = lanes.next(), if !lanes.is_empty() => {}
            queued = incoming.recv(), if is_open => {
                is_open = queued.is_some();
                waiting.extend(queued);
                while let Ok(queued) = incoming.try_recv() {
                    waiting.push_back(queued);
                }
            }
        }
    }
}

fn take(waiting: &mut VecDeque<Queued>) -> Vec<Queued> {
    let mut batch = Vec::new();
    let mut marks = 0;
    while let Some(next) = waiting.front() {
        marks += next.moves.len();
        if !batch.is_empty() && marks > MARKS_AT_ONCE {
            break;
        }
        batch.extend(waiting.pop_front());
    }
    batch
}

async fn run_batch(database: &Database, batch: Vec<Queued>, deadline: Instant) {
    let (mut moves, mut replies) = (Vec::new(), Vec::with_capacity(batch.len()));
    for queued in batch {
        replies.push((queued.moves.len(), queued.reply));
        moves.extend(queued.moves);
    }
    let outcome = run_whole(database, &moves, deadline).await;
    let outcome = outcome.map_err(StoreError::from);
    database.note_write(&outcome);
    let mut updates = outcome.map(Vec::into_iter);
    for (count, reply) in replies {
        let answer = match &mut updates {
            Ok(updates) => Ok(updates.take(count).collect()),
            Err(error) => Err(error.clone()),
        };
        // The caller may have stopped waiting.
        drop(reply.send(answer));
    }
}

async fn run_whole(
    database: &Database,
    moves: &[Move],
    deadline: Instant,
) -> Result<Vec<Option<MarkUpdate>>, Failure> {
    let mut written = Written::new();
    let mut retry = Retry::new(database, deadline);
    loop {
        let attempt = async {
            let connection = database.connection().await?;
            let outcome = advance(database, &connection, moves, &mut written).await;
            end_failed(&connection, &outcome).await;
            outcome
        };
        if let Some(updates) = retry.judge(timeout_at(deadline, attempt).await).await? {
            return Ok(updates);
        }
    }
}
