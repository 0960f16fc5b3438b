//! A chat of one room: whatever one says, all hear. `cargo run -p socketio --example echo_chat`, then connect any
//! Socket.IO client to `http://127.0.0.1:3000` and emit `say`.

use std::{collections::HashSet, sync::Mutex};

use socketio::{BoxFuture, Config, ConnectError, ConnectRequest, DisconnectReason, Event, Handler, Packet, Socket, SocketIo};

#[derive(Default)]
struct Room(Mutex<HashSet<Socket<()>>>);

impl Room {
    fn tell_all(&self, name: &str, args: &str) {
        // Encoded once, however many there are.
        let packet = Packet::event("/", name, args);
        for socket in self.0.lock().expect("no one panics in here").iter() {
            let _ = socket.emit_packet(&packet);
        }
    }
}

impl Handler for Room {
    type Data = ();

    async fn connect(&self, _: ConnectRequest) -> Result<(), ConnectError> {
        Ok(())
    }

    fn connected(&self, socket: &Socket<()>) {
        self.0.lock().expect("no one panics in here").insert(socket.clone());
    }

    fn event(&self, _: &Socket<()>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        if event.name() == "say" {
            self.tell_all("said", event.args());
        }
        if let Some(ack) = event.take_ack() {
            let _ = ack.send("");
        }
        None
    }

    fn disconnected(&self, socket: &Socket<()>, _: DisconnectReason) {
        self.0.lock().expect("no one panics in here").remove(socket);
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let io = SocketIo::builder(Config::default()).namespace("/", Room::default()).build();
    socketio::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, io).await
}
