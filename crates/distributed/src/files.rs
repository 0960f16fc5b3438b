//! [`Files`] on PostgreSQL; the statements are in `postgres/`.

use crate::postgres::{self, PostgresStore};
use async_trait::async_trait;
use lamplight_domain::file::{FileKind, FileState, StoredFile};
use lamplight_domain::identity::{ConversationId, FileId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::FileKey;
use lamplight_usecases::ports::{
    Advance, Avatar, Claim, DeletedFile, Examined, FileQuota, FileScan, Files, NewFile,
    NewFileError, SentFiles, StoreResult, UploadAudience,
};
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
impl Files for PostgresStore {
    async fn create(&self, file: NewFile, quota: Option<FileQuota>) -> Result<(), NewFileError> {
        postgres::create_file(self, &file, quota).await
    }

    async fn file(&self, caller: &UserId, id: &FileId) -> StoreResult<Option<StoredFile>> {
        postgres::file(self, caller, id).await
    }

    async fn sent_files(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        kinds: &[FileKind],
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<SentFiles>> {
        let after = cursor.map_or_else(|| Ok(FileKey::first()), FileKey::read)?;
        postgres::sent_files(self, caller, conversation, kinds, &after, limit).await
    }

    async fn claim(&self, id: &FileId, run: &str, is_forced: bool) -> StoreResult<Claim> {
        postgres::claim_file(self, id, run, is_forced).await
    }

    async fn release(&self, id: &FileId, generation: u64) -> StoreResult<()> {
        postgres::release_file(self, id, generation).await
    }

    async fn advance(&self, id: &FileId, step: &Advance, at: Timestamp) -> StoreResult<bool> {
        postgres::advance_file(self, id, step, at).await
    }

    async fn audiences(&self, ids: &[FileId]) -> StoreResult<Vec<UploadAudience>> {
        postgres::file_audiences(self, ids).await
    }

    async fn watch_uploads(&self, ids: &[FileId], lease: Option<Duration>) -> StoreResult<()> {
        postgres::watch_uploads(self, ids, lease).await
    }

    async fn lost_uploads(&self, limit: usize) -> StoreResult<Vec<StoredFile>> {
        postgres::lost_uploads(self, limit).await
    }

    async fn examined(&self, id: &FileId, found: Examined, at: Timestamp) -> StoreResult<bool> {
        postgres::examined_file(self, id, &found, at).await
    }

    async fn discard(&self, id: &FileId, at: Timestamp) -> StoreResult<bool> {
        postgres::discard_file(self, id, at).await
    }

    async fn discard_unsent(
        &self,
        before: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> StoreResult<usize> {
        postgres::discard_unsent_files(self, before, at, limit).await
    }

    async fn deleted(&self, limit: usize) -> StoreResult<Vec<DeletedFile>> {
        postgres::deleted_files(self, limit).await
    }

    async fn forget(&self, gone: &[FileId], began_before: Timestamp) -> StoreResult<()> {
        postgres::forget_files(self, gone, began_before).await
    }

    async fn claim_scans(&self, lease: Duration, limit: usize) -> StoreResult<Vec<FileScan>> {
        postgres::claim_scans(self, lease, limit).await
    }

    async fn renew_scan(&self, id: &FileId, lease: Duration) -> StoreResult<()> {
        postgres::renew_scan(self, id, lease).await
    }

    async fn scanned(&self, id: &FileId, state: FileState, at: Timestamp) -> StoreResult<bool> {
        postgres::scanned_file(self, id, state, at).await
    }

    async fn scan_later(&self, id: &FileId, pause: Duration) -> StoreResult<()> {
        postgres::scan_later(self, id, pause).await
    }

    async fn scan_is_over(&self, id: &FileId) -> StoreResult<()> {
        postgres::scan_is_over(self, id).await
    }

    async fn add_avatar(
        &self,
        id: &FileId,
        account: Option<&UserId>,
        group: Option<&ConversationId>,
        at: Timestamp,
    ) -> StoreResult<()> {
        postgres::add_avatar(self, id, account, group, at).await
    }

    async fn avatars(&self, after: Option<&FileId>, limit: usize) -> StoreResult<Vec<Avatar>> {
        postgres::avatars(self, after, limit).await
    }

    async fn forget_avatars(&self, gone: &[FileId]) -> StoreResult<()> {
        postgres::forget_avatars(self, gone).await
    }

    async fn signing_key(&self) -> StoreResult<Arc<str>> {
        Ok(postgres::signing_key(self))
    }
}
