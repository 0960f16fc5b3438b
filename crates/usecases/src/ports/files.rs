//! Records of files. Their bytes are elsewhere.

use super::store::{StoreError, StoreResult};
use crate::cursor::FileKey;
use async_trait::async_trait;
use lamplight_domain::conversation::Members;
use lamplight_domain::file::{Attachment, Dimensions, FileKind, FileState, StoredFile};
use lamplight_domain::identity::{ConversationId, FileId, MessageId, Profile, UserId};
use lamplight_domain::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// A file counts as this many bytes at least, so that the number of files is bounded too.
pub const LEAST_COUNTED_BYTES: u64 = 65_536;

/// A file that is to be uploaded.
#[derive(Clone, Debug)]
pub struct NewFile {
    pub id: FileId,
    pub owner: UserId,
    pub conversation: ConversationId,
    pub name: Arc<str>,
    /// The media type that its owner reported.
    pub media_type: Arc<str>,
    pub size: u64,
    pub created_at: Timestamp,
}

/// The quota: the maximum total bytes of files that one user started to upload since a time.
#[derive(Clone, Copy, Debug)]
pub struct FileQuota {
    pub bytes: u64,
    pub since: Timestamp,
}

/// Why a file was not registered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NewFileError {
    /// There is no such conversation, or the owner is not in it.
    #[error("no such conversation for the owner")]
    NotFound,
    /// The owner's role does not allow it, or a block does not.
    #[error("the owner may not write in the conversation")]
    Forbidden,
    #[error("the owner's files have too many bytes")]
    OverQuota,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The metadata of a completely received file.
#[derive(Clone, Debug)]
pub struct Examined {
    pub media_type: Arc<str>,
    pub dimensions: Option<Dimensions>,
    pub has_thumbnail: bool,
    pub blur_hash: Option<Arc<str>>,
    pub duration_ms: Option<u64>,
    pub state: FileState,
}

/// A file that waits for the operator's scanner, or a refused file whose bytes are to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileScan {
    pub file: StoredFile,
    /// How often scanning it failed.
    pub failures: u32,
}

/// A picture of an account or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avatar {
    pub id: FileId,
    pub created_at: Timestamp,
    /// Whether the profile or the group that it was made for has its address.
    pub is_used: bool,
}

/// The result of claiming an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It may write the upload until another process claims it.
    Claimed(Claimed),
    /// Another process writes it.
    Held,
    /// The upload has ended: it is complete, refused or deleted.
    Ended,
}

/// An upload as it is when a process begins to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Higher than those of all other processes that wrote the upload before.
    pub generation: u64,
    /// See [`StoredFile::received`].
    pub received: u64,
    /// See [`StoredFile::place`].
    pub place: Arc<str>,
}

/// A step of an upload.
#[derive(Clone, Debug)]
pub struct Advance {
    /// That of the claim.
    pub generation: u64,
    pub from: u64,
    pub to: u64,
    /// Where the bytes up to `to` are.
    pub place: Arc<str>,
}

/// The receivers and the writer of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadAudience {
    pub id: FileId,
    /// The other members of its conversation now. Empty if the owner is no longer a member, or if a
    /// block exists in a direct conversation.
    pub others: Members,
    pub state: FileState,
    /// The process that claimed it last.
    pub writer: Option<Arc<str>>,
}

/// A deleted file whose bytes may still be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedFile {
    pub id: FileId,
    /// The last one that wrote it.
    pub generation: u64,
    pub place: Arc<str>,
}

/// A file of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentFile {
    pub file: Attachment,
    pub message: MessageId,
    pub seq: u64,
    pub sender: UserId,
    /// When the message was sent.
    pub sent_at: Timestamp,
}

/// A part of the files of a conversation's messages: the newest message first, and the files of a
/// message in its order.
#[derive(Clone, Debug, Default)]
pub struct SentFiles {
    pub files: Vec<SentFile>,
    /// The cursor of the next part, if there is one.
    pub next: Option<String>,
    /// The newest entry of the log when it was read.
    pub as_of_seq: u64,
    /// See [`MessagePage::users`](super::MessagePage::users).
    pub users: Vec<Profile>,
}

/// A row that a store found for [`SentFiles`].
#[derive(Clone, Debug)]
pub struct FoundFile {
    pub file: SentFile,
    pub position: i64,
    /// See [`StoredFile::is_withheld`].
    pub is_withheld: bool,
}

impl SentFiles {
    /// Makes a page of at most `limit` files from the rows after a cursor. `found` must have at
    /// least `limit` + 1 rows of each kind, if there are that many. Withheld files count too, so
    /// that the number of rows read is bounded.
    #[must_use]
    pub fn part(mut found: Vec<FoundFile>, limit: usize, as_of_seq: u64) -> Self {
        let order = |one: &FoundFile| {
            let newest_first = std::cmp::Reverse(one.file.seq);
            (newest_first, one.position, one.file.file.id.clone())
        };
        found.sort_by_cached_key(order);
        let has_more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| has_more);
        let next = last.map(|last| {
            FileKey {
                seq: i64::try_from(last.file.seq).unwrap_or(i64::MAX),
                position: last.position,
                id: last.file.file.id.as_str().to_owned(),
            }
            .write()
        });
        let shown = found.into_iter().filter(|one| !one.is_withheld);
        Self {
            files: shown.map(|one| one.file).collect(),
            next,
            as_of_seq,
            users: Vec::new(),
        }
    }
}

/// Records of files. A record is written before the first byte, and outlives the last one: what a
/// crash leaves behind is found by it.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// Registers a file, in one transaction with the check of membership, of a block between two people, and
    /// of the quota.
    async fn create(&self, file: NewFile, quota: Option<FileQuota>) -> Result<(), NewFileError>;

    /// A file, `None` if there is none, if it is deleted, or if the caller is not a member of its
    /// conversation now. The file states whether a block withholds it from the caller.
    async fn file(&self, caller: &UserId, id: &FileId) -> StoreResult<Option<StoredFile>>;

    /// Files of these kinds that the messages of a conversation have, those that the caller may have
    /// now; `None` if there is no such conversation for them. Files of deleted messages are not among
    /// them, nor of messages before the caller's log begins, nor what a block withholds. A part can
    /// have fewer than `limit`, even none, and a cursor: then there may be more. The cost does not
    /// grow with the log, nor with the number of files. A cursor of no earlier part is
    /// [`StoreError::BadCursor`].
    async fn sent_files(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        kinds: &[FileKind],
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<SentFiles>>;

    /// Claims an upload for a process, which is named by `run`. A process that claims it after
    /// another one gets a new generation; later writes of the other one are refused.
    /// Unless `is_forced`, a claim that was not released is respected. The claims of one process
    /// succeed: the process itself separates its requests.
    async fn claim(&self, id: &FileId, run: &str, is_forced: bool) -> StoreResult<Claim>;

    /// Records that a process stopped writing, unless another process has claimed the upload since.
    async fn release(&self, id: &FileId, generation: u64) -> StoreResult<()>;

    /// Advances the recorded offset of an upload from `from` to `to`, unless the offset differs or
    /// another process has claimed the upload.
    async fn advance(&self, id: &FileId, step: &Advance, at: Timestamp) -> StoreResult<bool>;

    /// The receivers of these uploads, in any order, without missing uploads.
    async fn audiences(&self, ids: &[FileId]) -> StoreResult<Vec<UploadAudience>>;

    /// Renews the lease of these announced uploads: [`Files::lost_uploads`] finds those that are
    /// not renewed within the lease, by the store's clock. Without a lease, they are no longer
    /// found. Ignores files that are not uploads any more.
    async fn watch_uploads(&self, ids: &[FileId], lease: Option<Duration>) -> StoreResult<()>;

    /// Returns uploads whose lease has ended, each once.
    async fn lost_uploads(&self, limit: usize) -> StoreResult<Vec<StoredFile>>;

    /// Stores the metadata of a completely received upload. A file in [`FileState::Processing`] then
    /// waits for the scanner.
    async fn examined(&self, id: &FileId, found: Examined, at: Timestamp) -> StoreResult<bool>;

    /// Deletes a file that no message has.
    async fn discard(&self, id: &FileId, at: Timestamp) -> StoreResult<bool>;

    /// Deletes files that no message has and that have not changed since before a time. Returns how
    /// many, at most `limit`.
    async fn discard_unsent(
        &self,
        before: Timestamp,
        at: Timestamp,
        limit: usize,
    ) -> StoreResult<usize>;

    /// Deleted files whose bytes may still exist.
    async fn deleted(&self, limit: usize) -> StoreResult<Vec<DeletedFile>>;

    /// Records that the bytes of files are deleted. The records of files that began before a time are
    /// removed; later ones still count for the quota.
    async fn forget(&self, gone: &[FileId], began_before: Timestamp) -> StoreResult<()>;

    /// Claims files that wait for the scanner, or that it refused and whose bytes are not deleted yet,
    /// longest waiting first. No other node gets them during the lease, by the store's clock.
    async fn claim_scans(&self, lease: Duration, limit: usize) -> StoreResult<Vec<FileScan>>;

    /// Extends the lease of a file that was claimed.
    async fn renew_scan(&self, id: &FileId, lease: Duration) -> StoreResult<()>;

    /// Stores the scanner's verdict on a waiting file: [`FileState::Ready`], or another state, after
    /// which its bytes are to be deleted. `false` if it was not waiting.
    async fn scanned(&self, id: &FileId, state: FileState, at: Timestamp) -> StoreResult<bool>;

    /// Records that scanning a file failed. It is claimed again after a pause.
    async fn scan_later(&self, id: &FileId, pause: Duration) -> StoreResult<()>;

    /// Records that the bytes of a refused file are deleted.
    async fn scan_is_over(&self, id: &FileId) -> StoreResult<()>;

    /// Registers a picture of an account or of a group, before its bytes are stored.
    async fn add_avatar(
        &self,
        id: &FileId,
        account: Option<&UserId>,
        group: Option<&ConversationId>,
        at: Timestamp,
    ) -> StoreResult<()>;

    /// Pictures in the order of their ids, after one.
    async fn avatars(&self, after: Option<&FileId>, limit: usize) -> StoreResult<Vec<Avatar>>;

    /// Removes the records of pictures whose bytes are deleted.
    async fn forget_avatars(&self, gone: &[FileId]) -> StoreResult<()>;

    /// The store's secret, with which addresses are signed.
    async fn signing_key(&self) -> StoreResult<Arc<str>>;
}
