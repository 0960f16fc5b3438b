//! Shared by the message scenarios: a sender, a receiver, and the latency of acknowledgements.

use crate::process::Usage;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) const TEXT: &str = "Is it raining where you are?";

/// A client that sends messages.
pub(crate) trait Sender: Send {
    /// Sends message `number`; returns the id of its acknowledgement.
    fn send(&mut self, number: u32) -> impl Future<Output = Result<u64, String>> + Send;
    /// Waits for the next acknowledgement, which must report success; returns its id.
    fn next_ack(&mut self) -> impl Future<Output = Result<u64, String>> + Send;
}

/// Sends `each` messages, at most `in_flight` unacknowledged; returns the latency of each
/// acknowledgement.
pub(crate) async fn send<S: Sender>(
    sender: S,
    in_flight: u32,
    each: u32,
) -> Result<Vec<Duration>, String> {
    send_and_return(sender, in_flight, each)
        .await
        .map(|(_, took)| took)
}

/// Like [`send`], and returns the sender for further use.
pub(crate) async fn send_and_return<S: Sender>(
    mut sender: S,
    in_flight: u32,
    each: u32,
) -> Result<(S, Vec<Duration>), String> {
    let mut waiting: HashMap<u64, Instant> = HashMap::new();
    let mut took = Vec::with_capacity(each as usize);
    let mut sent = 0;
    while took.len() < each as usize {
        while sent < each && waiting.len() < in_flight as usize {
            let began = Instant::now();
            waiting.insert(sender.send(sent).await?, began);
            sent += 1;
        }
        if let Some(began) = waiting.remove(&sender.next_ack().await?) {
            took.push(began.elapsed());
        }
    }
    Ok((sender, took))
}

type Sending = JoinHandle<Result<Vec<Duration>, String>>;
type Receiving = JoinHandle<Result<(), String>>;

/// Waits for all tasks; returns the latencies of all acknowledgements, sorted.
pub(crate) async fn join_all(tasks: Vec<(Sending, Receiving)>) -> Result<Vec<Duration>, String> {
    let mut acks = Vec::new();
    for (sending, receiving) in tasks {
        acks.extend(sending.await.map_err(|error| error.to_string())??);
        receiving.await.map_err(|error| error.to_string())??;
    }
    acks.sort();
    Ok(acks)
}

/// The result as JSON.
pub(crate) fn report(
    work: &str,
    (pairs, in_flight, each): (u32, u32, u32),
    acks: &[Duration],
    took: Duration,
    (before, after): (Usage, Usage),
) -> Value {
    let at = |share: f64| acks[((acks.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let total = f64::from(pairs) * f64::from(each);
    json!({
        "work": work,
        "pairs": pairs,
        "in_flight": in_flight,
        "messages": total,
        "per_second": (total / took.as_secs_f64()).round(),
        "cpu_us_per_message": (after.cpu - before.cpu).as_secs_f64() * 1e6 / total,
        "kernel_us_per_message": (after.kernel - before.kernel).as_secs_f64() * 1e6 / total,
        "ack_ms": { "p50": at(0.5), "p99": at(0.99) },
    })
}
