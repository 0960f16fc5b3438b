//! Examines a file once all its bytes are received, and completes it.

use super::bytes::StoreFailure;
use super::media;
use super::picture::{self, Small};
use super::store::FileStore;
use super::turns::Turns;
use crate::metrics;
use lamplight_domain::file::{
    DOWNLOAD_ONLY, FileState, SNIFFED_BYTES, StoredFile, is_type_allowed, media_type, sniff,
};
use lamplight_domain::identity::UserId;
use lamplight_usecases::ports::{Claimed, Examined};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

/// Decodes one picture at a time, since a large one takes much memory, round robin over the users.
static PICTURES: LazyLock<Arc<Turns>> = LazyLock::new(Arc::default);
/// How long an upload waits for others' pictures.
const PATIENCE: Duration = Duration::from_secs(20);

/// The result for a file.
#[derive(Debug)]
pub(crate) enum Outcome {
    Ready(Examined),
    /// The operator does not allow its detected type.
    NotAllowed(Arc<str>),
}

impl FileStore {
    /// Examines a file whose bytes are all there, and which is to have this state then. May be repeated after a crash at any point.
    ///
    /// # Errors
    /// When its bytes cannot be read, or are not all there.
    pub(crate) async fn examine(
        self: &Arc<Self>,
        file: &StoredFile,
        claimed: &Claimed,
        allowed: &[Arc<str>],
        state: FileState,
    ) -> Result<Outcome, StoreFailure> {
        let (id, size) = (&file.file.id, file.file.size);
        self.finish(id, size, claimed).await?;
        let (head, length) = self.head(id, SNIFFED_BYTES).await?;
        if length != size {
            return Err(StoreFailure::Missing);
        }
        let found = sniff(&head);
        let mut media_type = media_type(found, &file.file.media_type);
        let mut dimensions = None;
        let mut small = None;
        let mut duration_ms = None;
        if let Some(found) = found.filter(|found| picture::is_known(found)) {
            let local = self.local(id).await?;
            let path = local.path().to_owned();
            let of = path.clone();
            let looked = spawn_blocking(move || picture::look_at(&of, found)).await;
            // A file that makes a decoder panic does not count as a picture.
            match looked.ok().flatten() {
                Some(picture) => {
                    dimensions = Some(picture.dimensions);
                    if picture.is_small_enough && is_type_allowed(allowed, &media_type) {
                        small = thumbnail(&file.owner, path, found).await;
                    }
                }
                // It begins as a picture and is none.
                None => media_type = DOWNLOAD_ONLY.into(),
            }
        } else if found.is_some() {
            let local = self.local(id).await?;
            let (of, kind) = (local.path().to_owned(), Arc::clone(&media_type));
            let looked = spawn_blocking(move || media::look_at(&of, &kind)).await;
            let media = looked.unwrap_or_default();
            dimensions = media.dimensions;
            duration_ms = media.duration_ms;
        }
        if !is_type_allowed(allowed, &media_type) {
            return Ok(Outcome::NotAllowed(media_type));
        }
        let has_thumbnail = small.is_some();
        let mut blur_hash = None;
        if let Some(small) = small {
            blur_hash = small.blur_hash;
            self.put_thumbnail(id, small.thumbnail).await?;
        }
        Ok(Outcome::Ready(Examined {
            media_type,
            dimensions,
            has_thumbnail,
            blur_hash,
            duration_ms,
            state,
        }))
    }
}

/// An avatar of a picture's bytes; `None` where they are none. `user` is who sets it, `None` for the
/// host application.
///
/// # Errors
/// Where others have to wait for so many pictures that it would take too long.
pub(crate) async fn square(
    user: Option<&UserId>,
    bytes: Vec<u8>,
) -> Result<Option<Vec<u8>>, Elapsed> {
    let began = Instant::now();
    let made = one_at_a_time(&PICTURES, user, move || picture::square(bytes)).await;
    count("avatar", &made, began);
    made
}

/// A thumbnail; `None` too where others have to wait for so many that it would take too long.
async fn thumbnail(user: &UserId, path: PathBuf, media_type: &'static str) -> Option<Small> {
    let began = Instant::now();
    let work = move || picture::thumbnail(&path, media_type);
    let made = one_at_a_time(&PICTURES, Some(user), work).await;
    count("thumbnail", &made, began);
    made.ok()?
}

fn count<T>(picture: &'static str, made: &Result<Option<T>, Elapsed>, began: Instant) {
    let outcome = match made {
        Ok(Some(_)) => "made",
        Ok(None) => "none",
        Err(_) => "busy",
    };
    metrics::picture(picture, outcome, began.elapsed());
}

/// Does work with a picture on a thread. The work has the turn, and not who waits for it: a request
/// that is cut does not begin a second one beside it.
async fn one_at_a_time<T: Send + 'static>(
    turns: &Arc<Turns>,
    user: Option<&UserId>,
    work: impl FnOnce() -> Option<T> + Send + 'static,
) -> Result<Option<T>, Elapsed> {
    let turn = timeout(PATIENCE, turns.turn(user)).await?;
    let made = spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    // A file that makes a decoder panic does not count as a picture.
    Ok(made.await.ok().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_cancelled_request_holds_the_decoder_until_its_picture_is_done() {
        let turns = Arc::new(Turns::default());
        let (began, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let of = Arc::clone(&turns);
        let request = tokio::spawn(async move {
            let work = move || {
                let _ = began.send(());
                let _ = ends.recv();
                Some(())
            };
            one_at_a_time(&of, None, work).await
        });
        begins.await.unwrap();
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        assert!(turns.is_running(), "it is still decoded");
        end.send(()).unwrap();
        assert_eq!(one_at_a_time(&turns, None, || Some(1)).await, Ok(Some(1)));
        let panicked = one_at_a_time(&turns, None, || -> Option<()> { panic!("a decoder") }).await;
        assert_eq!(panicked, Ok(None));
        assert!(!turns.is_running());
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_without_time_to_decode_is_not_reported_as_invalid() {
        let turns = Arc::new(Turns::default());
        let held = turns.turn(None).await;
        assert!(one_at_a_time(&turns, None, || Some(1)).await.is_err());
        drop(held);
        assert_eq!(one_at_a_time(&turns, None, || None::<()>).await, Ok(None));
    }
}
