//! The byte stream under a WebSocket.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{HttpStream, WriteTimeout};

/// A plain TCP stream wherever possible: hyper's wrapper would be the largest part of an idle
/// connection.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Other(Box<dyn AsyncIo>),
}

pub(crate) trait AsyncIo: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AsyncIo for T {}

impl Stream {
    /// Waits until hyper releases the connection; returns its stream, and bytes that hyper has read
    /// beyond the handshake.
    pub(crate) async fn take(on_upgrade: OnUpgrade) -> Result<(Self, Bytes), hyper::Error> {
        let upgraded = match on_upgrade.await?.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => return Ok((Self::tcp(io.into_inner()), read_buf)),
            Err(upgraded) => upgraded,
        };
        let upgraded = match upgraded.downcast::<TokioIo<HttpStream<TcpStream>>>() {
            Ok(Parts { io, read_buf, .. }) => {
                return Ok((Self::tcp(io.into_inner().into_inner()), read_buf));
            }
            Err(upgraded) => upgraded,
        };
        let upgraded = match upgraded.downcast::<TokioIo<WriteTimeout<TcpStream>>>() {
            Ok(Parts { io, read_buf, .. }) => {
                return Ok((Self::tcp(io.into_inner().into_inner()), read_buf));
            }
            Err(upgraded) => upgraded,
        };
        #[cfg(feature = "tls")]
        let upgraded = match upgraded
            .downcast::<TokioIo<HttpStream<tokio_rustls::server::TlsStream<TcpStream>>>>()
        {
            Ok(Parts { io, read_buf, .. }) => {
                return Ok((
                    Self::Other(Box::new(io.into_inner().into_inner())),
                    read_buf,
                ));
            }
            Err(upgraded) => upgraded,
        };
        Ok((Self::Other(Box::new(TokioIo::new(upgraded))), Bytes::new()))
    }

    fn tcp(tcp: TcpStream) -> Self {
        // Frames are gathered already; Nagle's algorithm would only delay them.
        let _ = tcp.set_nodelay(true);
        Self::Tcp(tcp)
    }

    /// Flushes what the stream has buffered (TLS does, TCP does not). Returns false if it cannot
    /// for now.
    pub(crate) fn flush_buffered(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        match self {
            Self::Tcp(_) => Ok(true),
            Self::Other(other) => match Pin::new(other).poll_flush(cx) {
                Poll::Ready(result) => result.map(|()| true),
                Poll::Pending => Ok(false),
            },
        }
    }

    fn io(&mut self) -> Pin<&mut dyn AsyncIo> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp),
            Self::Other(other) => Pin::new(&mut **other),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(cx, bufs)
    }
}
