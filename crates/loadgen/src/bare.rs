//! The work that every peer can do, each in its own protocol.

use crate::centrifugo;
use crate::client::{self, Target};
use serde_json::json;

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// Socket.IO, with the events of `bench/peers/README.md`.
    Socketio,
    /// Centrifugo's JSON.
    Centrifugo,
}

/// A connection.
pub(crate) enum Bare {
    SocketIo(client::Client),
    Centrifugo(centrifugo::Client),
}

impl Bare {
    pub(crate) async fn connect(target: &Target) -> Result<Self, String> {
        Ok(match target.protocol {
            Protocol::Socketio => Self::SocketIo(client::Client::connect(target).await?),
            Protocol::Centrifugo => Self::Centrifugo(centrifugo::Client::connect(target).await?),
        })
    }

    /// Is to be found by this name.
    pub(crate) async fn register(&mut self, name: &str) -> Result<(), String> {
        match self {
            Self::SocketIo(client) => client.ask("register", &json!(name)).await.map(drop),
            Self::Centrifugo(client) => client.subscribe(name).await,
        }
    }

    /// Is to hear what is for everyone.
    pub(crate) async fn listen(&mut self) -> Result<(), String> {
        match self {
            // Whoever is connected does.
            Self::SocketIo(_) => Ok(()),
            Self::Centrifugo(client) => client.listen().await,
        }
    }

    /// Says something to who has that name; returns the number of the acknowledgement.
    pub(crate) async fn say(&mut self, to: &str, text: &str) -> Result<u64, String> {
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

    /// The number of the next acknowledgement, which has to say that it was done.
    pub(crate) async fn done(&mut self) -> Result<u64, String> {
        match self {
            Self::SocketIo(client) => client.done().await,
            Self::Centrifugo(client) => client.done().await,
        }
    }

    /// Says so many things to everyone, itself included, in one go.
    pub(crate) async fn announce(&mut self, count: u32, text: &str) -> Result<(), String> {
        match self {
            Self::SocketIo(client) => client
                .emit("broadcast", &json!({ "count": count, "text": text }))
                .await
                .map(drop),
            Self::Centrifugo(client) => client.announce(count, text).await,
        }
    }

    /// Waits for so many events, whatever they are.
    pub(crate) async fn count(&mut self, events: u32) -> Result<(), String> {
        match self {
            Self::SocketIo(client) => client.count(events).await,
            Self::Centrifugo(client) => client.count(events).await,
        }
    }
}
