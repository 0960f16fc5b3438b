//! Lets one piece of work run at a time, in turns of the users: a user with many pictures delays their
//! own, and those of another by one at most.

use lamplight_domain::identity::UserId;
use lamplight_usecases::fair::FairQueue;
use lamplight_usecases::flow::{Flow, Urgency};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The work that waits.
#[derive(Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    is_running: bool,
    waiting: FairQueue<oneshot::Sender<Turn>>,
}

/// Permission to work. Dropping it passes it on.
pub(super) struct Turn(Option<Arc<Turns>>);

impl Turns {
    /// Waits for a turn of this user. A cancelled wait uses no turn.
    pub(super) async fn turn(self: &Arc<Self>, user: Option<&UserId>) -> Turn {
        let waits = {
            let mut state = self.0.lock();
            if !state.is_running {
                state.is_running = true;
                return Turn(Some(Arc::clone(self)));
            }
            let (sender, receiver) = oneshot::channel();
            let flow = Flow::from(None, user.cloned(), Urgency::Bulk);
            state.waiting.push(flow, sender);
            receiver
        };
        // The sender is only dropped by sending.
        waits.await.unwrap_or(Turn(None))
    }

    #[cfg(test)]
    pub(super) fn is_running(&self) -> bool {
        self.0.lock().is_running
    }

    fn pass_on(self: Arc<Self>) {
        let mut turn = Turn(Some(Arc::clone(&self)));
        loop {
            let next = {
                let mut state = self.0.lock();
                let next = state.waiting.pop(true);
                state.is_running = next.is_some();
                next
            };
            let Some((waiting, _)) = next else {
                // The wait was cancelled already.
                turn.0 = None;
                return;
            };
            match waiting.send(turn) {
                Ok(()) => return,
                // The waiting caller was cancelled.
                Err(back) => turn = back,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    type Waiting = Pin<Box<dyn Future<Output = Turn>>>;

    /// A wait that has begun.
    fn begin(turns: &Arc<Turns>, user: &str) -> Waiting {
        let (turns, user) = (Arc::clone(turns), UserId::trusted(user));
        let mut waiting: Waiting = Box::pin(async move { turns.turn(Some(&user)).await });
        assert!(poll(&mut waiting).is_none(), "somebody has the turn");
        waiting
    }

    fn poll(waiting: &mut Waiting) -> Option<Turn> {
        match waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn users_are_served_round_robin_whatever_their_backlog() {
        let turns = Arc::new(Turns::default());
        let first = turns.turn(Some(&UserId::trusted("greedy"))).await;
        let mut greedy: Vec<Waiting> = (0..50).map(|_| begin(&turns, "greedy")).collect();
        let mut modest = begin(&turns, "modest");
        drop(first);
        let second = poll(&mut greedy[0]).expect("its turn");
        assert!(poll(&mut modest).is_none());
        drop(second);
        let third = poll(&mut modest).expect("after one of the other");
        assert!(poll(&mut greedy[1]).is_none());
        drop(third);
        drop(poll(&mut greedy[1]).expect("its turn"));
    }

    #[tokio::test]
    async fn an_abandoned_wait_delays_no_other() {
        let turns = Arc::new(Turns::default());
        let first = turns.turn(None).await;
        let given_up: Vec<Waiting> = (0..3).map(|_| begin(&turns, "gone")).collect();
        let mut stays = begin(&turns, "stays");
        drop(given_up);
        drop(first);
        let turn = poll(&mut stays).expect("its turn");
        // With its turn, and before it noticed.
        let unnoticed = begin(&turns, "late");
        drop(turn);
        drop(unnoticed);
        let state = turns.0.lock();
        assert!(!state.is_running && state.waiting.is_empty());
    }
}
