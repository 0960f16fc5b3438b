//! A stream whose writes fail when the peer stops reading.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// A stream whose writes fail with [`io::ErrorKind::TimedOut`] if the peer reads none of the
/// pending bytes for `limit`.
///
/// An HTTP server passes a response to its connection and waits until the client has read it; a
/// client that never reads keeps the response in memory. Put this stream between TCP and hyper:
/// hyper then drops the connection with everything it holds.
///
/// ```no_run
/// # use std::{convert::Infallible, time::Duration};
/// # use hyper::{server::conn::http1, service::service_fn};
/// # use hyper_util::rt::TokioIo;
/// # async fn serve(stream: tokio::net::TcpStream, peer: std::net::SocketAddr, io: socketio::SocketIo) -> hyper::Result<()> {
/// use socketio::WriteTimeout;
///
/// let stream = WriteTimeout::new(stream, Some(Duration::from_secs(20)));
/// let service = service_fn(move |request| {
///     let io = io.clone();
///     async move { Ok::<_, Infallible>(io.handle(request, peer).await) }
/// });
/// http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await
/// # }
/// ```
///
/// Every byte that the peer reads restarts the time, so a slow client that keeps reading is never
/// disconnected. The time runs only while a write, a flush or a shutdown is pending: an idle
/// connection owns no timer. `None` sets no limit. Bytes that the kernel has accepted are not
/// covered; after that the limit on idle connections applies.
///
/// [`crate::SocketIo::handle`] extracts the `TcpStream` from a `TokioIo<WriteTimeout<TcpStream>>`
/// for a WebSocket, as from a `TokioIo<TcpStream>`; from then on [`crate::Config::write_timeout`]
/// is the limit. [`crate::Serve`] does all of this itself.
#[derive(Debug)]
pub struct WriteTimeout<S> {
    stream: S,
    limit: Option<Duration>,
    /// Set while an operation is pending.
    deadline: Option<Pin<Box<Sleep>>>,
    /// A write is pending, so a successful flush proves nothing: a stream without its own buffer
    /// always flushes.
    write_waits: bool,
}

impl<S> WriteTimeout<S> {
    /// Wraps a stream with a limit on the time that a write may wait without progress.
    pub fn new(stream: S, limit: Option<Duration>) -> Self {
        Self {
            stream,
            limit,
            deadline: None,
            write_waits: false,
        }
    }

    /// Returns the stream, without a limit.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// The underlying stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Starts the timer when an operation is pending, and stops it when one completes.
    fn watch<T>(
        &mut self,
        attempt: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            self.deadline = None;
            return attempt;
        }
        let Some(limit) = self.limit else {
            return Poll::Pending;
        };
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer read nothing within the write timeout",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.write_waits = attempt.is_pending();
        self.watch(attempt, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.stream).poll_flush(cx);
        if attempt.is_ready() && self.write_waits {
            attempt
        } else {
            self.watch(attempt, cx)
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(attempt, cx)
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
        self.write_waits = attempt.is_pending();
        self.watch(attempt, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn h3_a_write_fails_when_the_other_side_reads_nothing_for_the_limit() {
        let (_other, stream) = tokio::io::duplex(8);
        let mut stream = WriteTimeout::new(stream, Some(LIMIT));
        let began = Instant::now();
        let error = stream.write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            began.elapsed() >= LIMIT && began.elapsed() < LIMIT + Duration::from_millis(10),
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn h3_a_slow_reader_that_goes_on_reading_is_never_cut_off() {
        let (mut other, stream) = tokio::io::duplex(8);
        let mut stream = WriteTimeout::new(stream, Some(LIMIT));
        let writing = tokio::spawn(async move {
            stream.write_all(&[7; 100]).await.unwrap();
            stream.flush().await.unwrap();
        });
        for _ in 0..100 {
            tokio::time::sleep(LIMIT - Duration::from_millis(10)).await;
            assert_eq!(other.read_u8().await.unwrap(), 7);
        }
        writing.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn h3_without_a_limit_a_write_waits() {
        let (mut other, stream) = tokio::io::duplex(8);
        let mut stream = WriteTimeout::new(stream, None);
        let writing = tokio::spawn(async move { stream.write_all(&[7; 9]).await });
        tokio::time::sleep(LIMIT * 100).await;
        assert!(!writing.is_finished());
        other.read_exact(&mut [0; 9]).await.unwrap();
        writing.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn h3_a_flush_that_changes_nothing_does_not_start_the_time_anew() {
        let (_other, stream) = tokio::io::duplex(8);
        let mut stream = WriteTimeout::new(stream, Some(LIMIT));
        let began = Instant::now();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(
            Pin::new(&mut stream).poll_write(&mut cx, &[0; 9]),
            Poll::Ready(Ok(8))
        ));
        loop {
            match Pin::new(&mut stream).poll_write(&mut cx, &[0; 9]) {
                Poll::Ready(result) => {
                    break assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
                }
                Poll::Pending => {}
            }
            assert!(Pin::new(&mut stream).poll_flush(&mut cx).is_ready());
            tokio::time::sleep(LIMIT / 4).await;
        }
        assert!(began.elapsed() < LIMIT * 2);
    }
}
