//! Scenario: pairs of clients, of whom one sends to the other by name, without storage.

use crate::bare::Bare;
use crate::client::Target;
use crate::idle::batches;
use crate::process::usage;
use crate::sending::{Says, TEXT, finished, seen, send, send_over};
use serde_json::Value;
use tokio::time::Instant;

struct Speaker {
    client: Bare,
    to: String,
}

impl Says for Speaker {
    async fn say(&mut self, _: u32) -> Result<u64, String> {
        self.client.say(&self.to, TEXT).await
    }

    async fn done(&mut self) -> Result<u64, String> {
        self.client.done().await
    }
}

pub(crate) async fn run(
    target: &Target,
    pid: u32,
    idle: u32,
    pairs: u32,
    in_flight: u32,
    each: u32,
) -> Result<Value, String> {
    // Opened first: most users who are online are idle at any moment. The scenario takes less time
    // than a ping interval.
    let _silent = batches(0..idle, |_| Bare::connect(target)).await?;
    let mut ready = Vec::new();
    for pair in 0..pairs {
        let to = format!("into{pair:06}");
        let speaker = Bare::connect(target).await?;
        let mut listener = Bare::connect(target).await?;
        listener.register(&to).await?;
        ready.push((
            Speaker {
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
                tokio::spawn(send_over(speaker, in_flight, warm)),
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
    let before = usage(pid)?;
    let began = Instant::now();
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(speaker, listener)| {
            let sending = tokio::spawn(send(speaker, in_flight, each));
            let receiving = tokio::spawn(async move { count(listener, each).await.map(drop) });
            (sending, receiving)
        })
        .collect();
    let acks = finished(tasks).await?;
    let took = began.elapsed();
    let after = usage(pid)?;
    Ok(seen(
        "relay",
        (pairs, in_flight, each),
        &acks,
        took,
        (before, after),
    ))
}

async fn count(mut client: Bare, each: u32) -> Result<Bare, String> {
    client.count(each).await?;
    Ok(client)
}
