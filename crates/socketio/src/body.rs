//! Response bodies.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use crate::{DisconnectReason, session::Session};

/// A large response is passed to the HTTP server in pieces of this size. That bounds what the
/// server buffers, and each written piece shows that the client reads.
const PIECE: usize = 64 << 10;

/// The body of a response of [`crate::SocketIo::handle`].
#[derive(Default)]
pub struct Body {
    data: Bytes,
    on_taken: Option<OnTaken>,
    /// The session whose response this is, while some of it remains.
    reader: Option<Arc<Session>>,
    /// The response of another node.
    forwarded: Option<Box<Incoming>>,
}

/// Effects of reading a poll's response: callbacks, and the session whose packets would be lost
/// with it.
struct OnTaken {
    session: Arc<Session>,
    callbacks: Vec<Box<dyn FnOnce() + Send>>,
}

impl Body {
    pub(crate) fn new(data: impl Into<Bytes>) -> Self {
        Self {
            data: data.into(),
            on_taken: None,
            reader: None,
            forwarded: None,
        }
    }

    pub(crate) fn of_poll(
        data: Bytes,
        session: Arc<Session>,
        callbacks: Vec<Box<dyn FnOnce() + Send>>,
    ) -> Self {
        Self {
            data,
            on_taken: Some(OnTaken { session, callbacks }),
            reader: None,
            forwarded: None,
        }
    }

    /// A response that comes from another node.
    pub(crate) fn of_node(response: Incoming) -> Self {
        let mut body = Self::new(Bytes::new());
        body.forwarded = Some(Box::new(response));
        body
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(forwarded) = &mut self.forwarded {
            // If the other node fails, the body ends before its length, and the HTTP server breaks
            // the connection off.
            let frame = Pin::new(&mut **forwarded).poll_frame(cx);
            return frame.map(|frame| frame?.ok().map(Ok));
        }
        if let Some(taken) = self.on_taken.take() {
            self.reader = Some(taken.session);
            taken.callbacks.into_iter().for_each(|callback| callback());
        }
        let length = self.data.len().min(PIECE);
        let mut piece = self.data.split_to(length);
        if length == PIECE
            && let Some(session) = &self.reader
        {
            piece = Bytes::from_owner(Piece {
                bytes: piece,
                session: session.clone(),
            });
        }
        if self.data.is_empty() {
            self.reader = None;
        }
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.forwarded {
            Some(forwarded) => forwarded.is_end_stream(),
            None => self.data.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(forwarded) = &self.forwarded {
            return forwarded.size_hint();
        }
        SizeHint::with_exact(self.data.len() as u64)
    }
}

/// A piece of a large response.
struct Piece {
    bytes: Bytes,
    session: Arc<Session>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.session.on_response_read();
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // The response was not fully read: packets are lost, and a session with a gap must not
        // continue.
        let untaken = self.on_taken.take().map(|untaken| untaken.session);
        if let Some(session) = untaken.or(self.reader.take()) {
            session.close(DisconnectReason::TransportError);
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("bytes", &self.data.len())
            .finish()
    }
}
