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
    /// When the uploader's nodes were last told that it goes on.
    pub(super) shared_at: Option<Moment>,
    /// Whether its uploader is told too, who waits for the scanner.
    pub(super) is_for_all: bool,
    /// Why it counts as failed although no request said so.
    pub(super) silence: Option<Silence>,
    /// When the store was last told that others are told of it.
    pub(super) watched_at: Option<Moment>,
}

/// Who heard nothing more of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// This process. Another one may have gone on with it.
    Here,
    /// All: the process that told of it is gone.
    Everywhere,
}

/// Uploads that are under way on this node.
#[derive(Default)]
pub(super) struct ProgressTable(pub(super) Mutex<HashMap<FileId, Entry>>);
