//! The accept loop. It is ours because the transport needs the bare TCP stream after an upgrade.

use crate::connections::{ConnectionCounts, Counted};
use crate::hub::Hub;
use crate::log_notice;
use crate::nodes::ClusterNodes;
use crate::origin::client_address;
use ::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, UPGRADE};
use ::http::{HeaderMap, Request, Response, StatusCode};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use lamplight_usecases::Refusal;
use parking_lot::Mutex;
use socketio::{ConnectionGuard, HttpDeadline, HttpStream, Nodes as _, SocketIo};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// How long a request's head may take to arrive: the first one from the accept, a later one from
/// its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum bytes of a request's head.
const HEAD_BYTES: usize = 32 * 1024;
/// Maximum header lines of a request.
const HEADERS: usize = 100;
/// So many connections at once get an answer that their address has too many; more are closed
/// without one.
const TURNED_AWAY: usize = 64;
/// After the stop signal, requests in flight have this long to finish: slightly more than the
/// store's deadline.
pub const FINISH: Duration = Duration::from_millis(4_500);
/// … and queued data has this long to be sent.
pub const CLOSE: Duration = Duration::from_millis(2_500);

#[derive(Clone)]
pub struct Service {
    /// Every route except the socket's.
    pub router: Router,
    pub io: SocketIo,
    /// TCP connections that still speak HTTP, by address.
    pub connections: ConnectionCounts,
    /// Socket.IO connections of both transports, by their address (a trusted proxy may report it).
    pub sessions: ConnectionCounts,
    /// WebSockets without a session, which are opening or closing, by the same address.
    pub upgrades: ConnectionCounts,
    /// Connections of trusted proxies are not counted, because they carry many clients.
    pub proxies: Vec<IpNet>,
    /// Requests in flight, of both transports.
    pub tasks: TaskTracker,
    /// How long an answer may wait for a client that reads nothing; `None` for no limit.
    pub write_timeout: Option<Duration>,
    /// How long a connection stays open without a request; `None` for no limit.
    pub keep_alive: Option<Duration>,
    /// The other nodes, if there may be any.
    pub nodes: Option<ClusterNodes>,
    pub hub: Arc<Hub>,
    /// A stop asks clients to come back, to another node, spread over so long.
    pub return_within: Duration,
}

/// Serves until `stop` resolves; then accepts no more connections, finishes the requests in flight,
/// and closes the transports.
pub async fn serve(listener: TcpListener, service: Service, stop: impl Future<Output = ()>) {
    service.io.limit_send_buffers(&listener);
    // Each connection holds a receiver, which reports the stop; when the last receiver is dropped,
    // all connections have finished.
    let (stopping, hears_stop) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let is_proxy = service
            .proxies
            .iter()
            .any(|network| network.contains(&peer.ip().to_canonical()));
        let counted = if is_proxy {
            Ok(None)
        } else {
            service.connections.add(peer.ip())
        };
        match counted {
            Ok(counted) => {
                serve_connection(stream, peer, service.clone(), hears_stop.clone(), counted)
            }
            Err(()) => {
                log_notice::too_many_connections(peer.ip().to_canonical());
                // Each holds an open file for a moment; other clients need the rest.
                if let Ok(one) = Arc::clone(&turned_away).try_acquire_owned() {
                    tokio::spawn(async move {
                        turn_away(stream).await;
                        drop(one);
                    });
                }
            }
        }
    }
    drop(listener);
    drop(hears_stop);
    tracing::info!("stopping: no new connections; running requests finish");
    let _ = stopping.send(());
    let finished = async {
        // Sockets start nothing new from now on; their clients will repeat it elsewhere.
        service.io.pause_events().await;
        service.tasks.close();
        service.tasks.wait().await;
    };
    if tokio::time::timeout(FINISH, finished).await.is_err() {
        tracing::warn!("some requests were still under way after {FINISH:?}");
    }
    // Only now, so that the answers of requests in flight go out first. This ends the polls too.
    service.hub.ask_to_reconnect(service.return_within);
    service.io.drain();
    let closed = async { tokio::join!(stopping.closed(), service.io.closed()) };
    if tokio::time::timeout(CLOSE, closed).await.is_err() {
        tracing::warn!("some connections were still open after {CLOSE:?}");
    }
}

fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    service: Service,
    mut hears_stop: watch::Receiver<()>,
    mut counted: Option<Counted>,
) {
    // Small frames must not wait for one another's acknowledgement.
    let _ = stream.set_nodelay(true);
    let deadline = HttpDeadline::new(HEAD_TIMEOUT, service.keep_alive);
    let requests = Arc::clone(&deadline);
    // The connection of another node carries many clients, and is known by its first request.
    let of_client = service
        .nodes
        .is_some()
        .then(|| Arc::new(Mutex::new(counted.take())));
    let stream = HttpStream::new(stream, service.write_timeout, Arc::clone(&deadline));
    let answer = service_fn(move |request: Request<Incoming>| {
        let (service, under_way) = (service.clone(), requests.request());
        let of_client = of_client.clone();
        async move {
            let sender = sender(&service, &request, peer);
            if let (Sender::Node(_), Some(counted)) = (&sender, of_client) {
                drop(counted.lock().take());
            }
            let answer = answer(service, request, peer, sender).await;
            drop(under_way);
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades();
    tokio::spawn(async move {
        // After an upgrade this ends and the socket counts for itself.
        let _counted = counted;
        let mut connection = std::pin::pin!(connection);
        let mut overdue = std::pin::pin!(deadline.passed());
        let mut is_stopping = false;
        let result = loop {
            tokio::select! {
                result = &mut connection => break result,
                () = &mut overdue => return tracing::debug!(%peer, "a connection is closed that asks nothing"),
                _ = hears_stop.changed(), if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%peer, %error, "connection ended badly");
        }
    });
}

/// The sender of a request.
#[derive(Clone, Copy)]
enum Sender {
    Client,
    /// Another node, for the client with this address.
    Node(SocketAddr),
}

fn sender(service: &Service, request: &Request<Incoming>, peer: SocketAddr) -> Sender {
    let nodes = service.nodes.as_ref();
    if let Some(client) = nodes.and_then(|nodes| nodes.verify(request.headers())) {
        return Sender::Node(client);
    }
    log_notice::forwarded(request.headers(), peer, &service.proxies);
    Sender::Client
}

async fn answer(
    service: Service,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    sender: Sender,
) -> Response<Body> {
    if service.io.matches(request.uri().path()) {
        let mut client = match sender {
            Sender::Node(client) => client,
            Sender::Client => peer,
        };
        // A node asks for nothing that opens a session.
        let opens = matches!(sender, Sender::Client) && service.io.opens_session(request.uri());
        if opens || asks_for_websocket(request.headers()) {
            let address = match sender {
                Sender::Node(client) => client.ip().to_canonical(),
                Sender::Client => client_address(request.headers(), peer, &service.proxies),
            };
            if opens {
                log_notice::old_client(request.uri(), address);
            }
            let counts = if opens {
                &service.sessions
            } else {
                &service.upgrades
            };
            match counts.add(address) {
                Ok(Some(counted)) => drop(
                    request
                        .extensions_mut()
                        .insert(ConnectionGuard(Arc::new(counted))),
                ),
                Ok(None) => {}
                Err(()) => {
                    log_notice::too_many_connections(address);
                    return too_many_connections();
                }
            }
            // Data that waits for clients behind a proxy counts for their addresses, not for the
            // proxy's.
            client.set_ip(address);
        }
        return service.io.handle(request, client).await.map(Body::new);
    }
    request.extensions_mut().insert(ConnectInfo(peer));
    // Tracked like the requests of sockets: a stop waits for both.
    match service
        .tasks
        .track_future(service.router.oneshot(request.map(Body::new)))
        .await
    {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn too_many_connections() -> Response<Body> {
    let refusal = Refusal::rate_limited(
        "Too many connections from your address.",
        Duration::from_secs(10),
    );
    crate::metrics::refused(refusal.code.as_str());
    let response = Response::builder()
        .status(StatusCode::TOO_MANY_REQUESTS)
        .header(CONTENT_TYPE, "application/json")
        .header(RETRY_AFTER, "10")
        .header(CONNECTION, "close")
        .body(Body::from(lamplight_wire::encode::refusal(&refusal)));
    response.unwrap_or_default()
}

/// Answers a connection of an address with too many, and closes it.
async fn turn_away(stream: TcpStream) {
    let refuse =
        service_fn(|_: Request<Incoming>| async { Ok::<_, Infallible>(too_many_connections()) });
    let stream = HttpStream::new(stream, None, HttpDeadline::new(HEAD_TIMEOUT, None));
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .keep_alive(false)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), refuse);
    // An address with too many connections must not keep another one open.
    let _ = tokio::time::timeout(Duration::from_secs(2), connection).await;
}

/// A failed connection concerns its client only. Running out of open files concerns the server, and
/// ends by itself.
async fn pause_after(error: &io::Error) {
    let theirs = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    );
    if !theirs {
        tracing::error!(%error, "cannot accept connections (LL-115 where it is too many open files: raise `ulimit -n`)");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
