//! A TCP proxy between a node and a server.
#![allow(dead_code, reason = "each test file uses a part of it")]

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

/// A TCP proxy that a test can cut, and that counts what passes.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<ProxyState>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct ProxyState {
    /// Connections are refused.
    cut: AtomicBool,
    /// Connections stay open, and nothing passes.
    silent: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
    connections: Mutex<Vec<JoinHandle<()>>>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(ProxyState::default());
        let state = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if state.cut.load(Ordering::Relaxed) {
                    continue;
                }
                let state_of_pipe = Arc::clone(&state);
                let pipe = tokio::spawn(async move {
                    let far = tokio::net::TcpStream::connect(("127.0.0.1", to)).await;
                    let Ok(far) = far else { return };
                    let ((near_in, near_out), (far_in, far_out)) =
                        (near.into_split(), far.into_split());
                    tokio::select! {
                        () = pass(near_in, far_out, &state_of_pipe, &state_of_pipe.sent) => {}
                        () = pass(far_in, near_out, &state_of_pipe, &state_of_pipe.received) => {}
                    }
                });
                state.connections.lock().push(pipe);
            }
        });
        Self { port, shared, task }
    }

    /// Bytes to the server so far, and bytes from it.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.shared.sent), count(&self.shared.received))
    }

    /// Ends all connections, and refuses new ones.
    pub(crate) fn cut(&self) {
        self.shared.cut.store(true, Ordering::Relaxed);
        for connection in self.shared.connections.lock().drain(..) {
            connection.abort();
        }
    }

    /// Keeps all connections, and passes nothing on: half-open.
    pub(crate) fn fall_silent(&self) {
        self.shared.silent.store(true, Ordering::Relaxed);
    }

    pub(crate) fn heal(&self) {
        self.shared.cut.store(false, Ordering::Relaxed);
        self.shared.silent.store(false, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    state: &ProxyState,
    passed: &AtomicU64,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        while state.silent.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        passed.fetch_add(count as u64, Ordering::Relaxed);
    }
}
