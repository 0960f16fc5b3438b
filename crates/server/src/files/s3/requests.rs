//! Requests to S3 that the object store has not got: the completion of a multipart upload whose parts
//! have any numbers.

use super::http::Connector;
use super::settings::S3Settings;
use crate::files::answers::{Refused, code_in};
use crate::files::bytes::{StoreFailure, missing};
use ::http::{Method, Request, StatusCode};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector as _, HttpErrorKind, HttpRequestBody};
use object_store::path::Path as Place;
use object_store::{ClientOptions, RetryConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write as _;
use tokio::time::Instant;

/// RFC 3986's unreserved characters stand for themselves, as the signature has them.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// Signs and sends.
pub(super) struct Requests {
    http: HttpClient,
    credentials: AwsCredentialProvider,
    region: String,
    /// The address of the bucket.
    bucket: String,
    prefix: Place,
    retry: RetryConfig,
}

fn generic(source: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic {
        store: "S3",
        source: Box::new(source),
    }
}

impl Requests {
    pub(super) fn new(
        settings: &S3Settings,
        credentials: AwsCredentialProvider,
        retry: RetryConfig,
    ) -> Result<Self, String> {
        let http = Connector.connect(&ClientOptions::new());
        Ok(Self {
            http: http.map_err(|error| error.to_string())?,
            credentials,
            region: settings.region().to_owned(),
            bucket: settings.bucket_address(),
            prefix: Place::from(settings.prefix.as_str()),
            retry,
        })
    }

    /// Makes an object of parts.
    pub(super) async fn complete(
        &self,
        object: &Place,
        upload: &str,
        parts: &[(u32, String)],
    ) -> Result<(), StoreFailure> {
        let mut body = String::from("<CompleteMultipartUpload>");
        for (number, etag) in parts {
            let etag = escape(etag);
            let _ = write!(
                body,
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            );
        }
        body.push_str("</CompleteMultipartUpload>");
        let query = [("uploadId", upload)];
        let sent = self.send(Method::POST, Some(object), &query, body).await;
        sent.map(drop).map_err(missing)
    }

    /// Sends a request that may be repeated, and again if it fails.
    async fn send(
        &self,
        method: Method,
        object: Option<&Place>,
        query: &[(&str, &str)],
        body: String,
    ) -> object_store::Result<String> {
        let began = Instant::now();
        let mut pause = self.retry.backoff.init_backoff;
        for attempt in 0.. {
            let is_last =
                attempt >= self.retry.max_retries || began.elapsed() >= self.retry.retry_timeout;
            match self.once(&method, object, query, &body).await {
                Err(failure) if failure.is_passing && !is_last => {}
                other => return other.map_err(|failure| failure.error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.retry.backoff.max_backoff);
        }
        unreachable!("the last attempt returns")
    }

    async fn once(
        &self,
        method: &Method,
        object: Option<&Place>,
        query: &[(&str, &str)],
        body: &str,
    ) -> Result<String, Failure> {
        let mut url = self.bucket.clone();
        if let Some(object) = object {
            let whole = Place::from_iter(self.prefix.parts().chain(object.parts()));
            let _ = write!(url, "/{}", utf8_percent_encode(whole.as_ref(), PATH));
        }
        for (index, (name, value)) in query.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            let _ = write!(url, "{mark}{name}={}", utf8_percent_encode(value, QUERY));
        }
        let request = Request::builder().method(method.clone()).uri(url);
        let mut request = request
            .body(HttpRequestBody::from(body.to_owned()))
            .map_err(|error| Failure::lasting(generic(error)))?;
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(Failure::passing)?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(Failure::lasting)?;
        let response = self.http.execute(request).await.map_err(|error| {
            let is_passing = error.kind() != HttpErrorKind::Decode;
            Failure {
                error: generic(error),
                is_passing,
            }
        })?;
        let status = response.status();
        let text = response.into_body().bytes().await;
        let text = text.map_err(|error| Failure::passing(generic(error)))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        // A completion that takes long begins with 200, and may end with an error.
        let code = code_in(&text);
        if status.is_success() && !text.contains("<Error") {
            return Ok(text);
        }
        let is_passing = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || matches!(code, Some("InternalError" | "SlowDown"));
        let code = code.unwrap_or_default().to_owned();
        Err(Failure {
            error: generic(Refused { status, code }),
            is_passing,
        })
    }
}

struct Failure {
    error: object_store::Error,
    /// Whether the failure may be temporary.
    is_passing: bool,
}

impl Failure {
    fn passing(error: object_store::Error) -> Self {
        Self {
            error,
            is_passing: true,
        }
    }

    fn lasting(error: object_store::Error) -> Self {
        Self {
            error,
            is_passing: false,
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
