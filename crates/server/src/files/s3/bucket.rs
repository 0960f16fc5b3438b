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
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// Parts of uploads that are in memory at a time.
const PARTS_AT_ONCE: usize = 2;
/// Whole files that are in the spool at a time, to be looked at.
const COPIES_AT_ONCE: usize = 4;
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
    /// The right to have a copy of a file in the spool.
    pub(super) copies: Arc<Semaphore>,
}

/// Removes copies for as long as there is this client.
fn clean_hourly(client: &Arc<Client>, spool: PathBuf) {
    let client = Arc::downgrade(client);
    tokio::spawn(async move {
        while client.strong_count() > 0 {
            sleep(spool::LEFT).await;
            let spool = spool.clone();
            let _ = spawn_blocking(move || spool::clean(&spool)).await;
        }
    });
}

impl S3 {
    /// Needs a tokio runtime, and does not connect yet. Parts in transit are in the directory
    /// `spool`.
    ///
    /// # Errors
    /// When the settings are not valid for S3.
    pub(crate) fn new(settings: &S3Settings, spool: PathBuf) -> Result<Self, String> {
        let client = Arc::new(Client::new(settings)?);
        spool::clean(&spool);
        clean_hourly(&client, spool.clone());
        Ok(Self {
            objects: Arc::clone(&client.objects) as _,
            client,
            spool,
            parts: Arc::new(Semaphore::new(PARTS_AT_ONCE)),
            copies: Arc::new(Semaphore::new(COPIES_AT_ONCE)),
        })
    }

    /// The right to have a part in memory.
    pub(super) async fn permit(&self) -> Result<SemaphorePermit<'_>, StoreFailure> {
        let waited = timeout(PATIENCE, self.parts.acquire()).await;
        let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "S3 is too slow");
        Ok(waited.map_err(|_| late())?.map_err(std::io::Error::other)?)
    }
}
