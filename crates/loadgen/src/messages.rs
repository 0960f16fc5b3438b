//! Scenario: pairs of users, of whom one sends stored messages to the other.

use crate::client::{Client, Packet};
use crate::process::{Pids, usage};
use crate::sending::{Sender, TEXT, join_all, report, send};
use crate::target::Target;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

pub(crate) async fn run(
    target: &Target,
    pids: Pids,
    pairs: u32,
    in_flight: u32,
    each: u32,
) -> Result<Value, String> {
    let mut ready = Vec::new();
    for pair in 0..pairs {
        let (from, to) = (format!("from{pair:06}"), format!("into{pair:06}"));
        // On two nodes, where there are two.
        let mut sender = Client::connect(&target.node(pair as usize)).await?;
        let mut receiver = Client::connect(&target.node(pair as usize + 1)).await?;
        sender
            .request("join_user", &json!({ "userId": from, "roster": "none" }))
            .await?;
        receiver
            .request("join_user", &json!({ "userId": to, "roster": "none" }))
            .await?;
        let conversation = open_conversation(&target.node(pair as usize), &from, &to).await?;
        // The original system notifies only users who have a conversation open.
        for client in [&mut sender, &mut receiver] {
            client
                .request(
                    "join_conversation",
                    &json!({ "conversationId": conversation }),
                )
                .await?;
        }
        ready.push((sender, receiver, conversation));
    }
    settle(
        ready
            .iter_mut()
            .flat_map(|(sender, receiver, _)| [sender, receiver]),
    )
    .await;
    let before = usage(pids)?;
    let began = Instant::now();
    let tasks: Vec<_> = ready
        .into_iter()
        .map(|(sender, receiver, conversation)| {
            let sending = tokio::spawn(send(
                MessageSender {
                    client: sender,
                    conversation,
                },
                in_flight,
                each,
            ));
            let receiving = tokio::spawn(receive(receiver, each));
            (sending, receiving)
        })
        .collect();
    let acks = join_all(tasks).await?;
    let took = began.elapsed();
    let after = usage(pids)?;
    Ok(report(
        "messages",
        (pairs, in_flight, each),
        &acks,
        took,
        (before, after),
    ))
}

/// Waits until the effects of joining have ended.
async fn settle(clients: impl Iterator<Item = &mut Client>) {
    futures_util::future::join_all(clients.map(|client| client.drain(Duration::from_secs(1))))
        .await;
}

/// Sends stored messages into a conversation.
struct MessageSender {
    client: Client,
    conversation: String,
}

impl Sender for MessageSender {
    async fn send(&mut self, number: u32) -> Result<u64, String> {
        let payload = json!({ "conversationId": self.conversation, "content": TEXT, "clientMessageId": format!("m{number}") });
        self.client.emit("send_private_message", &payload).await
    }

    async fn next_ack(&mut self) -> Result<u64, String> {
        self.client.next_ack().await
    }
}

async fn receive(mut client: Client, each: u32) -> Result<(), String> {
    let mut next = 1;
    while next <= u64::from(each) {
        if let Packet::Event(name, payload) = client.next_packet().await?
            && name == "new_private_message"
        {
            // The original system does not number messages.
            if !payload["seq"].is_null() && payload["seq"] != next {
                return Err(format!("expected seq {next}, got {}", payload["seq"]));
            }
            next += 1;
        }
    }
    Ok(())
}

/// Performs `POST /api/privatechat/conversations` with `AUTH=open`.
async fn open_conversation(target: &Target, from: &str, to: &str) -> Result<String, String> {
    let body = json!({ "userId": to }).to_string();
    let request = format!(
        "POST /api/privatechat/conversations HTTP/1.1\r\nhost: {}\r\nx-user-id: {from}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        target.server,
        body.len()
    );
    let mut stream = TcpStream::connect(target.server)
        .await
        .map_err(|error| error.to_string())?;
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .map_err(|error| error.to_string())?;
    let json: Value = answer
        .split("\r\n\r\n")
        .nth(1)
        .and_then(|body| serde_json::from_str(body).ok())
        .ok_or("the server returned no JSON body")?;
    json["conversation"]["id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| answer.clone())
}
