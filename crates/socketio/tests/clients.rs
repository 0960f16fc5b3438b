//! The unmodified `socket.io-client`, over each way of connecting.

mod common;

use std::{path::Path, process::Stdio, time::Duration};

use common::{Fixture, all_gone, config, start};
use socketio::{Config, Recovery};

/// Runs one of the scripts against a server, to its end.
async fn run_script(script: &str, args: &[&str], config: Config) -> Fixture {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/socketio-clients");
    let installed = ["node_modules", "../../node_modules"].iter().any(|at| folder.join(at).join("socket.io-client").is_dir());
    assert!(installed, "socket.io-client is not installed: run `npm install` in the repository's root first");
    let fixture = start(config).await;
    let output = tokio::process::Command::new("node")
        .arg(script)
        .arg(format!("http://{}", fixture.addr))
        .args(args)
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
    fixture
}

async fn run(mode: &str) {
    run_with(mode, "", config()).await;
}

async fn run_with(mode: &str, extra: &str, config: Config) {
    let timings = Config { ping_interval: Duration::from_millis(250), ping_timeout: Duration::from_secs(2), ..config };
    let fixture = run_script("client.mjs", &[mode, extra], timings).await;
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

async fn recover(mode: &str) {
    recover_with(mode, "", config()).await;
}

async fn recover_with(mode: &str, extra: &str, config: Config) {
    let recovery = Some(Recovery { window: Duration::from_secs(2), ..Recovery::default() });
    let timings = Config { ping_interval: Duration::from_millis(250), ping_timeout: Duration::from_secs(2), recovery, ..config };
    let fixture = run_script("recovery.mjs", &[mode, extra], timings).await;
    all_gone(&fixture).await;
    // The one that was left behind by a change of users, and nothing else, waits for its time to be over.
    let over = async {
        while fixture.io.kept_bytes() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(common::PATIENCE, over).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_is_recovered_over_polling() {
    recover("polling").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_is_recovered_over_websocket() {
    recover("websocket").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_is_recovered_over_an_upgrade() {
    recover("upgrade").await;
}

#[cfg(feature = "deflate")]
mod compressing {
    use socketio::Deflate;

    use super::*;

    fn compressing() -> Config {
        Config { deflate: Some(Deflate::default()), ..config() }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ws_over_websocket() {
        all_gone(&run_script("deflate.mjs", &[], compressing()).await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_websocket() {
        run_with("websocket", "deflate", compressing()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_an_upgrade() {
        run_with("upgrade", "deflate", compressing()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_is_recovered_over_an_upgrade() {
        recover_with("upgrade", "deflate", compressing()).await;
    }
}

#[cfg(feature = "msgpack")]
mod in_msgpack {
    use socketio::Parser;

    use super::*;

    fn msgpack() -> Config {
        Config { parser: Parser::MsgPack, ..config() }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_polling() {
        run_with("polling", "msgpack", msgpack()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_websocket() {
        run_with("websocket", "msgpack", msgpack()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_an_upgrade() {
        run_with("upgrade", "msgpack", msgpack()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_is_recovered_over_polling() {
        recover_with("polling", "msgpack", msgpack()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_is_recovered_over_an_upgrade() {
        recover_with("upgrade", "msgpack", msgpack()).await;
    }

    #[cfg(feature = "deflate")]
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_is_recovered_with_messages_compressed() {
        let config = Config { deflate: Some(socketio::Deflate { threshold: 64, level: 1 }), ..msgpack() };
        run_with("upgrade", "msgpack deflate", config.clone()).await;
        recover_with("upgrade", "msgpack deflate", config).await;
    }
}
