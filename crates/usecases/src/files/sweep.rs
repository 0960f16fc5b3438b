//! Deletes files that were not sent, and the bytes of deleted files. It works from the records, so
//! that it continues after a crash.

use super::service::{DAY, FileService};
use crate::ports::{DeletedFile, FileBytes, StoreResult};
use crate::throttle::{self, Due};
use lamplight_domain::time::Timestamp;
use std::time::Duration;

/// Files that are handled at a time.
const AT_ONCE: usize = 100;
/// The pause between two sweeps.
const PAUSE: Duration = Duration::from_secs(10);
/// Bytes are deleted once more after this time, in milliseconds: a running request may write some
/// after the first deletion, and a store may receive them late.
const AGAIN: i64 = 10 * 60 * 1_000;
/// The maximum number of files that wait for the second deletion. A restart forgets them.
const MOST: usize = 10_000;

impl FileService {
    /// Sweeps for as long as it is polled.
    pub async fn run_sweep(&self, bytes: &dyn FileBytes) {
        loop {
            let is_more = match self.sweep(bytes).await {
                Ok(swept) => swept >= AT_ONCE,
                Err(error) => {
                    if let Some(Due { left_out }) =
                        throttle::due("file sweep", &error.to_string(), None)
                    {
                        tracing::warn!(cause = %error, left_out, "deleted files could not be removed; trying again");
                    }
                    false
                }
            };
            if let Err(error) = self.sweep_avatars(bytes).await
                && let Some(Due { left_out }) =
                    throttle::due("avatar sweep", &error.to_string(), None)
            {
                tracing::warn!(cause = %error, left_out, "replaced pictures could not be removed; trying again");
            }
            if is_more {
                continue;
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
                Ok(()) => {
                    gone.push(file.id.clone());
                    let mut swept = self.swept.lock();
                    if swept.len() < MOST {
                        swept.push_back((now, file));
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        if let Err(error) = self.sweep_again(bytes, now).await {
            failed = Some(error);
        }
        self.files.forget(&gone, day_before).await?;
        match failed {
            Some(error) => Err(error),
            None => Ok(gone.len().max(unsent)),
        }
    }

    async fn sweep_again(&self, bytes: &dyn FileBytes, now: Timestamp) -> StoreResult<()> {
        for _ in 0..AT_ONCE {
            let Some(file) = self.due_again(now) else {
                break;
            };
            if let Err(error) = bytes.delete(&file).await {
                self.swept.lock().push_back((now, file));
                return Err(error);
            }
        }
        Ok(())
    }

    fn due_again(&self, now: Timestamp) -> Option<DeletedFile> {
        let mut swept = self.swept.lock();
        let (at, _) = swept.front()?;
        if at.0.saturating_add(AGAIN) > now.0 {
            return None;
        }
        Some(swept.pop_front()?.1)
    }
}
