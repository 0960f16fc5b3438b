//! Scenario: users join at the same time. Measures the time until every user knows every other, and
//! the cost.

use crate::client::{Client, Packet, decode};
use crate::process::{Pids, usage};
use crate::target::Target;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Barrier;
use tokio::time::Instant;

/// Limit on that time.
const DEADLINE: Duration = Duration::from_secs(120);

/// Lists longer than this many bytes are searched instead of parsed.
const SEARCHED_ABOVE: usize = 4096;

pub(crate) async fn run(
    target: &Target,
    pids: Pids,
    users: u32,
    mode: &str,
    settle_seconds: u64,
) -> Result<Value, String> {
    let mut clients = Vec::new();
    for _ in 0..users {
        clients.push(Client::connect(target).await?);
    }
    let barrier = Arc::new(Barrier::new(users as usize));
    let before = usage(pids)?;
    let began = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(index, client)| {
            let join = json!({ "userId": format!("user{index:06}"), "roster": mode, "name": format!("name{index:06}") });
            tokio::spawn(join_and_learn(client, join, users as usize, Arc::clone(&barrier), began, settle_seconds))
        })
        .collect();
    let mut times = Vec::new();
    let mut bytes = Vec::new();
    for task in tasks {
        let (took, received) = task.await.map_err(|error| error.to_string())??;
        times.push(took);
        bytes.push(received);
    }
    let cpu = usage(pids)?.cpu - before.cpu;
    times.sort();
    bytes.sort_unstable();
    Ok(json!({
        "work": "storm",
        "users": users,
        "mode": mode,
        "all_known_ms": { "median": times[times.len() / 2].as_millis() as u64, "max": times[times.len() - 1].as_millis() as u64 },
        "bytes_to_each": { "median": bytes[bytes.len() / 2], "max": bytes[bytes.len() - 1] },
        "server_cpu_ms": cpu.as_millis() as u64,
    }))
}

async fn join_and_learn(
    mut client: Client,
    join: Value,
    users: usize,
    barrier: Arc<Barrier>,
    began: Instant,
    settle: u64,
) -> Result<(Duration, u64), String> {
    barrier.wait().await;
    let start = client.received;
    // A client that receives changes must merge them with the list that it received first.
    let changes = join["roster"] != "original";
    client.emit("join_user", &join).await?;
    let mut known: HashSet<String> = HashSet::new();
    let knows = |known: &mut HashSet<String>, presence: &Value| {
        if let Some(user) = presence["userId"].as_str() {
            known.insert(user.to_owned());
        }
    };
    let all = async {
        while known.len() < users {
            let text = client.text().await?;
            if !changes && text.len() > SEARCHED_ABOVE && text.starts_with("42[\"online_users\"") {
                // The original system sends the whole list for each user who joins: gigabytes,
                // which would take too long to parse.
                let shown = memchr::memmem::find_iter(text.as_bytes(), b"\"userId\"").count();
                if shown >= users {
                    return Ok(());
                }
                continue;
            }
            match decode(&text) {
                Some(Packet::Event(name, payload)) => match name.as_str() {
                    "online_users" => payload["users"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .for_each(|shown| knows(&mut known, shown)),
                    "user_online" => knows(&mut known, &payload),
                    "presence_changes" => payload["changes"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .for_each(|change| knows(&mut known, change)),
                    _ => {}
                },
                Some(Packet::Ack(_, reply)) if reply["success"] != true => {
                    return Err(format!("join_user: {reply}"));
                }
                _ => {}
            }
        }
        Ok(())
    };
    if let Ok(done) = tokio::time::timeout(DEADLINE, all).await {
        done?;
    } else {
        return Err(format!(
            "a client knew {} of {users} users at the deadline, after {} bytes",
            known.len(),
            client.received - start
        ));
    }
    let took = began.elapsed();
    client.drain(Duration::from_secs(settle)).await;
    Ok((took, client.received - start))
}
