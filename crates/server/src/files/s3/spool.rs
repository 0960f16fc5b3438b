//! Files on this node's disk for bytes in transit to or from S3. A crash leaves no uploads, and
//! copies that are removed after an hour.

use crate::files::bytes::{LocalCopy, StoreFailure};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

/// At most so many bytes are moved to the beginning of their file.
const MOVED: u64 = 1 << 20;

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// No copy is needed for so long.
pub(super) const LEFT: Duration = Duration::from_secs(3_600);

/// Removes copies that a process before left. Another process of this machine may use the directory.
/// Blocks.
pub(super) fn clean(spool: &Path) {
    for entry in fs::read_dir(spool).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|found| found.modified());
        if changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file without a name for bytes of an upload that wait to be sent.
pub(super) struct Scratch {
    file: Arc<File>,
    /// Where in the upload the first byte of the file is.
    origin: u64,
    /// Up to where in the upload the bytes were sent.
    begin: u64,
    end: u64,
}

impl Scratch {
    /// For the bytes of an upload from `begin` on.
    pub(super) async fn new(spool: &Path, begin: u64) -> Result<Self, StoreFailure> {
        let spool: PathBuf = spool.to_owned();
        let file = on_thread(move || {
            fs::create_dir_all(&spool)?;
            tempfile::tempfile_in(spool)
        })
        .await?;
        Ok(Self {
            file: Arc::new(file),
            origin: begin,
            begin,
            end: begin,
        })
    }

    /// Where in the upload it ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> u64 {
        self.end - self.begin
    }

    /// Appends bytes, and returns the buffer.
    pub(super) async fn push(&mut self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let (file, at) = (Arc::clone(&self.file), self.end - self.origin);
        let bytes = on_thread(move || file.write_all_at(&bytes, at).map(|()| bytes)).await?;
        self.end += bytes.len() as u64;
        Ok(bytes)
    }

    /// The first bytes that wait.
    pub(super) async fn front(&self, count: u64) -> io::Result<Bytes> {
        let (file, at) = (Arc::clone(&self.file), self.begin - self.origin);
        let count = usize::try_from(count).map_err(io::Error::other)?;
        on_thread(move || {
            let mut bytes = vec![0; count];
            file.read_exact_at(&mut bytes, at)?;
            Ok(bytes.into())
        })
        .await
    }

    /// Forgets the first bytes that wait. Their room is free again where few come after them.
    pub(super) async fn drop_front(&mut self, count: u64) -> io::Result<()> {
        self.begin += count;
        let (left, from) = (self.len(), self.begin - self.origin);
        if left > MOVED.min(from) {
            return Ok(());
        }
        let file = Arc::clone(&self.file);
        on_thread(move || {
            let mut rest = vec![0; usize::try_from(left).map_err(io::Error::other)?];
            file.read_exact_at(&mut rest, from)?;
            file.write_all_at(&rest, 0)?;
            file.set_len(left)
        })
        .await?;
        self.origin = self.begin;
        Ok(())
    }
}

/// A temporary file that is deleted on drop.
pub(super) async fn copy(
    spool: &Path,
    mut bytes: BoxStream<'static, object_store::Result<Bytes>>,
    permit: OwnedSemaphorePermit,
) -> Result<LocalCopy, StoreFailure> {
    let spool = spool.to_owned();
    let mut file = on_thread(move || {
        fs::create_dir_all(&spool)?;
        tempfile::NamedTempFile::new_in(spool)
    })
    .await?;
    while let Some(some) = bytes.try_next().await? {
        file = on_thread(move || file.write_all(&some).map(|()| file)).await?;
    }
    Ok(LocalCopy::temporary(file.into_temp_path(), permit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn spooled_bytes_stay_in_order() {
        let home = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new(home.path(), 100).await.unwrap();
        scratch.push(b"abcdef".to_vec()).await.unwrap();
        assert_eq!((scratch.end(), scratch.len()), (106, 6));
        assert_eq!(&scratch.front(4).await.unwrap()[..], b"abcd");
        scratch.drop_front(4).await.unwrap();
        scratch.push(b"gh".to_vec()).await.unwrap();
        assert_eq!(&scratch.front(4).await.unwrap()[..], b"efgh");
        scratch.drop_front(4).await.unwrap();
        scratch.push(b"ij".to_vec()).await.unwrap();
        assert_eq!(&scratch.front(2).await.unwrap()[..], b"ij");
        assert_eq!(scratch.file.metadata().unwrap().len(), 2, "no more room");
        assert_eq!((scratch.end(), scratch.len()), (110, 2));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "no names");
    }
}
