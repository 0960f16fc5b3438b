//! Bounds what the operating system holds for clients that read nothing.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::SocketIo;

/// Unsent bytes that the operating system accepts for one connection, approximately.
const MAX_UNSENT: u32 = 128 << 10;

impl SocketIo {
    /// Bounds the send buffers of the connections that `listener` accepts from now on.
    ///
    /// A [`crate::WriteTimeout`] sees no bytes that the operating system has accepted. Linux accepts
    /// up to 4 MB for a client that reads nothing, and holds them for minutes after the connection was
    /// closed, as long as the client acknowledges its probes. With these bounds it accepts about
    /// 128 KiB more than the client's window has space for, and drops them with the connection once
    /// the client has acknowledged nothing for [`crate::Config::write_timeout`], also after the close.
    /// A client that is out of reach for less than a heartbeat takes (`ping_interval` and
    /// `ping_timeout`) keeps its connection. Without a `write_timeout` there is no limit of time.
    ///
    /// [`crate::Serve`] calls this itself. Does nothing on other systems than Linux.
    pub fn limit_send_buffers(&self, listener: &TcpListener) {
        let config = &self.server.engine.config;
        let heartbeat = config.ping_interval + config.ping_timeout;
        let limit = config.write_timeout.map(|limit| limit.max(heartbeat));
        limit_send_buffers(listener, limit);
    }
}

fn limit_send_buffers(listener: &TcpListener, limit: Option<Duration>) {
    #[cfg(target_os = "linux")]
    {
        // Accepted sockets inherit both.
        let socket = socket2::SockRef::from(listener);
        let set = socket
            .set_tcp_notsent_lowat(MAX_UNSENT)
            .and_then(|()| socket.set_tcp_user_timeout(limit));
        if let Err(error) = set {
            tracing::warn!(%error, "cannot limit the send buffers of connections");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (listener, limit);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::{io, net::SocketAddr};
    use tokio::{
        net::TcpStream,
        time::{Instant, sleep, timeout},
    };

    /// A connection whose client reads nothing, and what the operating system accepts for it.
    async fn unread(limit: Duration) -> io::Result<(TcpStream, TcpStream, usize)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        limit_send_buffers(&listener, Some(limit));
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (stream, peer) = listener.accept().await?;
        assert!(is_held(stream.local_addr()?, peer)?);
        let mut accepted = 0;
        // Until nothing more is accepted; the client's window has to close first.
        while let Ok(writable) = timeout(Duration::from_millis(200), stream.writable()).await {
            writable?;
            match stream.try_write(&[0; 64 << 10]) {
                Ok(some) => accepted += some,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Its time is over already.
                Err(_) => break,
            }
        }
        Ok((stream, client, accepted))
    }

    /// Whether the operating system still has the server's end of a connection.
    fn is_held(server: SocketAddr, client: SocketAddr) -> io::Result<bool> {
        let end = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
        let ends = format!("{} {}", end(server), end(client));
        Ok(std::fs::read_to_string("/proc/net/tcp")?.contains(&ends))
    }

    #[tokio::test]
    async fn the_system_accepts_little_for_a_client_that_reads_nothing() -> io::Result<()> {
        let (_stream, _client, accepted) = unread(Duration::from_secs(60)).await?;
        assert!(accepted < 1 << 20, "{accepted} bytes");
        Ok(())
    }

    #[tokio::test]
    async fn what_is_unread_does_not_outlive_its_connection() -> io::Result<()> {
        let (stream, client, _) = unread(Duration::from_millis(500)).await?;
        let (server, peer) = (stream.local_addr()?, client.local_addr()?);
        drop(stream);
        let began = Instant::now();
        while is_held(server, peer)? {
            assert!(began.elapsed() < Duration::from_secs(20), "still held");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
