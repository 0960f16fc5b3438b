//! Tells the other members of a conversation how far an upload is: at most twice a second, and in
//! the end a final state, also when the uploader's connection dies.

use super::progress_table::Entry;
use super::service::FileService;
use super::sharing::AGAIN;
use crate::deadline;
use lamplight_domain::conversation::Members;
use lamplight_domain::event::Event;
use lamplight_domain::file::{FileProgress, FileState, StoredFile};
use lamplight_domain::time::Moment;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Between two events of one upload.
const PAUSE: Duration = Duration::from_millis(500);
/// An upload that gets no byte for so long has failed, until it goes on.
const SILENCE: Duration = Duration::from_secs(30);
/// Uploads that are told of. Beyond that, some are not.
const MOST: usize = 10_000;

impl FileService {
    /// Notes how far an upload is. Costs little, and tells nobody by itself.
    pub fn report(&self, file: &StoredFile, received: u64, state: FileState) {
        self.note(file, received, state, false);
    }

    /// The same for what the uploader does not know either.
    pub(super) fn report_to_all(&self, file: &StoredFile, received: u64, state: FileState) {
        self.note(file, received, state, true);
    }

    fn note(&self, file: &StoredFile, received: u64, state: FileState, is_for_all: bool) {
        let silent_at = self.clock.now().moment.plus(SILENCE);
        let mut all = self.progress.0.lock();
        if all.len() >= MOST && !all.contains_key(&file.file.id) {
            return;
        }
        let progress = FileProgress {
            conversation: file.conversation.clone(),
            file: file.file.id.clone(),
            user: file.owner.clone(),
            name: Arc::clone(&file.file.name),
            size: file.file.size,
            received,
            state,
        };
        let entry = all.entry(file.file.id.clone()).or_insert_with(|| Entry {
            progress: progress.clone(),
            is_new: true,
            silent_at,
            shared_at: None,
            is_for_all,
        });
        entry.is_new |= entry.progress != progress;
        entry.progress = progress;
        entry.silent_at = silent_at;
        entry.is_for_all = is_for_all;
    }

    /// Uploads that others are told of.
    pub(crate) fn uploads(&self) -> usize {
        self.progress.0.lock().len()
    }

    /// Tells of uploads for as long as it is polled.
    pub(crate) async fn run_progress(&self) {
        let mut pause = tokio::time::interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pause.tick().await;
            self.tell_progress().await;
            self.show_sharing().await;
        }
    }

    /// Tells of the uploads that went on since the last time. [`FileService::run_progress`] repeats
    /// it twice a second.
    pub async fn tell_progress(&self) {
        let now = self.clock.now().moment;
        let (mut news, mut shares) = (Vec::new(), Vec::new());
        self.progress.0.lock().retain(|_, entry| {
            let mut is_over = !is_under_way(entry.progress.state);
            if !is_over && entry.silent_at <= now {
                // What waits for the scanner is another node's too, and goes on.
                if entry.progress.state == FileState::Uploading {
                    entry.progress.state = FileState::Failed;
                    entry.is_new = true;
                }
                is_over = true;
            }
            if let Some(is_active) = sharing(entry, now) {
                let FileProgress { user, file, .. } = &entry.progress;
                shares.push((user.clone(), file.clone(), is_active));
            }
            if std::mem::take(&mut entry.is_new) {
                news.push((entry.progress.clone(), entry.is_for_all));
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
        for (progress, is_for_all) in news {
            let mut to = self.receivers(&progress).await;
            if is_for_all {
                let own = std::iter::once(&progress.user);
                to = Some(
                    own.chain(to.iter().flat_map(|to| to.iter()))
                        .cloned()
                        .collect(),
                );
            }
            if let Some(to) = to {
                self.bus.publish(Event::FileProgress {
                    progress: Box::new(progress),
                    to,
                });
            }
        }
    }

    /// The other members at this moment; `None` while the uploader is to look offline, is no member
    /// any more, or where one of two people has blocked the other.
    async fn receivers(&self, progress: &FileProgress) -> Option<Members> {
        let user = &progress.user;
        if deadline::store(self.presence.is_invisible(user))
            .await
            .ok()?
        {
            return None;
        }
        let members = self.messages.members(&progress.conversation);
        let members = deadline::store(members).await.ok()??;
        if !members.contains(user) {
            return None;
        }
        let others: Members = members.iter().filter(|one| *one != user).cloned().collect();
        if others.len() == 1 {
            let blocked = deadline::store(self.blocks.between(user, &others)).await;
            if !blocked.ok()?.is_empty() {
                return None;
            }
        }
        Some(others)
    }
}

/// Whether to tell the uploader's nodes that an upload goes on, or that it ended. The requests of one
/// upload may go to several nodes: each tells what it sees, and an upload that does not move here may
/// be over elsewhere.
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
