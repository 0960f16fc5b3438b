//! The options for opening a store.

use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The database file. Its directory is created if it does not exist.
    pub path: PathBuf,
    /// Reads that run at once.
    pub readers: usize,
    /// Writes that may wait, and reads; further ones are refused as unavailable.
    pub queue: usize,
    /// Opens a database that `lamplight migrate` is filling.
    pub for_transfer: bool,
    /// The size limit of the file in pages of 4 KiB.
    pub max_pages: Option<u32>,
}

impl SqliteOptions {
    /// The usual options for a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 3,
            queue: 4_096,
            for_transfer: false,
            max_pages: None,
        }
    }
}
