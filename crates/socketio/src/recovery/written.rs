//! Callbacks for written events that survive a change of connection.

use std::{collections::VecDeque, sync::Arc};

use crate::{session::Item, sync::Mutex};

/// A callback that runs once, when the first connection has written its event.
#[derive(Clone)]
pub(super) struct WrittenCallback(Arc<Mutex<Option<Callback>>>);

type Callback = Box<dyn FnOnce() + Send>;

impl WrittenCallback {
    pub(super) fn of(item: Item) -> Option<Self> {
        match item {
            Item::Written(callback) => Some(Self(Arc::new(Mutex::new(Some(callback))))),
            Item::Frames(_) => None,
        }
    }

    /// A queue item that follows the event.
    pub(super) fn item(&self) -> Item {
        let callback = self.clone();
        Item::Written(Box::new(move || callback.call()))
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

/// The callbacks that have not run, in the order of their events. A connection drops the items that
/// it has not written; these remain.
#[derive(Default)]
pub(crate) struct PendingCallbacks(VecDeque<WrittenCallback>);

impl PendingCallbacks {
    /// Adds a callback, and drops those that have run.
    pub(super) fn add(&mut self, callback: &WrittenCallback) {
        self.drop_called();
        self.0.push_back(callback.clone());
    }

    /// Removes the oldest, to be dropped without locks: dropping may run application code.
    pub(super) fn pop(&mut self) -> Option<WrittenCallback> {
        self.0.pop_front()
    }

    /// Callbacks run in the order in which they were added, so the first that has not run ends
    /// those that have.
    pub(super) fn drop_called(&mut self) {
        while self.0.front().is_some_and(WrittenCallback::is_called) {
            self.0.pop_front();
        }
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Another node has written the events.
    pub(crate) fn call(self) {
        self.0.iter().for_each(WrittenCallback::call);
    }

    /// An item for the next connection's queue that follows all missed events.
    pub(super) fn item(&mut self) -> Option<Item> {
        self.drop_called();
        let all: Vec<WrittenCallback> = self.0.iter().cloned().collect();
        (!all.is_empty())
            .then(|| Item::Written(Box::new(move || all.iter().for_each(WrittenCallback::call))))
    }
}
