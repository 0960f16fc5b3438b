//! The HTTP client of the object store: connections of [`http_client`], pooled by hyper.

use crate::files::answers::code_in;
use crate::http_client::{self, ClientError, Link};
use ::http::{Method, Uri};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep, timeout};

/// A connection that is not made within this time fails.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer has to begin within this time, and a second more for each MiB that is sent; later each of
/// its bytes.
const SILENCE: Duration = Duration::from_secs(25);
/// Servers close connections that are idle for long.
const IDLE: Duration = Duration::from_secs(15);
/// Of an answer that is an error.
const ERROR_BYTES: usize = 64 << 10;
/// Of an answer, at a time.
const READ_BYTES: usize = 64 << 10;

/// Makes clients. There is one for each part of the object store.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service::new()))
    }
}

#[derive(Debug)]
struct Service {
    client: legacy::Client<Dial, HttpRequestBody>,
}

impl Service {
    fn new() -> Self {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_read_buf_exact_size(READ_BYTES);
        Self {
            client: builder.build(Dial),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {SILENCE:?}")]
struct Silent;

/// An error with its causes, which the object store does not print.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn silent() -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, Silent)
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_head = request.method() == Method::HEAD;
        let sent = request.body().content_length() as u64 >> 20;
        let patience = SILENCE + Duration::from_secs(sent);
        let answered = timeout(patience, self.client.request(request)).await;
        let response = answered.map_err(|_| silent())?.map_err(|error| {
            let kind = if error.is_connect() {
                HttpErrorKind::Connect
            } else {
                HttpErrorKind::Request
            };
            HttpError::new(kind, ClientError::Other(whole(&error)))
        })?;
        let (parts, body) = response.into_parts();
        let body = Patient {
            body,
            waiting: None,
        };
        let is_error = parts.status.is_client_error() || parts.status.is_server_error();
        let body = if is_error && !is_head {
            only_code(body).await.into()
        } else {
            HttpResponseBody::new(body)
        };
        Ok(HttpResponse::from_parts(parts, body))
    }
}

/// The part of an error that is safe to log: its full text repeats the signed request, with tokens.
async fn only_code(mut body: Patient) -> Bytes {
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        text.extend_from_slice(&frame.into_data().unwrap_or_default());
        if text.len() > ERROR_BYTES {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text);
    let code = code_in(&text).unwrap_or_default();
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    let code = &code[..code.len().min(64)];
    format!("<Error><Code>{code}</Code></Error>").into()
}

/// An answer that fails when no byte comes for a while.
struct Patient {
    body: Incoming,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body for Patient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = None;
            return Poll::Ready(frame.map(|frame| {
                frame.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))
            }));
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(SILENCE)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Some(Err(silent())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[derive(Clone, Copy, Debug)]
struct Dial;

type Dialled = Pin<Box<dyn Future<Output = Result<TokioIo<Link>, ClientError>> + Send>>;

impl tower::Service<Uri> for Dial {
    type Response = TokioIo<Link>;
    type Error = ClientError;
    type Future = Dialled;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Dialled {
        Box::pin(async move {
            let connected = timeout(CONNECT, http_client::connect(&to)).await;
            let late = |_| ClientError::Other(format!("no connection within {CONNECT:?}"));
            Ok(TokioIo::new(Link(connected.map_err(late)??)))
        })
    }
}
