//! Uploads with progress events.

use lamplight_domain::file::FileProgress;
use lamplight_domain::identity::FileId;
use lamplight_domain::time::Moment;
use parking_lot::Mutex;
use std::collections::HashMap;

pub(super) struct Entry {
    pub(super) progress: FileProgress,
    /// Whether it changed since the last event.
    pub(super) is_new: bool,
    pub(super) silent_at: Moment,
    /// When the uploader's nodes were last notified that the upload continues.
    pub(super) shared_at: Option<Moment>,
    /// Whether the uploader gets the event too, because they wait for the scanner.
    pub(super) is_for_all: bool,
    /// Why it counts as failed although no request reported a failure.
    pub(super) silence: Option<Silence>,
    /// When the store's lease was last renewed.
    pub(super) watched_at: Option<Moment>,
}

/// Receivers who got no final event of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Those of this process. Another process may have continued the upload.
    Here,
    /// All receivers: the process that announced it died.
    Everywhere,
}

/// Running uploads of this node.
#[derive(Default)]
pub(super) struct ProgressTable(pub(super) Mutex<HashMap<FileId, Entry>>);
