//! The stream of an HTTP connection, with a close that does not destroy the response.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{HttpDeadline, WriteTimeout};

/// After the last byte is written, a client that is still sending is read for at most this time in
/// total, …
const LINGER: Duration = Duration::from_secs(10);
/// … with at most this time between two reads, …
const LINGER_QUIET: Duration = Duration::from_secs(2);
/// … and at most this many bytes.
const LINGER_BYTES: usize = 64 << 20;

/// A stream to serve HTTP on: a [`WriteTimeout`] that reports reads and writes to an
/// [`HttpDeadline`], and that closes so that the client receives the response.
///
/// A server may respond before it has read the whole request (413 to a large body, 431, 404). If it
/// then closes the connection with request bytes unread, the operating system resets it, and the
/// client, which is still writing, never reads the response. A shutdown of this stream therefore
/// ends the writing, then reads and discards bytes until the client closes, for at most 10 s, 2 s
/// of silence and 64 MiB.
///
/// ```no_run
/// # use std::{convert::Infallible, time::Duration};
/// # use hyper::{server::conn::http1, service::service_fn};
/// # use hyper_util::rt::TokioIo;
/// # async fn serve(stream: tokio::net::TcpStream, peer: std::net::SocketAddr, io: socketio::SocketIo) {
/// use socketio::{HttpDeadline, HttpStream};
///
/// let deadline = HttpDeadline::new(Duration::from_secs(30), Some(Duration::from_secs(75)));
/// let stream = HttpStream::new(stream, Some(Duration::from_secs(20)), deadline.clone());
/// let requests = deadline.clone();
/// let service = service_fn(move |request| {
///     let (io, under_way) = (io.clone(), requests.request());
///     async move {
///         let answer = io.handle(request, peer).await;
///         drop(under_way);
///         Ok::<_, Infallible>(answer)
///     }
/// });
/// let connection = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service).with_upgrades();
/// tokio::select! {
///     _ = connection => {}
///     () = deadline.passed() => {}
/// }
/// # }
/// ```
///
/// [`crate::SocketIo::handle`] extracts the `TcpStream` from a `TokioIo<HttpStream<TcpStream>>` for
/// a WebSocket. [`crate::Serve`] does all of this itself.
#[derive(Debug)]
pub struct HttpStream<S> {
    stream: WriteTimeout<S>,
    deadline: Arc<HttpDeadline>,
    linger: Option<Box<Linger>>,
}

/// Remaining time and bytes to read after the end of writing.
#[derive(Debug)]
struct Linger {
    ends: Instant,
    quiet: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S> HttpStream<S> {
    /// Wraps a stream. `write_timeout` is the limit of its [`WriteTimeout`].
    pub fn new(stream: S, write_timeout: Option<Duration>, deadline: Arc<HttpDeadline>) -> Self {
        Self {
            stream: WriteTimeout::new(stream, write_timeout),
            deadline,
            linger: None,
        }
    }

    /// Returns the stream, without limits.
    pub fn into_inner(self) -> S {
        self.stream.into_inner()
    }

    fn note_written<T>(&self, attempt: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &attempt {
            Poll::Ready(Ok(_)) => self.deadline.on_written(),
            Poll::Pending => self.deadline.on_blocked(),
            Poll::Ready(Err(_)) => {}
        }
        attempt
    }
}

impl<S: AsyncRead + Unpin> HttpStream<S> {
    /// Reads and discards. Ready when the client has closed or a bound is reached.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| {
            let now = Instant::now();
            Box::new(Linger {
                ends: now + LINGER,
                quiet: Box::pin(sleep_until(now + LINGER_QUIET)),
                bytes: LINGER_BYTES,
            })
        });
        let mut dropped = [0; 16 << 10];
        loop {
            let mut buf = ReadBuf::new(&mut dropped);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    let now = Instant::now();
                    linger.bytes = linger.bytes.saturating_sub(buf.filled().len());
                    if linger.bytes == 0 || now >= linger.ends {
                        return Poll::Ready(());
                    }
                    linger
                        .quiet
                        .as_mut()
                        .reset((now + LINGER_QUIET).min(linger.ends));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return linger.quiet.as_mut().poll(cx),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HttpStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.deadline.on_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HttpStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_written(attempt)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.poll_linger(cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_written(attempt)
    }
}

#[cfg(test)]
mod tests;
