//! The comparison benchmark's server on socketioxide. It prints its address when it listens.

use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use socketioxide::{
    SocketIo, TransportType,
    extract::{AckSender, Data, SocketRef},
};

#[derive(Deserialize, Serialize)]
struct Relay {
    to: String,
    text: String,
}

#[derive(Deserialize)]
struct Broadcast {
    count: u32,
    text: String,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let (layer, io) = SocketIo::builder()
        .transports([TransportType::Websocket])
        // socketioxide drops events when a socket's queue is full, and the benchmark queues 100.
        .max_buffer_size(256)
        // The smallest size that reads a message of the benchmark in one call.
        .ws_read_buffer_size(512)
        .build_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on(
            "register",
            async |socket: SocketRef, Data::<String>(user), ack: AckSender| {
                socket.join(user);
                let _ = ack.send(&json!({ "success": true }));
            },
        );
        socket.on("echo", async |Data::<Value>(payload), ack: AckSender| {
            let _ = ack.send(&payload);
        });
        socket.on(
            "relay",
            async |socket: SocketRef, Data::<Relay>(payload), ack: AckSender| {
                let _ = socket
                    .to(payload.to.clone())
                    .emit("relayed", &payload)
                    .await;
                let _ = ack.send(&json!({ "success": true }));
            },
        );
        socket.on(
            "broadcast",
            async |io: SocketIo, Data::<Broadcast>(wanted)| {
                for number in 0..wanted.count {
                    let _ = io
                        .emit("news", &json!({ "number": number, "text": wanted.text }))
                        .await;
                }
            },
        );
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, axum::Router::new().layer(layer)).await
}
