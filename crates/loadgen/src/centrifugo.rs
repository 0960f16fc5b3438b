//! Centrifugo's own protocol, as JSON (<https://centrifugal.dev/docs/transports/client_protocol>): commands, replies and pushes are
//! lines, several of which may come in one frame.

use crate::client::{READ_BUFFER, Target};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::json;
use std::collections::VecDeque;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The channel that everyone listens to.
const EVERYONE: &str = "news";

/// A connection of somebody without a name.
pub(crate) struct Client {
    stream: WebSocketStream<TcpStream>,
    /// Lines that came in one frame with those before.
    lines: VecDeque<String>,
    next_id: u64,
    /// Something was said that is still here: what is said in one go leaves in one go, as from real clients.
    unsent: bool,
}

impl Client {
    /// Connects over WebSocket, and listens to what is for everyone.
    pub(crate) async fn connect(target: &Target) -> Result<Self, String> {
        let tcp = TcpStream::connect(target.server).await.map_err(|error| error.to_string())?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let url = format!("ws://{}{}", target.server, target.path);
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let (stream, _) = tokio_tungstenite::client_async_with_config(url, tcp, Some(config)).await.map_err(|error| error.to_string())?;
        let mut client = Self { stream, lines: VecDeque::new(), next_id: 1, unsent: false };
        client.ask("connect", "{}").await?;
        Ok(client)
    }

    /// Sends a command and waits for its reply.
    async fn ask(&mut self, method: &str, payload: &str) -> Result<(), String> {
        let id = self.next_id;
        let command = self.command(method, payload);
        self.send(command).await?;
        while self.done().await? != id {}
        Ok(())
    }

    /// Listens to a channel.
    pub(crate) async fn subscribe(&mut self, channel: &str) -> Result<(), String> {
        self.ask("subscribe", &json!({ "channel": channel }).to_string()).await
    }

    /// Listens to what is for everyone.
    pub(crate) async fn listen(&mut self) -> Result<(), String> {
        self.subscribe(EVERYONE).await
    }

    /// Sends something to a channel; returns the number that the reply will have.
    pub(crate) async fn publish(&mut self, channel: &str, data: &str) -> Result<u64, String> {
        let id = self.next_id;
        let command = self.command("publish", &format!("{{\"channel\":\"{channel}\",\"data\":{data}}}"));
        self.send(command).await?;
        Ok(id)
    }

    /// Sends so many things to everyone in one go.
    pub(crate) async fn announce(&mut self, count: u32, text: &str) -> Result<(), String> {
        let commands: Vec<_> = (0..count)
            .map(|number| {
                let data = json!({ "number": number, "text": text });
                self.command("publish", &format!("{{\"channel\":\"{EVERYONE}\",\"data\":{data}}}"))
            })
            .collect();
        self.send(commands.join("\n")).await
    }

    fn command(&mut self, method: &str, payload: &str) -> String {
        let id = self.next_id;
        self.next_id += 1;
        format!("{{\"id\":{id},\"{method}\":{payload}}}")
    }

    async fn send(&mut self, text: String) -> Result<(), String> {
        self.unsent = true;
        self.stream.feed(Message::text(text)).await.map_err(|error| error.to_string())
    }

    /// The number of the next reply, which has to say that it was done.
    pub(crate) async fn done(&mut self) -> Result<u64, String> {
        loop {
            let line = self.line().await?;
            let Some((id, rest)) = line.strip_prefix("{\"id\":").and_then(|rest| rest.split_once(',')) else { continue };
            if rest.starts_with("\"error\"") {
                return Err(format!("not done: {line}"));
            }
            return id.parse().map_err(|_| format!("not a number: {line}"));
        }
    }

    /// Waits for so many pushes.
    pub(crate) async fn count(&mut self, pushes: u32) -> Result<(), String> {
        for _ in 0..pushes {
            while !self.line().await?.starts_with("{\"push\":") {}
        }
        Ok(())
    }

    /// The next line that is no ping.
    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                if line == "{}" {
                    self.send("{}".to_owned()).await?;
                    continue;
                }
                return Ok(line);
            }
            // What there is to read is read first, so that what is said to it leaves in one go.
            let next = match self.stream.next().now_or_never() {
                Some(next) => next,
                None => {
                    if std::mem::take(&mut self.unsent) {
                        self.stream.flush().await.map_err(|error| error.to_string())?;
                    }
                    self.stream.next().await
                }
            };
            let message = next.ok_or("the server closed the connection")?.map_err(|error| error.to_string())?;
            match message {
                Message::Text(text) => self.lines.extend(text.lines().map(str::to_owned)),
                Message::Close(why) => return Err(format!("the server closed the connection: {why:?}")),
                _ => {}
            }
        }
    }
}
