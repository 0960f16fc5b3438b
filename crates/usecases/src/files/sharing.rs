//! The activity `sharing_file` of users who upload. The node of an upload repeats an event to the
//! nodes of the uploader's sessions, and these show the activity until the events stop.

use super::service::FileService;
use super::sharing_table::Upload;
use crate::deadline;
use lamplight_domain::identity::{FileId, UserId};
use std::time::Duration;

/// The interval between two events of a running upload.
pub(super) const AGAIN: Duration = Duration::from_secs(10);
/// Without an event for this long, the node of the upload has died: longer than an upload may be
/// silent after the interval.
const LOST: Duration = Duration::from_secs(45);
/// How long after the end of an upload another node may still report that it continues.
const LATE: Duration = Duration::from_secs(5);
/// The maximum number of users whose uploads are recorded; further ones are ignored.
const MOST: usize = 10_000;

impl FileService {
    /// Records that an upload of a user starts, continues or ends.
    pub fn note_sharing(&self, user: &UserId, file: &FileId, is_active: bool) {
        let now = self.clock.now().moment;
        let mut all = self.sharing.0.lock();
        if all.len() >= MOST && !all.contains_key(user) {
            return;
        }
        let uploads = all.entry(user.clone()).or_default();
        let has_ended = |upload: &Upload| !upload.is_active && upload.until > now;
        if is_active && uploads.files.get(file).is_some_and(has_ended) {
            return;
        }
        // Sessions that began since the last event do not show it.
        uploads.is_news |= is_active || uploads.is_sharing();
        let until = now.plus(if is_active { LOST } else { LATE });
        let upload = Upload { is_active, until };
        uploads.files.insert(file.clone(), upload);
    }

    /// Updates the activities of users who upload. [`FileService::run_progress`] repeats it.
    pub async fn show_sharing(&self) {
        let now = self.clock.now().moment;
        let mut news = Vec::new();
        self.sharing.0.lock().retain(|user, uploads| {
            let before = uploads.is_sharing();
            uploads.files.retain(|_, upload| upload.until > now);
            let is_sharing = uploads.is_sharing();
            if std::mem::take(&mut uploads.is_news) || before != is_sharing {
                news.push((user.clone(), is_sharing));
            }
            !uploads.files.is_empty()
        });
        // Concurrently, so that a slow store delays all of them once.
        let shown = news.into_iter().map(async |(user, is_sharing)| {
            let set = self.presence.set_sharing(&user, is_sharing);
            if deadline::store(set).await.is_err() && !is_sharing {
                // Retried: otherwise the activity would stay until the sessions end.
                let mut all = self.sharing.0.lock();
                all.entry(user).or_default().is_news = true;
            }
        });
        futures_util::future::join_all(shown).await;
    }
}
