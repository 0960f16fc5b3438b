//! Requests that Lamplight itself makes: fetching keys, and the doctor's questions. Small on
//! purpose: one connection, one request, no redirects, no proxies, a limit on the time and on the
//! bytes.

mod link;
#[cfg(test)]
pub(crate) mod mock_server;

pub(crate) use link::Link;

use ::http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use ::http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientError {
    /// Nothing listens at the address.
    Refused(String),
    /// TLS came to nothing: an unknown certificate, a wrong name, no TLS at all.
    Tls(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) | Self::Tls(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ClientError {}

/// The response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The connection as it is after a 101.
    pub(crate) upgraded: Option<hyper::upgrade::Upgraded>,
}

impl Answer {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text, as far as it is some.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Bounds on one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// From the first packet to the last byte.
    pub(crate) time: Duration,
    /// Of the body.
    pub(crate) bytes: usize,
}

/// GETs an http or https address, with these headers on top.
pub(crate) async fn get(
    url: &Uri,
    headers: &[(&'static str, &str)],
    bounds: Bounds,
) -> Result<Answer, ClientError> {
    bounded(
        bounds,
        request(
            Method::GET,
            url,
            headers,
            Full::new(Bytes::new()),
            bounds.bytes,
        ),
    )
    .await
}

/// POSTs a text to one.
pub(crate) async fn post(
    url: &Uri,
    headers: &[(&'static str, &str)],
    body: impl Into<Bytes>,
    bounds: Bounds,
) -> Result<Answer, ClientError> {
    bounded(
        bounds,
        request(
            Method::POST,
            url,
            headers,
            Full::new(body.into()),
            bounds.bytes,
        ),
    )
    .await
}

/// POSTs a body as it comes, with these headers on top, `content-length` among them.
pub(crate) async fn post_stream<B>(
    url: &Uri,
    headers: &[(&'static str, &str)],
    body: B,
    bounds: Bounds,
) -> Result<Answer, ClientError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let request = request(Method::POST, url, headers, body, bounds.bytes);
    bounded(bounds, request).await
}

async fn bounded(
    bounds: Bounds,
    request: impl Future<Output = Result<Answer, ClientError>>,
) -> Result<Answer, ClientError> {
    match tokio::time::timeout(bounds.time, request).await {
        Ok(answer) => answer,
        Err(_) => Err(ClientError::Other(format!(
            "no answer within {:?}",
            bounds.time
        ))),
    }
}

async fn request<B>(
    method: Method,
    url: &Uri,
    headers: &[(&'static str, &str)],
    body: B,
    bytes: usize,
) -> Result<Answer, ClientError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let other = |error: &dyn fmt::Display| ClientError::Other(error.to_string());
    let authority = url
        .authority()
        .ok_or_else(|| ClientError::Other("the address has no host".to_owned()))?;
    let stream = connect(url).await?;
    let (mut sender, connection) = http1::handshake::<_, B>(TokioIo::new(stream))
        .await
        .map_err(|error| other(&error))?;
    // Once upgraded, the connection has left this task, and ending it does no harm.
    let _connection = AbortOnDrop(tokio::spawn(connection.with_upgrades()));
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority.as_str())
        .header(USER_AGENT, concat!("lamplight/", env!("CARGO_PKG_VERSION")));
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("connection"))
    {
        request = request
            .header(CONNECTION, "close")
            .header(ACCEPT, "application/json, */*");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body).map_err(|error| other(&error))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| other(&error))?;
    read(response, bytes).await
}

async fn read(
    mut response: ::http::Response<Incoming>,
    bytes: usize,
) -> Result<Answer, ClientError> {
    let status = response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let upgraded = hyper::upgrade::on(&mut response)
            .await
            .map_err(|error| ClientError::Other(error.to_string()))?;
        return Ok(Answer {
            status,
            headers: response.headers().clone(),
            body: Bytes::new(),
            upgraded: Some(upgraded),
        });
    }
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, bytes)
        .collect()
        .await
        .map_err(|error| ClientError::Other(format!("the body could not be read: {error}")))?;
    Ok(Answer {
        status,
        headers: parts.headers,
        body: body.to_bytes(),
        upgraded: None,
    })
}

/// Ends the task that drives a connection with the request that it was for.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to an http or https address.
pub(crate) async fn connect(url: &Uri) -> Result<Box<dyn Stream>, ClientError> {
    let is_tls = matches!(url.scheme_str(), Some("https" | "wss"));
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                ClientError::Refused(format!("nothing listens on {host}:{port}"))
            }
            _ => ClientError::Other(format!("no connection to {host}:{port}: {error}")),
        })?;
    let _ = tcp.set_nodelay(true);
    if !is_tls {
        return Ok(Box::new(tcp));
    }
    secure(host, tcp).await
}

/// TLS with a host on a connection.
pub(crate) async fn secure(host: &str, tcp: TcpStream) -> Result<Box<dyn Stream>, ClientError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| {
        ClientError::Tls(format!("{host} is no name for a certificate: {error}"))
    })?;
    let config = tls().await?;
    let stream = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|error| ClientError::Tls(format!("TLS with {host} failed: {error}")))?;
    Ok(Box::new(stream))
}

/// The system's certificates, for it knows a company's own; Mozilla's where the system has none, as
/// in a bare container.
async fn tls() -> Result<Arc<ClientConfig>, ClientError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let failed =
        |error: &dyn fmt::Display| ClientError::Tls(format!("TLS cannot be set up: {error}"));
    let roots = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        roots
    });
    let roots = roots.await.map_err(|error| failed(&error))?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}
