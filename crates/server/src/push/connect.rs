//! Connections to push services: the address is resolved once, checked, and connected to. So no name can
//! have another address between the check and the connection.

use super::address::is_public;
use crate::http_client::{self, ClientError, Link};
use ::http::Uri;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long each address of a host is tried.
const CONNECT: Duration = Duration::from_secs(3);
/// Addresses of a host that are tried.
const ADDRESSES: usize = 3;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// The host has no public address.
    #[error("{0} has no public address; PUSH_ALLOW lets push services on other addresses in")]
    Private(String),
    #[error(transparent)]
    Client(#[from] ClientError),
}

#[derive(Clone, Debug)]
pub(super) struct Dial {
    /// Origins that may have any address, and need no TLS.
    pub(super) allow: Arc<[String]>,
}

/// The origin of an address, as `PUSH_ALLOW` has it.
pub(super) fn origin(url: &Uri) -> Option<String> {
    let (scheme, authority) = (url.scheme_str()?, url.authority()?);
    crate::config::values::origin(&format!("{scheme}://{authority}")).ok()
}

impl Dial {
    pub(super) fn is_allowed(&self, url: &Uri) -> bool {
        origin(url).is_some_and(|origin| self.allow.contains(&origin))
    }

    async fn connect(self, url: Uri) -> Result<Link, DialError> {
        if self.is_allowed(&url) {
            return Ok(Link(http_client::connect(&url).await?));
        }
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_u16().unwrap_or(443);
        let other = |error: String| ClientError::Other(error);
        let found = lookup_host((host, port))
            .await
            .map_err(|error| other(format!("{host} has no address: {error}")))?;
        let public: Vec<SocketAddr> = found
            .filter(|address| is_public(address.ip()))
            .take(ADDRESSES)
            .collect();
        let mut failure = DialError::Private(host.to_owned());
        for address in public {
            let tcp = match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => tcp,
                Ok(Err(error)) => {
                    failure = other(format!("no connection to {host}: {error}")).into();
                    continue;
                }
                Err(_) => {
                    failure = other(format!("no connection to {host} within {CONNECT:?}")).into();
                    continue;
                }
            };
            let _ = tcp.set_nodelay(true);
            return Ok(Link(http_client::secure(host, tcp).await?));
        }
        Err(failure)
    }
}

type Dialled = Pin<Box<dyn Future<Output = Result<TokioIo<Link>, DialError>> + Send>>;

impl tower::Service<Uri> for Dial {
    type Response = TokioIo<Link>;
    type Error = DialError;
    type Future = Dialled;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Dialled {
        let this = self.clone();
        Box::pin(async move { this.connect(to).await.map(TokioIo::new) })
    }
}
