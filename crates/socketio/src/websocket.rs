//! A WebSocket connection: it reads into a shared buffer, and writes all queued frames with one
//! system call.

use std::{
    cell::Cell,
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    codec::{
        frame::{self, FrameError, OpCode},
        message::{Limits, Message, Reader},
    },
    received::{COUNTING_UNIT, Received},
    session::Item,
    stream::Stream,
};

/// Size of the read buffer, which all connections on a thread share.
const READ_BUFFER_BYTES: usize = 32 * 1024;
/// Maximum slices in one system call; more are written with several calls.
const MAX_SLICES: usize = 128;
/// Time within which a close frame must be sent and answered.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes that a client may still send meanwhile.
const MAX_DISCARDED_AT_CLOSE: usize = 1 << 20;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(crate) struct WebSocket {
    stream: Stream,
    reader: Reader,
    /// Counts the bytes of an incomplete message, once it is large.
    received: Option<Box<Received>>,
    /// The reader may hold complete messages: it was stopped, or was given bytes that hyper had
    /// read.
    resume: bool,
    /// Taken from the session's queue and not written yet; the first item may be partly written.
    unsent: VecDeque<Item>,
    unsent_is_partial: bool,
    /// The handshake has negotiated compression.
    #[cfg(feature = "deflate")]
    compresses: bool,
}

/// Why reading stopped.
pub(crate) enum ReadEnd {
    /// No more bytes are available now; the task is woken when there are.
    Pending,
    /// The receiver asked to stop.
    Stopped,
    /// The client or the network closed the connection.
    Closed,
    /// Incomplete messages exceed the limit of the client's address.
    OverLimit,
    /// The client violated the protocol.
    Refused(FrameError),
}

impl WebSocket {
    pub(crate) fn new(stream: Stream, early: Bytes) -> Self {
        let mut reader = Reader::default();
        let resume = !early.is_empty();
        reader.prime(&early);
        Self {
            stream,
            reader,
            received: None,
            resume,
            unsent: VecDeque::new(),
            unsent_is_partial: false,
            #[cfg(feature = "deflate")]
            compresses: false,
        }
    }

    /// Sets whether messages may be compressed.
    #[cfg(feature = "deflate")]
    pub(crate) fn compressing(self, compresses: bool) -> Self {
        Self { compresses, ..self }
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn compresses(&self) -> bool {
        self.compresses
    }

    fn feed(
        &mut self,
        bytes: &mut [u8],
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FrameError> {
        #[cfg(feature = "deflate")]
        if self.compresses {
            return self.reader.feed_compressed(bytes, limits, each);
        }
        self.reader.feed(bytes, limits, each)
    }

    /// Reads messages and passes them to `each` until none is left or `each` breaks. `received`
    /// returns a counter for the bytes of an incomplete message.
    pub(crate) fn read(
        &mut self,
        received: &impl Fn() -> Received,
        cx: &mut Context<'_>,
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> ReadEnd {
        // Taken out of the cell, in case a handler drives another connection from within.
        let mut buffer = BUFFER.take();
        buffer.resize(READ_BUFFER_BYTES, 0);
        let end = self.read_into(&mut buffer, received, cx, limits, each);
        BUFFER.set(buffer);
        end
    }

    fn read_into(
        &mut self,
        buffer: &mut [u8],
        received: &impl Fn() -> Received,
        cx: &mut Context<'_>,
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> ReadEnd {
        loop {
            let fed = if std::mem::take(&mut self.resume) {
                self.feed(&mut [], limits, each)
            } else {
                let mut read = ReadBuf::new(buffer);
                match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                    Poll::Pending => return ReadEnd::Pending,
                    Poll::Ready(Err(_)) => return ReadEnd::Closed,
                    Poll::Ready(Ok(())) if read.filled().is_empty() => return ReadEnd::Closed,
                    Poll::Ready(Ok(())) => self.feed(read.filled_mut(), limits, each),
                }
            };
            match fed {
                Err(error) => return ReadEnd::Refused(error),
                Ok(_) if !self.count_partial(received) => return ReadEnd::OverLimit,
                Ok(ControlFlow::Break(())) => {
                    self.resume = true;
                    return ReadEnd::Stopped;
                }
                Ok(ControlFlow::Continue(())) => {}
            }
        }
    }

    /// Counts the bytes of an incomplete message. Returns false if they exceed the limit.
    fn count_partial(&mut self, received: &impl Fn() -> Received) -> bool {
        let buffered = self.reader.buffered();
        if buffered < COUNTING_UNIT {
            self.received = None;
            return true;
        }
        self.received
            .get_or_insert_with(|| Box::new(received()))
            .hold(buffered)
    }

    /// Taken from a queue and not written yet.
    pub(crate) fn unsent(&self) -> &VecDeque<Item> {
        &self.unsent
    }

    /// Sets what is to be written next, once everything before it is written.
    pub(crate) fn send(&mut self, items: VecDeque<Item>) {
        self.unsent = items;
    }

    /// Writes what a stream has buffered below these items. Returns whether everything was written.
    ///
    /// # Errors
    /// If the connection has failed.
    pub(crate) fn flush_buffered(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        self.stream.flush_buffered(cx)
    }

    /// Writes once. Returns the number of bytes written.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut frames = self.unsent.iter().filter_map(|item| match item {
            Item::Frames(frames) => Some(frames),
            Item::Written(_) => None,
        });
        let stream = Pin::new(&mut self.stream);
        let written = match (frames.next(), frames.next()) {
            (None, _) => 0,
            // By far the most common case, and `write` is faster than `writev`.
            (Some(only), None) => non_zero(ready!(stream.poll_write(cx, only)))?,
            (Some(first), Some(second)) => {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                slices[0] = IoSlice::new(first);
                slices[1] = IoSlice::new(second);
                let mut count = 2;
                for (slice, frames) in slices[2..].iter_mut().zip(frames) {
                    *slice = IoSlice::new(frames);
                    count += 1;
                }
                non_zero(ready!(stream.poll_write_vectored(cx, &slices[..count])))?
            }
        };
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(front) = self.unsent.front_mut() {
            if let Item::Frames(frames) = front {
                if written < frames.len() {
                    frames.advance(written);
                    self.unsent_is_partial |= written > 0;
                    return;
                }
                written -= frames.len();
                self.unsent_is_partial = false;
            }
            if let Some(Item::Written(callback)) = self.unsent.pop_front() {
                callback();
            }
        }
        // An idle connection holds no memory for a queue.
        self.unsent = VecDeque::new();
    }

    /// Sends the remaining items if `rest` is given, then a close frame, and waits briefly for the
    /// client to close too, so that a TCP reset does not destroy what was sent.
    pub(crate) async fn close(mut self, rest: Option<VecDeque<Item>>, code: u16) {
        // No more messages are read.
        self.reader = Reader::default();
        self.received = None;
        let mut last = BytesMut::new();
        if let Some(rest) = rest {
            for item in self.unsent.drain(..).chain(rest) {
                if let Item::Frames(frames) = item {
                    last.extend_from_slice(&frames);
                }
            }
            self.unsent_is_partial = false;
        }
        self.unsent = VecDeque::new();
        // After a partial frame, a close frame would be invalid.
        if !self.unsent_is_partial {
            frame::encode(&mut last, OpCode::Close, &code.to_be_bytes());
        }
        let closing = async {
            self.stream.write_all(&last).await?;
            drop(last);
            self.stream.shutdown().await?;
            let mut left = MAX_DISCARDED_AT_CLOSE;
            loop {
                match poll_fn(|cx| self.poll_discard(cx)).await? {
                    read if read == 0 || read > left => return io::Result::Ok(()),
                    read => left -= read,
                }
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }

    /// Reads once and discards. Uses the shared buffer: a client that keeps sending must not cost a
    /// system call for every few bytes, nor a closing connection memory for them.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = BUFFER.take();
        buffer.resize(READ_BUFFER_BYTES, 0);
        let mut read = ReadBuf::new(&mut buffer);
        let result = Pin::new(&mut self.stream).poll_read(cx, &mut read);
        let count = read.filled().len();
        BUFFER.set(buffer);
        result.map_ok(|()| count)
    }

    /// Writes bytes directly, for the upgrade probe.
    pub(crate) fn poll_write_now(
        &mut self,
        bytes: &mut Bytes,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !bytes.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(count) => {
                    bytes.advance(count?);
                    self.unsent_is_partial = !bytes.is_empty();
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.stream.flush_buffered(cx)? {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

/// Treats a write of zero bytes as an error: the stream will accept nothing more.
fn non_zero(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use tokio::io::DuplexStream;

    /// Counts reads that return bytes.
    struct Counting(DuplexStream, Arc<AtomicUsize>);

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
            self.1.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    #[tokio::test]
    async fn a_close_discards_what_still_arrives_in_few_reads() -> io::Result<()> {
        let (mut client, server) = tokio::io::duplex(2 * MAX_DISCARDED_AT_CLOSE);
        client.write_all(&vec![0; MAX_DISCARDED_AT_CLOSE]).await?;
        drop(client.shutdown().await);
        let reads = Arc::new(AtomicUsize::new(0));
        let stream = Stream::Other(Box::new(Counting(server, reads.clone())));
        WebSocket::new(stream, Bytes::new()).close(None, 1000).await;
        let fewest = MAX_DISCARDED_AT_CLOSE / READ_BUFFER_BYTES + 1;
        assert_eq!(reads.load(Ordering::Relaxed), fewest);
        Ok(())
    }
}
