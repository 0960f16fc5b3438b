//! [`Files`] on SQLite; the queries are in `sqlite/`.

use crate::sqlite::{self, SqliteStore};
use async_trait::async_trait;
use lamplight_domain::file::{FileKind, FileState, StoredFile};
use lamplight_domain::identity::{ConversationId, FileId, UserId};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::FileKey;
use lamplight_usecases::named;
use lamplight_usecases::ports::{
    Advance, Avatar, Claim, DeletedFile, Examined, FileQuota, FileScan, Files, NewFile,
    NewFileError, SentFiles, StoreResult, UploadAudience,
};
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
impl Files for SqliteStore {
    async fn create(&self, file: NewFile, quota: Option<FileQuota>) -> Result<(), NewFileError> {
        self.write(move |batch| sqlite::create_file(batch, &file, quota))
            .answer()
            .await?
    }

    async fn file(&self, caller: &UserId, id: &FileId) -> StoreResult<Option<StoredFile>> {
        let (caller, id) = (caller.clone(), id.clone());
        self.read(move |conn| sqlite::file(conn, &caller, &id))
            .await
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
        let (caller, place, kinds) = (caller.clone(), conversation.clone(), kinds.to_vec());
        let part = self
            .read(move |conn| sqlite::sent_files(conn, &caller, &place, &kinds, &after, limit))
            .await?;
        let Some(mut part) = part else {
            return Ok(None);
        };
        part.users = self
            .users_beside(&part.files, conversation, named::in_files)
            .await?;
        Ok(Some(part))
    }

    async fn claim(&self, id: &FileId, run: &str, is_forced: bool) -> StoreResult<Claim> {
        let (id, run) = (id.clone(), run.to_owned());
        self.write(move |batch| sqlite::claim_file(batch.conn, &id, &run, is_forced))
            .answer()
            .await
    }

    async fn release(&self, id: &FileId, generation: u64) -> StoreResult<()> {
        let id = id.clone();
        self.write(move |batch| sqlite::release_file(batch.conn, &id, generation))
            .answer()
            .await
    }

    async fn advance(&self, id: &FileId, step: &Advance, at: Timestamp) -> StoreResult<bool> {
        let (id, step) = (id.clone(), step.clone());
        self.write(move |batch| sqlite::advance_file(batch.conn, &id, &step, at))
            .answer()
            .await
    }

    async fn audiences(&self, ids: &[FileId]) -> StoreResult<Vec<UploadAudience>> {
        let ids = ids.to_vec();
        self.read(move |conn| sqlite::file_audiences(conn, &ids))
            .await
    }

    async fn watch_uploads(&self, ids: &[FileId], lease: Option<Duration>) -> StoreResult<()> {
        let ids = ids.to_vec();
        self.write(move |batch| sqlite::watch_uploads(batch.conn, &ids, lease))
            .answer()
            .await
    }

    async fn lost_uploads(&self, limit: usize) -> StoreResult<Vec<StoredFile>> {
        self.write(move |batch| sqlite::lost_uploads(batch.conn, limit))
            .answer()
            .await
    }

    async fn examined(&self, id: &FileId, found: Examined, at: Timestamp) -> StoreResult<bool> {
        let id = id.clone();
        self.write(move |batch| sqlite::examined_file(batch.conn, &id, &found, at))
            .answer()
            .await
    }

    async fn discard(&self, id: &FileId, at: Timestamp) -> StoreResult<bool> {
        let id = id.clone();
        self.write(move |batch| sqlite::discard_file(batch.conn, &id, at))
            .answer()
            .await
    }

    async fn discard_unsent(
        &self,
        before: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> StoreResult<usize> {
        self.write(move |batch| sqlite::discard_unsent_files(batch.conn, before, at, limit))
            .answer()
            .await
    }

    async fn deleted(&self, limit: usize) -> StoreResult<Vec<DeletedFile>> {
        self.read(move |conn| sqlite::deleted_files(conn, limit))
            .await
    }

    async fn forget(&self, gone: &[FileId], began_before: Timestamp) -> StoreResult<()> {
        let gone = gone.to_vec();
        self.write(move |batch| sqlite::forget_files(batch.conn, &gone, began_before))
            .answer()
            .await
    }

    async fn claim_scans(&self, lease: Duration, limit: usize) -> StoreResult<Vec<FileScan>> {
        self.write(move |batch| sqlite::claim_scans(batch.conn, lease, limit))
            .answer()
            .await
    }

    async fn renew_scan(&self, id: &FileId, lease: Duration) -> StoreResult<()> {
        let id = id.clone();
        self.write(move |batch| sqlite::renew_scan(batch.conn, &id, lease))
            .answer()
            .await
    }

    async fn scanned(&self, id: &FileId, state: FileState, at: Timestamp) -> StoreResult<bool> {
        let id = id.clone();
        self.write(move |batch| sqlite::scanned_file(batch.conn, &id, state, at))
            .answer()
            .await
    }

    async fn scan_later(&self, id: &FileId, pause: Duration) -> StoreResult<()> {
        let id = id.clone();
        self.write(move |batch| sqlite::scan_later(batch.conn, &id, pause))
            .answer()
            .await
    }

    async fn scan_is_over(&self, id: &FileId) -> StoreResult<()> {
        let id = id.clone();
        self.write(move |batch| sqlite::scan_is_over(batch.conn, &id))
            .answer()
            .await
    }

    async fn add_avatar(
        &self,
        id: &FileId,
        account: Option<&UserId>,
        group: Option<&ConversationId>,
        at: Timestamp,
    ) -> StoreResult<()> {
        let (id, account, group) = (id.clone(), account.cloned(), group.cloned());
        self.write(move |batch| {
            sqlite::add_avatar(batch.conn, &id, account.as_ref(), group.as_ref(), at)
        })
        .answer()
        .await
    }

    async fn avatars(&self, after: Option<&FileId>, limit: usize) -> StoreResult<Vec<Avatar>> {
        let after = after.cloned();
        self.read(move |conn| sqlite::avatars(conn, after.as_ref(), limit))
            .await
    }

    async fn forget_avatars(&self, gone: &[FileId]) -> StoreResult<()> {
        let gone = gone.to_vec();
        self.write(move |batch| sqlite::forget_avatars(batch.conn, &gone))
            .answer()
            .await
    }

    async fn signing_key(&self) -> StoreResult<Arc<str>> {
        self.read(sqlite::signing_key).await
    }
}
