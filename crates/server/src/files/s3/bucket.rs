//! A bucket with files, as the parts of this module share it.

use super::client::Client;
use super::settings::S3Settings;
use super::spool;
use crate::files::bytes::StoreFailure;
use lamplight_domain::identity::FileId;
use object_store::ObjectStore;
use object_store::path::Path as Place;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Parts of uploads that are in memory at a time.
const PARTS_AT_ONCE: usize = 2;
/// How long an upload waits for the parts of others.
const PATIENCE: Duration = Duration::from_secs(30);

/// The object of a whole file.
pub(super) fn object(id: &FileId) -> Place {
    Place::from(id.as_str())
}

/// Files in a bucket.
#[derive(Clone)]
pub(crate) struct S3 {
    pub(super) client: Arc<Client>,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) spool: PathBuf,
    parts: Arc<Semaphore>,
}

impl S3 {
    /// Connects to nothing yet. What is on its way is in the directory `spool`.
    ///
    /// # Errors
    /// When the settings are no settings of S3.
    pub(crate) fn new(settings: &S3Settings, spool: PathBuf) -> Result<Self, String> {
        let client = Arc::new(Client::new(settings)?);
        spool::clean(&spool);
        Ok(Self {
            objects: Arc::clone(&client.objects) as _,
            client,
            spool,
            parts: Arc::new(Semaphore::new(PARTS_AT_ONCE)),
        })
    }

    /// The right to have a part in memory.
    pub(super) async fn permit(&self) -> Result<SemaphorePermit<'_>, StoreFailure> {
        let waited = timeout(PATIENCE, self.parts.acquire()).await;
        let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "S3 is too slow");
        Ok(waited.map_err(|_| late())?.map_err(std::io::Error::other)?)
    }
}

/// What is not there is deleted.
pub(super) fn gone(deleted: object_store::Result<()>) -> Result<(), StoreFailure> {
    match deleted {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
