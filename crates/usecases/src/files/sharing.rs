//! `sharing_file` among the activities of those who upload. The node of an upload tells the nodes of
//! the uploader's sessions, again and again, and these note it until they hear nothing more.

use super::service::FileService;
use crate::deadline;
use lamplight_domain::identity::{FileId, UserId};
use lamplight_domain::time::Moment;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// Between two events of an upload that goes on.
pub(super) const AGAIN: Duration = Duration::from_secs(10);
/// After so long without one, its node is gone: longer than an upload may be silent.
const LOST: Duration = Duration::from_secs(35);
/// Users whose uploads are noted. Beyond that, some are not.
const MOST: usize = 10_000;

/// Who uploads, as far as they have sessions here.
#[derive(Default)]
pub(super) struct Sharing(Mutex<HashMap<UserId, Uploads>>);

#[derive(Default)]
struct Uploads {
    /// When each is lost.
    files: HashMap<FileId, Moment>,
    /// The presence store is to be told.
    is_news: bool,
}

impl FileService {
    /// Notes that an upload of a user begins or goes on, or that it ended.
    pub fn note_sharing(&self, user: &UserId, file: &FileId, is_active: bool) {
        let mut all = self.sharing.0.lock();
        if is_active {
            if all.len() >= MOST && !all.contains_key(user) {
                return;
            }
            let lost_at = self.clock.now().moment.plus(LOST);
            let uploads = all.entry(user.clone()).or_default();
            uploads.files.insert(file.clone(), lost_at);
            // Sessions that began since the last time do not have it.
            uploads.is_news = true;
        } else if let Some(uploads) = all.get_mut(user)
            && uploads.files.remove(file).is_some()
        {
            uploads.is_news = true;
        }
    }

    /// Brings what is shown of those who upload up to date. [`FileService::run_progress`] repeats it.
    pub async fn show_sharing(&self) {
        let now = self.clock.now().moment;
        let mut news = Vec::new();
        self.sharing.0.lock().retain(|user, uploads| {
            let before = uploads.files.len();
            uploads.files.retain(|_, lost_at| *lost_at > now);
            let is_sharing = !uploads.files.is_empty();
            if std::mem::take(&mut uploads.is_news) || uploads.files.len() < before {
                news.push((user.clone(), is_sharing));
            }
            is_sharing
        });
        for (user, is_sharing) in news {
            if deadline::store(self.presence.set_sharing(&user, is_sharing))
                .await
                .is_err()
                && !is_sharing
            {
                // Tried again: nothing else would take it away before the sessions end.
                let mut all = self.sharing.0.lock();
                all.entry(user).or_default().is_news = true;
            }
        }
    }
}
