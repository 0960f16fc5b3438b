//! Tests that run at the same time, each on a thread of its own.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::thread::JoinHandle;

pub struct Running(Mutex<HashMap<&'static str, JoinHandle<()>>>);

impl Running {
    /// Starts all tests.
    pub fn start(tests: impl IntoIterator<Item = (&'static str, fn())>) -> Self {
        let started = tests.into_iter().map(|(name, test)| {
            let thread = std::thread::Builder::new().name(name.to_owned());
            (name, thread.spawn(test).expect("a thread"))
        });
        Self(Mutex::new(started.collect()))
    }

    /// Waits for a test, and panics as it did. The message is repeated, since its thread's output
    /// belongs to the test that started all.
    pub fn join(&self, name: &str) {
        let test = self.0.lock().remove(name);
        if let Err(panic) = test.expect("a test of the suite").join() {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            panic!("{}", message.unwrap_or("a panic without a message"));
        }
    }
}
