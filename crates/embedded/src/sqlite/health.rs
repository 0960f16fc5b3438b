//! Whether the database is usable. A damaged database acknowledges nothing any more: a write that
//! succeeded may be lost with a damaged page.

use super::error::is_damage;
use lamplight_usecases::ports::StoreError;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Health {
    /// The last write failed: the disk is full, or the file is locked.
    failing: AtomicBool,
    /// Why nothing is acknowledged until the server restarts.
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
    /// When the database is damaged or was replaced.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.broken
            .get()
            .map_or(Ok(()), |why| Err(StoreError::Unavailable(why.clone())))
    }

    /// Records an error of SQLite that means damage, and logs once what to do.
    pub(crate) fn judge(&self, error: &rusqlite::Error) {
        if is_damage(error) {
            self.give_up(format!("the database is damaged ({error})"));
        }
    }

    /// Stops all acknowledgements.
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
