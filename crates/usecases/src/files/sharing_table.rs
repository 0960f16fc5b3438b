//! Uploads for which `sharing_file` is shown.

use lamplight_domain::identity::{FileId, UserId};
use lamplight_domain::time::Moment;
use parking_lot::Mutex;
use std::collections::HashMap;

/// The uploading users who have sessions on this node.
#[derive(Default)]
pub(super) struct Sharing(pub(super) Mutex<HashMap<UserId, Uploads>>);

#[derive(Default)]
pub(super) struct Uploads {
    pub(super) files: HashMap<FileId, Upload>,
    /// The presence store must be updated.
    pub(super) is_news: bool,
}

pub(super) struct Upload {
    pub(super) is_active: bool,
    /// Until when this is known.
    pub(super) until: Moment,
}

impl Uploads {
    pub(super) fn is_sharing(&self) -> bool {
        self.files.values().any(|upload| upload.is_active)
    }
}
