//! Deletes files that were not sent, and the bytes of files that are deleted. The records are what
//! it goes by, so that it goes on where a crash left off.

use super::service::{DAY, FileService};
use crate::ports::{FileBytes, StoreResult};
use crate::throttle::{self, Due};
use lamplight_domain::time::Timestamp;
use std::time::Duration;

/// Files that are handled at a time.
const AT_ONCE: usize = 100;
/// The pause between two sweeps.
const PAUSE: Duration = Duration::from_secs(10);

impl FileService {
    /// Sweeps for as long as it is polled.
    pub async fn run_sweep(&self, bytes: &dyn FileBytes) {
        loop {
            match self.sweep(bytes).await {
                Ok(swept) if swept >= AT_ONCE => continue,
                Ok(_) => {}
                Err(error) => {
                    if let Some(Due { left_out }) =
                        throttle::due("file sweep", &error.to_string(), None)
                    {
                        tracing::warn!(cause = %error, left_out, "deleted files could not be removed; trying again");
                    }
                }
            }
            if let Err(error) = self.sweep_avatars(bytes).await
                && let Some(Due { left_out }) =
                    throttle::due("avatar sweep", &error.to_string(), None)
            {
                tracing::warn!(cause = %error, left_out, "replaced pictures could not be removed; trying again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One step: returns how many files it handled. Bytes first, then the record: a crash between
    /// the two repeats the deletion of the bytes.
    ///
    /// # Errors
    /// When the records or the bytes cannot be reached.
    pub async fn sweep(&self, bytes: &dyn FileBytes) -> StoreResult<usize> {
        let now = self.now();
        let day_before = Timestamp(now.0.saturating_sub(DAY));
        let unsent = self.files.discard_unsent(day_before, now, AT_ONCE).await?;
        let deleted = self.files.deleted(AT_ONCE).await?;
        let mut gone = Vec::with_capacity(deleted.len());
        let mut failed = None;
        for file in deleted {
            match bytes.delete(&file).await {
                Ok(()) => gone.push(file.id),
                Err(error) => failed = Some(error),
            }
        }
        self.files.forget(&gone, day_before).await?;
        match failed {
            Some(error) => Err(error),
            None => Ok(gone.len().max(unsent)),
        }
    }
}
