//! A client of Centrifugo's JSON protocol
//! (<https://centrifugal.dev/docs/transports/client_protocol>): commands, replies and pushes are
//! lines, and a frame may contain several.

use crate::target::Target;
use crate::text_socket::TextSocket;
use serde_json::json;
use std::collections::VecDeque;

/// The channel of broadcasts.
const EVERYONE: &str = "news";

/// An anonymous connection.
pub(crate) struct Client {
    socket: TextSocket,
    /// Lines of the last frame that have not been handled.
    lines: VecDeque<String>,
    next_id: u64,
}

impl Client {
    /// Connects over WebSocket.
    pub(crate) async fn connect(target: &Target) -> Result<Self, String> {
        let socket = TextSocket::connect(target, "").await?;
        let mut client = Self {
            socket,
            lines: VecDeque::new(),
            next_id: 1,
        };
        client.request("connect", "{}").await?;
        Ok(client)
    }

    /// Sends a command and waits for its reply.
    async fn request(&mut self, method: &str, payload: &str) -> Result<(), String> {
        let id = self.next_id;
        let command = self.command(method, payload);
        self.socket.send(command).await?;
        while self.next_ack().await? != id {}
        Ok(())
    }

    /// Subscribes to a channel.
    pub(crate) async fn subscribe(&mut self, channel: &str) -> Result<(), String> {
        self.request("subscribe", &json!({ "channel": channel }).to_string())
            .await
    }

    /// Subscribes to the channel of broadcasts.
    pub(crate) async fn subscribe_to_broadcasts(&mut self) -> Result<(), String> {
        self.subscribe(EVERYONE).await
    }

    /// Publishes to a channel; returns the id of the reply.
    pub(crate) async fn publish(&mut self, channel: &str, data: &str) -> Result<u64, String> {
        let id = self.next_id;
        let command = self.command(
            "publish",
            &format!("{{\"channel\":\"{channel}\",\"data\":{data}}}"),
        );
        self.socket.send(command).await?;
        Ok(id)
    }

    /// Publishes `count` broadcasts in one frame.
    pub(crate) async fn broadcast(&mut self, count: u32, text: &str) -> Result<(), String> {
        let commands: Vec<_> = (0..count)
            .map(|number| {
                let data = json!({ "number": number, "text": text });
                self.command(
                    "publish",
                    &format!("{{\"channel\":\"{EVERYONE}\",\"data\":{data}}}"),
                )
            })
            .collect();
        self.socket.send(commands.join("\n")).await
    }

    fn command(&mut self, method: &str, payload: &str) -> String {
        let id = self.next_id;
        self.next_id += 1;
        format!("{{\"id\":{id},\"{method}\":{payload}}}")
    }

    /// Waits for the next reply, which must report success; returns its id.
    pub(crate) async fn next_ack(&mut self) -> Result<u64, String> {
        loop {
            let line = self.line().await?;
            let Some((id, rest)) = line
                .strip_prefix("{\"id\":")
                .and_then(|rest| rest.split_once(','))
            else {
                continue;
            };
            if rest.starts_with("\"error\"") {
                return Err(format!("the reply reports a failure: {line}"));
            }
            return id
                .parse()
                .map_err(|_| format!("the reply has an invalid id: {line}"));
        }
    }

    /// Waits for this many pushes.
    pub(crate) async fn await_events(&mut self, pushes: u32) -> Result<(), String> {
        for _ in 0..pushes {
            while !self.line().await?.starts_with("{\"push\":") {}
        }
        Ok(())
    }

    /// Returns the next line that is not a ping.
    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                if line == "{}" {
                    self.socket.send("{}".to_owned()).await?;
                    continue;
                }
                return Ok(line);
            }
            let text = self.socket.text().await?;
            self.lines.extend(text.lines().map(str::to_owned));
        }
    }
}
