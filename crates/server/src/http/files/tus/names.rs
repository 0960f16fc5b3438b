//! The names of tus headers, and the values that this server sends.

use ::http::HeaderName;

pub(super) const VERSION: &str = "1.0.0";
pub(super) const EXTENSIONS: &str = "creation,creation-with-upload,checksum,termination,expiration";
pub(super) const ALGORITHMS: &str = "sha1,sha256";
pub(super) const BYTES: &str = "application/offset+octet-stream";

pub(super) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// The file's state, which tus has no header for.
pub(super) const STATE: HeaderName = HeaderName::from_static("file-state");
pub(super) const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
