//! How S3 is reached.

use super::http::Connector;
use super::requests::Requests;
use super::settings::S3Settings;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// Failed requests are repeated for so long, and so often.
const REPEAT_FOR: Duration = Duration::from_secs(10);
const REPEATS: usize = 4;
/// S3's errors that only a change of the settings can resolve.
pub(super) const WRONG: [&str; 11] = [
    "NoSuchBucket",
    "InvalidBucketName",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "RequestTimeTooSkewed",
    "ExpiredToken",
    "InvalidToken",
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

/// Errors in the settings that can be found without a request.
#[must_use]
pub(crate) fn problem(settings: &S3Settings) -> Option<String> {
    settings.problem().or_else(|| Client::new(settings).err())
}
