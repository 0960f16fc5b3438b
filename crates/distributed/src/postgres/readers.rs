//! Admits reads to the pool's connections: so many at once, urgent ones first, and callers in turns,
//! as the SQLite store's reader threads do. The rest of the pool is for writes.

use lamplight_usecases::fair::FairQueue;
use lamplight_usecases::flow::{Flow, Urgency};
use lamplight_usecases::ports::{StoreError, StoreResult};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) struct Readers {
    state: Mutex<State>,
    at_once: usize,
    limit: usize,
}

#[derive(Default)]
struct State {
    waiting: FairQueue<oneshot::Sender<Turn>>,
    running: usize,
    running_bulk: usize,
}

/// The right to read, given up when this is dropped.
pub(super) struct Turn {
    /// `None` once it was passed on.
    readers: Option<Arc<Readers>>,
    urgency: Urgency,
}

impl Readers {
    /// `at_once` reads run, `limit` wait, and further ones are refused.
    pub(super) fn new(at_once: usize, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            at_once: at_once.max(1),
            limit,
        })
    }

    /// Waits for the turn of the current [`Flow`].
    pub(super) async fn admit(self: &Arc<Self>) -> StoreResult<Turn> {
        let flow = Flow::current();
        let turn = {
            let mut state = self.state.lock();
            if state.waiting.is_empty() && self.is_free(&state, flow.urgency) {
                return Ok(self.begin(&mut state, flow.urgency));
            }
            if state.waiting.len() >= self.limit {
                let full = "too many reads are waiting for PostgreSQL";
                return Err(StoreError::Unavailable(full.into()));
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push(flow, sender);
            // One that is urgent may pass those that wait.
            self.pass_on(&mut state);
            turn
        };
        turn.await
            .map_err(|_| StoreError::Unavailable(super::CLOSED.into()))
    }

    /// Reads that wait.
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// One connection is always free for urgent reads.
    fn most_bulk(&self) -> usize {
        self.at_once.saturating_sub(1).max(1)
    }

    fn is_free(&self, state: &State, urgency: Urgency) -> bool {
        let is_bulk = urgency == Urgency::Bulk;
        state.running < self.at_once && (!is_bulk || state.running_bulk < self.most_bulk())
    }

    fn begin(self: &Arc<Self>, state: &mut State, urgency: Urgency) -> Turn {
        state.running += 1;
        state.running_bulk += usize::from(urgency == Urgency::Bulk);
        Turn {
            readers: Some(Arc::clone(self)),
            urgency,
        }
    }

    /// Gives turns to those that wait, as long as there are any.
    fn pass_on(self: &Arc<Self>, state: &mut State) {
        while state.running < self.at_once {
            let with_bulk = state.running_bulk < self.most_bulk();
            let Some((next, urgency)) = state.waiting.pop(with_bulk) else {
                return;
            };
            let turn = self.begin(state, urgency);
            // A cancelled caller gives its turn back at once.
            if let Err(mut turn) = next.send(turn) {
                turn.readers = None;
                state.end(urgency);
            }
        }
    }
}

impl State {
    fn end(&mut self, urgency: Urgency) {
        self.running -= 1;
        self.running_bulk -= usize::from(urgency == Urgency::Bulk);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(readers) = self.readers.take() {
            let mut state = readers.state.lock();
            state.end(self.urgency);
            readers.pass_on(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_domain::identity::UserId;

    fn flow(user: &str, urgency: Urgency) -> Flow {
        Flow::from(None, Some(UserId::trusted(user)), urgency)
    }

    fn ask(readers: &Arc<Readers>, flow: Flow) -> tokio::task::JoinHandle<Option<Turn>> {
        let readers = Arc::clone(readers);
        tokio::spawn(flow.run(async move { readers.admit().await.ok() }))
    }

    /// Lets the tasks run.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn h2_reads_are_round_robin_by_user_and_urgent_ones_go_first() {
        let readers = Readers::new(2, 100);
        let running = ask(&readers, flow("a", Urgency::Bulk)).await;
        let mut pages: Vec<_> = (0..3)
            .map(|_| ask(&readers, flow("a", Urgency::Bulk)))
            .collect();
        settle().await;
        let other = ask(&readers, flow("b", Urgency::Bulk));
        settle().await;
        assert_eq!(
            readers.waiting(),
            4,
            "one connection is free for urgent reads"
        );
        let urgent = ask(&readers, flow("c", Urgency::First)).await;
        drop(urgent.unwrap().expect("a turn"));
        drop(running);
        settle().await;
        let first = pages.remove(0);
        assert!(first.is_finished() && !other.is_finished());
        drop(first.await);
        settle().await;
        assert!(other.is_finished() && !pages[0].is_finished());
        // Cancelled callers delay no others.
        pages.iter().for_each(tokio::task::JoinHandle::abort);
        drop(other.await);
        settle().await;
        let again = ask(&readers, flow("d", Urgency::Bulk)).await;
        drop(again.unwrap().expect("a turn"));
        assert_eq!((readers.waiting(), readers.state.lock().running), (0, 0));
    }

    #[tokio::test]
    async fn reads_beyond_the_limit_are_refused() {
        let readers = Readers::new(1, 1);
        let turn = readers.admit().await.expect("a turn");
        let waits = ask(&readers, flow("a", Urgency::First));
        settle().await;
        assert!(readers.admit().await.is_err());
        drop(turn);
        assert!(waits.await.unwrap().is_some());
    }
}
