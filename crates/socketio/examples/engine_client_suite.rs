//! The server that the test suite of npm `engine.io-client` expects: it replaces the server that
//! the suite's `test/support/hooks.js` starts. It listens on 127.0.0.1:3000 or on the address in
//! the first argument, and prints its address.
//!
//! ```sh
//! cargo run -p socketio --example engine_client_suite
//! # In packages/engine.io-client of github.com/socketio/socket.io, compiled, without the hooks that start Node's server:
//! npx mocha test/index.js
//! USE_FETCH=1 npx mocha test/index.js
//! ```

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header::SET_COOKIE};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use socketio::{Body, Config, EngineConnection, EngineHandler, EngineMessage, Refusal, SocketIo};
use tokio::net::TcpListener;

/// The headers of the last POST of each session.
#[derive(Clone, Default)]
struct Posts(Arc<Mutex<HashMap<String, HeaderMap>>>);

impl Posts {
    fn note(&self, request: &Request<Incoming>) {
        if let (&Method::POST, Some(sid)) =
            (request.method(), parameter(request.uri().query(), "sid"))
        {
            self.with(|posts| posts.insert(sid.to_owned(), request.headers().clone()));
        }
    }

    fn headers_of(&self, connection: &EngineConnection) -> String {
        let headers = self
            .with(|posts| posts.get(&connection.id()).cloned())
            .unwrap_or_default();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let object: HashMap<_, _> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), text(value)))
            .collect();
        serde_json::to_string(&object).unwrap_or_default()
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, HeaderMap>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Suite {
    posts: Posts,
}

impl EngineHandler for Suite {
    fn opened(&self, connection: &EngineConnection) {
        let _ = connection.send(&EngineMessage::Text("hi".to_owned()));
    }

    fn message(&self, connection: &EngineConnection, message: EngineMessage) {
        let answer = match &message {
            EngineMessage::Text(text) if text == "give binary" => {
                EngineMessage::Binary(Bytes::from_static(&[0, 1, 2, 3, 4]))
            }
            EngineMessage::Text(text) if text == "give utf8" => {
                EngineMessage::Text("пойду спать всем спокойной ночи".to_owned())
            }
            EngineMessage::Text(text) if text == "sendHeaders" => {
                EngineMessage::Text(self.posts.headers_of(connection))
            }
            _ => message,
        };
        let _ = connection.send(&answer);
    }

    fn closed(&self, connection: &EngineConnection, _: socketio::DisconnectReason) {
        self.posts.with(|posts| posts.remove(&connection.id()));
    }
}

fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let pairs = query?
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Sent together with the response that opens a session.
const COOKIES: [&str; 4] = [
    "1=1; Max-Age=86400",
    "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
    "3=3; Max-Age=0",
    "4=4; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
];

fn add_cookies(response: &mut Response<Body>) {
    for cookie in COOKIES {
        response
            .headers_mut()
            .append(SET_COOKIE, HeaderValue::from_static(cookie));
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let posts = Posts::default();
    let config = Config {
        path: "/engine.io/".to_owned(),
        ping_interval: Duration::from_millis(500),
        max_payload: 100,
        ..Config::default()
    };
    let io = SocketIo::builder(config)
        .engine(Suite {
            posts: posts.clone(),
        })
        .allow_request(|parts, _| match parameter(parts.uri.query(), "deny") {
            Some(_) => Err(Refusal::forbidden("Forbidden")),
            None => Ok(()),
        })
        .build();
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let (io, posts) = (io.clone(), posts.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (io, posts) = (io.clone(), posts.clone());
            async move {
                if !io.matches(request.uri().path()) {
                    let mut response = Response::new(Body::default());
                    *response.status_mut() = StatusCode::NOT_FOUND;
                    return Ok::<_, Infallible>(response);
                }
                posts.note(&request);
                let opens = parameter(request.uri().query(), "sid").is_none();
                let mut response = io.handle(request, peer).await;
                if opens {
                    add_cookies(&mut response);
                }
                Ok(response)
            }
        });
        tokio::spawn(
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades(),
        );
    }
}
