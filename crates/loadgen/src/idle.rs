//! Scenario: many idle connections.

use crate::client::Client;
use crate::peer_client::PeerClient;
use crate::process::{Pids, usage};
use crate::target::Target;
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Duration;

/// Connections that are opened concurrently.
const CONCURRENT_OPENS: usize = 32;
/// Connections that are opened before the measurement.
const WARM_UP: u32 = 50;

pub(crate) async fn run(
    target: &Target,
    pids: Pids,
    count: u32,
    bare: bool,
) -> Result<Value, String> {
    // The first connections pay for what the server sets up once.
    let mut connections = open(target, 0..WARM_UP, bare).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = usage(pids)?;
    connections.extend(open(target, WARM_UP..count + WARM_UP, bare).await?);
    let opened = usage(pids)?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let settled = usage(pids)?;
    Ok(json!({
        "work": "idle",
        "connections": connections.len(),
        "joined": !bare,
        "rss_before": before.rss,
        "rss_after": settled.rss,
        "rss_bytes_per_connection": settled.rss.saturating_sub(before.rss) / u64::from(count),
        "cpu_us_per_accept": (opened.cpu - before.cpu).as_secs_f64() * 1e6 / f64::from(count),
        "kernel_us_per_accept": (opened.kernel - before.kernel).as_secs_f64() * 1e6 / f64::from(count),
    }))
}

/// An anonymous connection, or a user who has joined.
enum Connection {
    Anonymous { _connection: PeerClient },
    Joined { _connection: Client },
}

async fn open(target: &Target, range: Range<u32>, bare: bool) -> Result<Vec<Connection>, String> {
    if bare {
        let all = batches(range, |_| PeerClient::connect(target)).await?;
        return Ok(all
            .into_iter()
            .map(|connection| Connection::Anonymous {
                _connection: connection,
            })
            .collect());
    }
    let all = batches(range, |id| join(target, id)).await?;
    Ok(all
        .into_iter()
        .map(|connection| Connection::Joined {
            _connection: connection,
        })
        .collect())
}

/// Connects a user who requests no roster.
pub(crate) async fn join(target: &Target, id: u32) -> Result<Client, String> {
    let mut client = Client::connect(target).await?;
    client
        .request(
            "join_user",
            &json!({ "userId": format!("user{id:06}"), "roster": "none" }),
        )
        .await?;
    Ok(client)
}

/// Opens many connections, a few at a time.
pub(crate) async fn batches<T, F>(
    range: Range<u32>,
    mut open: impl FnMut(u32) -> F,
) -> Result<Vec<T>, String>
where
    F: Future<Output = Result<T, String>>,
{
    let mut all = Vec::with_capacity(range.len());
    let ids: Vec<u32> = range.collect();
    for batch in ids.chunks(CONCURRENT_OPENS) {
        for opened in futures_util::future::join_all(batch.iter().map(|&id| open(id))).await {
            all.push(opened?);
        }
    }
    Ok(all)
}
