//! The comparison benchmark's server on `crates/socketio` alone: the same events as the servers in
//! `bench/peers`. It prints its address when it listens.
//!
//! `RUNTIME=per-core` runs one runtime and one listener per core, which share one server, instead
//! of one multi-threaded runtime.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use socketio::{
    BoxFuture, Config, ConnectError, ConnectRequest, Event, Handler, Packet, Socket, SocketIo,
};
use tokio::net::{TcpListener, TcpSocket};

struct Bare;

#[derive(Deserialize, Serialize)]
struct Relay<'a> {
    to: &'a str,
    text: &'a str,
}

#[derive(Deserialize)]
struct Broadcast<'a> {
    count: u32,
    #[serde(borrow)]
    text: &'a RawValue,
}

impl Handler for Bare {
    type Data = ();

    async fn connect(&self, _: ConnectRequest) -> Result<(), ConnectError> {
        Ok(())
    }

    fn event(&self, socket: &Socket<()>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        let mut answer = Some(json!({ "success": true }));
        match event.name() {
            "register" => match event.parse::<String>(0) {
                Ok(user) => socket.join(&user),
                Err(_) => answer = None,
            },
            "echo" => {
                if let Some(ack) = event.take_ack() {
                    let _ = ack.send(event.args());
                }
            }
            "relay" => match event.parse::<Relay<'_>>(0) {
                Ok(payload) => socket.to(payload.to).emit("relayed", &payload),
                Err(_) => answer = None,
            },
            "broadcast" => {
                let Ok(wanted) = event.parse::<Broadcast<'_>>(0) else {
                    return None;
                };
                for number in 0..wanted.count {
                    let news = json!({ "number": number, "text": wanted.text });
                    if let Ok(packet) = Packet::event_of("/", "news", &news) {
                        let _ = socket.emit_packet(&packet);
                        socket.broadcast().emit_packet(&packet);
                    }
                }
            }
            _ => answer = None,
        }
        if let (Some(answer), Some(ack)) = (answer, event.take_ack()) {
            let _ = ack.reply(&answer);
        }
        None
    }
}

fn main() -> std::io::Result<()> {
    let io = SocketIo::builder(Config::default())
        .namespace("/", Bare)
        .build();
    if std::env::var("RUNTIME").as_deref() == Ok("per-core") {
        return per_core(&io);
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("{}", listener.local_addr()?);
            socketio::serve(listener, io).await
        })
}

fn per_core(io: &SocketIo) -> std::io::Result<()> {
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut threads = Vec::new();
    for _ in 0..std::thread::available_parallelism()?.get() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(async { shared_listener(address) })?;
        address = listener.local_addr()?;
        let io = io.clone();
        threads.push(std::thread::spawn(move || {
            runtime.block_on(socketio::serve(listener, io))
        }));
    }
    println!("{address}");
    threads
        .into_iter()
        .try_for_each(|thread| thread.join().unwrap_or(Ok(())))
}

/// A listener that shares its address: the kernel distributes connections among all such listeners.
fn shared_listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}
