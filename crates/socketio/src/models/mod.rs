//! Concurrency tests: a model checker runs the server's threads in many interleavings, with a
//! scheduling point at every lock (see `sync`). The code under test is the real code down to the
//! frames; a lost wake-up shows as a deadlock. `SHUTTLE_RUNS` sets the number of interleavings.

use std::sync::{Arc, atomic::Ordering};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use shuttle::{
    future::block_on,
    scheduler::RandomScheduler,
    thread::{self, JoinHandle},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{
    BoxFuture, Config, ConnectError, ConnectRequest, DisconnectReason, Event, Handler, Handshake,
    Packet, Socket, SocketIo, TransportKind,
    codec::frame::{self, OpCode},
    dispatch::Dispatch,
    driver::Driver,
    id::Id,
    link::Link,
    session::Session,
    stream::Stream,
    sync::AtomicBool,
    websocket::WebSocket,
};

mod ending;
mod recovery;
mod rooms;

const RUNS: usize = 1_000;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let runs = std::env::var("SHUTTLE_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(RUNS);
    let mut config = shuttle::Config::new();
    config.stack_size = 512 << 10;
    shuttle::Runner::new(RandomScheduler::new(runs), config).run(move || {
        // Timeouts need a runtime; its time is paused, so none elapses.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let _within = runtime.enter();
        model();
    });
}

/// These locks are plain, because the test's own log is not part of the model.
#[derive(Clone, Default)]
struct App {
    log: Arc<parking_lot::Mutex<Vec<String>>>,
    sockets: Arc<parking_lot::Mutex<Vec<Socket<()>>>>,
}

impl App {
    fn count(&self, line: &str) -> usize {
        self.log.lock().iter().filter(|seen| *seen == line).count()
    }
}

impl Handler for App {
    type Data = ();

    async fn connect(&self, _: ConnectRequest) -> Result<(), ConnectError> {
        Ok(())
    }

    fn connected(&self, socket: &Socket<()>) {
        self.sockets.lock().push(socket.clone());
        self.log.lock().push("connected".to_owned());
    }

    fn event(&self, socket: &Socket<()>, event: Event) -> Option<BoxFuture<'static, ()>> {
        self.log.lock().push(format!("event {}", event.args()));
        let _ = socket.emit_packet(&Packet::event("/", "back", event.args()));
        None
    }

    fn disconnected(&self, _: &Socket<()>, _: DisconnectReason) {
        self.log.lock().push("disconnected".to_owned());
    }
}

fn server(app: &App) -> SocketIo {
    SocketIo::builder(Config::default())
        .namespace("/", app.clone())
        .build()
}

fn session(io: &SocketIo, transport: TransportKind) -> Arc<Session> {
    let handshake = Arc::new(Handshake::bare(([127, 0, 0, 1], 1).into()));
    let session = Session::new(
        io.server.engine.clone(),
        Id::random().unwrap(),
        transport,
        handshake,
    );
    assert!(
        io.server
            .engine
            .registry
            .insert(session.sid.key(), &session)
    );
    io.server
        .engine
        .counter(transport)
        .fetch_add(1, Ordering::Relaxed);
    session
}

/// Runs a connection on its own thread.
fn drive(io: &SocketIo, session: &Arc<Session>, link: Link) -> JoinHandle<()> {
    let driver = Driver::new(
        session.clone(),
        link,
        Dispatch::new(io.server.namespaces.clone()),
    );
    thread::spawn(move || block_on(driver))
}

fn pipe(bytes: usize) -> (DuplexStream, WebSocket) {
    let (client, server) = tokio::io::duplex(bytes);
    (
        client,
        WebSocket::new(Stream::Other(Box::new(server)), Bytes::new()),
    )
}

async fn send(client: &mut DuplexStream, text: &str) {
    let mut out = BytesMut::new();
    frame::encode_client(&mut out, true, OpCode::Text, text.as_bytes(), [1, 2, 3, 4]);
    client.write_all(&out).await.unwrap();
}

/// Reads `count` text frames.
async fn receive(client: &mut DuplexStream, buffer: &mut BytesMut, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    while got.len() < count {
        let whole = frame::server_frames(buffer)
            .next()
            .map(|(opcode, data)| (opcode, data.to_vec()));
        if let Some((opcode, data)) = whole {
            let _ = buffer.split_to(frame::server_header(opcode, data.len()).1 + data.len());
            got.push(String::from_utf8(data).unwrap());
        } else {
            assert_ne!(client.read_buf(buffer).await.unwrap(), 0, "{got:?}");
        }
    }
    got
}

/// The numbers in the texts that are this event.
fn numbers(texts: &[String], event: &str) -> Vec<u32> {
    let prefix = format!("42[\"{event}\",");
    texts
        .iter()
        .filter_map(|text| text.strip_prefix(&prefix)?.strip_suffix(']')?.parse().ok())
        .collect()
}

fn everything_is_gone(io: &SocketIo, app: &App) {
    assert_eq!(
        (app.count("connected"), app.count("disconnected")),
        (1, 1),
        "{:?}",
        app.log.lock()
    );
    assert_eq!(io.connections(), crate::Connections::default());
    assert_eq!(io.queued_bytes(), 0);
    let of = io.of("/").unwrap();
    assert_eq!((of.count(), of.rooms().len()), (0, 0));
}

/// A client in a namespace, on a pipe with a buffer of `capacity` bytes.
struct Joined {
    app: App,
    io: SocketIo,
    client: DuplexStream,
    buffer: BytesMut,
    driver: JoinHandle<()>,
}

fn joined(room: usize) -> Joined {
    let app = App::default();
    let io = server(&app);
    let session = session(&io, TransportKind::WebSocket);
    let (mut client, websocket) = pipe(room);
    let driver = drive(&io, &session, Link::WebSocket(websocket));
    let mut buffer = BytesMut::new();
    block_on(send(&mut client, "40"));
    block_on(receive(&mut client, &mut buffer, 1));
    Joined {
        app,
        io,
        client,
        buffer,
        driver,
    }
}

/// Two threads emit while the client sends, and reads through a small pipe.
#[test]
fn no_wake_up_is_lost_between_a_push_and_the_end_of_a_run() {
    explore(|| {
        let Joined {
            app,
            io,
            mut client,
            mut buffer,
            driver,
        } = joined(24);
        let socket = app.sockets.lock().first().cloned();
        // The reply arrives before the handler is called.
        let socket = socket.unwrap_or_else(|| {
            loop {
                thread::yield_now();
                if let Some(socket) = app.sockets.lock().first() {
                    break socket.clone();
                }
            }
        });
        let emitters = ["a", "b"].map(|name| {
            let socket = socket.clone();
            thread::spawn(move || (0..3).for_each(|number| socket.emit(name, &number).unwrap()))
        });
        block_on(send(&mut client, "42[\"x\",0]"));
        let got = block_on(receive(&mut client, &mut buffer, 7));
        assert_eq!(
            (
                numbers(&got, "a"),
                numbers(&got, "b"),
                numbers(&got, "back")
            ),
            (vec![0, 1, 2], vec![0, 1, 2], vec![0])
        );
        emitters
            .into_iter()
            .for_each(|emitter| emitter.join().unwrap());
        drop(client);
        driver.join().unwrap();
        assert_eq!(socket.emit("late", &1), Err(crate::EmitError::Closed));
        everything_is_gone(&io, &app);
        assert!(io.server.engine.registry.all().is_empty());
    });
}

/// The client leaves, the server disconnects it, its transport is closed and its stream breaks at
/// the same time, while another thread emits.
#[test]
fn however_a_connection_ends_its_handler_is_called_once() {
    explore(|| {
        let Joined {
            app,
            io,
            mut client,
            mut buffer,
            driver,
        } = joined(4096);
        block_on(send(&mut client, "42[\"x\",0]"));
        block_on(receive(&mut client, &mut buffer, 1));
        let socket = app.sockets.lock()[0].clone();
        socket.join("kitchen");
        let (putting_out, closing, emitting) = (socket.clone(), socket.clone(), socket.clone());
        let others = [
            thread::spawn(move || putting_out.disconnect()),
            thread::spawn(move || closing.close_transport()),
            thread::spawn(move || {
                for number in 0..3 {
                    let _ = emitting.emit("a", &number);
                    emitting.join("hall");
                }
            }),
        ];
        block_on(send(&mut client, "41"));
        drop(client);
        others.into_iter().for_each(|other| other.join().unwrap());
        driver.join().unwrap();
        everything_is_gone(&io, &app);
    });
}

/// Performs a request as hyper passes it. Returns status and body.
fn request(io: &SocketIo, method: &str, sid: &Id, body: &str) -> (u16, String) {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("/socket.io/?EIO=4&transport=polling&sid={sid}"));
    let request = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    block_on(async {
        let answer = io.handle(request, ([127, 0, 0, 1], 1).into()).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    })
}

/// POSTs and polls at once, while the application emits and then closes.
#[test]
fn polling_loses_nothing_and_learns_of_the_end() {
    explore(|| {
        let app = App::default();
        let io = server(&app);
        let session = session(&io, TransportKind::Polling);
        let driver = drive(&io, &session, Link::Polling);
        assert_eq!(request(&io, "POST", &session.sid, "40").0, 200);
        assert!(request(&io, "GET", &session.sid, "").1.starts_with("40{"));
        let posting = thread::spawn({
            let (io, session, app) = (io.clone(), session.clone(), app.clone());
            move || {
                for number in 0..3 {
                    assert_eq!(
                        request(&io, "POST", &session.sid, &format!("42[\"x\",{number}]")).0,
                        200
                    );
                }
                while app.log.lock().len() < 4 {
                    thread::yield_now();
                }
                let socket = app.sockets.lock()[0].clone();
                socket.emit("last", &1).unwrap();
                socket.close_transport();
            }
        });
        let mut got = Vec::new();
        while got.last().is_none_or(|last| last != "1") {
            let (status, body) = request(&io, "GET", &session.sid, "");
            assert_eq!(status, 200, "{got:?}");
            got.extend(body.split('\u{1e}').map(str::to_owned));
        }
        posting.join().unwrap();
        driver.join().unwrap();
        assert_eq!(
            (numbers(&got, "back"), numbers(&got, "last")),
            (vec![0, 1, 2], vec![1]),
            "{got:?}"
        );
        assert_eq!(request(&io, "GET", &session.sid, "").0, 400);
        everything_is_gone(&io, &app);
        assert!(
            session.take_alive_guard().is_none(),
            "nothing is left to wait for"
        );
    });
}

/// Upgrades from polling to WebSocket while the application emits and the client has a poll open.
#[test]
fn an_upgrade_loses_nothing_and_doubles_nothing() {
    explore(|| {
        let app = App::default();
        let io = server(&app);
        let session = session(&io, TransportKind::Polling);
        let driver = drive(&io, &session, Link::Polling);
        assert_eq!(request(&io, "POST", &session.sid, "40").0, 200);
        assert!(request(&io, "GET", &session.sid, "").1.starts_with("40{"));
        while app.sockets.lock().is_empty() {
            thread::yield_now();
        }
        let socket = app.sockets.lock()[0].clone();
        let emitting =
            thread::spawn(move || (0..4).for_each(|number| socket.emit("a", &number).unwrap()));
        let (is_probed, has_stopped) = (
            Arc::new(AtomicBool::default()),
            Arc::new(AtomicBool::default()),
        );
        let polling = thread::spawn({
            let (io, session, is_probed, has_stopped) = (
                io.clone(),
                session.clone(),
                is_probed.clone(),
                has_stopped.clone(),
            );
            move || {
                let mut got = Vec::new();
                // As a client does: it opens polls until the probe is answered, and waits for the
                // last one.
                while !is_probed.load(Ordering::SeqCst) {
                    let (status, body) = request(&io, "GET", &session.sid, "");
                    assert_eq!(status, 200);
                    got.extend(body.split('\u{1e}').map(str::to_owned));
                }
                has_stopped.store(true, Ordering::SeqCst);
                got
            }
        });
        let (mut client, websocket) = pipe(40);
        assert!(session.start_upgrade());
        is_probed.store(true, Ordering::SeqCst);
        // Repeated, instead of the time limit of a poll that is opened after the release.
        while !has_stopped.load(Ordering::SeqCst) {
            session.release_poll();
            thread::yield_now();
        }
        let mut got = polling.join().unwrap();
        assert!(session.finish_upgrade(Box::new(websocket), false).is_ok());
        let rest = 4 - numbers(&got, "a").len();
        block_on(send(&mut client, "42[\"x\",7]"));
        got.extend(block_on(receive(
            &mut client,
            &mut BytesMut::new(),
            rest + 1,
        )));
        assert_eq!(
            (numbers(&got, "a"), numbers(&got, "back")),
            (vec![0, 1, 2, 3], vec![7]),
            "{got:?}"
        );
        emitting.join().unwrap();
        drop(client);
        driver.join().unwrap();
        everything_is_gone(&io, &app);
    });
}
