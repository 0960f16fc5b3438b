//! The server that the protocol test suites of the Socket.IO project, and WebSocket test suites,
//! connect to. It listens on 127.0.0.1:3000 or on the address in the first argument, and prints its
//! address.
//!
//! - `/engine.io/`: Engine.IO that echoes text and binary;
//! - `/socket.io/`: namespaces `/` and `/custom` emit `auth` with what the client gave; `/` answers
//!   `message` with `message-back` and acknowledges `message-with-ack`;
//! - `/echo`: WebSocket that echoes.
//!
//! With the feature `deflate`, `DEFLATE=1` in the environment compresses on all of them for clients
//! that offer it.

use std::{convert::Infallible, ops::ControlFlow, time::Duration};

use bytes::BytesMut;
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::value::RawValue;
use socketio::{
    Body, BoxFuture, Config, ConnectError, ConnectRequest, EngineConnection, EngineHandler,
    EngineMessage, Event, Handler, Packet, Socket, SocketIo,
    codec::{
        frame::{self, FrameError, OpCode},
        handshake,
        message::{Limits, Message, Reader},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

struct EngineEcho;

impl EngineHandler for EngineEcho {
    fn message(&self, connection: &EngineConnection, message: EngineMessage) {
        let _ = connection.send(&message);
    }
}

struct Main;

impl Handler for Main {
    type Data = Option<Box<RawValue>>;

    async fn connect(&self, request: ConnectRequest) -> Result<Self::Data, ConnectError> {
        Ok(request.auth)
    }

    fn connected(&self, socket: &Socket<Self::Data>) {
        emit_auth(socket);
    }

    fn event(
        &self,
        socket: &Socket<Self::Data>,
        mut event: Event,
    ) -> Option<BoxFuture<'static, ()>> {
        match event.name() {
            "message" => {
                let back =
                    Packet::binary_event("/", "message-back", event.args(), &event.attachments);
                let _ = socket.emit_packet(&back);
            }
            "message-with-ack" => {
                if let Some(ack) = event.take_ack() {
                    let _ = ack.send_binary(event.args(), &event.attachments);
                }
            }
            _ => {}
        }
        None
    }
}

struct Custom;

impl Handler for Custom {
    type Data = Option<Box<RawValue>>;

    async fn connect(&self, request: ConnectRequest) -> Result<Self::Data, ConnectError> {
        Ok(request.auth)
    }

    fn connected(&self, socket: &Socket<Self::Data>) {
        emit_auth(socket);
    }

    fn event(&self, _: &Socket<Self::Data>, _: Event) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// A moment after the CONNECT reply: the suites' clients add a listener for each message when the
/// previous one has arrived, and under Node miss a message that arrives together with it.
fn emit_auth(socket: &Socket<Option<Box<RawValue>>>) {
    let socket = socket.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let _ = match socket.data() {
            Some(auth) => socket.emit("auth", auth),
            None => socket.emit("auth", &serde_json::json!({})),
        };
    });
}

fn config(path: &str) -> Config {
    Config {
        path: path.to_owned(),
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        connect_timeout: Duration::from_secs(1),
        max_payload: 1_000_000,
        #[cfg(feature = "deflate")]
        deflate: compresses().then(socketio::Deflate::default),
        ..Config::default()
    }
}

#[cfg(feature = "deflate")]
fn compresses() -> bool {
    std::env::var_os("DEFLATE").is_some()
}

/// The response to a compression offer, if it is accepted.
#[cfg(feature = "deflate")]
fn agreed(headers: &http::HeaderMap) -> Option<&'static str> {
    socketio::codec::extensions::deflate(headers).filter(|_| compresses())
}

#[cfg(not(feature = "deflate"))]
fn agreed(_: &http::HeaderMap) -> Option<&'static str> {
    None
}

/// A bare WebSocket, using only the codecs.
fn echo(request: &mut Request<Incoming>) -> Response<Body> {
    let mut response = Response::new(Body::default());
    let Some(accept) = handshake::accept(request.method(), request.headers()) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let extensions = agreed(request.headers());
    tokio::spawn(echo_on(hyper::upgrade::on(request), extensions.is_some()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let extensions = extensions.map(|extensions| ("sec-websocket-extensions", extensions));
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", &accept),
    ]
    .into_iter()
    .chain(extensions)
    {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Appends a message, compressed if that is negotiated and makes it smaller.
fn write(out: &mut BytesMut, opcode: OpCode, data: &[u8], compresses: bool) {
    #[cfg(feature = "deflate")]
    if let Some(message) = compresses
        .then(|| socketio::codec::deflate::message(opcode, data, 6))
        .flatten()
    {
        return frame::encode_parts(out, opcode, true, &[&message]);
    }
    let _ = compresses;
    frame::encode(out, opcode, data);
}

fn feed(
    reader: &mut Reader,
    bytes: &mut [u8],
    limits: Limits,
    compresses: bool,
    each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, FrameError> {
    #[cfg(feature = "deflate")]
    if compresses {
        return reader.feed_compressed(bytes, limits, each);
    }
    let _ = compresses;
    reader.feed(bytes, limits, each)
}

async fn echo_on(upgrade: hyper::upgrade::OnUpgrade, compresses: bool) -> Option<()> {
    let mut stream = TokioIo::new(upgrade.await.ok()?);
    let limits = Limits {
        max_payload: 16 << 20,
        max_fragments: usize::MAX,
    };
    let (mut reader, mut buffer) = (Reader::default(), vec![0; 64 * 1024]);
    loop {
        let read = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        let mut out = BytesMut::new();
        let mut closed = false;
        let fed = feed(
            &mut reader,
            &mut buffer[..read],
            limits,
            compresses,
            &mut |message| {
                match message {
                    Message::Text(text) => {
                        write(&mut out, OpCode::Text, text.as_bytes(), compresses)
                    }
                    Message::Binary(data) => write(&mut out, OpCode::Binary, data, compresses),
                    Message::Ping(data) => frame::encode(&mut out, OpCode::Pong, data),
                    Message::Pong => {}
                    Message::Close(code) => {
                        let code = if code == 1005 { 1000 } else { code };
                        frame::encode(&mut out, OpCode::Close, &code.to_be_bytes());
                        closed = true;
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            },
        );
        if let Err(error) = fed {
            frame::encode(&mut out, OpCode::Close, &error.close_code().to_be_bytes());
            closed = true;
        }
        stream.write_all(&out).await.ok()?;
        if closed {
            stream.shutdown().await.ok()?;
            // Unread bytes would reset the connection and destroy what was sent.
            let rest = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
            return tokio::time::timeout(Duration::from_secs(2), rest)
                .await
                .ok();
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let engine = SocketIo::builder(config("/engine.io/"))
        .engine(EngineEcho)
        .build();
    let socket = SocketIo::builder(config("/socket.io/"))
        .namespace("/", Main)
        .namespace("/custom", Custom)
        .build();
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let (engine, socket) = (engine.clone(), socket.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (engine, socket) = (engine.clone(), socket.clone());
            async move {
                let path = request.uri().path();
                Ok::<_, Infallible>(if engine.matches(path) {
                    engine.handle(request, peer).await
                } else if socket.matches(path) {
                    socket.handle(request, peer).await
                } else if path == "/echo" {
                    echo(&mut request)
                } else {
                    let mut response = Response::new(Body::default());
                    *response.status_mut() = StatusCode::NOT_FOUND;
                    response
                })
            }
        });
        tokio::spawn(
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades(),
        );
    }
}
