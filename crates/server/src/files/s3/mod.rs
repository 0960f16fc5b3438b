//! Files in an S3 bucket. An upload is sent in parts. When a request ends, the bytes that do not
//! fill a part are stored as a separate object, the tail, so that any node can continue from the
//! recorded offset.

mod bucket;
mod check;
mod client;
mod http;
mod parts;
mod requests;
mod settings;
mod spool;
mod writer;

pub(crate) use bucket::S3;
pub(crate) use check::{CheckError, check, check_at_start};
pub(crate) use client::problem;
pub(crate) use settings::S3Settings;
pub(crate) use settings::VARIABLES;

use super::answers::is_gone;
use super::bytes::{LocalCopy, StoreFailure, UploadWriter, Uploads, gone, missing};
use async_trait::async_trait;
use bucket::object;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use lamplight_domain::identity::FileId;
use lamplight_usecases::ports::{Claimed, DeletedFile};
use object_store::multipart::MultipartStore as _;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parts::{MOST_BYTES, Parts, part_bytes, tails};
use std::sync::Arc;
use writer::PartWriter;

impl S3 {
    async fn is_whole(&self, id: &FileId, size: u64) -> Result<bool, StoreFailure> {
        match self.objects.head(&object(id)).await {
            Ok(found) => Ok(found.size == size),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the object of parts or of the tail.
    async fn assemble(&self, id: &FileId, size: u64, parts: &Parts) -> Result<(), StoreFailure> {
        if let Some(upload) = parts.upload.as_ref().filter(|_| !parts.parts.is_empty()) {
            let requests = &self.client.requests;
            return requests.complete(&object(id), upload, &parts.parts).await;
        }
        if let Some(tail) = parts.tail_place(id, part_bytes(size)) {
            let copied = self.objects.copy(&tail, &object(id)).await;
            return copied.map_err(missing);
        }
        if size > 0 {
            return Err(StoreFailure::Missing);
        }
        self.objects.put(&object(id), Bytes::new().into()).await?;
        Ok(())
    }

    async fn delete_tails(&self, id: &FileId) -> Result<(), StoreFailure> {
        let tails: Vec<_> = self.objects.list(Some(&tails(id))).try_collect().await?;
        for tail in tails {
            gone(self.objects.delete(&tail.location).await)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Uploads for S3 {
    fn most_bytes(&self) -> Option<u64> {
        Some(MOST_BYTES)
    }

    fn objects(&self) -> Result<&Arc<dyn ObjectStore>, StoreFailure> {
        Ok(&self.objects)
    }

    async fn open(
        &self,
        id: &FileId,
        size: u64,
        claimed: &Claimed,
    ) -> Result<Box<dyn UploadWriter>, StoreFailure> {
        let writer = PartWriter::open(self, id, size, claimed).await?;
        Ok(Box::new(writer))
    }

    /// All nodes share the bucket. A missing tail is noticed when the upload continues.
    async fn is_here(&self, _id: &FileId, claimed: &Claimed) -> Result<bool, StoreFailure> {
        Ok(Parts::read(&claimed.place).is_ok())
    }

    async fn finish(&self, id: &FileId, size: u64, claimed: &Claimed) -> Result<(), StoreFailure> {
        let parts = Parts::read(&claimed.place)?;
        let made = self.assemble(id, size, &parts).await;
        // S3 may report a copy that it did not make. An earlier attempt may have succeeded unnoticed, or
        // another process was faster.
        if !self.is_whole(id, size).await? {
            made?;
            return Err(std::io::Error::other("S3 has not made the file").into());
        }
        // Also those that a crash left, and of processes that were fenced.
        self.delete_tails(id).await
    }

    async fn delete(&self, file: &DeletedFile) -> Result<(), StoreFailure> {
        let parts = Parts::read(&file.place).unwrap_or_default();
        if let Some(upload) = &parts.upload {
            let bucket = &self.client.objects;
            match bucket.abort_multipart(&object(&file.id), upload).await {
                Err(error) if !is_gone(&error) => return Err(error.into()),
                _ => {}
            }
        }
        self.delete_tails(&file.id).await
    }

    async fn local(&self, id: &FileId) -> Result<LocalCopy, StoreFailure> {
        let permit = Arc::clone(&self.copies).acquire_owned().await;
        let permit = permit.map_err(std::io::Error::other)?;
        let found = self.objects.get(&object(id)).await.map_err(missing)?;
        spool::copy(&self.spool, found.into_stream(), permit).await
    }
}
