//! At most one request writes an upload. A new request takes over from an earlier one, because the
//! server cannot always see that its client has disconnected.

use lamplight_domain::identity::FileId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::timeout;

/// How long a request waits for the one before it, which writes its received bytes and ends.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Entry {
    lock: Arc<tokio::sync::Mutex<()>>,
    waiting: AtomicUsize,
    /// Whether another process waits.
    is_wanted_elsewhere: AtomicBool,
    wanted: Notify,
}

/// The uploads that requests of this node write.
#[derive(Clone, Default)]
pub(crate) struct UploadLocks(Arc<Mutex<HashMap<FileId, Arc<Entry>>>>);

/// The right to write an upload, until it is dropped.
pub(crate) struct UploadLock {
    id: FileId,
    entry: Arc<Entry>,
    locks: UploadLocks,
    held: Option<OwnedMutexGuard<()>>,
}

impl UploadLocks {
    /// Waits for the request that writes the upload, which is asked to end. `None` if it does not.
    pub(crate) async fn take(&self, id: &FileId) -> Option<UploadLock> {
        let mut taken = UploadLock {
            id: id.clone(),
            entry: Arc::clone(self.0.lock().entry(id.clone()).or_default()),
            locks: self.clone(),
            held: None,
        };
        let lock = Arc::clone(&taken.entry.lock);
        if let Ok(held) = Arc::clone(&lock).try_lock_owned() {
            taken.hold(held);
            return Some(taken);
        }
        let held = {
            let _waits = Waits::on(&taken.entry);
            timeout(PATIENCE, lock.lock_owned()).await
        };
        taken.hold(held.ok()?);
        Some(taken)
    }

    /// Asks the request that writes the upload to end, for another process.
    pub(crate) fn want(&self, id: &FileId) {
        if let Some(entry) = self.0.lock().get(id) {
            entry.is_wanted_elsewhere.store(true, Ordering::SeqCst);
            entry.wanted.notify_one();
        }
    }

    /// Uploads that a request writes or waits for.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// Counts a request that waits.
struct Waits<'a>(&'a Entry);

impl<'a> Waits<'a> {
    fn on(entry: &'a Entry) -> Self {
        entry.waiting.fetch_add(1, Ordering::SeqCst);
        entry.wanted.notify_one();
        Self(entry)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl UploadLock {
    fn hold(&mut self, held: OwnedMutexGuard<()>) {
        // That was for the request before.
        self.entry
            .is_wanted_elsewhere
            .store(false, Ordering::SeqCst);
        self.held = Some(held);
    }

    /// Resolves when another request wants to go on with the upload.
    pub(crate) async fn is_wanted(&self) {
        while self.entry.waiting.load(Ordering::SeqCst) == 0
            && !self.entry.is_wanted_elsewhere.load(Ordering::SeqCst)
        {
            self.entry.wanted.notified().await;
        }
    }
}

impl Drop for UploadLock {
    fn drop(&mut self) {
        self.held = None;
        let mut all = self.locks.0.lock();
        // The table's reference and this one; each waiting request has another.
        if Arc::strong_count(&self.entry) <= 2 {
            all.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_request_for_an_upload_ends_the_one_before() {
        let locks = UploadLocks::default();
        let id = FileId::trusted("f");
        let first = locks.take(&id).await.expect("free");
        let (other, of) = (locks.clone(), id.clone());
        let second = tokio::spawn(async move { other.take(&of).await.is_some() });
        first.is_wanted().await;
        drop(first);
        assert!(second.await.expect("no panic"));
        assert_eq!(locks.len(), 0);
        let third = locks.take(&id).await.expect("free");
        let wanted = timeout(Duration::from_millis(50), third.is_wanted()).await;
        assert!(wanted.is_err(), "an earlier wish is not one of now");
        assert_eq!(locks.len(), 1);
    }

    #[tokio::test]
    async fn another_process_ends_the_current_request_and_not_the_next() {
        let locks = UploadLocks::default();
        let id = FileId::trusted("f");
        locks.want(&id);
        assert_eq!(locks.len(), 0, "nobody writes it");
        let first = locks.take(&id).await.expect("free");
        locks.want(&id);
        first.is_wanted().await;
        let (other, of) = (locks.clone(), id.clone());
        let second = tokio::spawn(async move { other.take(&of).await });
        while first.entry.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let second = second.await.expect("no panic").expect("free");
        let wanted = timeout(Duration::from_millis(50), second.is_wanted()).await;
        assert!(wanted.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_no_longer_than_its_limit() {
        let locks = UploadLocks::default();
        let id = FileId::trusted("f");
        let held = locks.take(&id).await;
        assert!(locks.take(&id).await.is_none());
        drop(held);
        assert_eq!(locks.len(), 0);
    }
}
