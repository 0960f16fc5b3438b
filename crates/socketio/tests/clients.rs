//! The unmodified clients on each transport: `socket.io-client` in Node and in Chromium, and
//! `python-socketio`. (The Rust client is in `clients/`, because it depends on TLS: `make
//! test-clients`.)

mod common;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use common::{Echo, Fixture, config, expect_no_connections, serve};
use socketio::{Config, Recovery, SocketIo};
use tokio::{process::Command, sync::OnceCell};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs one of the scripts against a server until it ends.
async fn run_script(program: &Path, args: &[&str], config: Config) -> Fixture {
    let (script, args) = args.split_at(usize::from(
        args.first().is_some_and(|first| first.contains('.')),
    ));
    let folder = repository().join("tests/socketio-clients");
    let installed = ["node_modules", "../../node_modules"]
        .iter()
        .any(|at| folder.join(at).join("socket.io-client").is_dir());
    assert!(
        installed,
        "socket.io-client is not installed: run `npm install` in the repository's root first"
    );
    let echo = Echo::default();
    let io = SocketIo::builder(config)
        .namespace("/", echo.clone())
        .namespace("/custom", echo.clone());
    // The browser's page is served by another server.
    let fixture = serve(
        io.cors(|origin, _| origin.starts_with("http://127.0.0.1:"))
            .build(),
        echo,
    )
    .await;
    let output = Command::new(program)
        .args(script)
        .arg(format!("http://{}", fixture.addr))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = output.await.expect("the program can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.trim() == "ok",
        "{said}\n{wrong}\n{:?}",
        &fixture.log.lines()[fixture.log.lines().len().saturating_sub(10)..]
    );
    fixture
}

/// Runs a script that uses everything a page does, on the transports of `args`' `mode`.
async fn run(program: &Path, args: &[&str], mode: &str, config: Config) -> Fixture {
    let timings = Config {
        ping_interval: Duration::from_millis(250),
        ping_timeout: Duration::from_secs(2),
        ..config
    };
    let fixture = run_script(program, args, timings).await;
    assert!(
        fixture.log.lines().contains(&format!("connect é {mode}")),
        "the name in the query"
    );
    expect_no_connections(&fixture).await;
    fixture
}

fn has_answered(fixture: &Fixture) {
    let lines = fixture.log.lines();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("answer 2,{\"_placeholder\":true,\"num\":0} [b\"\\t\"]")),
        "the answer to the question"
    );
}

async fn run_node(script: &str, mode: &str) {
    run_with(script, mode, "", config()).await;
}

async fn run_with(script: &str, mode: &str, extra: &str, config: Config) {
    has_answered(&run(Path::new("node"), &[script, mode, extra], mode, config).await);
}

async fn run_python(mode: &str) {
    static READY: OnceCell<()> = OnceCell::const_new();
    let folder = repository().join("tests/e2e");
    READY
        .get_or_init(|| async {
            let made = Command::new(folder.join("setup-python.sh"))
                .output()
                .await
                .expect("a shell");
            assert!(
                made.status.success(),
                "{}",
                String::from_utf8_lossy(&made.stderr)
            );
        })
        .await;
    has_answered(
        &run(
            &folder.join(".venv/bin/python"),
            &["client.py", mode],
            mode,
            config(),
        )
        .await,
    );
}

async fn run_rust(mode: &str) {
    let program = std::env::var_os("SOCKETIO_RUST_CLIENT")
        .expect("run by `make test-clients`, which builds the client and sets its path");
    run(Path::new(&program), &[mode], mode, config()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_over_polling() {
    run_node("client.mjs", "polling").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_over_websocket() {
    run_node("client.mjs", "websocket").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_over_an_upgrade() {
    run_node("client.mjs", "upgrade").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_socket_io_client_in_base64() {
    for mode in ["polling", "websocket", "upgrade"] {
        run_with("client.mjs", mode, "base64", config()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_in_chromium_over_polling() {
    run_node("browser.mjs", "polling").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_in_chromium_over_websocket() {
    run_node("browser.mjs", "websocket").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_io_client_in_chromium_over_an_upgrade() {
    run_node("browser.mjs", "upgrade").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_socketio_over_polling() {
    run_python("polling").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_socketio_over_websocket() {
    run_python("websocket").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_socketio_over_an_upgrade() {
    run_python("upgrade").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "by `make test-clients`, which builds the client"]
async fn rust_socketio_over_polling() {
    run_rust("polling").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "by `make test-clients`, which builds the client"]
async fn rust_socketio_over_websocket() {
    run_rust("websocket").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "by `make test-clients`, which builds the client"]
async fn rust_socketio_over_an_upgrade() {
    run_rust("upgrade").await;
}

async fn recover(mode: &str) {
    recover_with(mode, "", config()).await;
}

async fn recover_with(mode: &str, extra: &str, config: Config) {
    let recovery = Some(Recovery {
        window: Duration::from_secs(2),
        ..Recovery::default()
    });
    let timings = Config {
        ping_interval: Duration::from_millis(250),
        ping_timeout: Duration::from_secs(2),
        recovery,
        ..config
    };
    let fixture = run_script(Path::new("node"), &["recovery.mjs", mode, extra], timings).await;
    expect_no_connections(&fixture).await;
    // Only the socket that was left behind when the user changed waits for the end of its window.
    let over = async {
        while fixture.io.recovery_bytes() > 0 {
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
        Config {
            deflate: Some(Deflate::default()),
            ..config()
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn s1_socket_io_client_in_base64() {
        run_with("client.mjs", "upgrade", "deflate,base64", compressing()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ws_over_websocket() {
        expect_no_connections(
            &run_script(Path::new("node"), &["deflate.mjs"], compressing()).await,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_websocket() {
        run_with("client.mjs", "websocket", "deflate", compressing()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_an_upgrade() {
        run_with("client.mjs", "upgrade", "deflate", compressing()).await;
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
        Config {
            parser: Parser::MsgPack,
            ..config()
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_polling() {
        run_with("client.mjs", "polling", "msgpack", msgpack()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_websocket() {
        run_with("client.mjs", "websocket", "msgpack", msgpack()).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn socket_io_client_over_an_upgrade() {
        run_with("client.mjs", "upgrade", "msgpack", msgpack()).await;
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
        let config = Config {
            deflate: Some(socketio::Deflate {
                threshold: 64,
                level: 1,
            }),
            ..msgpack()
        };
        run_with("client.mjs", "upgrade", "msgpack deflate", config.clone()).await;
        recover_with("upgrade", "msgpack deflate", config).await;
    }
}
