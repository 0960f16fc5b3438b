//! Scenario: new users come online, a fixed number of them at a time. Measures the time until all
//! are online, and the cost.

use crate::client::Client;
use crate::process::{Pids, usage};
use crate::target::Target;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub(crate) async fn run(
    target: &Target,
    pids: Pids,
    users: u32,
    in_flight: u32,
) -> Result<Value, String> {
    // Only the joins are measured, so the connections are there before.
    let mut waiting = Vec::new();
    for id in 0..users {
        waiting.push((id, Client::connect(target).await?));
    }
    let waiting = Arc::new(Mutex::new(waiting));
    let before = usage(pids)?;
    let began = Instant::now();
    let workers: Vec<_> = (0..in_flight)
        .map(|_| tokio::spawn(join_next(Arc::clone(&waiting))))
        .collect();
    let mut online = Vec::new();
    let mut times = Vec::new();
    for worker in workers {
        for (client, took) in worker.await.map_err(|error| error.to_string())?? {
            online.push(client);
            times.push(took);
        }
    }
    let took = began.elapsed();
    let cpu = usage(pids)?.cpu - before.cpu;
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    Ok(json!({
        "work": "joins",
        "users": online.len(),
        "in_flight": in_flight,
        "all_online_ms": took.as_secs_f64() * 1e3,
        "join_ms": { "p50": at(50), "p99": at(99) },
        "cpu_us_per_join": cpu.as_secs_f64() * 1e6 / f64::from(users),
    }))
}

/// Joins one waiting user after the other; returns their connections and how long each join took.
async fn join_next(
    waiting: Arc<Mutex<Vec<(u32, Client)>>>,
) -> Result<Vec<(Client, Duration)>, String> {
    let mut online = Vec::new();
    loop {
        let Some((id, mut client)) = waiting.lock().await.pop() else {
            return Ok(online);
        };
        let join = json!({ "userId": format!("user{id:06}"), "roster": "none", "name": format!("name{id:06}") });
        let began = Instant::now();
        client.request("join_user", &join).await?;
        online.push((client, began.elapsed()));
    }
}
