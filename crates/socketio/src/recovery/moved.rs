//! What a node remembers of sockets that moved to another node.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::written::PendingCallbacks;

/// Sockets whose node is remembered. Past it the oldest is forgotten, and its client gets a new
/// socket when it loses its connection again.
const MAX_PLACES: usize = 50_000;
/// Within this time the other node reports that it has written the events that moved.
const WRITTEN_WITHIN: Duration = Duration::from_secs(120);

/// Sockets by their private ids.
#[derive(Default)]
pub(crate) struct MovedSockets {
    /// The tag of the node that has a socket of this node now, and the number of the move.
    places: HashMap<Box<str>, (u64, Box<str>)>,
    /// The moves, with the private ids. Some are of sockets that have moved again since.
    moves: VecDeque<(u64, Box<str>)>,
    last: u64,
    /// Callbacks of events that another node has to write.
    callbacks: HashMap<Box<str>, (Instant, PendingCallbacks)>,
    /// When they were stored. Some have been taken since.
    stored: VecDeque<(Instant, Box<str>)>,
}

impl MovedSockets {
    /// The socket is on the node with this tag now.
    pub(crate) fn place(&mut self, pid: &str, tag: &str) {
        self.last += 1;
        self.places.insert(pid.into(), (self.last, tag.into()));
        self.moves.push_back((self.last, pid.into()));
        while self.moves.len() > MAX_PLACES
            && let Some((number, oldest)) = self.moves.pop_front()
        {
            if self
                .places
                .get(&oldest)
                .is_some_and(|(of, _)| *of == number)
            {
                self.places.remove(&oldest);
            }
        }
    }

    /// The socket has moved back to this node.
    pub(crate) fn forget(&mut self, pid: &str) {
        self.places.remove(pid);
    }

    pub(crate) fn place_of(&self, pid: &str) -> Option<&str> {
        self.places.get(pid).map(|(_, tag)| &**tag)
    }

    /// Stores callbacks until the other node has written their events. Returns those that will not
    /// be called, to be dropped without the lock.
    pub(crate) fn store_callbacks(
        &mut self,
        pid: &str,
        callbacks: PendingCallbacks,
    ) -> Vec<PendingCallbacks> {
        let now = Instant::now();
        let mut uncalled = Vec::new();
        while let Some((at, _)) = self.stored.front()
            && now.duration_since(*at) > WRITTEN_WITHIN
            && let Some((at, late)) = self.stored.pop_front()
        {
            if self.callbacks.get(&late).is_some_and(|(of, _)| *of == at) {
                uncalled.extend(self.take_callbacks(&late));
            }
        }
        self.stored.push_back((now, pid.into()));
        let replaced = self.callbacks.insert(pid.into(), (now, callbacks));
        uncalled.extend(replaced.map(|(_, callbacks)| callbacks));
        uncalled
    }

    pub(crate) fn take_callbacks(&mut self, pid: &str) -> Option<PendingCallbacks> {
        self.callbacks.remove(pid).map(|(_, callbacks)| callbacks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_the_oldest_move_goes_first() {
        let mut moved = MovedSockets::default();
        for number in 0..MAX_PLACES {
            moved.place(&format!("p{number}"), "n1");
        }
        moved.place("p0", "n2");
        moved.place("p1", "n2");
        moved.forget("p3");
        moved.place("new", "n1");
        assert_eq!(
            (moved.places.len(), moved.moves.len()),
            (MAX_PLACES - 1, MAX_PLACES)
        );
        assert_eq!(
            (moved.place_of("p0"), moved.place_of("p1")),
            (Some("n2"), Some("n2"))
        );
        assert_eq!((moved.place_of("p2"), moved.place_of("p3")), (None, None));
        assert_eq!(moved.place_of("p4"), Some("n1"));
    }

    #[tokio::test(start_paused = true)]
    async fn callbacks_that_nobody_asks_for_are_dropped() {
        let mut moved = MovedSockets::default();
        assert!(
            moved
                .store_callbacks("a", PendingCallbacks::default())
                .is_empty()
        );
        tokio::time::advance(WRITTEN_WITHIN / 2).await;
        assert!(
            moved
                .store_callbacks("b", PendingCallbacks::default())
                .is_empty()
        );
        assert_eq!(
            moved
                .store_callbacks("b", PendingCallbacks::default())
                .len(),
            1
        );
        tokio::time::advance(WRITTEN_WITHIN * 2 / 3).await;
        assert_eq!(
            moved
                .store_callbacks("c", PendingCallbacks::default())
                .len(),
            1
        );
        assert!(moved.take_callbacks("a").is_none() && moved.take_callbacks("b").is_some());
    }
}
