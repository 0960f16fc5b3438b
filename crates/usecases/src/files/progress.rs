//! Tells the other members of a conversation how far an upload is: at most twice a second, and in
//! the end a final state, also when the uploader's connection dies.

use super::progress_table::{Entry, Silence};
use super::service::FileService;
use super::sharing::AGAIN;
use crate::deadline;
use crate::ports::UploadAudience;
use lamplight_domain::event::Event;
use lamplight_domain::file::{FileProgress, FileState, StoredFile};
use lamplight_domain::identity::FileId;
use lamplight_domain::time::Moment;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Between two events of one upload.
const PAUSE: Duration = Duration::from_millis(500);
/// An upload without a byte for this long counts as failed until it continues.
const SILENCE: Duration = Duration::from_secs(30);
/// The interval at which the store's lease of a running upload is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// Ticks between two searches for uploads of dead processes.
const LOOK: u32 = 10;
/// The maximum number of uploads with progress events. Further uploads have none.
const MOST: usize = 10_000;
/// Uploads whose members are read together.
const AT_ONCE: usize = 100;

impl FileService {
    /// Records the progress of an upload. Cheap, and sends no event by itself.
    pub fn report(&self, file: &StoredFile, received: u64, state: FileState) {
        self.note(file, received, state, false);
    }

    /// The same for progress that the uploader does not know either.
    pub(super) fn report_to_all(&self, file: &StoredFile, received: u64, state: FileState) {
        self.note(file, received, state, true);
    }

    fn note(&self, file: &StoredFile, received: u64, state: FileState, is_for_all: bool) {
        let silent_at = self.clock.now().moment.plus(SILENCE);
        let mut all = self.progress.0.lock();
        if all.len() >= MOST && !all.contains_key(&file.file.id) {
            return;
        }
        let progress = progress_of(file, received, state);
        let entry = all.entry(file.file.id.clone()).or_insert_with(|| Entry {
            progress: progress.clone(),
            is_new: true,
            silent_at,
            shared_at: None,
            is_for_all,
            silence: None,
            watched_at: None,
        });
        entry.is_new |= entry.progress != progress;
        entry.progress = progress;
        entry.silent_at = silent_at;
        entry.is_for_all = is_for_all;
        entry.silence = None;
    }

    /// Uploads with progress events.
    pub(crate) fn uploads(&self) -> usize {
        self.progress.0.lock().len()
    }

    /// Tells of uploads for as long as it is polled.
    pub(crate) async fn run_progress(&self) {
        let mut pause = tokio::time::interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for ticks in (0..LOOK).cycle() {
            pause.tick().await;
            if ticks == 0 {
                self.find_lost().await;
            }
            self.publish_progress().await;
            self.show_sharing().await;
        }
    }

    /// Publishes the progress of uploads since the last call. [`FileService::run_progress`] repeats
    /// it twice a second.
    pub async fn publish_progress(&self) {
        let now = self.clock.now().moment;
        // First, so that some process publishes the end of each announced upload.
        self.watch(now).await;
        let (mut news, mut shares) = (Vec::new(), Vec::new());
        self.progress.0.lock().retain(|_, entry| {
            let mut is_over = !is_under_way(entry.progress.state);
            let is_silent = !is_over && entry.silent_at <= now;
            // Other nodes may scan it too, so a wait for the scanner is not a failure.
            if is_silent && entry.progress.state == FileState::Uploading {
                entry.progress.state = FileState::Failed;
                entry.silence = Some(Silence::Here);
                entry.is_new = true;
            }
            if is_silent {
                is_over = true;
            }
            // A failed upload may continue in another process: only if that is known.
            if let Some(is_active) = sharing(entry, now)
                && entry.silence.is_none()
            {
                let FileProgress { user, file, .. } = &entry.progress;
                shares.push((user.clone(), file.clone(), is_active));
            }
            if std::mem::take(&mut entry.is_new) {
                news.push(News {
                    progress: entry.progress.clone(),
                    is_for_all: entry.is_for_all,
                    silence: entry.silence,
                });
            }
            !is_over
        });
        for (user, file, is_active) in shares {
            self.bus.publish(Event::Sharing {
                user,
                file,
                is_active,
            });
        }
        // At once, so that a slow store delays all of them once.
        let steps = news.chunks(AT_ONCE).map(|some| self.publish_all(some));
        let failed = futures_util::future::join_all(steps).await.concat();
        if !failed.is_empty() {
            // If it fails, the end is announced again.
            let _ = deadline::store(self.files.watch_uploads(&failed, None)).await;
        }
    }

    /// Returns the uploads that were announced as failed.
    async fn publish_all(&self, news: &[News]) -> Vec<FileId> {
        let ids: Vec<FileId> = news.iter().map(|one| one.progress.file.clone()).collect();
        let found = deadline::store(self.files.audiences(&ids)).await;
        let Ok(found) = found else {
            self.publish_later(news);
            return Vec::new();
        };
        let mut failed = Vec::new();
        let found = found.into_iter();
        let mut found: HashMap<FileId, UploadAudience> =
            found.map(|one| (one.id.clone(), one)).collect();
        for one in news {
            let FileProgress { user, file, .. } = &one.progress;
            let audience = found.remove(file);
            if audience.as_ref().is_some_and(|now| self.is_old(one, now)) {
                continue;
            }
            if one.progress.state == FileState::Failed {
                failed.push(file.clone());
            }
            if one.silence.is_some() {
                self.bus.publish(Event::Sharing {
                    user: user.clone(),
                    file: file.clone(),
                    is_active: false,
                });
            }
            let others = audience.map(|now| now.others).unwrap_or_default();
            let mut to = Vec::with_capacity(others.len() + 1);
            if one.is_for_all {
                to.push(user.clone());
            }
            if !others.is_empty()
                && let Ok(false) = deadline::store(self.presence.is_invisible(user)).await
            {
                to.extend(others.iter().cloned());
            }
            if !to.is_empty() {
                self.bus.publish(Event::FileProgress {
                    progress: Box::new(one.progress.clone()),
                    to: to.into(),
                });
            }
        }
        failed
    }

    /// Whether another process announced more progress.
    fn is_old(&self, one: &News, now: &UploadAudience) -> bool {
        let has_ended = now.state != FileState::Uploading;
        match one.silence {
            Some(Silence::Here) => {
                has_ended || now.writer.as_deref().is_some_and(|by| !self.is_own(by))
            }
            Some(Silence::Everywhere) => has_ended,
            // A later event of the other process would follow the end.
            None => is_under_way(one.progress.state) && !is_under_way(now.state),
        }
    }

    /// Repeats an announcement that failed, unless there is a newer one.
    fn publish_later(&self, news: &[News]) {
        let silent_at = self.clock.now().moment.plus(SILENCE);
        let mut all = self.progress.0.lock();
        for one in news {
            all.entry(one.progress.file.clone())
                .and_modify(|entry| entry.is_new = true)
                .or_insert_with(|| Entry {
                    progress: one.progress.clone(),
                    is_new: true,
                    silent_at,
                    shared_at: None,
                    is_for_all: one.is_for_all,
                    silence: one.silence,
                    watched_at: None,
                });
        }
    }

    /// Renews the store's lease of the uploads that run here and are announced to others.
    async fn watch(&self, now: Moment) {
        let due: Vec<FileId> = {
            let all = self.progress.0.lock();
            let is_due = |entry: &Entry| {
                is_under_way(entry.progress.state)
                    && entry.silent_at > now
                    && entry.watched_at.is_none_or(|at| at.plus(RENEWAL) <= now)
            };
            let due = all.iter().filter(|(_, entry)| is_due(entry));
            due.map(|(id, _)| id.clone()).collect()
        };
        if due.is_empty() {
            return;
        }
        let watched = self.files.watch_uploads(&due, Some(SILENCE));
        if deadline::store(watched).await.is_err() {
            return;
        }
        let mut all = self.progress.0.lock();
        for id in &due {
            if let Some(entry) = all.get_mut(id) {
                entry.watched_at = Some(now);
            }
        }
    }

    /// Takes over uploads of dead processes, to publish that they failed.
    pub async fn find_lost(&self) {
        let Ok(lost) = deadline::store(self.files.lost_uploads(AT_ONCE)).await else {
            return;
        };
        let silent_at = self.clock.now().moment.plus(SILENCE);
        let mut all = self.progress.0.lock();
        for file in lost {
            // An upload that continues here is watched again.
            all.entry(file.file.id.clone())
                .and_modify(|entry| entry.watched_at = None)
                .or_insert_with(|| Entry {
                    progress: progress_of(&file, file.received, FileState::Failed),
                    is_new: true,
                    silent_at,
                    shared_at: None,
                    is_for_all: false,
                    silence: Some(Silence::Everywhere),
                    watched_at: None,
                });
        }
    }
}

/// The next announcement of an upload.
struct News {
    progress: FileProgress,
    /// See [`Entry::is_for_all`].
    is_for_all: bool,
    /// See [`Entry::silence`].
    silence: Option<Silence>,
}

fn progress_of(file: &StoredFile, received: u64, state: FileState) -> FileProgress {
    FileProgress {
        conversation: file.conversation.clone(),
        file: file.file.id.clone(),
        user: file.owner.clone(),
        name: Arc::clone(&file.file.name),
        size: file.file.size,
        received,
        state,
    }
}

/// Whether to announce to the uploader's nodes that an upload continues or ended. The requests of one
/// upload may reach several nodes: each announces what it sees, and an upload without progress here
/// may have ended elsewhere.
fn sharing(entry: &mut Entry, now: Moment) -> Option<bool> {
    if entry.progress.state != FileState::Uploading {
        let was_shared = entry.shared_at.take().is_some();
        return (was_shared || entry.is_new).then_some(false);
    }
    let is_due = entry
        .shared_at
        .is_none_or(|at| entry.is_new && at.plus(AGAIN) <= now);
    is_due.then(|| entry.shared_at = Some(now)).map(|()| true)
}

fn is_under_way(state: FileState) -> bool {
    matches!(state, FileState::Uploading | FileState::Processing)
}
