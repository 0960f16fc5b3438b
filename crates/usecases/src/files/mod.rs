//! Files: uploads, downloads and their signed addresses, and the sweep. The bytes pass by the
//! transport; this decides who may have them.

mod avatars;
mod claims;
mod progress;
mod progress_table;
mod scans;
pub(crate) mod service;
mod sharing;
mod sharing_table;
mod signed;
mod sweep;

pub use avatars::AvatarOwner;
pub use service::{FileRules, FileService, NewUpload, not_allowed};
pub use signed::SignedAddress;
