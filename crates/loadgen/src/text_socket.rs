//! A WebSocket that batches its writes.

use crate::target::Target;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Bytes. Small, because many clients share the machine with the server.
const READ_BUFFER: usize = 16 * 1024;

pub(crate) struct TextSocket {
    stream: WebSocketStream<TcpStream>,
    /// There are messages that have not been flushed.
    unsent: bool,
}

impl TextSocket {
    pub(crate) async fn connect(target: &Target, query: &str) -> Result<Self, String> {
        let tcp = TcpStream::connect(target.server)
            .await
            .map_err(|error| error.to_string())?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let url = format!("ws://{}{}{query}", target.server, target.path);
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let (stream, _) = tokio_tungstenite::client_async_with_config(url, tcp, Some(config))
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self {
            stream,
            unsent: false,
        })
    }

    /// Queues a text; the next flush sends it.
    pub(crate) async fn send(&mut self, text: String) -> Result<(), String> {
        self.unsent = true;
        self.stream
            .feed(Message::text(text))
            .await
            .map_err(|error| error.to_string())
    }

    pub(crate) async fn flush(&mut self) -> Result<(), String> {
        if self.unsent {
            self.stream
                .flush()
                .await
                .map_err(|error| error.to_string())?;
            self.unsent = false;
        }
        Ok(())
    }

    /// Returns the next text. Everything that is available is read before queued texts are flushed,
    /// so that replies are sent together, as real clients do.
    pub(crate) async fn text(&mut self) -> Result<Utf8Bytes, String> {
        loop {
            let next = match self.stream.next().now_or_never() {
                Some(next) => next,
                None => {
                    self.flush().await?;
                    self.stream.next().await
                }
            };
            match next
                .ok_or("the server closed the connection")?
                .map_err(|error| error.to_string())?
            {
                Message::Text(text) => return Ok(text),
                Message::Close(why) => {
                    return Err(format!("the server closed the connection: {why:?}"));
                }
                _ => {}
            }
        }
    }
}
