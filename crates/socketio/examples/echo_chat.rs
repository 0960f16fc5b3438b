//! A chat with one room: every client receives every text. Start it with `cargo run -p socketio
//! --example echo_chat`, connect any Socket.IO client to `http://127.0.0.1:3000`, and emit `say`.

use socketio::{
    BoxFuture, Config, ConnectError, ConnectRequest, DisconnectReason, Event, Handler, Packet,
    Socket, SocketIo,
};

struct Chat;

impl Handler for Chat {
    type Data = ();

    async fn connect(&self, _: ConnectRequest) -> Result<(), ConnectError> {
        Ok(())
    }

    fn connected(&self, socket: &Socket<()>) {
        socket.broadcast().emit("came", socket.id());
    }

    fn event(&self, socket: &Socket<()>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        if event.name() == "say" {
            // Encoded once for all receivers.
            let said = Packet::event("/", "said", event.args());
            let _ = socket.emit_packet(&said);
            socket.broadcast().emit_packet(&said);
        }
        if let Some(ack) = event.take_ack() {
            let _ = ack.send("");
        }
        None
    }

    fn disconnected(&self, socket: &Socket<()>, _: DisconnectReason) {
        socket.broadcast().emit("left", socket.id());
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let io = SocketIo::builder(Config::default())
        .namespace("/", Chat)
        .build();
    socketio::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, io).await
}
