//! The bytes of files: uploads on this node's disk, whole files in an object store, and what is
//! found in them.

mod examine;
mod locks;
mod media;
#[cfg(test)]
mod mutations;
mod picture;
mod store;
mod upload;

use lamplight_usecases::FileRules;
use std::sync::Arc;

/// What requests with the bytes of files need.
pub(crate) struct FileTransfers {
    pub(crate) store: Arc<FileStore>,
    pub(crate) locks: UploadLocks,
    pub(crate) rules: FileRules,
}

pub(crate) use examine::Outcome;
pub(crate) use locks::UploadLocks;
pub(crate) use store::{FileStore, StoreFailure};
pub(crate) use upload::{Checksum, Upload, UploadEnd, UploadFailure};
