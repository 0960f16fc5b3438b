//! Writes the bytes of an upload to S3, for one request.

use super::bucket::{S3, gone, object};
use super::parts::{Parts, Tail, part_bytes};
use super::requests::lost;
use super::spool::Scratch;
use crate::files::bytes::{Step, StoreFailure, UploadWriter, missing};
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use lamplight_domain::identity::FileId;
use lamplight_usecases::ports::Claimed;
use object_store::ObjectStoreExt as _;
use object_store::multipart::MultipartStore as _;
use std::sync::Arc;
use std::time::Duration;

/// After so long, what a slow client sent is stored although it is no part yet, so that a crash costs
/// no more.
const TAIL_AFTER: Duration = Duration::from_secs(30);

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
    /// What comes after the parts of `next`.
    scratch: Scratch,
}

impl PartWriter {
    /// Reads the tail back.
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
        let mut scratch = Scratch::new(&s3.spool, noted.base(part)).await?;
        if let Some(tail) = noted.tail_place(id, part) {
            let found = s3.objects.get(&tail).await.map_err(missing)?;
            let mut bytes = found.into_stream();
            while let Some(some) = bytes.try_next().await? {
                scratch.push(some.to_vec()).await?;
            }
            if scratch.end() != claimed.received {
                return Err(StoreFailure::Missing);
            }
        }
        Ok(Self {
            s3: s3.clone(),
            id: id.clone(),
            generation: claimed.generation,
            size,
            part,
            next: noted.clone(),
            noted,
            scratch,
        })
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
        let part = sent.await.map_err(lost)?;
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
            let permit = self.s3.permit().await?;
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
        let taken = std::mem::take(bytes);
        *bytes = self.scratch.push(taken).await?;
        bytes.clear();
        Ok(())
    }

    fn written(&self) -> u64 {
        self.scratch.end()
    }

    fn is_due(&self, bytes: u64, since: Duration) -> bool {
        self.scratch.len() >= self.part || (bytes > 0 && since >= TAIL_AFTER)
    }

    async fn commit(&mut self, is_end: bool) -> Result<Step, StoreFailure> {
        let held = self.scratch.len();
        // A file of one part is copied from its tail instead.
        let is_last = is_end && self.written() == self.size && !self.next.parts.is_empty();
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
            // What stays is deleted with the file.
            let objects = Arc::clone(&self.s3.objects);
            tokio::spawn(async move { gone(objects.delete(&place).await) });
        }
    }

    async fn roll_back(&mut self) -> Result<(), StoreFailure> {
        // The scratch file goes with this writer, and parts that are not noted are sent anew.
        Ok(())
    }
}
