//! Scenario: many connections for a long time, some of which are replaced. The server's memory must
//! not grow, and everything must be released afterwards.

use crate::idle::batches;
use crate::process::{Pids, files, usage};
use crate::target::Target;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Interval of heartbeats that the server requires.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Time after which memory use must be stable.
const SETTLING: Duration = Duration::from_secs(300);
/// Interval between two samples of the server's memory.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(15);
/// Limit on the time until the server has released everything: the grace period, and periodic
/// sweeps.
const RELEASE_LIMIT: Duration = Duration::from_secs(150);
/// Connections that are opened and closed before the measurement.
const WARM_UP: u32 = 50;
/// Resources that exist without any user.
const PERMANENT: [&str; 2] = ["files", "lamplight_held{table=\"tasks\"}"];

type Resources = BTreeMap<String, u64>;

pub(crate) async fn run(
    target: &Target,
    pids: Pids,
    count: u32,
    minutes: u32,
    percent: u32,
) -> Result<Value, String> {
    // The first connections create permanent resources: the timer task, the store's files.
    batches(0..WARM_UP, |id| connect_user(target, id))
        .await?
        .iter()
        .for_each(JoinHandle::abort);
    let before = settled(target, pids, |held| {
        held.iter()
            .all(|(name, count)| *count == 0 || PERMANENT.contains(&name.as_str()))
    })
    .await?;
    let began = Instant::now();
    let mut connections: VecDeque<JoinHandle<()>> =
        batches(0..count, |id| connect_user(target, id))
            .await?
            .into();
    let end = began + Duration::from_secs(u64::from(minutes) * 60);
    let flat_from = SETTLING.min((end - began) / 6);
    let mut replacement =
        tokio::time::interval(Duration::from_secs(60) / (count * percent / 100).max(1));
    // Users who left return later: the set of users is limited, as in reality.
    let people = count + count / 4;
    let (mut came, mut last_sample) = (count, Instant::now());
    let mut samples: Vec<(u64, u64)> = Vec::new();
    while Instant::now() < end {
        replacement.tick().await;
        // The oldest connection is closed, and a new one is opened.
        if let Some(oldest) = connections.pop_front() {
            oldest.abort();
        }
        connections.push_back(connect_user(target, came % people).await?);
        came += 1;
        if last_sample.elapsed() >= SAMPLE_INTERVAL {
            last_sample = Instant::now();
            samples.push((began.elapsed().as_secs(), usage(pids)?.rss));
        }
        if connections.front().is_some_and(JoinHandle::is_finished) {
            return Err("a connection was lost".to_owned());
        }
    }
    let cpu = usage(pids)?.cpu;
    let lost = connections
        .iter()
        .filter(|connection| connection.is_finished())
        .count();
    connections.iter().for_each(JoinHandle::abort);
    let after = settled(target, pids, |held| *held == before).await?;
    let flat: Vec<u64> = samples
        .iter()
        .filter(|(at, _)| *at >= flat_from.as_secs())
        .map(|(_, rss)| *rss)
        .collect();
    let (first, last) = (
        flat.first().copied().unwrap_or(0),
        flat.last().copied().unwrap_or(0),
    );
    Ok(json!({
        "work": "churn",
        "connections": count,
        "minutes": minutes,
        "came": came,
        "lost": lost,
        "server_cpu_s": cpu.as_secs_f64(),
        "rss_settled": first,
        "rss_last": last,
        "rss_most": flat.iter().max(),
        "rss_grown": i64::try_from(last).unwrap_or(0) - i64::try_from(first).unwrap_or(0),
        "rss": samples,
        "held_before": before,
        "held_after": after,
        "all_gone": before == after,
    }))
}

/// Connects a user until the task is aborted, which closes the connection without a close frame.
async fn connect_user(target: &Target, id: u32) -> Result<JoinHandle<()>, String> {
    let mut client = crate::idle::join(target, id).await?;
    // Spread over the interval.
    let first = HEARTBEAT * (id % 100) / 100;
    Ok(tokio::spawn(async move {
        let mut beat = tokio::time::interval_at(Instant::now() + first, HEARTBEAT);
        loop {
            tokio::select! {
                _ = beat.tick() => if client.emit_without_ack("user_activity").await.is_err() { return },
                packet = client.text() => if packet.is_err() { return },
            }
        }
    }))
}

/// Waits until `is_settled` accepts the resources or the limit is reached; returns the resources.
async fn settled(
    target: &Target,
    pids: Pids,
    is_settled: impl Fn(&Resources) -> bool,
) -> Result<Resources, String> {
    let deadline = Instant::now() + RELEASE_LIMIT;
    loop {
        let held = held(target, pids).await?;
        if is_settled(&held) || Instant::now() >= deadline {
            return Ok(held);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The resources that the server reports, by name, and its open files.
async fn held(target: &Target, pids: Pids) -> Result<Resources, String> {
    let metrics = get(target, "/metrics").await?;
    let counted = [
        "lamplight_connections",
        "lamplight_sessions",
        "lamplight_sockets",
        "lamplight_online_users",
        "lamplight_roster_followers",
    ];
    let is_counted = |name: &str| {
        name.starts_with("lamplight_held") || counted.iter().any(|start| name.starts_with(start))
    };
    let mut held: Resources = metrics
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(name, _)| is_counted(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect();
    if held.is_empty() {
        return Err("the server reports no resources at /metrics".to_owned());
    }
    held.insert("files".to_owned(), files(pids)?);
    Ok(held)
}

async fn get(target: &Target, path: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(target.server)
        .await
        .map_err(|error| error.to_string())?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        target.server
    );
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .map_err(|error| error.to_string())?;
    Ok(answer)
}
