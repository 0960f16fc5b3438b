//! A WebSocket at work: reading without a buffer of its own, writing what has gathered in one go.

use std::{
    cell::Cell,
    collections::VecDeque,
    io::{self, IoSlice},
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    DisconnectReason,
    codec::{
        frame::{self, FrameError, OpCode},
        message::{Limits, Message, Reader},
    },
    received::{PIECE, Received},
    session::{Item, Session},
    stream::Stream,
};

/// Read into by whichever connection of the thread is having its turn.
const READ_BUFFER: usize = 32 * 1024;
/// Pieces in one system call; more than this is written in several.
const GATHER: usize = 128;
/// How long a close frame may take to be sent and answered.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How much a client may still send meanwhile.
const CLOSE_IGNORED: usize = 1 << 20;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

pub(crate) struct WebSocket {
    stream: Stream,
    reader: Reader,
    /// Counts what the reader holds of a message that is not whole, once that is much.
    received: Option<Box<Received>>,
    /// The reader may hold whole messages: it was stopped, or was given bytes that hyper had read.
    resume: bool,
    /// Taken from the session's queue and not written yet; the first one may have been written in
    /// part.
    unsent: VecDeque<Item>,
    unsent_is_partial: bool,
    /// Messages may be compressed, as was agreed in the handshake.
    #[cfg(feature = "deflate")]
    compresses: bool,
}

/// Why reading came to an end.
pub(crate) enum ReadEnd {
    /// Nothing more to read now; the task is woken when there is.
    Pending,
    /// The receiver has had enough for now.
    Stopped,
    /// The client has closed its side, or the network did.
    Closed,
    /// Too much of messages that are not whole would be held for the client's address.
    TooMuch,
    /// The client broke the protocol.
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

    /// The same, whose messages may be compressed, or not.
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

    /// Reads and gives messages to `each` until there is no more, or `each` breaks.
    pub(crate) fn read(
        &mut self,
        session: &Session,
        cx: &mut Context<'_>,
        limits: Limits,
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> ReadEnd {
        // Taken out, not borrowed, in case a handler drives another connection within its turn.
        let mut buffer = BUFFER.take();
        buffer.resize(READ_BUFFER, 0);
        let end = self.read_into(&mut buffer, session, cx, limits, each);
        BUFFER.set(buffer);
        end
    }

    fn read_into(
        &mut self,
        buffer: &mut [u8],
        session: &Session,
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
                Ok(_) if !self.count_partial(session) => return ReadEnd::TooMuch,
                Ok(ControlFlow::Break(())) => {
                    self.resume = true;
                    return ReadEnd::Stopped;
                }
                Ok(ControlFlow::Continue(())) => {}
            }
        }
    }

    /// Counts what is held of a message that is not whole. False if it is too much.
    fn count_partial(&mut self, session: &Session) -> bool {
        let kept = self.reader.kept();
        if kept < PIECE {
            self.received = None;
            return true;
        }
        self.received
            .get_or_insert_with(|| Box::new(session.received()))
            .hold(kept)
    }

    /// Writes what is queued, as far as it goes. True if all of it went.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(crate) fn flush(&mut self, session: &Session, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut written = 0;
        loop {
            if self.unsent.is_empty() {
                self.unsent = session.take_queue(written);
                written = 0;
                if self.unsent.is_empty() {
                    return self.stream.pass_on(cx);
                }
            }
            match self.write(cx) {
                Poll::Ready(count) => written += count?,
                Poll::Pending => {
                    // What comes meanwhile stays in the session's queue, in order behind this.
                    if !session.count_blocked(written, &self.unsent) {
                        session.close(DisconnectReason::SlowReader);
                    }
                    return Ok(false);
                }
            }
        }
    }

    /// Writes once. Gives how many bytes went.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut frames = self.unsent.iter().filter_map(|item| match item {
            Item::Frames(frames) => Some(frames),
            Item::Written(_) => None,
        });
        let stream = Pin::new(&mut self.stream);
        let written = match (frames.next(), frames.next()) {
            (None, _) => 0,
            // By far the most frequent case, and the kernel is quicker with it.
            (Some(only), None) => some_written(ready!(stream.poll_write(cx, only)))?,
            (Some(first), Some(second)) => {
                let mut slices = [IoSlice::new(&[]); GATHER];
                slices[0] = IoSlice::new(first);
                slices[1] = IoSlice::new(second);
                let mut count = 2;
                for (slice, frames) in slices[2..].iter_mut().zip(frames) {
                    *slice = IoSlice::new(frames);
                    count += 1;
                }
                some_written(ready!(stream.poll_write_vectored(cx, &slices[..count])))?
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
        // An idle connection keeps no room for a queue.
        self.unsent = VecDeque::new();
    }

    /// Sends what is left if `rest` is given, then a close frame, and waits a moment for the other
    /// side to close too, so that what was sent is not lost to a reset.
    pub(crate) async fn close(mut self, rest: Option<VecDeque<Item>>, code: u16) {
        // Nothing is taken any more.
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
        // Behind half a frame a close frame would not be one.
        if !self.unsent_is_partial {
            frame::encode(&mut last, OpCode::Close, &code.to_be_bytes());
        }
        let goodbye = async {
            self.stream.write_all(&last).await?;
            drop(last);
            self.stream.shutdown().await?;
            let mut ignored = [0; 512];
            let mut left = CLOSE_IGNORED;
            loop {
                match self.stream.read(&mut ignored).await? {
                    read if read == 0 || read > left => return io::Result::Ok(()),
                    read => left -= read,
                }
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
    }

    /// For the handshake of an upgrade, before there is a session to write from.
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
        if self.stream.pass_on(cx)? {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

/// A stream that takes nothing will never take anything.
fn some_written(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        result => result,
    }
}
