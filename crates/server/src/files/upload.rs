//! Writes the bytes of an upload to the disk as they arrive. What is noted in the store is on the
//! disk; what the disk has past it, after a crash, is cut.

use super::locks::UploadLock;
use super::store::{FileStore, sync_directory};
use axum::body::Body;
use http_body_util::BodyExt as _;
use lamplight_domain::file::{FileState, StoredFile};
use lamplight_usecases::{Caller, FileService, Refusal};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

/// Bytes that are collected before they are written.
const WRITE_BYTES: usize = 128 << 10;
/// After so many bytes, or so long, what was written is synced and noted, so that a crash costs no
/// more. Not where the request has a checksum, which decides about all of its bytes.
const NOTE_BYTES: u64 = 8 << 20;
const NOTE_AFTER: Duration = Duration::from_secs(5);
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
    /// The bytes before are not on this node's disk.
    #[error("the bytes that were uploaded before are not on this node")]
    NotHere,
    /// Another node noted so many bytes of it meanwhile.
    #[error("another node has written {0} bytes of this upload")]
    Moved(u64),
    /// Another node writes it.
    #[error("another node writes this upload")]
    Busy,
    #[error("the checksum is another one")]
    WrongChecksum,
    #[error("the request has more bytes than the file")]
    TooMany,
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
    #[error("{}", .0.message)]
    Refused(Refusal),
}

/// How the bytes of a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadEnd {
    /// All arrived.
    Whole,
    /// The connection was cut, no more came, or another request goes on with the upload.
    Cut,
}

/// An upload that a request writes.
pub(crate) struct Upload<'a> {
    pub(crate) store: &'a FileStore,
    pub(crate) files: &'a FileService,
    pub(crate) lock: &'a UploadLock,
    pub(crate) file: StoredFile,
    /// Its owner.
    pub(crate) caller: &'a Caller,
}

impl Upload<'_> {
    /// Writes a request's bytes. Returns how it ended and how many bytes of the file are noted then,
    /// also after a failure.
    pub(crate) async fn write(
        &mut self,
        body: Body,
        checksum: Option<Checksum>,
        report: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<UploadEnd, UploadFailure> {
        let path = self.store.upload_path(&self.file.file.id);
        let received = self.file.received;
        if received == 0 {
            self.store.make_directories()?;
        }
        let locked = spawn_blocking({
            let path = path.clone();
            move || lock(&path, received == 0)
        });
        let locked = locked.await.map_err(io::Error::other)??;
        // The node that had the lock before may have noted more since the record was read: the file
        // would be cut to less than that.
        let id = &self.file.file.id;
        let now = self.files.own(self.caller, id).await;
        let now = now.map_err(UploadFailure::Refused)?;
        if now.received != received || now.state != FileState::Uploading {
            return Err(UploadFailure::Moved(now.received));
        }
        let open = spawn_blocking(move || open(locked, &path, received));
        let mut disk = open.await.map_err(io::Error::other)??;
        let mut hasher = checksum.as_ref().map(Hasher::of);
        let outcome = self.receive(&mut disk, body, hasher.as_mut(), report).await;
        let is_kept = match (&outcome, hasher.zip(checksum.as_ref())) {
            (Err(_), None) => true,
            (Err(_), Some(_)) => false,
            (Ok(UploadEnd::Whole), Some((hasher, checksum))) => hasher.fits(checksum),
            (Ok(UploadEnd::Cut), Some(_)) => false,
            (Ok(_), None) => true,
        };
        if is_kept
            && !matches!(
                outcome,
                Err(UploadFailure::TooMany | UploadFailure::Disk(_))
            )
        {
            disk.flush().await?;
            self.note(&mut disk).await?;
        } else {
            disk.cut(self.file.received).await?;
        }
        match outcome {
            Ok(UploadEnd::Whole) if !is_kept => Err(UploadFailure::WrongChecksum),
            outcome => outcome,
        }
    }

    async fn receive(
        &mut self,
        disk: &mut Disk,
        mut body: Body,
        mut hasher: Option<&mut Hasher>,
        report: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<UploadEnd, UploadFailure> {
        let mut noted_at = Instant::now();
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
            let arrived = disk.written + disk.pending.len() as u64;
            if data.len() as u64 > self.file.file.size - arrived {
                return Err(UploadFailure::TooMany);
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&data);
            }
            disk.pending.extend_from_slice(&data);
            if disk.pending.len() < WRITE_BYTES {
                continue;
            }
            disk.flush().await?;
            report(disk.written);
            let is_due =
                disk.written - self.file.received >= NOTE_BYTES || noted_at.elapsed() >= NOTE_AFTER;
            if hasher.is_none() && is_due {
                self.note(disk).await?;
                noted_at = Instant::now();
            }
        }
    }

    /// Syncs what was written, and notes it.
    async fn note(&mut self, disk: &mut Disk) -> Result<(), UploadFailure> {
        if disk.written == self.file.received {
            return Ok(());
        }
        disk.sync().await?;
        let id = &self.file.file.id;
        self.files
            .advance(id, self.file.received, disk.written)
            .await
            .map_err(UploadFailure::Refused)?;
        self.file.received = disk.written;
        Ok(())
    }
}

/// Locks the file of an upload, so that no other node writes it. Blocks.
fn lock(path: &Path, is_new: bool) -> Result<File, UploadFailure> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if is_new {
        options.create(true).truncate(false);
    }
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(UploadFailure::NotHere);
        }
        Err(error) => return Err(error.into()),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(UploadFailure::Busy),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    Ok(file)
}

/// Opens a locked file at the byte up to which it is noted. Blocks.
fn open(file: File, path: &Path, received: u64) -> Result<Disk, UploadFailure> {
    if file.metadata()?.len() < received {
        return Err(UploadFailure::NotHere);
    }
    file.set_len(received)?;
    (&file).seek(SeekFrom::Start(received))?;
    if received == 0
        && let Some(directory) = path.parent()
    {
        sync_directory(directory)?;
    }
    Ok(Disk {
        file: Some(file),
        written: received,
        pending: Vec::with_capacity(WRITE_BYTES * 3 / 2),
    })
}

/// The file of an upload, written by threads that may block.
struct Disk {
    /// `None` while a thread has it, and after one panicked.
    file: Option<File>,
    /// Where it ends.
    written: u64,
    pending: Vec<u8>,
}

impl Disk {
    async fn on_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let gone = || io::Error::other("the file of an upload is gone");
        let mut file = self.file.take().ok_or_else(gone)?;
        let (file, outcome) = spawn_blocking(move || {
            let outcome = work(&mut file);
            (file, outcome)
        })
        .await
        .map_err(io::Error::other)?;
        self.file = Some(file);
        outcome
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.pending);
        let count = bytes.len() as u64;
        let write = |file: &mut File| file.write_all(&bytes).map(|()| bytes);
        let mut bytes = self.on_thread(write).await?;
        bytes.clear();
        self.pending = bytes;
        self.written += count;
        Ok(())
    }

    async fn sync(&mut self) -> io::Result<()> {
        self.on_thread(|file| file.sync_data()).await
    }

    /// Drops what was written past a byte.
    async fn cut(&mut self, at: u64) -> io::Result<()> {
        self.pending.clear();
        self.written = at;
        self.on_thread(move |file| file.set_len(at)).await
    }
}
