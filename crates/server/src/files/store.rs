//! The bytes of files: uploads, and the objects that they become.

use super::bytes::{LocalCopy, StoreFailure, UploadWriter, Uploads, gone, missing};
use super::directory::Directory;
use super::s3::{S3, S3Settings};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use lamplight_domain::identity::FileId;
use lamplight_usecases::ports::{Claimed, DeletedFile, FileBytes, StoreError, StoreResult};
use lamplight_usecases::throttle::{self, Due};
use lamplight_usecases::{FileRules, FileService};
use object_store::path::Path as Place;
use object_store::{GetOptions, GetRange, ObjectStoreExt as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// The bytes of files.
pub(crate) struct FileStore {
    uploads: Box<dyn Uploads>,
}

impl FileStore {
    /// In a directory, which is made when it is needed.
    #[must_use]
    pub(crate) fn in_directory(root: impl Into<PathBuf>) -> Self {
        Self {
            uploads: Box::new(Directory::new(root)),
        }
    }

    /// In a bucket of S3; bytes in transit are in the directory `spool`.
    ///
    /// # Errors
    /// When the settings are no settings of S3.
    pub(crate) fn in_s3(settings: &S3Settings, spool: PathBuf) -> Result<Self, String> {
        Ok(Self {
            uploads: Box::new(S3::new(settings, spool)?),
        })
    }

    /// The operator's limits for files.
    #[must_use]
    pub(crate) fn limited(&self, rules: &FileRules) -> FileRules {
        let mut rules = rules.clone();
        if let Some(most) = self.uploads.most_bytes()
            && (rules.max_size == 0 || rules.max_size > most)
        {
            rules.max_size = most;
        }
        rules
    }

    /// See [`Uploads::open`].
    pub(super) async fn open(
        &self,
        id: &FileId,
        size: u64,
        claimed: &Claimed,
    ) -> Result<Box<dyn UploadWriter>, StoreFailure> {
        self.uploads.open(id, size, claimed).await
    }

    /// Whether the bytes of an upload that are noted are here.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(crate) async fn is_here(
        &self,
        id: &FileId,
        claimed: &Claimed,
    ) -> Result<bool, StoreFailure> {
        self.uploads.is_here(id, claimed).await
    }

    /// Makes an object of an upload whose bytes are all noted. May be repeated.
    ///
    /// # Errors
    /// When its bytes are not here, or cannot be read or written.
    pub(super) async fn finish(
        &self,
        id: &FileId,
        size: u64,
        claimed: &Claimed,
    ) -> Result<(), StoreFailure> {
        self.uploads.finish(id, size, claimed).await
    }

    /// A whole file as a file on this machine.
    pub(super) async fn local(&self, id: &FileId) -> Result<LocalCopy, StoreFailure> {
        self.uploads.local(id).await
    }

    /// The first bytes of a whole file, at most that many, and how many it has.
    pub(super) async fn head(
        &self,
        id: &FileId,
        count: usize,
    ) -> Result<(Bytes, u64), StoreFailure> {
        let (objects, place) = (self.uploads.objects()?, Place::from(id.as_str()));
        let size = objects.head(&place).await.map_err(missing)?.size;
        let count = size.min(count as u64);
        if count == 0 {
            return Ok((Bytes::new(), size));
        }
        let bytes = objects.get_range(&place, 0..count).await.map_err(missing)?;
        Ok((bytes, size))
    }

    /// Deletes the bytes of this process for a file that was deleted meanwhile, perhaps after the sweep.
    pub(crate) async fn delete_if_gone(&self, files: &FileService, id: &FileId, claimed: &Claimed) {
        if !matches!(files.is_gone(id).await, Ok(true)) {
            return;
        }
        let file = DeletedFile {
            id: id.clone(),
            generation: claimed.generation,
            place: Arc::clone(&claimed.place),
        };
        if let Err(error) = self.delete(&file).await
            && let Some(Due { left_out }) = throttle::due("files", &error.to_string(), None)
        {
            tracing::warn!(
                cause = %error,
                left_out,
                "the bytes of a deleted file could not be removed"
            );
        }
    }

    pub(super) async fn put_thumbnail(
        &self,
        id: &FileId,
        bytes: Vec<u8>,
    ) -> Result<(), StoreFailure> {
        let objects = self.uploads.objects()?;
        objects.put(&thumbnail(id), bytes.into()).await?;
        Ok(())
    }

    /// A thumbnail, which is small.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub(crate) async fn thumbnail(&self, id: &FileId) -> Result<Bytes, StoreFailure> {
        let objects = self.uploads.objects()?;
        let found = objects.get(&thumbnail(id)).await.map_err(missing)?;
        Ok(found.bytes().await?)
    }

    /// Writes a picture of an account or a group.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn put_avatar(&self, id: &FileId, bytes: Vec<u8>) -> Result<(), StoreFailure> {
        let objects = self.uploads.objects()?;
        objects.put(&avatar(id), bytes.into()).await?;
        Ok(())
    }

    /// A picture of an account or a group, which is small.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub(crate) async fn avatar(&self, id: &FileId) -> Result<Bytes, StoreFailure> {
        let objects = self.uploads.objects()?;
        let found = objects.get(&avatar(id)).await.map_err(missing)?;
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
        let objects = self.uploads.objects()?;
        let found = objects.get_opts(&Place::from(id.as_str()), options).await;
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

#[async_trait]
impl FileBytes for FileStore {
    async fn delete(&self, file: &DeletedFile) -> StoreResult<()> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(error.to_string());
        let deleted = self.uploads.delete(file).await;
        deleted.map_err(|error| failed(&error))?;
        let objects = self.uploads.objects().map_err(|error| failed(&error))?;
        for place in [Place::from(file.id.as_str()), thumbnail(&file.id)] {
            gone(objects.delete(&place).await).map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    async fn delete_avatar(&self, id: &FileId) -> StoreResult<()> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(error.to_string());
        let objects = self.uploads.objects().map_err(|error| failed(&error))?;
        gone(objects.delete(&avatar(id)).await).map_err(|error| failed(&error))
    }
}
