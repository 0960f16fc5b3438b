//! Where the bytes are: uploads in a directory of this node, whole files in an object store, which
//! is a directory beside it by default.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use lamplight_domain::identity::FileId;
use lamplight_usecases::ports::{FileBytes, StoreError, StoreResult};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Place;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::task::spawn_blocking;

/// Why bytes could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreFailure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Object(#[from] object_store::Error),
    /// They are not where they should be.
    #[error("the bytes are not there")]
    Missing,
}

/// The bytes of files.
pub(crate) struct FileStore {
    root: PathBuf,
    /// Made by the first request that needs it: a server whose files nobody uses needs no directory.
    objects: OnceLock<Arc<dyn ObjectStore>>,
}

impl FileStore {
    /// In a directory, which is made when it is needed.
    #[must_use]
    pub(crate) fn in_directory(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            objects: OnceLock::new(),
        }
    }

    /// The file that an upload is written to.
    #[must_use]
    pub(crate) fn upload_path(&self, id: &FileId) -> PathBuf {
        self.root.join("uploads").join(id.as_str())
    }

    fn objects_directory(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// Blocks.
    fn objects(&self) -> Result<&Arc<dyn ObjectStore>, StoreFailure> {
        if let Some(objects) = self.objects.get() {
            return Ok(objects);
        }
        self.make_directories()?;
        let directory = LocalFileSystem::new_with_prefix(self.objects_directory())?;
        Ok(self
            .objects
            .get_or_init(|| Arc::new(directory.with_fsync(true))))
    }

    /// Blocks.
    pub(super) fn make_directories(&self) -> io::Result<()> {
        for directory in [self.root.join("uploads"), self.objects_directory()] {
            if !directory.is_dir() {
                fs::create_dir_all(&directory)?;
                sync_directory(&self.root)?;
            }
        }
        Ok(())
    }

    /// Takes an upload whose bytes are all there as the whole file. Blocks until the disk has it.
    pub(super) fn take_upload(&self, id: &FileId) -> Result<(), StoreFailure> {
        let whole = self.objects_directory().join(id.as_str());
        let upload = self.upload_path(id);
        match fs::rename(&upload, &whole) {
            Ok(()) => {}
            // A crash came after an earlier attempt.
            Err(error) if error.kind() == io::ErrorKind::NotFound && whole.is_file() => {}
            Err(error) => return Err(error.into()),
        }
        sync_directory(&self.objects_directory())?;
        Ok(())
    }

    /// The path of a file whose bytes are all there, whether it was taken before or not. Blocks.
    pub(super) fn present_path(&self, id: &FileId) -> PathBuf {
        let upload = self.upload_path(id);
        if upload.is_file() {
            upload
        } else {
            self.objects_directory().join(id.as_str())
        }
    }

    pub(super) async fn put_thumbnail(
        &self,
        id: &FileId,
        bytes: Vec<u8>,
    ) -> Result<(), StoreFailure> {
        let objects = Arc::clone(self.objects()?);
        objects.put(&thumbnail(id), bytes.into()).await?;
        Ok(())
    }

    /// A thumbnail, which is small.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub(crate) async fn thumbnail(&self, id: &FileId) -> Result<Bytes, StoreFailure> {
        let found = self.objects()?.get(&thumbnail(id)).await.map_err(missing)?;
        Ok(found.bytes().await?)
    }

    /// Writes a picture of an account or a group.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn put_avatar(&self, id: &FileId, bytes: Vec<u8>) -> Result<(), StoreFailure> {
        let objects = Arc::clone(self.objects()?);
        objects.put(&avatar(id), bytes.into()).await?;
        Ok(())
    }

    /// A picture of an account or a group, which is small.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub(crate) async fn avatar(&self, id: &FileId) -> Result<Bytes, StoreFailure> {
        let found = self.objects()?.get(&avatar(id)).await.map_err(missing)?;
        Ok(found.bytes().await?)
    }

    /// The bytes of a whole file, or of a part of it, a few at a time.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub(crate) async fn read(
        &self,
        id: &FileId,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreFailure>>, StoreFailure> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let place = Place::from(id.as_str());
        let found = self.objects()?.get_opts(&place, options).await;
        Ok(found
            .map_err(missing)?
            .into_stream()
            .map_err(StoreFailure::from)
            .boxed())
    }
}

fn thumbnail(id: &FileId) -> Place {
    Place::from(format!("{id}.thumbnail"))
}

fn avatar(id: &FileId) -> Place {
    Place::from(format!("{id}.avatar"))
}

fn missing(error: object_store::Error) -> StoreFailure {
    match error {
        object_store::Error::NotFound { .. } => StoreFailure::Missing,
        error => error.into(),
    }
}

/// Makes a new name in a directory outlive a power loss.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[async_trait]
impl FileBytes for FileStore {
    async fn delete(&self, id: &FileId) -> StoreResult<()> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(error.to_string());
        let upload = self.upload_path(id);
        let removed = spawn_blocking(move || fs::remove_file(upload)).await;
        match removed {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(Err(error)) => return Err(failed(&error)),
            Err(error) => return Err(failed(&error)),
        }
        let objects = self.objects().map_err(|error| failed(&error))?;
        for place in [Place::from(id.as_str()), thumbnail(id)] {
            match objects.delete(&place).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(())
    }

    async fn delete_avatar(&self, id: &FileId) -> StoreResult<()> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(error.to_string());
        let objects = self.objects().map_err(|error| failed(&error))?;
        match objects.delete(&avatar(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}
