//! Files: uploads, downloads and their signed addresses, and the sweep. The bytes pass by the
//! transport; this decides who may have them.

mod progress;
mod progress_table;
pub(crate) mod service;
mod signed;
mod sweep;

pub use service::{FileRules, FileService, NewUpload, not_allowed};
pub use signed::SignedAddress;
