//! Requests of this node to another one.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header::HOST};
use http_body::{Body as _, Frame, SizeHint};

use super::{Cluster, pool::AnyBody};

impl Cluster {
    /// Posts to another node, for a client, and reads the response of at most `max` bytes. `None` if
    /// the node is unknown, cannot be reached, or refuses. The caller limits the time.
    pub(crate) async fn ask(
        &self,
        tag: &str,
        path: &str,
        body: Bytes,
        client: SocketAddr,
        max: usize,
    ) -> Option<Bytes> {
        if *self.stopping.borrow() {
            return None;
        }
        let address = self.nodes.find(tag).await?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, &address)
            .body(Box::pin(AnyBody(Whole(body))) as _)
            .ok()?;
        self.nodes.sign(request.headers_mut(), client);
        let response = match self.pool.send(&address, request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(tag, error, "another node did not take a request");
                return None;
            }
        };
        let is_ok = response.status() == StatusCode::OK;
        let mut body = response.into_body();
        let mut whole = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(data) = frame.ok()?.into_data() else {
                continue;
            };
            if whole.len() + data.len() > max {
                return None;
            }
            whole.extend_from_slice(&data);
        }
        is_ok.then(|| whole.into())
    }
}

/// A complete body.
struct Whole(Bytes);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = std::mem::take(&mut self.0);
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
