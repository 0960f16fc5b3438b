//! A Socket.IO client that does as little as it can, so that many fit on one core.

use crate::bare::Protocol;
use crate::wire::Wire;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) server: SocketAddr,
    pub(crate) path: String,
    pub(crate) protocol: Protocol,
}

/// A connection in the namespace `/`.
pub(crate) struct Client {
    wire: Wire,
    /// Bytes received in WebSocket frames, their headers included.
    pub(crate) received: u64,
    next_ack: u64,
}

/// What a server said.
pub(crate) enum Heard {
    /// An event and its first argument.
    Event(String, Value),
    /// An acknowledgement by its number, and its first argument.
    Ack(u64, Value),
}

impl Client {
    /// Connects over WebSocket and enters `/`.
    pub(crate) async fn connect(target: &Target) -> Result<Self, String> {
        let wire = Wire::connect(target, "?EIO=4&transport=websocket").await?;
        let mut client = Self {
            wire,
            received: 0,
            next_ack: 0,
        };
        client.text().await?;
        client.wire.send("40".to_owned()).await?;
        let answer = client.text().await?;
        if !answer.starts_with("40") {
            return Err(format!("not let in: {answer}"));
        }
        Ok(client)
    }

    /// Sends an event and returns the number that its acknowledgement will have.
    pub(crate) async fn emit(&mut self, name: &str, payload: &Value) -> Result<u64, String> {
        self.emit_text(name, &payload.to_string()).await
    }

    /// The same for a payload that is JSON already.
    pub(crate) async fn emit_text(&mut self, name: &str, payload: &str) -> Result<u64, String> {
        let id = self.next_ack;
        self.next_ack += 1;
        self.wire
            .send(format!("42{id}[\"{name}\",{payload}]"))
            .await?;
        Ok(id)
    }

    /// Sends an event without a payload that asks for no acknowledgement.
    pub(crate) async fn tell(&mut self, name: &str) -> Result<(), String> {
        self.wire.send(format!("42[\"{name}\"]")).await?;
        self.wire.flush().await
    }

    /// The number of the next acknowledgement, which has to say that it was done.
    pub(crate) async fn done(&mut self) -> Result<u64, String> {
        loop {
            let text = self.text().await?;
            let Some((id, rest)) = text
                .strip_prefix("43")
                .and_then(|rest| rest.split_once('['))
            else {
                continue;
            };
            if !rest.contains("\"success\":true") {
                return Err(format!("not done: {text}"));
            }
            return id.parse().map_err(|_| format!("not a number: {text}"));
        }
    }

    /// The next text that is no ping.
    pub(crate) async fn text(&mut self) -> Result<Utf8Bytes, String> {
        loop {
            let text = self.wire.text().await?;
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
                self.wire.send("3".to_owned()).await?;
                continue;
            }
            return Ok(text);
        }
    }

    /// The next event or acknowledgement.
    pub(crate) async fn heard(&mut self) -> Result<Heard, String> {
        loop {
            if let Some(heard) = heard(&self.text().await?) {
                return Ok(heard);
            }
        }
    }

    /// Waits for so many events, whatever they are.
    pub(crate) async fn count(&mut self, events: u32) -> Result<(), String> {
        for _ in 0..events {
            while !self.text().await?.starts_with("42") {}
        }
        Ok(())
    }

    /// Reads what comes for so long and forgets it.
    pub(crate) async fn drain(&mut self, time: Duration) {
        let _ = tokio::time::timeout(time, async { while self.text().await.is_ok() {} }).await;
    }

    /// Sends an event and waits for its acknowledgement, which has to say that it was done.
    pub(crate) async fn ask(&mut self, name: &str, payload: &Value) -> Result<Value, String> {
        let id = self.emit(name, payload).await?;
        loop {
            if let Heard::Ack(answered, reply) = self.heard().await?
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

/// What a packet says.
pub(crate) fn heard(text: &str) -> Option<Heard> {
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
            Some(Heard::Event(name, args.next().unwrap_or(Value::Null)))
        }
        Some(b'3') => Some(Heard::Ack(id, args.next().unwrap_or(Value::Null))),
        _ => None,
    }
}
