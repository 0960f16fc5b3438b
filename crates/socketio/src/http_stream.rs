//! The stream of an HTTP connection: limits on silence, and a close that does not destroy the
//! response.

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

use crate::{WriteTimeout, sync::Mutex};

/// After the last byte is written, a client that is still sending is read for at most this time in
/// total, …
const LINGER: Duration = Duration::from_secs(10);
/// … with at most this time between two reads, …
const LINGER_QUIET: Duration = Duration::from_secs(2);
/// … and at most this many bytes.
const LINGER_BYTES: usize = 64 << 20;

/// Minimum interval between two checks of a deadline, however short the limits are.
const MIN_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// The time at which a silent HTTP connection is to be closed. [`HttpStream`] reports reads and
/// writes; [`Self::request`] marks requests that are being answered.
///
/// - The head of the first request must arrive within `head_timeout` after the connection was
///   accepted.
/// - After the last byte of a response, the connection may be idle for `keep_alive`. Set it longer
///   than the proxy in front keeps its connections; otherwise the proxy may send a request on a
///   closed connection.
/// - The head of a later request must arrive within `head_timeout` after its first byte.
/// - There is no limit while a request is being answered or a response waits for the client to
///   read: [`WriteTimeout`] limits that.
#[derive(Debug)]
pub struct HttpDeadline {
    head_timeout: Duration,
    keep_alive: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A head is being read.
    Head,
    /// A request is being answered.
    Answering,
    /// A response is being written, or the connection is idle.
    Idle,
}

impl HttpDeadline {
    /// Starts the deadline of a connection that has just been accepted. Without `keep_alive`, it
    /// may be idle forever.
    #[must_use]
    pub fn new(head_timeout: Duration, keep_alive: Option<Duration>) -> Arc<Self> {
        let state = State {
            phase: Phase::Head,
            at: Some(Instant::now() + head_timeout),
        };
        Arc::new(Self {
            head_timeout,
            keep_alive,
            state: Mutex::new(state),
        })
    }

    /// Marks the start of a request. It counts as being answered until the returned guard is
    /// dropped.
    #[must_use]
    pub fn request(self: &Arc<Self>) -> RequestGuard {
        *self.state.lock() = State {
            phase: Phase::Answering,
            at: None,
        };
        RequestGuard(self.clone())
    }

    /// Completes when the connection is to be closed.
    pub async fn passed(&self) {
        loop {
            let now = Instant::now();
            // The earliest time at which a phase that begins from now on can be overdue.
            let soonest = self.keep_alive.map_or(self.head_timeout, |keep_alive| {
                keep_alive.min(self.head_timeout)
            });
            let again = now + soonest.max(MIN_CHECK_INTERVAL);
            let check_at = match self.state.lock().at {
                Some(at) if at <= now => return,
                Some(at) => at.min(again),
                None => again,
            };
            sleep_until(check_at).await;
        }
    }

    fn on_read(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Idle {
            *state = State {
                phase: Phase::Head,
                at: Some(Instant::now() + self.head_timeout),
            };
        }
    }

    fn on_written(&self) {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Answering => {}
            // The next request began to arrive while this response was being written.
            Phase::Head => state.at = Some(Instant::now() + self.head_timeout),
            Phase::Idle => state.at = self.idle_until(),
        }
    }

    /// The client has not read the response: the connection is not idle, and a request head behind
    /// the response is not late.
    fn on_blocked(&self) {
        self.state.lock().at = None;
    }

    fn idle_until(&self) -> Option<Instant> {
        self.keep_alive
            .map(|keep_alive| Instant::now() + keep_alive)
    }
}

/// Marks a request as being answered until it is dropped: see [`HttpDeadline::request`].
#[derive(Debug)]
pub struct RequestGuard(Arc<HttpDeadline>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        *self.0.state.lock() = State {
            phase: Phase::Idle,
            at: self.0.idle_until(),
        };
    }
}

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
        let mut dropped = [0; 4 << 10];
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
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const HEAD: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(75);

    /// Time from now until the deadline passes.
    async fn passes(deadline: &HttpDeadline) -> Duration {
        let began = Instant::now();
        deadline.passed().await;
        began.elapsed()
    }

    fn about(took: Duration, expected: Duration) {
        assert!(
            took >= expected && took < expected + Duration::from_millis(20),
            "{took:?}, not {expected:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn f9_the_first_head_has_its_time_from_the_accept() {
        let deadline = HttpDeadline::new(HEAD, Some(IDLE));
        let (mut other, stream) = tokio::io::duplex(64);
        let mut stream = HttpStream::new(stream, None, deadline.clone());
        tokio::time::sleep(HEAD / 2).await;
        other.write_u8(b'G').await.unwrap();
        stream.read_u8().await.unwrap();
        about(passes(&deadline).await, HEAD / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn f9_an_idle_connection_stays_for_keep_alive_after_the_last_byte_of_an_answer() {
        let deadline = HttpDeadline::new(HEAD, Some(IDLE));
        let (_other, stream) = tokio::io::duplex(64);
        let mut stream = HttpStream::new(stream, None, deadline.clone());
        let under_way = deadline.request();
        tokio::time::timeout(IDLE * 10, deadline.passed())
            .await
            .expect_err("a poll may wait");
        drop(under_way);
        tokio::time::sleep(IDLE / 2).await;
        stream.write_all(b"the end of a long answer").await.unwrap();
        about(passes(&deadline).await, IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn f9_an_answer_that_waits_for_its_reader_is_not_idle() {
        let (deadline, keep_alive) = (HttpDeadline::new(HEAD, Some(HEAD / 10)), HEAD / 10);
        let (mut other, stream) = tokio::io::duplex(64);
        let mut stream = HttpStream::new(stream, Some(HEAD), deadline.clone());
        drop(deadline.request());
        let writing = tokio::spawn(async move {
            stream.write_all(&[7; 640]).await.unwrap();
            stream
        });
        for _ in 0..9 {
            tokio::time::timeout(HEAD / 2, deadline.passed())
                .await
                .expect_err("it reads, slowly");
            other.read_exact(&mut [0; 64]).await.unwrap();
        }
        about(passes(&deadline).await, keep_alive);
        drop(writing.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn f9_a_zero_timeout_is_not_checked_in_a_busy_loop() {
        let deadline = HttpDeadline::new(HEAD, Some(Duration::ZERO));
        let under_way = deadline.request();
        let mut looks = 0;
        let looking = std::future::poll_fn({
            let mut passed = Box::pin(deadline.passed());
            move |cx| {
                looks += 1;
                assert!(looks < 1_000);
                passed.as_mut().poll(cx)
            }
        });
        tokio::time::timeout(Duration::from_secs(1), looking)
            .await
            .expect_err("a poll may wait");
        drop(under_way);
        about(passes(&deadline).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn f9_a_later_head_has_its_time_from_its_first_byte() {
        let deadline = HttpDeadline::new(HEAD, Some(IDLE));
        let (mut other, stream) = tokio::io::duplex(64);
        let mut stream = HttpStream::new(stream, None, deadline.clone());
        drop(deadline.request());
        let watching = tokio::spawn({
            let deadline = deadline.clone();
            async move { passes(&deadline).await }
        });
        tokio::time::sleep(IDLE - Duration::from_secs(5)).await;
        for _ in 0..3 {
            other.write_u8(b'G').await.unwrap();
            stream.read_u8().await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        about(
            watching.await.unwrap(),
            IDLE - Duration::from_secs(5) + HEAD,
        );
    }

    #[tokio::test(start_paused = true)]
    async fn f9_without_keep_alive_only_heads_have_a_limit() {
        let deadline = HttpDeadline::new(HEAD, None);
        drop(deadline.request());
        tokio::time::timeout(IDLE * 1_000, deadline.passed())
            .await
            .expect_err("idle for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn f8_a_client_that_is_still_sending_is_read_until_it_closes() {
        let deadline = HttpDeadline::new(HEAD, Some(IDLE));
        let (mut other, stream) = tokio::io::duplex(64);
        let mut stream = HttpStream::new(stream, None, deadline);
        let sending = tokio::spawn(async move {
            for _ in 0..6 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                other.write_all(&[7; 1_000]).await.unwrap();
            }
            let mut answer = String::new();
            other.read_to_string(&mut answer).await.unwrap();
            answer
        });
        stream.write_all(b"413").await.unwrap();
        let began = Instant::now();
        stream.shutdown().await.unwrap();
        about(began.elapsed(), Duration::from_secs(6));
        drop(stream);
        assert_eq!(sending.await.unwrap(), "413");
    }

    #[tokio::test(start_paused = true)]
    async fn f8_a_client_that_says_nothing_or_never_ends_is_not_read_for_ever() {
        let deadline = HttpDeadline::new(HEAD, Some(IDLE));
        let (mut other, stream) = tokio::io::duplex(64);
        let mut stream = HttpStream::new(stream, None, deadline.clone());
        let began = Instant::now();
        stream.shutdown().await.unwrap();
        about(began.elapsed(), LINGER_QUIET);

        let (mut endless, stream) = tokio::io::duplex(64);
        let mut stream = HttpStream::new(stream, None, deadline);
        let trickling = tokio::spawn(async move {
            while endless.write_u8(7).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let began = Instant::now();
        stream.shutdown().await.unwrap();
        about(began.elapsed(), LINGER);
        drop(stream);
        trickling.await.unwrap();
        other.shutdown().await.unwrap();
    }
}
