//! The server that the tests of npm `socket.io-client` expect: it behaves like that package's
//! `test/support/server.ts`. It listens on [::1]:3210 or on the address in the first argument, and
//! prints its address.
//!
//! To run the tests, check out `socketio/socket.io`, build its packages, empty
//! `test/support/hooks.ts` (it would start Node's server), and run `npx mocha --import=tsx --exit
//! test/index.ts` in `packages/socket.io-client`. One test needs recovery, which the suite's server
//! enables for all clients. With `RECOVERY=0` in the environment only clients that request it get
//! it, as by default.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use socketio::{
    Ack, BoxFuture, Config, ConnectError, ConnectRequest, Event, Handler, Handshake, Packet,
    Placeholder, Recovery, Socket, SocketIo, WriteTimeout,
};
use tokio::net::TcpListener;

/// Query parameters of the suite's clients.
const QUERY_NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "&a"];
/// Any time: the tests check only that it arrives as text.
const DATE: &str = "2011-10-05T14:48:00.000Z";
/// Time until a connection opens: longer than the `timeout: 0` of some tests. The suite uses 10 ms,
/// which elapse at once in the test that stops the clock, because its server runs in the same
/// process.
const DELAY: Duration = Duration::from_millis(3);

/// `socket.handshake`, as far as the tests use it.
fn handshake(handshake: &Handshake, auth: Value) -> Value {
    let query = QUERY_NAMES.iter().filter_map(|name| {
        Some((
            (*name).to_owned(),
            Value::from(handshake.query(name)?.into_owned()),
        ))
    });
    json!({ "query": query.collect::<serde_json::Map<_, _>>(), "auth": auth })
}

fn auth(request: &ConnectRequest) -> Value {
    request
        .auth
        .as_ref()
        .and_then(|auth| serde_json::from_str(auth.get()).ok())
        .unwrap_or_else(|| json!({}))
}

/// The main namespace.
struct Main;

impl Handler for Main {
    /// The handshake.
    type Data = Value;

    async fn connect(&self, request: ConnectRequest) -> Result<Value, ConnectError> {
        if request.handshake.query("fail").is_some() {
            return Err(ConnectError::new("Auth failed (main namespace)"));
        }
        Ok(handshake(&request.handshake, auth(&request)))
    }

    fn event(&self, socket: &Socket<Value>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        let has_buffers = !event.attachments.is_empty();
        let is_buffer = |value: &Value| value["_placeholder"] == true && has_buffers;
        let arg: Value = event.parse(0).unwrap_or_default();
        let say = |name: &str, arg: Value| {
            let _ = socket.emit(name, &arg);
        };
        let say_name = |name: &str| {
            let _ = socket.emit_packet(&Packet::event("/", name, ""));
        };
        let answer = |ack: Option<Ack>, arg: Value| {
            let _ = ack.map(|ack| ack.reply(&arg));
        };
        match event.name() {
            "hi" => say_name("hi"),
            "echo" => {
                let args = event.arg(0).unwrap_or("").to_owned();
                let _ = event
                    .take_ack()
                    .map(|ack| ack.send_binary(&args, &event.attachments));
            }
            "ack" => {
                let (asked, socket) = (
                    socket.emit_with_ack("ack", "", &[], Duration::from_secs(5)),
                    socket.clone(),
                );
                tokio::spawn(async move {
                    let Ok(reply) = asked.await else { return };
                    let object: Value = reply.parse(1).unwrap_or_default();
                    if reply.parse::<u32>(0).is_ok_and(|number| number == 5)
                        && object["test"] != Value::Null
                    {
                        let _ = socket.emit_packet(&Packet::event("/", "got it", ""));
                    }
                });
            }
            "getAckDate" => answer(event.ack, DATE.into()),
            "getDate" => say("takeDate", DATE.into()),
            "getDateObj" => say("takeDateObj", json!({ "date": DATE })),
            "getUtf8" => {
                for text in [
                    "てすと",
                    "Я Б Г Д Ж Й",
                    "Ä ä Ü ü ß",
                    "utf8 — string",
                    "utf8 — string",
                ] {
                    say("takeUtf8", text.into());
                }
            }
            "false" => say("false", false.into()),
            "doge" => emit_buffer(socket, "doge"),
            "getbin" => emit_buffer(socket, "takebin"),
            "buffa" if is_buffer(&arg) => say_name("buffack"),
            "jsonbuff"
                if arg["hello"] == "lol"
                    && is_buffer(&arg["message"])
                    && arg["goodbye"] == "gotcha" =>
            {
                say_name("jsonbuff-ack")
            }
            // Events arrive in order: this reply shows that "abuff1", which needs none, has arrived.
            "abuff2" => say_name("abuff2-ack"),
            "blob" if is_buffer(&arg) => say_name("back"),
            "jsonblob"
                if arg["hello"] == "lol"
                    && is_buffer(&arg["message"])
                    && arg["goodbye"] == "gotcha" =>
            {
                say_name("jsonblob-ack")
            }
            "blob3" if is_buffer(&arg) => say_name("blob3-ack"),
            "getHandshake" => answer(event.ack, socket.data().clone()),
            "getId" => answer(event.ack, socket.id().into()),
            _ => {}
        }
        None
    }
}

fn emit_buffer(socket: &Socket<Value>, name: &str) {
    let place = serde_json::to_string(&Placeholder(0)).unwrap_or_default();
    let _ = socket.emit_packet(&Packet::binary_event(
        "/",
        name,
        &place,
        &[Bytes::from_static(b"asdfasdf")],
    ));
}

/// The other namespaces.
enum Other {
    /// Replies with the socket's id.
    Foo,
    /// Emits the handshake to new clients.
    Abc,
    /// Refuses every client.
    No,
    /// Accepts every client.
    Plain,
}

impl Handler for Other {
    type Data = Value;

    async fn connect(&self, request: ConnectRequest) -> Result<Value, ConnectError> {
        match self {
            Self::No => Err(ConnectError::new("Auth failed (custom namespace)")),
            _ => Ok(handshake(&request.handshake, auth(&request))),
        }
    }

    fn connected(&self, socket: &Socket<Value>) {
        if matches!(self, Self::Abc) {
            let _ = socket.emit("handshake", socket.data());
        }
    }

    fn event(&self, socket: &Socket<Value>, mut event: Event) -> Option<BoxFuture<'static, ()>> {
        if let (Self::Foo, "getId", Some(ack)) = (self, &*event.name().to_owned(), event.take_ack())
        {
            let _ = ack.reply(socket.id());
        }
        None
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let for_everybody = std::env::var("RECOVERY").as_deref() != Ok("0");
    let config = Config {
        ping_interval: Duration::from_secs(2),
        recovery: Some(Recovery {
            for_everybody,
            ..Recovery::default()
        }),
        // A CONNECT may arrive late, and the tests check the request that opened the connection.
        retain_handshake: true,
        ..Config::default()
    };
    let write_timeout = config.write_timeout;
    let io = SocketIo::builder(config)
        .namespace("/", Main)
        .namespace("/foo", Other::Foo)
        .namespace("/timeout_socket", Other::Plain)
        .namespace("/valid", Other::Plain)
        .namespace("/asd", Other::Plain)
        .namespace("/abc", Other::Abc)
        .namespace("/no", Other::No)
        .build();
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "[::1]:3210".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let stream = WriteTimeout::new(stream, write_timeout);
        let io = io.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let io = io.clone();
            async move {
                if !request.uri().query().unwrap_or("").contains("sid=") {
                    // As in the suite's server, for the tests of connection timeouts.
                    tokio::time::sleep(DELAY).await;
                }
                Ok::<_, Infallible>(io.handle(request, peer).await)
            }
        });
        tokio::spawn(
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades(),
        );
    }
}
