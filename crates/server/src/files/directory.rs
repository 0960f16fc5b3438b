//! Uploads in a directory. Each process writes bytes into its own segment, a file named after its
//! generation. A fenced process that does not know it yet writes into a segment that is never read.

use super::bytes::{LocalCopy, Step, StoreFailure, UploadWriter, Uploads};
use async_trait::async_trait;
use lamplight_domain::identity::FileId;
use lamplight_usecases::ports::{Claimed, DeletedFile};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// After so many bytes, or so long, written bytes are synced and recorded, so that a crash costs no
/// more.
const NOTE_BYTES: u64 = 8 << 20;
const NOTE_AFTER: Duration = Duration::from_secs(5);
/// The most segments of an upload: so often another process may go on with it. Each is a file, which
/// every request looks at.
const MOST_SEGMENTS: usize = 1_000;

/// How many uploads write to the disk at a time: each is a thread, with memory of its own.
static WRITES: Semaphore = Semaphore::const_new(4);

/// Bytes of an upload from `offset` on, up to the offset of the next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    generation: u64,
    offset: u64,
}

/// The segments of an upload, in their order. In text: `1:0,4:300000`.
fn segments(claimed: &Claimed) -> Option<Vec<Segment>> {
    if claimed.place.is_empty() {
        // Versions without segments wrote one file.
        let whole = Segment {
            generation: 0,
            offset: 0,
        };
        return Some(if claimed.received > 0 {
            vec![whole]
        } else {
            Vec::new()
        });
    }
    let segment = |text: &str| {
        let (generation, offset) = text.split_once(':')?;
        Some(Segment {
            generation: generation.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    };
    claimed.place.split(',').map(segment).collect()
}

fn place(segments: &[Segment]) -> Arc<str> {
    let text: Vec<String> = segments
        .iter()
        .map(|of| format!("{}:{}", of.generation, of.offset))
        .collect();
    text.join(",").into()
}

/// Uploads and complete files in one directory, created with the first file.
#[derive(Clone)]
pub(crate) struct Directory {
    root: PathBuf,
    objects: Arc<OnceLock<Arc<dyn ObjectStore>>>,
}

impl Directory {
    #[must_use]
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            objects: Arc::default(),
        }
    }

    fn uploads_directory(&self) -> PathBuf {
        self.root.join("uploads")
    }

    fn objects_directory(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// The file of a segment.
    fn segment(&self, id: &FileId, generation: u64) -> PathBuf {
        let directory = self.uploads_directory();
        match generation {
            0 => directory.join(id.as_str()),
            _ => directory.join(format!("{id}.{generation}")),
        }
    }

    /// Blocks.
    fn make(&self) -> io::Result<()> {
        for directory in [self.uploads_directory(), self.objects_directory()] {
            if !directory.is_dir() {
                fs::create_dir_all(&directory)?;
                sync_directory(&self.root)?;
            }
        }
        Ok(())
    }

    /// The segments with their files and lengths, if all their bytes are there. Blocks.
    fn present(
        &self,
        id: &FileId,
        claimed: &Claimed,
    ) -> Result<Vec<(PathBuf, u64, Segment)>, StoreFailure> {
        let all = segments(claimed).ok_or(StoreFailure::Missing)?;
        let ends = all.iter().skip(1).map(|next| next.offset);
        let ends = ends.chain([claimed.received]);
        let mut present = Vec::with_capacity(all.len());
        for (segment, end) in all.iter().zip(ends) {
            let path = self.segment(id, segment.generation);
            let length = end
                .checked_sub(segment.offset)
                .ok_or(StoreFailure::Missing)?;
            let has = fs::metadata(&path).map_err(missing)?.len();
            if has < length {
                return Err(StoreFailure::Missing);
            }
            present.push((path, length, *segment));
        }
        Ok(present)
    }

    /// Opens the segment of the claim's generation. Blocks.
    fn writer(&self, id: &FileId, claimed: &Claimed) -> Result<SegmentWriter, StoreFailure> {
        self.make()?;
        let mut all: Vec<Segment> = self
            .present(id, claimed)?
            .iter()
            .map(|(_, _, segment)| *segment)
            .collect();
        let is_new = all.last().map(|last| last.generation) != Some(claimed.generation);
        if is_new {
            if all.len() >= MOST_SEGMENTS {
                return Err(StoreFailure::Missing);
            }
            all.push(Segment {
                generation: claimed.generation,
                offset: claimed.received,
            });
        }
        let offset = all.last().map_or(0, |last| last.offset);
        let path = self.segment(id, claimed.generation);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(is_new)
            .truncate(false)
            .open(&path)
            .map_err(missing)?;
        let length = claimed.received - offset;
        // Bytes after the last recorded offset, written before a crash.
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        if is_new {
            sync_directory(&self.uploads_directory())?;
        }
        Ok(SegmentWriter {
            file: Some(file),
            offset,
            written: claimed.received,
            noted: claimed.received,
            place: place(&all),
        })
    }

    /// Blocks until the disk has the whole file.
    fn take(&self, id: &FileId, size: u64, claimed: &Claimed) -> Result<(), StoreFailure> {
        self.make()?;
        let whole = self.objects_directory().join(id.as_str());
        if size == 0 && !whole.is_file() {
            File::create(&whole)?.sync_all()?;
        }
        let is_whole = || fs::metadata(&whole).is_ok_and(|found| found.len() == size);
        // A crash came after an earlier attempt, or another process was quicker, before this one or
        // at any point of it.
        if !is_whole() {
            match self.join(id, claimed, &whole) {
                Err(StoreFailure::Missing) if is_whole() => {}
                joined => joined?,
            }
        }
        sync_directory(&self.objects_directory())?;
        Ok(self.remove(id, claimed.generation)?)
    }

    /// Makes one file of an upload's segments, the whole one. Blocks.
    fn join(&self, id: &FileId, claimed: &Claimed, whole: &Path) -> Result<(), StoreFailure> {
        let present = self.present(id, claimed)?;
        if let [(path, length, _)] = present.as_slice() {
            let file = File::options().write(true).open(path).map_err(missing)?;
            file.set_len(*length)?;
            return fs::rename(path, whole).map_err(missing);
        }
        let joined = self.joined(id, claimed.generation);
        let copied = copy(&present, &joined);
        let renamed = copied.and_then(|()| fs::rename(&joined, whole).map_err(missing));
        if renamed.is_err() {
            remove(&joined)?;
        }
        renamed
    }

    /// The file that a process joins segments in.
    fn joined(&self, id: &FileId, generation: u64) -> PathBuf {
        self.uploads_directory()
            .join(format!("{id}.whole.{generation}"))
    }

    /// Deletes the segments of all generations up to the last one. Blocks.
    fn remove(&self, id: &FileId, last: u64) -> io::Result<()> {
        if last <= MOST_SEGMENTS as u64 {
            for generation in 0..=last {
                remove(&self.segment(id, generation))?;
                remove(&self.joined(id, generation))?;
            }
            return Ok(());
        }
        // Requests without bytes raise the generation too, and few of them left a segment.
        let entries = match fs::read_dir(self.uploads_directory()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let after = name
                .to_str()
                .and_then(|name| name.strip_prefix(id.as_str()));
            if after.is_some_and(|after| after.is_empty() || after.starts_with('.')) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Copies segments into one file, and blocks until the disk has it.
fn copy(segments: &[(PathBuf, u64, Segment)], to: &Path) -> Result<(), StoreFailure> {
    let mut file = File::create(to)?;
    for (path, length, _) in segments {
        let mut part = File::open(path).map_err(missing)?.take(*length);
        if io::copy(&mut part, &mut file)? != *length {
            return Err(StoreFailure::Missing);
        }
    }
    Ok(file.sync_all()?)
}

fn missing(error: io::Error) -> StoreFailure {
    match error.kind() {
        io::ErrorKind::NotFound => StoreFailure::Missing,
        _ => error.into(),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a new name in a directory outlive a power loss.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreFailure> + Send + 'static,
) -> Result<T, StoreFailure> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[async_trait]
impl Uploads for Directory {
    fn objects(&self) -> Result<&Arc<dyn ObjectStore>, StoreFailure> {
        if let Some(objects) = self.objects.get() {
            return Ok(objects);
        }
        self.make()?;
        let directory = LocalFileSystem::new_with_prefix(self.objects_directory())?;
        Ok(self
            .objects
            .get_or_init(|| Arc::new(directory.with_fsync(true))))
    }

    async fn open(
        &self,
        id: &FileId,
        _size: u64,
        claimed: &Claimed,
    ) -> Result<Box<dyn UploadWriter>, StoreFailure> {
        let (own, id, claimed) = (self.clone(), id.clone(), claimed.clone());
        let writer = on_thread(move || own.writer(&id, &claimed)).await?;
        Ok(Box::new(writer))
    }

    async fn is_here(&self, id: &FileId, claimed: &Claimed) -> Result<bool, StoreFailure> {
        let (own, id, claimed) = (self.clone(), id.clone(), claimed.clone());
        match on_thread(move || own.present(&id, &claimed)).await {
            Ok(_) => Ok(true),
            Err(StoreFailure::Missing) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn finish(&self, id: &FileId, size: u64, claimed: &Claimed) -> Result<(), StoreFailure> {
        let (own, id, claimed) = (self.clone(), id.clone(), claimed.clone());
        on_thread(move || own.take(&id, size, &claimed)).await
    }

    async fn delete(&self, file: &DeletedFile) -> Result<(), StoreFailure> {
        let (own, file) = (self.clone(), file.clone());
        on_thread(move || Ok(own.remove(&file.id, file.generation)?)).await
    }

    async fn local(&self, id: &FileId) -> Result<LocalCopy, StoreFailure> {
        Ok(LocalCopy::at(self.objects_directory().join(id.as_str())))
    }
}

/// A segment, written by threads that may block.
struct SegmentWriter {
    /// `None` while a thread has it, and after one panicked.
    file: Option<File>,
    /// Of its first byte in the upload.
    offset: u64,
    written: u64,
    /// Up to where it is to be cut.
    noted: u64,
    place: Arc<str>,
}

impl SegmentWriter {
    async fn on_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let gone = || io::Error::other("the file of an upload is missing");
        let permit = WRITES.acquire().await.map_err(io::Error::other)?;
        let mut file = self.file.take().ok_or_else(gone)?;
        let (file, outcome) = spawn_blocking(move || {
            let outcome = work(&mut file);
            drop(permit);
            (file, outcome)
        })
        .await
        .map_err(io::Error::other)?;
        self.file = Some(file);
        outcome
    }
}

#[async_trait]
impl UploadWriter for SegmentWriter {
    async fn write(&mut self, bytes: &mut Vec<u8>) -> Result<(), StoreFailure> {
        let taken = std::mem::take(bytes);
        let count = taken.len() as u64;
        let write = |file: &mut File| file.write_all(&taken).map(|()| taken);
        *bytes = self.on_thread(write).await?;
        bytes.clear();
        self.written += count;
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn is_due(&self, bytes: u64, since: Duration) -> bool {
        bytes >= NOTE_BYTES || since >= NOTE_AFTER
    }

    async fn commit(&mut self, _is_end: bool) -> Result<Step, StoreFailure> {
        if self.written > self.noted {
            self.on_thread(|file| file.sync_data()).await?;
        }
        Ok(Step {
            to: self.written,
            place: Arc::clone(&self.place),
            is_more: false,
        })
    }

    async fn noted(&mut self) {
        self.noted = self.written;
    }

    async fn roll_back(&mut self) -> Result<(), StoreFailure> {
        self.written = self.noted;
        let length = self.noted - self.offset;
        let cut = move |file: &mut File| {
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length)).map(drop)
        };
        Ok(self.on_thread(cut).await?)
    }
}

#[cfg(test)]
mod tests;
