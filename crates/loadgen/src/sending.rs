//! What all work with messages shares: one sends, another receives, and the acknowledgements are
//! timed.

use crate::process::Usage;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) const TEXT: &str = "Is it raining where you are?";

/// One who sends.
pub(crate) trait Says: Send {
    /// Sends message `number`; gives the number that its acknowledgement will have.
    fn say(&mut self, number: u32) -> impl Future<Output = Result<u64, String>> + Send;
    /// The number of the next acknowledgement, which has to say that it was done.
    fn done(&mut self) -> impl Future<Output = Result<u64, String>> + Send;
}

/// Sends `each` messages, `in_flight` at once; gives how long each waited for its acknowledgement.
pub(crate) async fn send<S: Says>(
    sender: S,
    in_flight: u32,
    each: u32,
) -> Result<Vec<Duration>, String> {
    send_over(sender, in_flight, each)
        .await
        .map(|(_, took)| took)
}

/// The same for who is needed afterwards.
pub(crate) async fn send_over<S: Says>(
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
            waiting.insert(sender.say(sent).await?, began);
            sent += 1;
        }
        if let Some(began) = waiting.remove(&sender.done().await?) {
            took.push(began.elapsed());
        }
    }
    Ok((sender, took))
}

type Sending = JoinHandle<Result<Vec<Duration>, String>>;
type Receiving = JoinHandle<Result<(), String>>;

/// Waits for all of them; gives the times of all acknowledgements, sorted.
pub(crate) async fn finished(tasks: Vec<(Sending, Receiving)>) -> Result<Vec<Duration>, String> {
    let mut acks = Vec::new();
    for (sending, receiving) in tasks {
        acks.extend(sending.await.map_err(|error| error.to_string())??);
        receiving.await.map_err(|error| error.to_string())??;
    }
    acks.sort();
    Ok(acks)
}

/// What is printed of it.
pub(crate) fn seen(
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
