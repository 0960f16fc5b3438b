//! The bodies of answers.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::{DisconnectReason, session::Session};

/// The body of an answer: one piece of bytes, or none.
#[derive(Default)]
pub struct Body {
    data: Bytes,
    on_taken: Option<OnTaken>,
}

/// What hangs on a poll's answer: callbacks, and the session whose packets would be lost with it.
struct OnTaken {
    session: Arc<Session>,
    callbacks: Vec<Box<dyn FnOnce() + Send>>,
}

impl Body {
    pub(crate) fn new(data: impl Into<Bytes>) -> Self {
        Self { data: data.into(), on_taken: None }
    }

    pub(crate) fn of_poll(data: Vec<u8>, session: Arc<Session>, callbacks: Vec<Box<dyn FnOnce() + Send>>) -> Self {
        Self { data: data.into(), on_taken: Some(OnTaken { session, callbacks }) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(taken) = self.on_taken.take() {
            taken.callbacks.into_iter().for_each(|callback| callback());
        }
        let data = std::mem::take(&mut self.data);
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.len() as u64)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // Nobody took the answer: its packets are lost, and a session with a gap in it must not go on.
        if let Some(untaken) = self.on_taken.take() {
            untaken.session.close(DisconnectReason::TransportError);
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("bytes", &self.data.len()).finish()
    }
}
