//! Uploads that others are told of.

use lamplight_domain::file::FileProgress;
use lamplight_domain::identity::FileId;
use lamplight_domain::time::Moment;
use parking_lot::Mutex;
use std::collections::HashMap;

pub(super) struct Entry {
    pub(super) progress: FileProgress,
    /// Whether it is news.
    pub(super) is_new: bool,
    pub(super) silent_at: Moment,
}

/// Uploads that are under way on this node.
#[derive(Default)]
pub(super) struct ProgressTable(pub(super) Mutex<HashMap<FileId, Entry>>);
