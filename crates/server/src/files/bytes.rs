//! The interface of a storage for uploads. Complete files are objects of an [`ObjectStore`]; the
//! implementations differ in how they assemble the bytes.

use super::answers::{in_short, is_gone};
use async_trait::async_trait;
use lamplight_domain::identity::FileId;
use lamplight_usecases::ports::{Claimed, DeletedFile};
use object_store::ObjectStore;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Why bytes could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreFailure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{}", in_short(.0))]
    Object(#[from] object_store::Error),
    /// They are not where they should be.
    #[error("the bytes are not there")]
    Missing,
}

/// An error of an object that should be there.
pub(super) fn missing(error: object_store::Error) -> StoreFailure {
    if is_gone(&error) {
        StoreFailure::Missing
    } else {
        error.into()
    }
}

/// Deleting a missing object succeeds.
pub(super) fn gone(deleted: object_store::Result<()>) -> Result<(), StoreFailure> {
    match deleted {
        Err(error) if !is_gone(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Up to where an upload can be noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) to: u64,
    pub(crate) place: Arc<str>,
    /// Whether there is another step once this one is noted.
    pub(crate) is_more: bool,
}

/// Writes the bytes of one upload, for one request.
#[async_trait]
pub(crate) trait UploadWriter: Send {
    /// Takes the next bytes, and leaves the buffer empty.
    async fn write(&mut self, bytes: &mut Vec<u8>) -> Result<(), StoreFailure>;

    /// How many bytes of the file were taken.
    fn written(&self) -> u64;

    /// Whether a step is worth its cost now: that many bytes, and so long, after the last one.
    fn is_due(&self, bytes: u64, since: Duration) -> bool;

    /// Makes bytes outlive a crash. With `is_end`, all that were taken, in one or more steps.
    async fn commit(&mut self, is_end: bool) -> Result<Step, StoreFailure>;

    /// The last step was noted.
    async fn noted(&mut self);

    /// The store refused the last step: another process has the upload, or it was deleted. Removes
    /// the data of that step, which no record refers to.
    async fn refused(&mut self) {}

    /// Drops the bytes received after the last recorded step.
    async fn roll_back(&mut self) -> Result<(), StoreFailure>;
}

/// Uploads, and the objects that they become.
#[async_trait]
pub(crate) trait Uploads: Send + Sync + 'static {
    /// The most bytes that a file can have here, if there is an end to them.
    fn most_bytes(&self) -> Option<u64> {
        None
    }

    /// Where whole files are. May block.
    fn objects(&self) -> Result<&Arc<dyn ObjectStore>, StoreFailure>;

    /// Goes on with an upload from the byte up to which it is noted.
    async fn open(
        &self,
        id: &FileId,
        size: u64,
        claimed: &Claimed,
    ) -> Result<Box<dyn UploadWriter>, StoreFailure>;

    /// Whether the bytes that are noted are here.
    async fn is_here(&self, id: &FileId, claimed: &Claimed) -> Result<bool, StoreFailure>;

    /// Makes an object of an upload whose bytes are all noted. May be repeated.
    async fn finish(&self, id: &FileId, size: u64, claimed: &Claimed) -> Result<(), StoreFailure>;

    /// Deletes what there is of an upload besides the object.
    async fn delete(&self, file: &DeletedFile) -> Result<(), StoreFailure>;

    /// The object as a file on this machine.
    async fn local(&self, id: &FileId) -> Result<LocalCopy, StoreFailure>;
}

/// An object as a file on this machine, for as long as this lives.
#[derive(Debug)]
pub(crate) struct LocalCopy {
    path: PathBuf,
    /// Deletes it.
    _temporary: Option<(tempfile::TempPath, OwnedSemaphorePermit)>,
}

impl LocalCopy {
    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            _temporary: None,
        }
    }

    pub(super) fn temporary(path: tempfile::TempPath, permit: OwnedSemaphorePermit) -> Self {
        Self {
            path: path.to_path_buf(),
            _temporary: Some((path, permit)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
