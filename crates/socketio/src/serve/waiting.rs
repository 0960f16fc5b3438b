//! TCP connections that have not opened or named a session. When there are too many, the one that
//! has waited longest is closed first, so a client that sends its request promptly gets through,
//! however many others stay silent.

use std::collections::BTreeMap;

use crate::sync::Mutex;
use tokio::task::AbortHandle;

pub(super) struct Waiting {
    limit: usize,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    last: u64,
    /// Ordered by arrival.
    taken: BTreeMap<u64, AbortHandle>,
}

impl Waiting {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            places: Mutex::default(),
        }
    }

    /// Starts a task and registers it under a new key. Returns true if another had to be closed for
    /// it.
    pub(super) fn enter(&self, start: impl FnOnce(u64) -> AbortHandle) -> bool {
        let mut places = self.places.lock();
        let gone = if places.taken.len() >= self.limit {
            places.taken.pop_first()
        } else {
            None
        };
        places.last += 1;
        let place = places.last;
        // Started under the lock: the task may finish at once, and must find itself registered.
        let task = start(place);
        places.taken.insert(place, task);
        drop(places);
        close(gone)
    }

    /// Closes the connection that has waited longest. Returns false if there is none.
    pub(super) fn close_longest(&self) -> bool {
        let gone = self.places.lock().taken.pop_first();
        close(gone)
    }

    /// Returns false if the connection has been closed to free its place.
    pub(super) fn leave(&self, place: u64) -> bool {
        self.places.lock().taken.remove(&place).is_some()
    }
}

fn close(gone: Option<(u64, AbortHandle)>) -> bool {
    gone.is_some_and(|(_, task)| {
        task.abort();
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_that_has_waited_longest_goes_first() {
        let waiting = Waiting::new(2);
        let mut tasks = Vec::new();
        let mut enter = || {
            let mut number = 0;
            let full = waiting.enter(|place| {
                number = place;
                tasks.push(tokio::spawn(std::future::pending::<()>()));
                tasks[tasks.len() - 1].abort_handle()
            });
            (number, full)
        };
        let (first, full) = enter();
        assert!(!full);
        let (second, full) = enter();
        assert!(!full);
        assert!(waiting.leave(first));
        let (_, full) = enter();
        assert!(!full, "there was room again");
        let (_, full) = enter();
        assert!(full);
        assert!(!waiting.leave(second), "it had to go");
        assert!(waiting.close_longest() && waiting.close_longest() && !waiting.close_longest());
        let first = tasks.remove(0);
        for task in tasks {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert!(!first.is_finished());
    }
}
