//! Where the bytes of files are.

use super::files::DeletedFile;
use super::store::StoreResult;
use async_trait::async_trait;
use lamplight_domain::identity::FileId;

/// The bytes of files, as far as the use cases need them: the transport reads and writes them.
#[async_trait]
pub trait FileBytes: Send + Sync + 'static {
    /// Deletes all that there is of a file: what was uploaded of it, the whole, its thumbnail. Does
    /// nothing where there is nothing.
    async fn delete(&self, file: &DeletedFile) -> StoreResult<()>;

    /// Deletes a picture of an account or a group. Does nothing where there is none.
    async fn delete_avatar(&self, id: &FileId) -> StoreResult<()>;
}
