//! [`Files`] on PostgreSQL; the statements are in `postgres/`.

use crate::postgres::{self, PostgresStore};
use async_trait::async_trait;
use lamplight_domain::file::StoredFile;
use lamplight_domain::identity::{FileId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Examined, FileQuota, Files, NewFile, NewFileError, StoreResult};
use std::sync::Arc;

#[async_trait]
impl Files for PostgresStore {
    async fn create(&self, file: NewFile, quota: Option<FileQuota>) -> Result<(), NewFileError> {
        postgres::create_file(self, &file, quota).await
    }

    async fn file(&self, caller: &UserId, id: &FileId) -> StoreResult<Option<StoredFile>> {
        postgres::file(self, caller, id).await
    }

    async fn advance(&self, id: &FileId, from: u64, to: u64, at: Timestamp) -> StoreResult<bool> {
        postgres::advance_file(self, id, from, to, at).await
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

    async fn deleted(&self, limit: usize) -> StoreResult<Vec<FileId>> {
        postgres::deleted_files(self, limit).await
    }

    async fn forget(&self, gone: &[FileId], began_before: Timestamp) -> StoreResult<()> {
        postgres::forget_files(self, gone, began_before).await
    }

    async fn signing_key(&self) -> StoreResult<Arc<str>> {
        Ok(postgres::signing_key(self))
    }
}
