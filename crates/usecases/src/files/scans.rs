//! Files that the operator's scanner checks before others may download them.

use super::service::{FileService, no_file};
use crate::deadline;
use crate::ports::FileScan;
use crate::refusal::Refusal;
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_domain::identity::FileId;
use std::time::Duration;

impl FileService {
    /// Claims files that wait for the scanner, or whose bytes are to be deleted after its verdict.
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

    /// Extends the lease of a claimed file.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn renew_scan(&self, id: &FileId, lease: Duration) -> Result<(), Refusal> {
        deadline::store(self.files.renew_scan(id, lease)).await
    }

    /// Stores the scanner's verdict and publishes it, also to the uploader.
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

    /// Records that there was no verdict. The file is claimed again after a pause.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn scan_later(&self, id: &FileId, pause: Duration) -> Result<(), Refusal> {
        deadline::store(self.files.scan_later(id, pause)).await
    }

    /// Records that the bytes of a refused file are deleted.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn scan_is_over(&self, id: &FileId) -> Result<(), Refusal> {
        deadline::store(self.files.scan_is_over(id)).await
    }
}
