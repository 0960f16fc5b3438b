//! Connections to other nodes, which are used again.

use std::{
    collections::HashMap,
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{net::TcpStream, time::Instant};

/// Time within which another node must accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections that wait for the next request to one node; more are closed.
const MAX_IDLE: usize = 64;
/// How long a connection waits for its next request: less than the other node keeps it open.
const IDLE: Duration = Duration::from_secs(20);

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request that is passed on.
pub(super) type ForwardedBody =
    Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send>>;

type Sender = SendRequest<ForwardedBody>;

/// A body of any kind, passed on piece by piece.
pub(super) struct AnyBody<B>(pub(super) B);

impl<B> http_body::Body for AnyBody<B>
where
    B: http_body::Body + Unpin,
    B::Data: Buf,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx).map(|frame| {
            frame.map(|frame| {
                frame
                    .map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
                    .map_err(Into::into)
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Connections that wait for their next request, by address.
#[derive(Default)]
pub(super) struct Pool(Arc<Mutex<HashMap<String, Vec<Idle>>>>);

struct Idle {
    sender: Sender,
    since: Instant,
}

impl Idle {
    fn is_usable(&self) -> bool {
        self.sender.is_ready() && self.since.elapsed() < IDLE
    }
}

impl Pool {
    /// Sends a request, over a connection that waits for one if there is any. A request that never
    /// left over such a connection, because the other node had closed it, is sent over a new one.
    pub(super) async fn send(
        &self,
        address: &str,
        mut request: Request<ForwardedBody>,
    ) -> Result<Response<Incoming>, BoxError> {
        while let Some(mut sender) = self.take(address) {
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.return_later(address, sender);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut sender = connect(address).await?;
        let response = sender.send_request(request).await?;
        self.return_later(address, sender);
        Ok(response)
    }

    fn take(&self, address: &str) -> Option<Sender> {
        let mut all = self.0.lock();
        let idle = all.get_mut(address)?;
        // The newest first, so that what is not needed grows old.
        while let Some(newest) = idle.pop() {
            if newest.is_usable() {
                return Some(newest.sender);
            }
        }
        all.remove(address);
        None
    }

    /// Keeps the connection once its response has been read.
    fn return_later(&self, address: &str, mut sender: Sender) {
        let (all, address) = (self.0.clone(), address.to_owned());
        tokio::spawn(async move {
            if sender.ready().await.is_err() {
                return;
            }
            let mut all = all.lock();
            all.retain(|_, idle| {
                idle.retain(Idle::is_usable);
                !idle.is_empty()
            });
            let idle = all.entry(address).or_default();
            if idle.len() < MAX_IDLE {
                let since = Instant::now();
                idle.push(Idle { sender, since });
            }
        });
    }
}

/// Opens a connection.
pub(super) async fn connect(address: &str) -> Result<Sender, BoxError> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
    let _ = stream.set_nodelay(true);
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to another node failed");
        }
    });
    Ok(sender)
}
