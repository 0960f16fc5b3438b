//! A TCP proxy in front of Redis that can swallow messages of subscriptions and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// The number of connections, and the number of the last whose messages are swallowed.
    accepted: Arc<AtomicU64>,
    swallowed: Arc<AtomicU64>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let proxy = Self {
            port,
            accepted: Arc::default(),
            swallowed: Arc::default(),
        };
        let (accepted, swallowed) = (Arc::clone(&proxy.accepted), Arc::clone(&proxy.swallowed));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = accepted.fetch_add(1, Ordering::SeqCst) + 1;
                let server = TcpStream::connect(("127.0.0.1", to)).await.expect("Redis");
                tokio::spawn(forward(client, server, number, Arc::clone(&swallowed)));
            }
        });
        proxy
    }

    /// Drops messages to the connections that exist now.
    pub(crate) fn swallow_messages(&self) {
        let accepted = self.accepted.load(Ordering::SeqCst);
        self.swallowed.store(accepted, Ordering::SeqCst);
    }
}

async fn forward(client: TcpStream, server: TcpStream, number: u64, swallowed: Arc<AtomicU64>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = tokio::io::copy(&mut from_client, &mut to_server);
    let down = async {
        let mut buffer = vec![0; 65_536];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            // A quiet test: a message is a read of its own.
            let is_message = buffer[..count].starts_with(b">3\r\n$7\r\nmessage\r\n");
            if is_message && number <= swallowed.load(Ordering::SeqCst) {
                continue;
            }
            if to_client.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = up => {}
        () = down => {}
    }
}
