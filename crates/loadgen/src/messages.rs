//! Pairs of users, of whom one sends.

use crate::client::{Client, Heard, Target};
use crate::process::{Usage, usage};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const TEXT: &str = "Is it raining where you are?";

pub(crate) async fn run(target: &Target, pid: u32, pairs: u32, in_flight: u32, each: u32) -> Result<Value, String> {
    let mut ready = Vec::new();
    for pair in 0..pairs {
        let (from, to) = (format!("from{pair:06}"), format!("into{pair:06}"));
        let mut sender = Client::connect(target).await?;
        let mut receiver = Client::connect(target).await?;
        sender.ask("join_user", &json!({ "userId": from, "roster": "none" })).await?;
        receiver.ask("join_user", &json!({ "userId": to, "roster": "none" })).await?;
        let conversation = open_conversation(target, &from, &to).await?;
        // The original system tells only those who look at a conversation.
        for client in [&mut sender, &mut receiver] {
            client.ask("join_conversation", &json!({ "conversationId": conversation })).await?;
        }
        ready.push((sender, receiver, conversation));
    }
    settle(ready.iter_mut().flat_map(|(sender, receiver, _)| [sender, receiver])).await;
    let before = usage(pid)?;
    let began = Instant::now();
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(sender, receiver, conversation)| {
            let sending = tokio::spawn(send(sender, Sends::Durable(conversation), in_flight, each));
            let receiving = tokio::spawn(receive(receiver, each));
            (sending, receiving)
        })
        .collect();
    let acks = finished(tasks).await?;
    let took = began.elapsed();
    let after = usage(pid)?;
    Ok(seen("messages", pairs, in_flight, each, acks, took, (before, after)))
}

/// The same without a store: one says something to another by name.
pub(crate) async fn relay(target: &Target, pid: u32, pairs: u32, in_flight: u32, each: u32) -> Result<Value, String> {
    let mut ready = Vec::new();
    for pair in 0..pairs {
        let to = format!("into{pair:06}");
        let sender = Client::connect(target).await?;
        let mut receiver = Client::connect(target).await?;
        receiver.ask("register", &json!(to)).await?;
        ready.push((sender, receiver, to));
    }
    // A tenth of it beforehand, so that a server that compiles as it goes has done so.
    let mut spent = Vec::new();
    for (sender, receiver, to) in ready {
        let warm = each / 10;
        let receiving = tokio::spawn(count(receiver, warm));
        let sending =
            tokio::spawn(async move { send_over(sender, Sends::Bare(to.clone()), in_flight, warm).await.map(|(client, _)| (client, to)) });
        spent.push((sending, receiving));
    }
    let mut ready = Vec::new();
    for (sending, receiving) in spent {
        let (sender, to) = sending.await.map_err(|error| error.to_string())??;
        ready.push((sender, receiving.await.map_err(|error| error.to_string())??, to));
    }
    let before = usage(pid)?;
    let began = Instant::now();
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(sender, receiver, to)| {
            let sending = tokio::spawn(send(sender, Sends::Bare(to), in_flight, each));
            let receiving = tokio::spawn(async move { count(receiver, each).await.map(drop) });
            (sending, receiving)
        })
        .collect();
    let acks = finished(tasks).await?;
    let took = began.elapsed();
    let after = usage(pid)?;
    Ok(seen("relay", pairs, in_flight, each, acks, took, (before, after)))
}

async fn count(mut client: Client, each: u32) -> Result<Client, String> {
    client.count(each).await?;
    Ok(client)
}

/// What joining has set off is over.
async fn settle(clients: impl Iterator<Item = &mut Client>) {
    futures_util::future::join_all(clients.map(|client| client.drain(Duration::from_secs(1)))).await;
}

type Sending = JoinHandle<Result<Vec<Duration>, String>>;
type Receiving = JoinHandle<Result<(), String>>;

async fn finished(tasks: Vec<(Sending, Receiving)>) -> Result<Vec<Duration>, String> {
    let mut acks = Vec::new();
    for (sending, receiving) in tasks {
        acks.extend(sending.await.map_err(|error| error.to_string())??);
        receiving.await.map_err(|error| error.to_string())??;
    }
    acks.sort();
    Ok(acks)
}

fn seen(work: &str, pairs: u32, in_flight: u32, each: u32, acks: Vec<Duration>, took: Duration, (before, after): (Usage, Usage)) -> Value {
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

enum Sends {
    /// Into a conversation, to be kept.
    Durable(String),
    /// To a user, and forgotten.
    Bare(String),
}

async fn send(client: Client, sends: Sends, in_flight: u32, each: u32) -> Result<Vec<Duration>, String> {
    send_over(client, sends, in_flight, each).await.map(|(_, took)| took)
}

async fn send_over(mut client: Client, sends: Sends, in_flight: u32, each: u32) -> Result<(Client, Vec<Duration>), String> {
    let mut waiting: HashMap<u64, Instant> = HashMap::new();
    let mut took = Vec::with_capacity(each as usize);
    let mut sent = 0;
    while took.len() < each as usize {
        while sent < each && waiting.len() < in_flight as usize {
            let id = match &sends {
                Sends::Durable(conversation) => {
                    let payload = json!({ "conversationId": conversation, "content": TEXT, "clientMessageId": format!("m{sent}") });
                    client.emit("send_private_message", &payload).await?
                }
                Sends::Bare(to) => client.emit_text("relay", &format!("{{\"to\":\"{to}\",\"text\":\"{TEXT}\"}}")).await?,
            };
            waiting.insert(id, Instant::now());
            sent += 1;
        }
        if let Some(at) = waiting.remove(&client.done().await?) {
            took.push(at.elapsed());
        }
    }
    Ok((client, took))
}

async fn receive(mut client: Client, each: u32) -> Result<(), String> {
    let mut next = 1;
    while next <= u64::from(each) {
        if let Heard::Event(name, payload) = client.heard().await?
            && name == "new_private_message"
        {
            // The original system does not number them.
            if !payload["seq"].is_null() && payload["seq"] != next {
                return Err(format!("expected seq {next}, got {}", payload["seq"]));
            }
            next += 1;
        }
    }
    Ok(())
}

/// `POST /api/privatechat/conversations`, in `AUTH=open`.
async fn open_conversation(target: &Target, from: &str, to: &str) -> Result<String, String> {
    let body = json!({ "userId": to }).to_string();
    let request = format!(
        "POST /api/privatechat/conversations HTTP/1.1\r\nhost: {}\r\nx-user-id: {from}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        target.server,
        body.len()
    );
    let mut stream = TcpStream::connect(target.server).await.map_err(|error| error.to_string())?;
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
    let json: Value = answer.split("\r\n\r\n").nth(1).and_then(|body| serde_json::from_str(body).ok()).ok_or("no answer")?;
    json["conversation"]["id"].as_str().map(str::to_owned).ok_or_else(|| answer.clone())
}
