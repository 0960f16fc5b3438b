//! Several servers that act as one.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use socketio::{BoxFuture, Config, NodeTag, Nodes, SocketIo};
use tokio::net::TcpListener;

use super::{Echo, Fixture};

const SECRET: &str = "what only nodes know";

/// Where each node is, and what they all need to know of each other.
#[derive(Clone, Default)]
pub struct Directory(Arc<Mutex<HashMap<String, String>>>);

impl Directory {
    pub fn insert(&self, tag: &str, address: SocketAddr) {
        self.0.lock().insert(tag.to_owned(), address.to_string());
    }

    pub fn remove(&self, tag: &str) {
        self.0.lock().remove(tag);
    }
}

impl Nodes for Directory {
    fn find<'a>(&'a self, tag: &'a str) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move { self.0.lock().get(tag).cloned() })
    }

    fn sign(&self, headers: &mut HeaderMap, client: SocketAddr) {
        headers.insert("x-node", HeaderValue::from_static(SECRET));
        headers.insert("x-client", client.to_string().parse().unwrap());
    }

    fn verify(&self, headers: &HeaderMap) -> Option<SocketAddr> {
        if headers.get("x-node")? != SECRET {
            return None;
        }
        headers.get("x-client")?.to_str().ok()?.parse().ok()
    }
}

/// A node with the tag.
pub async fn node(directory: &Directory, tag: &str, config: Config) -> Fixture {
    let echo = Echo::default();
    let io = SocketIo::builder(config)
        .namespace("/", echo.clone())
        .nodes(NodeTag::new(tag).unwrap(), directory.clone())
        .build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    directory.insert(tag, addr);
    tokio::spawn(socketio::serve(listener, io.clone()));
    Fixture {
        addr,
        io,
        log: echo.log.clone(),
        echo,
    }
}
