//! Reading request bodies within limits.

use std::{future::poll_fn, pin::Pin, time::Duration};

use bytes::{Buf, Bytes};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT},
};
use http_body::Frame;

use crate::received::Received;

/// Maximum bytes read and discarded of a body after it has been refused. If a connection is closed
/// with unread bytes, the operating system resets it, and the client never sees the response.
const REFUSED_BYTES: usize = 8 << 20;
/// Maximum wait for the next piece of such a body.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// A request body, and whether its end has been read.
pub(crate) struct RequestBody<B> {
    /// `None` once it is passed on to another node.
    body: Option<B>,
    is_at_end: bool,
}

impl<B> RequestBody<B>
where
    B: http_body::Body + Unpin,
    B::Data: Buf,
{
    pub(crate) fn new(body: B) -> Self {
        Self {
            is_at_end: body.is_end_stream(),
            body: Some(body),
        }
    }

    /// Whether none of it is left in the connection.
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_at_end
            || self
                .body
                .as_ref()
                .is_none_or(http_body::Body::is_end_stream)
    }

    /// The body, to be read by another node.
    pub(crate) fn take(&mut self) -> Option<B> {
        self.body.take()
    }

    async fn frame(&mut self) -> Option<Result<Frame<B::Data>, B::Error>> {
        let body = self.body.as_mut()?;
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        self.is_at_end |= !matches!(frame, Some(Ok(_)));
        frame
    }

    /// Reads the payload of a POST, and stops at the first byte over its limit or its address's
    /// limit. The bytes count until they are dropped.
    pub(crate) async fn payload(
        &mut self,
        headers: &HeaderMap,
        max: usize,
        mut received: Received,
    ) -> Result<Bytes, StatusCode> {
        // In Engine.IO protocol 4, binary packets are base64; a body of octets belongs to an older
        // protocol.
        if headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == "application/octet-stream")
        {
            return Err(StatusCode::BAD_REQUEST);
        }
        if content_length(headers).is_some_and(|length| length > max as u64) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let mut whole = Vec::new();
        while let Some(frame) = self.frame().await {
            let Ok(mut data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else {
                continue;
            };
            if whole.len() + data.remaining() > max {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            while data.has_remaining() {
                let chunk = data.chunk();
                whole.extend_from_slice(chunk);
                let length = chunk.len();
                data.advance(length);
            }
            if !received.hold(whole.capacity()) {
                return Err(StatusCode::TOO_MANY_REQUESTS);
            }
        }
        Ok(received.keep(whole))
    }

    /// Reads and discards the rest of a refused body. Returns false if it is too large or takes too
    /// long.
    pub(crate) async fn drain(&mut self, content_length: Option<u64>, limit: Duration) -> bool {
        if content_length.is_some_and(|length| length > REFUSED_BYTES as u64) {
            return false;
        }
        tokio::time::timeout(limit, self.drain_rest())
            .await
            .unwrap_or(false)
    }

    async fn drain_rest(&mut self) -> bool {
        let mut left = REFUSED_BYTES;
        while !self.is_at_end() {
            let Ok(frame) = tokio::time::timeout(REFUSED_PAUSE, self.frame()).await else {
                return false;
            };
            let length = frame
                .and_then(|frame| frame.ok()?.into_data().ok())
                .map_or(0, |data| data.remaining());
            let Some(less) = left.checked_sub(length) else {
                return false;
            };
            left = less;
        }
        true
    }
}

/// The length of the body according to its `Content-Length`.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the client waits for permission to send the body (RFC 9110, section 10.1.1); it will not
/// send it after a refusal.
pub(crate) fn expects_continue(headers: &HeaderMap) -> bool {
    headers.contains_key(EXPECT)
}
