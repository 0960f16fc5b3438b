//! Scenario: pairs of clients, of whom one sends to the other by name, without storage.

use crate::idle::batches;
use crate::peer_client::PeerClient;
use crate::process::{Pids, usage};
use crate::sending::{Sender, TEXT, join_all, report, send, send_and_return};
use crate::target::Target;
use serde_json::Value;
use tokio::time::Instant;

struct RelaySender {
    client: PeerClient,
    to: String,
}

impl Sender for RelaySender {
    async fn send(&mut self, _: u32) -> Result<u64, String> {
        self.client.relay(&self.to, TEXT).await
    }

    async fn next_ack(&mut self) -> Result<u64, String> {
        self.client.next_ack().await
    }
}

pub(crate) async fn run(
    target: &Target,
    pids: Pids,
    idle: u32,
    pairs: u32,
    in_flight: u32,
    each: u32,
) -> Result<Value, String> {
    // Opened first: most users who are online are idle at any moment. The scenario takes less time
    // than a ping interval.
    let _silent = batches(0..idle, |_| PeerClient::connect(target)).await?;
    let mut ready = Vec::new();
    for pair in 0..pairs {
        let to = format!("into{pair:06}");
        let speaker = PeerClient::connect(target).await?;
        let mut listener = PeerClient::connect(target).await?;
        listener.register(&to).await?;
        ready.push((
            RelaySender {
                client: speaker,
                to,
            },
            listener,
        ));
    }
    // A tenth of the messages warm up servers that compile at run time.
    let warm = each / 10;
    let warming: Vec<_> = ready
        .into_iter()
        .map(|(speaker, listener)| {
            (
                tokio::spawn(send_and_return(speaker, in_flight, warm)),
                tokio::spawn(count(listener, warm)),
            )
        })
        .collect();
    let mut ready = Vec::new();
    for (speaking, listening) in warming {
        let (speaker, _) = speaking.await.map_err(|error| error.to_string())??;
        ready.push((
            speaker,
            listening.await.map_err(|error| error.to_string())??,
        ));
    }
    let before = usage(pids)?;
    let began = Instant::now();
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(speaker, listener)| {
            let sending = tokio::spawn(send(speaker, in_flight, each));
            let receiving = tokio::spawn(async move { count(listener, each).await.map(drop) });
            (sending, receiving)
        })
        .collect();
    let acks = join_all(tasks).await?;
    let took = began.elapsed();
    let after = usage(pids)?;
    Ok(report(
        "relay",
        (pairs, in_flight, each),
        &acks,
        took,
        (before, after),
    ))
}

async fn count(mut client: PeerClient, each: u32) -> Result<PeerClient, String> {
    client.await_events(each).await?;
    Ok(client)
}
