//! At most one process writes an upload. A process that receives a request claims the upload in the
//! store, which then refuses writes of the previous process.

use super::service::FileService;
use crate::deadline;
use crate::ports::{Advance, Claim, Claimed};
use crate::refusal::{Code, Refusal};
use lamplight_domain::event::Event;
use lamplight_domain::file::FileState;
use lamplight_domain::identity::FileId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a process that writes an upload has to note what it got. It may be dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at whether it did: growing from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl FileService {
    /// Claims an upload for this process. Another process that writes it is asked to stop, for a
    /// bounded time. `None` if the upload has ended.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claim(&self, id: &FileId) -> Result<Option<Claimed>, Refusal> {
        let until = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let is_forced = self.is_alone || Instant::now() >= until;
            match deadline::store(self.files.claim(id, self.run(), is_forced)).await? {
                Claim::Claimed(claimed) => return Ok(Some(claimed)),
                Claim::Ended => return Ok(None),
                Claim::Held => {}
            }
            // Repeated, because the bus may lose it.
            self.bus.publish(Event::UploadWanted {
                file: id.clone(),
                by: Arc::clone(self.run()),
            });
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Records that this process stopped writing.
    ///
    /// # Errors
    /// When the store fails. Other processes then wait for the bounded time.
    pub async fn release(&self, id: &FileId, generation: u64) -> Result<(), Refusal> {
        deadline::store(self.files.release(id, generation)).await
    }

    /// Notes where bytes of an upload are.
    ///
    /// # Errors
    /// `conflict` where another process claimed it or it was deleted, `unavailable` where the store
    /// fails: then it is unknown whether it moved.
    pub async fn advance(&self, id: &FileId, step: &Advance) -> Result<(), Refusal> {
        if deadline::store(self.files.advance(id, step, self.now())).await? {
            return Ok(());
        }
        Err(Refusal::new(
            Code::Conflict,
            "Another request uploads this file, or it was deleted.",
        ))
    }

    /// Whether a file was deleted: what is written for it now, the sweep may not find.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_gone(&self, id: &FileId) -> Result<bool, Refusal> {
        let found = deadline::store(self.files.audiences(std::slice::from_ref(id))).await?;
        let state = found.first().map(|file| file.state);
        Ok(matches!(
            state,
            None | Some(FileState::Deleted | FileState::Gone)
        ))
    }

    /// Whether an event is of this process.
    #[must_use]
    pub fn is_own(&self, run: &str) -> bool {
        **self.run() == *run
    }

    fn run(&self) -> &Arc<str> {
        self.run.get_or_init(|| self.ids.secret().into())
    }
}
