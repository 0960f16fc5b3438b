//! The operations that every compared server supports, in its own protocol.

use crate::centrifugo;
use crate::client;
use crate::target::{Protocol, Target};
use serde_json::json;

/// A connection to a compared server.
pub(crate) enum PeerClient {
    SocketIo(client::Client),
    Centrifugo(centrifugo::Client),
}

impl PeerClient {
    pub(crate) async fn connect(target: &Target) -> Result<Self, String> {
        Ok(match target.protocol {
            Protocol::Socketio => Self::SocketIo(client::Client::connect(target).await?),
            Protocol::Centrifugo => Self::Centrifugo(centrifugo::Client::connect(target).await?),
        })
    }

    /// Makes this client reachable by a name.
    pub(crate) async fn register(&mut self, name: &str) -> Result<(), String> {
        match self {
            Self::SocketIo(client) => client.request("register", &json!(name)).await.map(drop),
            Self::Centrifugo(client) => client.subscribe(name).await,
        }
    }

    /// Subscribes to broadcasts.
    pub(crate) async fn subscribe_to_broadcasts(&mut self) -> Result<(), String> {
        match self {
            // Every Socket.IO connection receives broadcasts.
            Self::SocketIo(_) => Ok(()),
            Self::Centrifugo(client) => client.subscribe_to_broadcasts().await,
        }
    }

    /// Sends a text to the client with this name; returns the id of the acknowledgement.
    pub(crate) async fn relay(&mut self, to: &str, text: &str) -> Result<u64, String> {
        match self {
            Self::SocketIo(client) => {
                client
                    .emit_text("relay", &format!("{{\"to\":\"{to}\",\"text\":\"{text}\"}}"))
                    .await
            }
            Self::Centrifugo(client) => {
                client
                    .publish(to, &format!("{{\"to\":\"{to}\",\"text\":\"{text}\"}}"))
                    .await
            }
        }
    }

    /// Waits for the next acknowledgement, which must report success; returns its id.
    pub(crate) async fn next_ack(&mut self) -> Result<u64, String> {
        match self {
            Self::SocketIo(client) => client.next_ack().await,
            Self::Centrifugo(client) => client.next_ack().await,
        }
    }

    /// Broadcasts `count` events at once, to itself too.
    pub(crate) async fn broadcast(&mut self, count: u32, text: &str) -> Result<(), String> {
        match self {
            Self::SocketIo(client) => client
                .emit("broadcast", &json!({ "count": count, "text": text }))
                .await
                .map(drop),
            Self::Centrifugo(client) => client.broadcast(count, text).await,
        }
    }

    /// Waits for this many events with any name.
    pub(crate) async fn await_events(&mut self, events: u32) -> Result<(), String> {
        match self {
            Self::SocketIo(client) => client.await_events(events).await,
            Self::Centrifugo(client) => client.await_events(events).await,
        }
    }
}
