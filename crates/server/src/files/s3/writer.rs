//! Writes the bytes of an upload to S3, for one request.

use super::bucket::{S3, object};
use super::parts::{Parts, Tail, part_bytes};
use super::spool::Scratch;
use crate::files::bytes::{Step, StoreFailure, UploadWriter, gone, missing};
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use lamplight_domain::identity::FileId;
use lamplight_usecases::ports::Claimed;
use object_store::ObjectStoreExt as _;
use object_store::multipart::MultipartStore as _;
use object_store::path::Path as Place;
use std::sync::Arc;
use std::time::Duration;

/// After so long, bytes of a slow client are stored before they fill a part, so that a crash costs
/// no more.
const TAIL_AFTER: Duration = Duration::from_secs(30);
/// Tails below this many bytes are little in memory.
const SMALL: u64 = 1 << 20;

/// Collects bytes on the disk until they are a part.
pub(super) struct PartWriter {
    s3: S3,
    id: FileId,
    generation: u64,
    size: u64,
    /// The bytes of a part.
    part: u64,
    noted: Parts,
    /// As it is after the last step.
    next: Parts,
    /// The bytes after the parts of `next`.
    scratch: Scratch,
    /// The tail is read back when more bytes come: a request without bytes costs nothing.
    unread: Option<Place>,
}

impl PartWriter {
    pub(super) async fn open(
        s3: &S3,
        id: &FileId,
        size: u64,
        claimed: &Claimed,
    ) -> Result<Self, StoreFailure> {
        let part = part_bytes(size);
        let noted = Parts::read(&claimed.place)?;
        if noted.end(part).min(size) != claimed.received {
            return Err(StoreFailure::Missing);
        }
        let scratch = Scratch::new(&s3.spool, noted.base(part)).await?;
        Ok(Self {
            s3: s3.clone(),
            id: id.clone(),
            generation: claimed.generation,
            size,
            part,
            unread: noted.tail_place(id, part),
            next: noted.clone(),
            noted,
            scratch,
        })
    }

    async fn read_tail(&mut self) -> Result<(), StoreFailure> {
        let Some(tail) = &self.unread else {
            return Ok(());
        };
        let found = self.s3.objects.get(tail).await.map_err(missing)?;
        let mut bytes = found.into_stream();
        while let Some(some) = bytes.try_next().await? {
            self.scratch.push(some.to_vec()).await?;
        }
        if self.scratch.end() != self.noted.end(self.part) {
            return Err(StoreFailure::Missing);
        }
        self.unread = None;
        Ok(())
    }

    fn step(&self, is_more: bool) -> Step {
        Step {
            to: self.next.end(self.part).min(self.size),
            place: self.next.write(),
            is_more,
        }
    }

    /// The multipart upload, once it is noted that this process sends parts to it.
    async fn ready_upload(&mut self) -> Result<Option<String>, StoreFailure> {
        let Some(upload) = self.next.upload.clone() else {
            let bucket = &self.s3.client.objects;
            let created = bucket.create_multipart(&object(&self.id)).await?;
            self.next.upload = Some(created);
            self.next.take_number(self.generation)?;
            return Ok(None);
        };
        if self.next.sender != self.generation {
            self.next.take_number(self.generation)?;
            return Ok(None);
        }
        Ok(Some(upload))
    }

    /// Sends the next bytes of the scratch file, in memory while the permit is held.
    async fn send_part(&mut self, upload: &String, bytes: u64) -> Result<(), StoreFailure> {
        self.next.check_number()?;
        let permit = self.s3.permit().await?;
        let payload = self.scratch.front(bytes).await?;
        let index = self.next.next as usize - 1;
        let place = object(&self.id);
        let bucket = &self.s3.client.objects;
        let sent = bucket.put_part(&place, upload, index, payload.into());
        let part = sent.await.map_err(missing)?;
        drop(permit);
        self.scratch.drop_front(bytes).await?;
        self.next.add(part.content_id);
        Ok(())
    }

    async fn send_tail(&mut self, bytes: u64) -> Result<(), StoreFailure> {
        let mut next = self.next.clone();
        next.tail = Some(Tail {
            generation: self.generation,
            bytes,
        });
        if let Some(place) = next.tail_place(&self.id, self.part) {
            // Small ones do not wait for the parts of others.
            let permit = match bytes {
                ..SMALL => None,
                _ => Some(self.s3.permit().await?),
            };
            let payload = self.scratch.front(bytes).await?;
            self.s3.objects.put(&place, payload.into()).await?;
            drop(permit);
        }
        self.next = next;
        Ok(())
    }
}

#[async_trait]
impl UploadWriter for PartWriter {
    async fn write(&mut self, bytes: &mut Vec<u8>) -> Result<(), StoreFailure> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.read_tail().await?;
        let taken = std::mem::take(bytes);
        *bytes = self.scratch.push(taken).await?;
        bytes.clear();
        Ok(())
    }

    fn written(&self) -> u64 {
        match self.unread {
            Some(_) => self.noted.end(self.part),
            None => self.scratch.end(),
        }
    }

    fn is_due(&self, bytes: u64, since: Duration) -> bool {
        self.scratch.len() >= self.part || (bytes > 0 && since >= TAIL_AFTER)
    }

    async fn commit(&mut self, is_end: bool) -> Result<Step, StoreFailure> {
        let held = self.scratch.len();
        // A file of one part is copied from its tail instead.
        let is_last = self.written() == self.size && !self.next.parts.is_empty();
        if held >= self.part || (is_last && held > 0) {
            let Some(upload) = self.ready_upload().await? else {
                return Ok(self.step(true));
            };
            self.send_part(&upload, held.min(self.part)).await?;
            let left = self.scratch.len();
            return Ok(self.step(left >= self.part || (is_end && left > 0)));
        }
        let has_tail = self.next.end(self.part) == self.written();
        if held > 0 && !has_tail {
            self.send_tail(held).await?;
        }
        Ok(self.step(false))
    }

    async fn noted(&mut self) {
        let before = self.noted.tail_place(&self.id, self.part);
        self.noted = self.next.clone();
        if let Some(place) = before
            && self.noted.tail_place(&self.id, self.part).as_ref() != Some(&place)
        {
            // Leftovers are deleted with the file.
            let objects = Arc::clone(&self.s3.objects);
            tokio::spawn(async move { gone(objects.delete(&place).await) });
        }
    }

    async fn refused(&mut self) {
        // Both are this process's own: a tail has its generation in its key.
        let tail = self.next.tail_place(&self.id, self.part);
        if let Some(place) = tail.filter(|_| self.next.tail != self.noted.tail) {
            let _ = self.s3.objects.delete(&place).await;
        }
        let upload = self.next.upload.as_ref();
        if let Some(upload) = upload.filter(|_| self.noted.upload.is_none()) {
            let bucket = &self.s3.client.objects;
            let _ = bucket.abort_multipart(&object(&self.id), upload).await;
        }
    }

    async fn roll_back(&mut self) -> Result<(), StoreFailure> {
        // The scratch file is deleted with this writer, and parts that are not recorded are sent
        // again.
        Ok(())
    }
}
