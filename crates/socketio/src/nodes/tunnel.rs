//! The bytes of a WebSocket between a client and the node that has its session.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::stream::Stream;

/// Bytes read at once. The buffer is on the stack: an idle tunnel holds none.
const CHUNK: usize = 16 << 10;
/// Time for the second side to close after the first.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Two streams, of which each receives what the other sends.
pub(super) struct Tunnel {
    client: Stream,
    node: Stream,
    to_node: Way,
    to_client: Way,
    last_read: Instant,
    /// When the first side closed.
    half_closed: Option<Instant>,
}

/// How far a tunnel has closed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    OneSide,
    Both,
}

/// One direction.
struct Way {
    /// Read, and not yet taken by the other side. Nothing more is read meanwhile.
    pending: Bytes,
    /// When the other side last took something, while `pending` waits.
    taken: Instant,
    is_at_end: bool,
    is_shut: bool,
}

impl Way {
    fn new(early: Bytes) -> Self {
        Self {
            pending: early,
            taken: Instant::now(),
            is_at_end: false,
            is_shut: false,
        }
    }

    /// Copies what can be copied now. Returns whether anything was read.
    fn copy(
        &mut self,
        from: &mut Stream,
        to: &mut Stream,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let mut has_read = false;
        loop {
            if !self.pending.is_empty() {
                match Pin::new(&mut *to).poll_write(cx, &self.pending)? {
                    Poll::Pending => return Ok(has_read),
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(written) => {
                        self.pending.advance(written);
                        self.taken = Instant::now();
                    }
                }
                if self.pending.is_empty() {
                    // Give the memory back.
                    self.pending = Bytes::new();
                }
                continue;
            }
            if self.is_at_end {
                self.is_shut = self.is_shut || Pin::new(&mut *to).poll_shutdown(cx)?.is_ready();
                return Ok(has_read);
            }
            let mut chunk = [std::mem::MaybeUninit::uninit(); CHUNK];
            let mut buf = ReadBuf::uninit(&mut chunk);
            if Pin::new(&mut *from).poll_read(cx, &mut buf)?.is_pending() {
                to.flush_buffered(cx)?;
                return Ok(has_read);
            }
            let read = buf.filled();
            self.is_at_end = read.is_empty();
            has_read = true;
            let written = match Pin::new(&mut *to).poll_write(cx, read)? {
                Poll::Ready(written) => written,
                Poll::Pending => 0,
            };
            if written < read.len() {
                self.pending = Bytes::copy_from_slice(&read[written..]);
                self.taken = Instant::now();
            }
        }
    }

    fn is_stuck(&self, limit: Option<Duration>) -> bool {
        !self.pending.is_empty() && limit.is_some_and(|limit| self.taken.elapsed() > limit)
    }
}

impl Tunnel {
    /// The streams, each with bytes that were read from it already.
    pub(super) fn new(client: (Stream, Bytes), node: (Stream, Bytes)) -> Self {
        Self {
            client: client.0,
            node: node.0,
            to_node: Way::new(client.1),
            to_client: Way::new(node.1),
            last_read: Instant::now(),
            half_closed: None,
        }
    }

    /// Copies in both directions. Ready once when the first side has closed, then when both have,
    /// or when one has failed.
    pub(super) fn poll_copy(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Closed>> {
        let has_read = self.to_node.copy(&mut self.client, &mut self.node, cx)?
            | self.to_client.copy(&mut self.node, &mut self.client, cx)?;
        if has_read {
            self.last_read = Instant::now();
        }
        if self.to_node.is_shut && self.to_client.is_shut {
            return Poll::Ready(Ok(Closed::Both));
        }
        if self.half_closed.is_none() && (self.to_node.is_at_end || self.to_client.is_at_end) {
            self.half_closed = Some(Instant::now());
            return Poll::Ready(Ok(Closed::OneSide));
        }
        Poll::Pending
    }

    /// Whether a side reads nothing of what waits for it, nothing comes at all, or the second side
    /// does not follow the first in closing.
    pub(super) fn is_overdue(&self, write: Option<Duration>, silence: Duration) -> bool {
        self.to_node.is_stuck(write)
            || self.to_client.is_stuck(write)
            || self.last_read.elapsed() > silence
            || self
                .half_closed
                .is_some_and(|since| since.elapsed() >= CLOSE_TIMEOUT)
    }
}
