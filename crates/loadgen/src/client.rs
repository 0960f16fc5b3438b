//! A Socket.IO client that does as little as possible, so that one core can run many.

use crate::target::Target;
use crate::text_socket::TextSocket;
use serde_json::Value;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A connection in the namespace `/`.
pub(crate) struct Client {
    socket: TextSocket,
    /// Bytes received in WebSocket frames, including their headers.
    pub(crate) received: u64,
    next_ack: u64,
}

/// A decoded packet from the server.
pub(crate) enum Packet {
    /// An event's name and first argument.
    Event(String, Value),
    /// An acknowledgement's id and first argument.
    Ack(u64, Value),
}

impl Client {
    /// Connects over WebSocket and joins the namespace `/`.
    pub(crate) async fn connect(target: &Target) -> Result<Self, String> {
        let socket = TextSocket::connect(target, "?EIO=4&transport=websocket").await?;
        let mut client = Self {
            socket,
            received: 0,
            next_ack: 0,
        };
        client.text().await?;
        client.socket.send("40".to_owned()).await?;
        let answer = client.text().await?;
        if !answer.starts_with("40") {
            return Err(format!("CONNECT was refused: {answer}"));
        }
        Ok(client)
    }

    /// Sends an event and returns the id of its acknowledgement.
    pub(crate) async fn emit(&mut self, name: &str, payload: &Value) -> Result<u64, String> {
        self.emit_text(name, &payload.to_string()).await
    }

    /// Like [`Self::emit`], for a payload that is JSON text.
    pub(crate) async fn emit_text(&mut self, name: &str, payload: &str) -> Result<u64, String> {
        let id = self.next_ack;
        self.next_ack += 1;
        self.socket
            .send(format!("42{id}[\"{name}\",{payload}]"))
            .await?;
        Ok(id)
    }

    /// Sends an event without a payload and without an acknowledgement.
    pub(crate) async fn emit_without_ack(&mut self, name: &str) -> Result<(), String> {
        self.socket.send(format!("42[\"{name}\"]")).await?;
        self.socket.flush().await
    }

    /// Waits for the next acknowledgement, which must report success; returns its id.
    pub(crate) async fn next_ack(&mut self) -> Result<u64, String> {
        loop {
            let text = self.text().await?;
            let Some((id, rest)) = text
                .strip_prefix("43")
                .and_then(|rest| rest.split_once('['))
            else {
                continue;
            };
            if !rest.contains("\"success\":true") {
                return Err(format!("the acknowledgement reports a failure: {text}"));
            }
            return id
                .parse()
                .map_err(|_| format!("the acknowledgement has an invalid id: {text}"));
        }
    }

    /// Returns the next text that is not a PING.
    pub(crate) async fn text(&mut self) -> Result<Utf8Bytes, String> {
        loop {
            let text = self.socket.text().await?;
            let length = text.len() as u64;
            self.received += length
                + if length < 126 {
                    2
                } else if length < 65_536 {
                    4
                } else {
                    10
                };
            if text.as_str() == "2" {
                self.socket.send("3".to_owned()).await?;
                continue;
            }
            return Ok(text);
        }
    }

    /// Returns the next event or acknowledgement.
    pub(crate) async fn next_packet(&mut self) -> Result<Packet, String> {
        loop {
            if let Some(packet) = decode(&self.text().await?) {
                return Ok(packet);
            }
        }
    }

    /// Waits for this many events with any name.
    pub(crate) async fn await_events(&mut self, events: u32) -> Result<(), String> {
        for _ in 0..events {
            while !self.text().await?.starts_with("42") {}
        }
        Ok(())
    }

    /// Reads and discards everything that arrives within this time.
    pub(crate) async fn drain(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, async { while self.text().await.is_ok() {} }).await;
    }

    /// Sends an event and waits for its acknowledgement, which must report success.
    pub(crate) async fn request(&mut self, name: &str, payload: &Value) -> Result<Value, String> {
        let id = self.emit(name, payload).await?;
        loop {
            if let Packet::Ack(answered, reply) = self.next_packet().await?
                && answered == id
            {
                return if reply["success"] == true {
                    Ok(reply)
                } else {
                    Err(format!("{name}: {reply}"))
                };
            }
        }
    }
}

/// Decodes a packet.
pub(crate) fn decode(text: &str) -> Option<Packet> {
    let rest = text.get(1..)?;
    let digits = rest.get(1..)?.find('[').unwrap_or(0);
    let id = rest[1..=digits].parse().unwrap_or(0);
    let Ok(Value::Array(mut args)) = serde_json::from_str::<Value>(&rest[1 + digits..]) else {
        return None;
    };
    let mut args = args.drain(..);
    match rest.as_bytes().first() {
        Some(b'2') => {
            let name = args
                .next()
                .and_then(|name| name.as_str().map(str::to_owned))
                .unwrap_or_default();
            Some(Packet::Event(name, args.next().unwrap_or(Value::Null)))
        }
        Some(b'3') => Some(Packet::Ack(id, args.next().unwrap_or(Value::Null))),
        _ => None,
    }
}
