//! Pairs of users, of whom one sends.

use crate::client::{Client, Heard, Target};
use crate::process::usage;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

pub(crate) async fn run(target: &Target, pid: u32, pairs: u32, in_flight: u32, each: u32) -> Result<Value, String> {
    let mut ready = Vec::new();
    for pair in 0..pairs {
        let (from, to) = (format!("from{pair:06}"), format!("into{pair:06}"));
        let mut sender = Client::connect(target).await?;
        let mut receiver = Client::connect(target).await?;
        sender.ask("join_user", &json!({ "userId": from, "roster": "none" })).await?;
        receiver.ask("join_user", &json!({ "userId": to, "roster": "none" })).await?;
        let conversation = open_conversation(target, &from, &to).await?;
        ready.push((sender, receiver, conversation));
    }
    let before = usage(pid)?;
    let began = Instant::now();
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(sender, receiver, conversation)| {
            let sending = tokio::spawn(send(sender, conversation, in_flight, each));
            let receiving = tokio::spawn(receive(receiver, each));
            (sending, receiving)
        })
        .collect();
    let mut acks = Vec::new();
    for (sending, receiving) in tasks {
        acks.extend(sending.await.map_err(|error| error.to_string())??);
        receiving.await.map_err(|error| error.to_string())??;
    }
    let took = began.elapsed();
    let cpu = usage(pid)?.cpu - before.cpu;
    acks.sort();
    let at = |share: f64| acks[((acks.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let total = f64::from(pairs) * f64::from(each);
    Ok(json!({
        "work": "messages",
        "pairs": pairs,
        "in_flight": in_flight,
        "messages": total,
        "per_second": (total / took.as_secs_f64()).round(),
        "cpu_us_per_message": cpu.as_secs_f64() * 1e6 / total,
        "ack_ms": { "p50": at(0.5), "p99": at(0.99) },
    }))
}

async fn send(mut client: Client, conversation: String, in_flight: u32, each: u32) -> Result<Vec<Duration>, String> {
    let mut waiting: HashMap<u64, Instant> = HashMap::new();
    let mut took = Vec::with_capacity(each as usize);
    let mut sent = 0;
    while took.len() < each as usize {
        while sent < each && waiting.len() < in_flight as usize {
            let payload =
                json!({ "conversationId": conversation, "content": "Is it raining where you are?", "clientMessageId": format!("m{sent}") });
            let id = client.emit("send_private_message", &payload).await?;
            waiting.insert(id, Instant::now());
            sent += 1;
        }
        if let Heard::Ack(id, reply) = client.heard().await?
            && let Some(at) = waiting.remove(&id)
        {
            if reply["success"] != true {
                return Err(format!("send_private_message: {reply}"));
            }
            took.push(at.elapsed());
        }
    }
    Ok(took)
}

async fn receive(mut client: Client, each: u32) -> Result<(), String> {
    let mut next = 1;
    while next <= u64::from(each) {
        if let Heard::Event(name, payload) = client.heard().await?
            && name == "new_private_message"
        {
            if payload["seq"] != next {
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
