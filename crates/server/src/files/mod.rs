//! The bytes of files: uploads in a directory that all nodes share, or in S3, whole files in an object
//! store, and their examination.

mod answers;
mod bytes;
mod directory;
mod examine;
mod locks;
mod media;
#[cfg(test)]
mod mutations;
mod picture;
mod s3;
mod scan;
mod store;
#[cfg(test)]
mod suite;
mod turns;
mod upload;

use lamplight_usecases::FileRules;
use std::sync::Arc;
use tokio::sync::Notify;

/// The dependencies of requests that transfer file bytes.
pub(crate) struct FileTransfers {
    pub(crate) store: Arc<FileStore>,
    pub(crate) locks: UploadLocks,
    pub(crate) rules: FileRules,
    /// Wakes the task that sends files to the operator's scanner, if there is one.
    pub(crate) scans: Option<Arc<Notify>>,
}

pub(crate) use bytes::StoreFailure;
pub(crate) use examine::{Outcome, square};
pub(crate) use locks::{UploadLock, UploadLocks};
pub(crate) use s3::S3Settings;
pub(crate) use s3::{
    CheckError, VARIABLES as AWS_VARIABLES, check as check_s3, check_at_start as check_s3_at_start,
    problem as s3_problem,
};
pub(crate) use scan::{Scanner, Scans, Verdict};
pub(crate) use store::FileStore;
pub(crate) use upload::{Checksum, Upload, UploadEnd, UploadFailure};
