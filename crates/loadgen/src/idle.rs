//! Many connections that do nothing.

use crate::client::{Client, Target};
use crate::process::usage;
use serde_json::{Value, json};
use std::time::Duration;

/// Connections that are being opened at the same time.
const OPENING: usize = 32;

pub(crate) async fn run(target: &Target, pid: u32, count: u32, bare: bool) -> Result<Value, String> {
    // The first ones pay for what the server sets up once.
    let mut held = open(target, 0..50, bare).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = usage(pid)?;
    held.extend(open(target, 50..count + 50, bare).await?);
    let opened = usage(pid)?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let settled = usage(pid)?;
    Ok(json!({
        "work": "idle",
        "connections": held.len(),
        "joined": !bare,
        "rss_before": before.rss,
        "rss_after": settled.rss,
        "rss_bytes_per_connection": settled.rss.saturating_sub(before.rss) / u64::from(count),
        "cpu_us_per_accept": (opened.cpu - before.cpu).as_secs_f64() * 1e6 / f64::from(count),
        "kernel_us_per_accept": (opened.kernel - before.kernel).as_secs_f64() * 1e6 / f64::from(count),
    }))
}

pub(crate) async fn open(target: &Target, range: std::ops::Range<u32>, bare: bool) -> Result<Vec<Client>, String> {
    let mut all = Vec::with_capacity(range.len());
    let ids: Vec<u32> = range.collect();
    for batch in ids.chunks(OPENING) {
        let opening = batch.iter().map(async |id| {
            let mut client = Client::connect(target).await?;
            if !bare {
                client.ask("join_user", &json!({ "userId": format!("user{id:06}"), "roster": "none" })).await?;
            }
            Ok::<_, String>(client)
        });
        for client in futures_util::future::join_all(opening).await {
            all.push(client?);
        }
    }
    Ok(all)
}
