//! The unmodified `socket.io-client`, over each way of connecting.

mod common;

use std::{path::Path, process::Stdio, time::Duration};

use common::{all_gone, config, start};
use socketio::Config;

async fn run(mode: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/socketio-clients");
    let installed = ["node_modules", "../../node_modules"].iter().any(|at| folder.join(at).join("socket.io-client").is_dir());
    assert!(installed, "socket.io-client is not installed: run `npm install` in the repository's root first");
    let fixture = start(Config { ping_interval: Duration::from_millis(250), ping_timeout: Duration::from_secs(2), ..config() }).await;
    let output = tokio::process::Command::new("node")
        .arg("client.mjs")
        .args([format!("http://{}", fixture.addr), mode.to_owned()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = output.await.expect("node can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.trim() == "ok",
        "{said}\n{wrong}\n{:?}",
        &fixture.log.lines()[fixture.log.lines().len().saturating_sub(10)..]
    );
    let lines = fixture.log.lines();
    assert!(lines.contains(&format!("connect é {mode}")), "the name in the query");
    assert!(
        lines.iter().any(|line| line.starts_with("answer 2,{\"_placeholder\":true,\"num\":0} [b\"\\t\"]")),
        "the answer to the question"
    );
    all_gone(&fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_over_polling() {
    run("polling").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_over_websocket() {
    run("websocket").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_over_an_upgrade() {
    run("upgrade").await;
}
