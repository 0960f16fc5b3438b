//! Files that the operator's scanner decides about before anybody may have them.

use super::service::{FileService, no_file};
use crate::deadline;
use crate::ports::FileScan;
use crate::refusal::Refusal;
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_domain::identity::FileId;
use std::time::Duration;

impl FileService {
    /// Takes files that wait for the scanner, or whose bytes it condemned.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claim_scans(
        &self,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<FileScan>, Refusal> {
        deadline::store(self.files.claim_scans(lease, limit)).await
    }

    /// Goes on with a file that was claimed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn renew_scan(&self, id: &FileId, lease: Duration) -> Result<(), Refusal> {
        deadline::store(self.files.renew_scan(id, lease)).await
    }

    /// Notes the scanner's verdict, and tells it: the uploader too, who waits for it.
    ///
    /// # Errors
    /// `not_found` where the file was deleted meanwhile, or when the store fails.
    pub async fn scanned(&self, file: &StoredFile, state: FileState) -> Result<(), Refusal> {
        let id = &file.file.id;
        if !deadline::store(self.files.scanned(id, state, self.now())).await? {
            return Err(no_file());
        }
        self.report_to_all(file, file.received, state);
        Ok(())
    }

    /// Notes that there was no verdict. The file is claimed again after a pause.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn scan_later(&self, id: &FileId, pause: Duration) -> Result<(), Refusal> {
        deadline::store(self.files.scan_later(id, pause)).await
    }

    /// Notes that the bytes of a file that was refused are gone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn scan_is_over(&self, id: &FileId) -> Result<(), Refusal> {
        deadline::store(self.files.scan_is_over(id)).await
    }
}
