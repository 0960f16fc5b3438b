//! TCP connections that have not opened or named a session. When there are too many, the one that
//! has waited longest is closed first, so a client that sends its request promptly gets through,
//! however many others stay silent.

use std::collections::BTreeMap;

use crate::sync::Mutex;
use tokio::task::AbortHandle;

pub(super) struct PendingConnections {
    limit: usize,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    last: u64,
    /// Ordered by arrival.
    by_key: BTreeMap<u64, AbortHandle>,
}

impl PendingConnections {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            connections: Mutex::default(),
        }
    }

    /// Starts a task and registers it under a new key. Returns true if another had to be closed for
    /// it.
    pub(super) fn insert(&self, start: impl FnOnce(u64) -> AbortHandle) -> bool {
        let mut connections = self.connections.lock();
        let oldest = if connections.by_key.len() >= self.limit {
            connections.by_key.pop_first()
        } else {
            None
        };
        connections.last += 1;
        let key = connections.last;
        // Started under the lock: the task may finish at once, and must find itself registered.
        let task = start(key);
        connections.by_key.insert(key, task);
        drop(connections);
        close(oldest)
    }

    /// Closes the connection that has waited longest. Returns false if there is none.
    pub(super) fn close_longest(&self) -> bool {
        let oldest = self.connections.lock().by_key.pop_first();
        close(oldest)
    }

    /// Returns false if the connection has been closed to free its place.
    pub(super) fn remove(&self, key: u64) -> bool {
        self.connections.lock().by_key.remove(&key).is_some()
    }
}

fn close(oldest: Option<(u64, AbortHandle)>) -> bool {
    oldest.is_some_and(|(_, task)| {
        task.abort();
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_one_that_has_waited_longest_goes_first() {
        let waiting = PendingConnections::new(2);
        let mut tasks = Vec::new();
        let mut insert = || {
            let mut number = 0;
            let full = waiting.insert(|key| {
                number = key;
                tasks.push(tokio::spawn(std::future::pending::<()>()));
                tasks[tasks.len() - 1].abort_handle()
            });
            (number, full)
        };
        let (first, full) = insert();
        assert!(!full);
        let (second, full) = insert();
        assert!(!full);
        assert!(waiting.remove(first));
        let (_, full) = insert();
        assert!(!full, "there was room again");
        let (_, full) = insert();
        assert!(full);
        assert!(!waiting.remove(second), "it was closed for another");
        assert!(waiting.close_longest() && waiting.close_longest() && !waiting.close_longest());
        let first = tasks.remove(0);
        for task in tasks {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert!(!first.is_finished());
    }
}
