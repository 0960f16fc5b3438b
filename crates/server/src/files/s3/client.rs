//! How S3 is reached.

use super::http::Connector;
use super::requests::Requests;
use super::settings::S3Settings;
use crate::system::SystemIds;
use bytes::Bytes;
use lamplight_usecases::ports::Ids as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::multipart::MultipartStore as _;
use object_store::path::Path as Place;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ObjectStoreExt as _, RetryConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Failed requests are repeated for so long, and so often.
const REPEAT_FOR: Duration = Duration::from_secs(10);
const REPEATS: usize = 4;
/// How long S3 may be away when the server starts.
const START: Duration = Duration::from_secs(10);
/// … and how long a check may take.
const CHECK: Duration = Duration::from_secs(20);
/// What S3 says of settings that will not be right by themselves.
const WRONG: [&str; 9] = [
    "NoSuchBucket",
    "InvalidBucketName",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "403 Forbidden",
];

pub(super) type Bucket = PrefixStore<AmazonS3>;

/// A bucket, below a prefix.
pub(super) struct Client {
    pub(super) objects: Arc<Bucket>,
    pub(super) requests: Requests,
}

impl Client {
    /// Connects to nothing yet.
    pub(super) fn new(settings: &S3Settings) -> Result<Self, String> {
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &settings.variables {
            let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>();
            let key = key.map_err(|error| format!("{name} cannot be used: {error}."))?;
            builder = builder.with_config(key, value);
        }
        let is_plain = settings
            .endpoint()
            .is_some_and(|endpoint| endpoint.starts_with("http://"));
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.,
            },
            max_retries: REPEATS,
            retry_timeout: REPEAT_FOR,
        };
        let built = builder
            .with_bucket_name(&settings.bucket)
            .with_allow_http(is_plain)
            .with_http_connector(Connector)
            .with_retry(retry.clone())
            .build();
        let bucket = built.map_err(|error| format!("S3 cannot be used: {error}."))?;
        let requests = Requests::new(settings, Arc::clone(bucket.credentials()), retry)?;
        Ok(Self {
            objects: Arc::new(PrefixStore::new(bucket, settings.prefix.as_str())),
            requests,
        })
    }
}

/// What is wrong with settings, as far as that is known without a request.
#[must_use]
pub(crate) fn problem(settings: &S3Settings) -> Option<String> {
    settings.problem().or_else(|| Client::new(settings).err())
}

/// What could not be done in the bucket, and why.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {what}: {why}")]
pub(crate) struct CheckError {
    what: &'static str,
    pub(crate) why: String,
}

impl CheckError {
    fn is_lasting(&self) -> bool {
        WRONG.iter().any(|code| self.why.contains(code))
    }
}

/// Does what uploads and downloads do: writes an object, reads a part of it, begins a multipart
/// upload and aborts it, and deletes the object.
///
/// # Errors
/// What could not be done, and why.
pub(crate) async fn check(settings: &S3Settings) -> Result<(), CheckError> {
    let failed = |what, why: String| CheckError { what, why };
    let client = Client::new(settings).map_err(|why| failed("connect", why))?;
    let late = |_| failed("do anything", "S3 does not answer".to_owned());
    timeout(CHECK, try_out(&client.objects))
        .await
        .map_err(late)?
        .map_err(|(what, error)| failed(what, error.to_string()))
}

async fn try_out(bucket: &Bucket) -> Result<(), (&'static str, object_store::Error)> {
    // Nodes may start together.
    let place = Place::from(format!(".lamplight-check-{}", SystemIds::new().secret()));
    let put = bucket.put(&place, Bytes::from_static(b"lamplight").into());
    put.await.map_err(|error| ("write an object", error))?;
    let read = bucket.get_range(&place, 4..9).await;
    let begun = bucket.create_multipart(&place).await;
    let ended = match &begun {
        Ok(upload) => bucket.abort_multipart(&place, upload).await,
        Err(_) => Ok(()),
    };
    // Whatever came before.
    let deleted = bucket.delete(&place).await;
    let read = read.map_err(|error| ("read an object", error))?;
    begun.map_err(|error| ("begin a multipart upload", error))?;
    ended.map_err(|error| ("abort a multipart upload", error))?;
    deleted.map_err(|error| ("delete an object", error))?;
    if &read[..] != b"light" {
        let source = "S3 answers a range with other bytes".into();
        let error = object_store::Error::Generic {
            store: "S3",
            source,
        };
        return Err(("read a part of an object", error));
    }
    Ok(())
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
