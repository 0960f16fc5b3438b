//! Whether the database can be relied on. What is found to be damaged acknowledges nothing any
//! more: a write that went well may be lost with the page beside it.

use super::error::is_damage;
use lamplight_usecases::ports::StoreError;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by the writer and the readers.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// The last that was to be written could not be: the disk is full, or the file is held.
    failing: AtomicBool,
    /// Why nothing is acknowledged any more, until the server starts anew.
    broken: OnceLock<String>,
}

impl Health {
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(crate) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// # Errors
    /// When the database is not to be relied on.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.broken
            .get()
            .map_or(Ok(()), |why| Err(StoreError::Unavailable(why.clone())))
    }

    /// Notes what SQLite said, if it means damage. Logs what to do, the first time.
    pub(crate) fn judge(&self, error: &rusqlite::Error) {
        if is_damage(error) {
            self.give_up(format!("the database is damaged ({error})"));
        }
    }

    /// Nothing is acknowledged from now on.
    pub(crate) fn give_up(&self, why: String) {
        if self.broken.set(why.clone()).is_ok() {
            tracing::error!(
                code = "LL-121",
                "{why}; nothing is taken any more. Stop the server, keep the damaged files, and bring back a backup with \
                 `lamplight restore`, or save what can be read with `sqlite3 lamplight.db .recover`"
            );
        }
    }
}
