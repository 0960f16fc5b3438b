//! What is to be done once an event has been written, however many connections it takes.

use std::{collections::VecDeque, sync::Arc};

use crate::{session::Item, sync::Mutex};

/// Called once, by whichever connection writes its event first.
#[derive(Clone)]
pub(super) struct Then(Arc<Mutex<Option<Callback>>>);

type Callback = Box<dyn FnOnce() + Send>;

impl Then {
    pub(super) fn of(item: Item) -> Option<Self> {
        match item {
            Item::Written(callback) => Some(Self(Arc::new(Mutex::new(Some(callback))))),
            Item::Frames(_) => None,
        }
    }

    /// For the queue, behind the event.
    pub(super) fn item(&self) -> Item {
        let then = self.clone();
        Item::Written(Box::new(move || then.call()))
    }

    fn call(&self) {
        let callback = self.0.lock().take();
        if let Some(callback) = callback {
            callback();
        }
    }

    fn is_called(&self) -> bool {
        self.0.lock().is_none()
    }
}

/// Those that have not been called, in the order of their events. A connection drops what it has
/// not written: these are what remains.
#[derive(Default)]
pub(super) struct Unwritten(VecDeque<Then>);

impl Unwritten {
    /// Minds one more, and lets go of those that have been called.
    pub(super) fn add(&mut self, then: &Then) {
        self.forget_called();
        self.0.push_back(then.clone());
    }

    /// Takes the oldest out, which is to be dropped outside of locks: dropping may run foreign
    /// code.
    pub(super) fn pop(&mut self) -> Option<Then> {
        self.0.pop_front()
    }

    /// They are called in the order in which they were added, so that the first that is not called
    /// ends those that are.
    pub(super) fn forget_called(&mut self) {
        while self.0.front().is_some_and(Then::is_called) {
            self.0.pop_front();
        }
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }

    /// For the queue of the next connection, behind all that its client missed.
    pub(super) fn item(&mut self) -> Option<Item> {
        self.forget_called();
        let all: Vec<Then> = self.0.iter().cloned().collect();
        (!all.is_empty()).then(|| Item::Written(Box::new(move || all.iter().for_each(Then::call))))
    }
}
