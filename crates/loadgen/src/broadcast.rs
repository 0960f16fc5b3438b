//! Scenario: broadcasts to all connections.

use crate::idle::batches;
use crate::peer_client::PeerClient;
use crate::process::{Pids, usage};
use crate::target::Target;
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) async fn run(
    target: &Target,
    pids: Pids,
    count: u32,
    events: u32,
) -> Result<Value, String> {
    let mut clients = batches(0..count, async |_| {
        let mut client = PeerClient::connect(target).await?;
        client.subscribe_to_broadcasts().await?;
        Ok(client)
    })
    .await?;
    let mut spent = (std::time::Duration::ZERO, std::time::Duration::ZERO);
    // The first round warms up servers that compile at run time.
    for events in [events.div_ceil(10), events] {
        let before = usage(pids)?;
        let began = Instant::now();
        let first = clients
            .first_mut()
            .ok_or("there is no receiver; set --count to 1 or more")?;
        first.broadcast(events, &"x".repeat(100)).await?;
        let listening = clients.into_iter().map(|mut client| {
            tokio::spawn(async move {
                client.await_events(events).await?;
                Ok::<_, String>(client)
            })
        });
        let listening: Vec<_> = listening.collect();
        clients = Vec::new();
        for task in listening {
            clients.push(task.await.map_err(|error| error.to_string())??);
        }
        spent = (usage(pids)?.cpu - before.cpu, began.elapsed());
    }
    let deliveries = f64::from(count) * f64::from(events);
    Ok(json!({
        "work": "broadcast",
        "listeners": count,
        "events": events,
        "cpu_us_per_delivery": spent.0.as_secs_f64() * 1e6 / deliveries,
        "took_ms": spent.1.as_millis() as u64,
    }))
}
