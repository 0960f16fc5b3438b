//! Tries a bucket out: all that uploads and downloads do.

use super::client::{Client, WRONG};
use super::settings::S3Settings;
use crate::files::answers::Answer;
use crate::files::bytes::{StoreFailure, gone};
use crate::system::{SystemIds, wall};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use lamplight_usecases::ports::Ids as _;
use object_store::multipart::MultipartStore as _;
use object_store::path::Path as Place;
use object_store::{Error, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long S3 may be away when the server starts.
const START: Duration = Duration::from_secs(10);
/// … and how long a check may take.
const CHECK: Duration = Duration::from_secs(20);
/// Where its objects are. Nodes may start together: each check has a directory of its own.
const HOME: &str = ".lamplight-check";
/// Objects of a check are older where it was cut.
const LEFT_MS: i64 = 3_600_000;
const TEXT: &[u8] = b"lamplight";

/// The operation that failed in the bucket, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {what}: {why}")]
pub(crate) struct CheckError {
    what: &'static str,
    why: String,
    /// S3's answer.
    pub(crate) answer: Answer,
}

impl CheckError {
    fn new(what: &'static str, why: String) -> Self {
        Self {
            what,
            why,
            answer: Answer::default(),
        }
    }

    /// S3 did something else than it was asked for.
    fn wrong(what: &'static str, why: String) -> Self {
        let answer = Answer {
            status: Some(200),
            code: None,
        };
        Self { what, why, answer }
    }

    fn is_answered(&self) -> bool {
        self.answer != Answer::default()
    }

    /// Whether it will not be right by itself.
    fn is_lasting(&self) -> bool {
        let code = self.answer.code.as_deref();
        code.is_some_and(|code| WRONG.contains(&code))
            || matches!(self.answer.status, Some(401 | 403))
    }
}

fn cannot<E: Into<StoreFailure>>(what: &'static str) -> impl FnOnce(E) -> CheckError {
    move |error| {
        let failure: StoreFailure = error.into();
        let answer = match &failure {
            StoreFailure::Object(error) => Answer::of(error),
            _ => Answer::default(),
        };
        CheckError {
            answer,
            ..CheckError::new(what, failure.to_string())
        }
    }
}

/// Performs the operations of uploads and downloads, and deletes the objects that it created.
/// Objects of an interrupted check are deleted by any check an hour later.
///
/// # Errors
/// The operation that failed, and why.
pub(crate) async fn check(settings: &S3Settings) -> Result<(), CheckError> {
    let client = Client::new(settings).map_err(|why| CheckError::new("connect", why))?;
    let late = |_| CheckError::new("do anything", "S3 does not answer".to_owned());
    timeout(CHECK, try_out(&client)).await.map_err(late)?
}

async fn try_out(client: &Client) -> Result<(), CheckError> {
    let secret = SystemIds::new().secret();
    let place = |name: &str| Place::from_iter([HOME, &secret, name]);
    let (tail, copy, parts) = (place("tail"), place("copy"), place("parts"));
    let tried = async {
        try_objects(client, &tail, &copy, &place("missing")).await?;
        try_parts(client, &parts).await
    };
    let tried = tried.await;
    if tried.as_ref().is_err_and(|error| !error.is_answered()) {
        // The deletion would fail too. A later check deletes the objects.
        return tried;
    }
    let mut deleted = Ok(());
    // Whatever came before.
    for place in [&tail, &copy, &parts] {
        deleted = deleted.and(gone(client.objects.delete(place).await));
    }
    tried?;
    deleted.map_err(cannot("delete an object"))
}

/// As a small file: written, read, copied, listed, and asked for.
async fn try_objects(
    client: &Client,
    tail: &Place,
    copy: &Place,
    missing: &Place,
) -> Result<(), CheckError> {
    let bucket = &client.objects;
    let put = bucket.put(tail, Bytes::from_static(TEXT).into()).await;
    put.map_err(cannot("write an object"))?;
    let read = bucket.get_range(tail, 4..9).await;
    if read.map_err(cannot("read an object"))?[..] != TEXT[4..9] {
        let why = "S3 answers a range with other bytes".to_owned();
        return Err(CheckError::wrong("read a part of an object", why));
    }
    let copied = bucket.copy(tail, copy).await;
    copied.map_err(cannot("copy an object"))?;
    let listed = bucket.list(Some(&Place::from(HOME))).try_collect().await;
    let listed: Vec<ObjectMeta> = listed.map_err(cannot("list objects"))?;
    if !listed.iter().any(|found| found.location == *copy) {
        let why = "an object that was copied is not there".to_owned();
        return Err(CheckError::wrong("list objects", why));
    }
    for found in listed {
        if found.last_modified.timestamp_millis() < wall().0 - LEFT_MS {
            let _ = bucket.delete(&found.location).await;
        }
    }
    // Without the right to list, S3 does not say that nothing is there.
    match bucket.head(missing).await {
        Err(Error::NotFound { .. }) => Ok(()),
        Ok(_) => {
            let why = "S3 reports that it exists".to_owned();
            Err(CheckError::wrong(
                "ask for an object that is not there",
                why,
            ))
        }
        Err(error) => Err(cannot("ask for an object that is not there")(error)),
    }
}

/// As a large one.
async fn try_parts(client: &Client, place: &Place) -> Result<(), CheckError> {
    let bucket = &client.objects;
    let begin = || async {
        let begun = bucket.create_multipart(place).await;
        begun.map_err(cannot("begin a multipart upload"))
    };
    let upload = begin().await?;
    let made = async {
        let sent = bucket.put_part(place, &upload, 0, Bytes::from_static(TEXT).into());
        let part = sent.await.map_err(cannot("send a part"))?;
        let parts = [(1, part.content_id)];
        let completed = client.requests.complete(place, &upload, &parts).await;
        completed.map_err(cannot("complete a multipart upload"))
    };
    if let Err(error) = made.await {
        let _ = bucket.abort_multipart(place, &upload).await;
        return Err(error);
    }
    let upload = begin().await?;
    let aborted = bucket.abort_multipart(place, &upload).await;
    aborted.map_err(cannot("abort a multipart upload"))
}

/// Checks at the start, and again for a while if S3 may be on its way up.
///
/// # Errors
/// As [`check`].
pub(crate) async fn check_at_start(settings: &S3Settings) -> Result<(), CheckError> {
    let until = Instant::now() + START;
    loop {
        match check(settings).await {
            Err(error) if !error.is_lasting() && Instant::now() < until => {
                tracing::warn!(cause = %error, "S3 does not answer yet; trying again");
                sleep(Duration::from_secs(1)).await;
            }
            other => return other,
        }
    }
}
