//! Scenario: users come online on one node. Measures the time until a watcher on the next node knows.

use crate::client::{Client, Packet};
use crate::target::Target;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const DEADLINE: Duration = Duration::from_secs(30);
/// Between two joins. A roster batches changes while many join: this measures a single join.
const PAUSE: Duration = Duration::from_millis(2_100);
/// Joins of the users that are online all the while, at a time.
const AT_ONCE: usize = 64;

pub(crate) async fn run(target: &Target, online: u32, times: u32) -> Result<Value, String> {
    let numbers: Vec<u32> = (0..online).collect();
    let mut held = Vec::with_capacity(online as usize);
    for part in numbers.chunks(AT_ONCE) {
        let joins = part.iter().map(|number| {
            join(
                target.node(*number as usize),
                format!("held{number:06}"),
                "none",
            )
        });
        for client in futures_util::future::join_all(joins).await {
            held.push(client?);
        }
    }
    let mut watcher = join(target.node(1), "watcher".to_owned(), "diff").await?;
    let mut took = Vec::new();
    for number in 0..times {
        watcher.drain(PAUSE).await;
        let user = format!("seen{number:06}");
        let began = Instant::now();
        held.push(join(target.node(0), user.clone(), "none").await?);
        let known = tokio::time::timeout(DEADLINE, learn(&mut watcher, &user));
        known
            .await
            .map_err(|_| format!("the watcher got no change of {user}"))??;
        took.push(began.elapsed());
    }
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    Ok(json!({
        "work": "seen",
        "online": online,
        "times": times,
        "known_ms": { "p50": at(0.5), "p99": at(0.99) },
    }))
}

async fn join(target: Target, user: String, roster: &str) -> Result<Client, String> {
    let mut client = Client::connect(&target).await?;
    let join = json!({ "userId": user, "roster": roster });
    client.request("join_user", &join).await?;
    Ok(client)
}

/// Reads until an event names the user as online.
async fn learn(watcher: &mut Client, user: &str) -> Result<(), String> {
    loop {
        let Packet::Event(_, payload) = watcher.next_packet().await? else {
            continue;
        };
        let changes = payload["changes"].as_array().cloned();
        let is_named = |shown: &Value| shown["userId"] == user;
        if is_named(&payload) || changes.is_some_and(|changes| changes.iter().any(is_named)) {
            return Ok(());
        }
    }
}
