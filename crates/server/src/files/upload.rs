//! Receives the bytes of an upload. Bytes up to the offset recorded in the store survive a crash;
//! later ones are dropped.

use super::bytes::{StoreFailure, UploadWriter};
use super::locks::UploadLock;
use super::store::FileStore;
use crate::metrics;
use axum::body::Body;
use http_body_util::BodyExt as _;
use lamplight_domain::file::StoredFile;
use lamplight_usecases::ports::{Advance, Claimed};
use lamplight_usecases::{Code, FileService, Refusal};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Bytes that are collected before they are written.
const WRITE_BYTES: usize = 32 << 10;
/// Bytes of a slow client wait no longer than this: they are reported when they are written, and an
/// upload that nothing is reported of has failed.
const WRITE_AFTER: Duration = Duration::from_secs(5);
/// How long no byte may arrive.
const IDLE: Duration = Duration::from_secs(30);

/// A checksum of a request's bytes, by `Upload-Checksum`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    Sha256(Vec<u8>),
    Sha1(Vec<u8>),
}

enum Hasher {
    Sha256(Sha256),
    Sha1(sha1::Sha1),
}

impl Hasher {
    fn of(checksum: &Checksum) -> Self {
        match checksum {
            Checksum::Sha256(_) => Self::Sha256(Sha256::default()),
            Checksum::Sha1(_) => Self::Sha1(sha1::Sha1::default()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
        }
    }

    fn fits(self, checksum: &Checksum) -> bool {
        match (self, checksum) {
            (Self::Sha256(hasher), Checksum::Sha256(sum)) => hasher.finalize()[..] == sum[..],
            (Self::Sha1(hasher), Checksum::Sha1(sum)) => hasher.finalize()[..] == sum[..],
            _ => false,
        }
    }
}

/// Why the bytes of a request were not all taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadFailure {
    #[error("the checksum is another one")]
    WrongChecksum,
    #[error("the request has more bytes than the file")]
    TooMany,
    #[error("{0}")]
    Store(#[from] StoreFailure),
    #[error("{}", .0.message)]
    Refused(Refusal),
}

/// How the bytes of a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadEnd {
    /// All arrived.
    Whole,
    /// The connection broke, the client sent no more bytes, or another request continues the
    /// upload.
    Cut,
}

/// An upload that a request writes.
pub(crate) struct Upload<'a> {
    pub(crate) store: &'a FileStore,
    pub(crate) files: &'a FileService,
    pub(crate) lock: &'a UploadLock,
    pub(crate) file: StoredFile,
    /// Up to where it is noted.
    pub(crate) claimed: Claimed,
}

impl Upload<'_> {
    /// Writes a request's bytes. How many bytes of the file are noted then is in `claimed`, also after
    /// a failure.
    pub(crate) async fn write(
        &mut self,
        body: Body,
        checksum: Option<Checksum>,
        report: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<UploadEnd, UploadFailure> {
        let file = &self.file.file;
        let opened = self.store.open(&file.id, file.size, &self.claimed);
        let mut writer = opened.await?;
        // With room for what hyper reads at once, at most 32 KiB.
        let mut pending = Vec::with_capacity(WRITE_BYTES * 2);
        let mut hasher = checksum.as_ref().map(Hasher::of);
        let received = self.receive(&mut *writer, &mut pending, body, hasher.as_mut(), report);
        let end = match received.await {
            Ok(end) => end,
            Err(UploadFailure::TooMany) => {
                writer.roll_back().await?;
                return Err(UploadFailure::TooMany);
            }
            // The recorded offset is unknown, or the segment cannot be truncated to it.
            Err(failure) => return Err(failure),
        };
        if let Some((hasher, checksum)) = hasher.zip(checksum.as_ref()) {
            let is_kept = end == UploadEnd::Whole && hasher.fits(checksum);
            if !is_kept {
                writer.roll_back().await?;
                return match end {
                    UploadEnd::Whole => Err(UploadFailure::WrongChecksum),
                    UploadEnd::Cut => Ok(end),
                };
            }
        }
        writer.write(&mut pending).await?;
        self.note(&mut *writer, true).await?;
        Ok(end)
    }

    async fn receive(
        &mut self,
        writer: &mut dyn UploadWriter,
        pending: &mut Vec<u8>,
        mut body: Body,
        mut hasher: Option<&mut Hasher>,
        report: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<UploadEnd, UploadFailure> {
        let mut noted_at = Instant::now();
        let mut written_at = noted_at;
        loop {
            let frame = tokio::select! {
                frame = timeout(IDLE, body.frame()) => frame,
                () = self.lock.is_wanted() => return Ok(UploadEnd::Cut),
            };
            let data = match frame {
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(None) => return Ok(UploadEnd::Whole),
                Ok(Some(Err(_))) | Err(_) => return Ok(UploadEnd::Cut),
            };
            let arrived = writer.written() + pending.len() as u64;
            if data.len() as u64 > self.file.file.size - arrived {
                return Err(UploadFailure::TooMany);
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&data);
            }
            metrics::file_received(data.len() as u64);
            pending.extend_from_slice(&data);
            if pending.len() < WRITE_BYTES && written_at.elapsed() < WRITE_AFTER {
                continue;
            }
            written_at = Instant::now();
            writer.write(pending).await?;
            report(writer.written());
            let unnoted = writer.written() - self.claimed.received;
            // A checksum decides about all bytes of its request.
            if hasher.is_none() && writer.is_due(unnoted, noted_at.elapsed()) {
                self.note(writer, false).await?;
                noted_at = Instant::now();
            }
        }
    }

    /// Syncs written bytes, and records them.
    async fn note(
        &mut self,
        writer: &mut dyn UploadWriter,
        is_end: bool,
    ) -> Result<(), UploadFailure> {
        loop {
            let step = writer.commit(is_end).await?;
            let is_news = step.to != self.claimed.received
                || (step.is_more && step.place != self.claimed.place);
            if is_news {
                let advance = Advance {
                    generation: self.claimed.generation,
                    from: self.claimed.received,
                    to: step.to,
                    place: step.place,
                };
                let id = &self.file.file.id;
                let advanced = self.files.advance(id, &advance).await;
                let now = Claimed {
                    generation: advance.generation,
                    received: advance.to,
                    place: advance.place,
                };
                if let Err(refusal) = advanced {
                    if refusal.code == Code::Conflict {
                        writer.refused().await;
                        self.store.delete_if_gone(self.files, id, &now).await;
                    }
                    return Err(UploadFailure::Refused(refusal));
                }
                self.claimed = now;
                writer.noted().await;
            }
            if !step.is_more {
                return Ok(());
            }
        }
    }
}
