//! The command line.

use clap::{Parser, Subcommand};
use lamplight::config::{Config, Flags, LogFormat};
use lamplight::wiring::Lamplight;
use lamplight::{account, copies, doctor, migrate, push_key, reindex, token};
use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Returns memory to the system early, which matters to a process with many small long-lived objects.
/// It uses no huge pages: of each, two megabytes would be resident for its first byte, which doubled
/// the memory of an idle server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Online presence and private messaging for your app.
#[derive(Parser)]
#[command(name = "lamplight", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve {
        #[command(flatten)]
        settings: Flags,
    },
    /// Check the settings, the machine and the server, and say how to fix what fails.
    Doctor(doctor::Options),
    /// Create accounts on a running server, for REGISTRATION=closed.
    Account(account::Options),
    /// Copy the database to a file; the server may run.
    Backup(copies::Backup),
    /// Replace the database with a backup; stop the server first.
    Restore(copies::Restore),
    /// Move everything from one database to another one; stop the servers first.
    Migrate(migrate::Migrate),
    /// Rebuild the search index of messages; servers may run.
    Reindex(reindex::Reindex),
    /// Make a new key for Web Push.
    NewPushKey(push_key::NewPushKey),
    /// Print the OpenAPI 3.1 document of the HTTP API.
    Openapi,
    /// Mint a token to test AUTH=jwt.
    Token(token::Options),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve { settings } => serve(&settings),
        Command::Doctor(options) => run(doctor::run(options)),
        Command::Account(options) => run(account::run(options)),
        Command::Backup(options) => options.run(),
        Command::Restore(options) => options.run(),
        Command::Migrate(options) => run(migrate::run(options)),
        Command::Reindex(options) => run(options.run()),
        Command::NewPushKey(options) => run(options.run()),
        Command::Openapi => {
            println!("{}", lamplight::http::openapi::document());
            ExitCode::SUCCESS
        }
        Command::Token(options) => token::run(&options),
    }
}

fn run(future: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let code = runtime.block_on(future);
            // A thread that hashes a password or waits for a disk does not hold up the end.
            runtime.shutdown_timeout(Duration::from_millis(200));
            code
        }
        Err(error) => fail(&format!("The runtime cannot be started: {error}.")),
    }
}

fn fail(sentence: &str) -> ExitCode {
    eprintln!("lamplight: {sentence}");
    ExitCode::FAILURE
}

fn serve(settings: &Flags) -> ExitCode {
    let config = match Config::load(settings) {
        Ok(config) => config,
        Err(error) => return fail(&error.to_string()),
    };
    start_log(&config);
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    // Disable transparent huge pages for this process where they are always on.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // Each connection needs a file descriptor: raise the soft limit to the hard limit.
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files allowed"),
        Err(error) => {
            tracing::warn!(%error, code = "LL-115", "the limit on open files could not be raised")
        }
    }
    run(async move {
        let began = Instant::now();
        let listener = match TcpListener::bind(config.listen).await {
            Ok(listener) => listener,
            Err(error) => {
                return fail(&format!(
                    "Cannot listen on {}: {error}. Set LISTEN to another address or port.",
                    config.listen
                ));
            }
        };
        let address = listener.local_addr().unwrap_or(config.listen);
        let lamplight = match Lamplight::build(&config, address).await {
            Ok(lamplight) => lamplight,
            Err(error) => return fail(&error.to_string()),
        };
        tokio::spawn(return_memory());
        let (stopping, stop) = watch::channel(false);
        // Install it before the server reports that it is ready: a supervisor may stop it right
        // after that.
        let stop_signal = stop_signal();
        tokio::spawn(async move {
            stop_signal.await;
            let _ = stopping.send(true);
        });
        // Ignore errors: standard output may be closed, and the server still serves.
        let _ = writeln!(
            std::io::stdout(),
            "{}",
            ready_line(address, config.log_format)
        );
        match lamplight.serve(listener, is_set(stop.clone())).await {
            Ok(()) => {
                tracing::info!("stopped");
                ExitCode::SUCCESS
            }
            Err(ended) if ended.begins_anew => restart_in_place(address, began, stop).await,
            Err(ended) => fail(&format!("Stopped, because {ended}.")),
        }
    })
}

/// The minimum time between two restarts of a node.
const LIFE: Duration = Duration::from_secs(5);

/// Executes the program again in this process, on the same address: no supervisor sees an exit, and
/// the state in memory is dropped. Returns only if the process is to end instead.
async fn restart_in_place(
    address: SocketAddr,
    began: Instant,
    stop: watch::Receiver<bool>,
) -> ExitCode {
    use std::os::unix::process::CommandExt as _;
    tokio::select! {
        biased;
        // Also where the signal came while the node stopped.
        () = is_set(stop) => return ExitCode::SUCCESS,
        () = tokio::time::sleep(LIFE.saturating_sub(began.elapsed())) => {}
    }
    // On Linux the file of this version, also if its path has another one by now.
    let program = if cfg!(target_os = "linux") {
        Ok("/proc/self/exe".into())
    } else {
        std::env::current_exe()
    };
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_else(|| "lamplight".into());
    // A flag has precedence over the environment.
    let words = without_listen(words);
    let error = match program {
        Ok(program) => std::process::Command::new(program)
            .arg0(name)
            .args(words)
            // The system may have chosen the port.
            .env("LISTEN", address.to_string())
            .exec(),
        Err(error) => error,
    };
    fail(&format!("The program cannot be started again: {error}."))
}

/// Leaves out the flag `--listen` and its value.
fn without_listen(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut rest = Vec::new();
    let mut words = words;
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--listen") => drop(words.next()),
            Some(text) if text.starts_with("--listen=") => {}
            _ => rest.push(word),
        }
    }
    rest
}

async fn is_set(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// How often freed memory is returned to the operating system.
const RETURN_MEMORY_EVERY: Duration = Duration::from_secs(2);

/// Returns freed memory to the system for as long as the process runs. The allocator does so by
/// itself only while it serves allocations, so that a server that is idle after a burst would hold
/// the burst's memory.
async fn return_memory() {
    let mut every = tokio::time::interval(RETURN_MEMORY_EVERY);
    loop {
        every.tick().await;
        // SAFETY: it takes no pointer, and may be called by any thread at any time.
        #[allow(unsafe_code)]
        unsafe {
            libmimalloc_sys::mi_collect(false);
        }
    }
}

/// The line on standard output with the server's URL. With JSON logs it is a JSON line of the same
/// shape, so that log collectors can parse both streams. It does not depend on `LOG`, because a
/// program may wait for it.
fn ready_line(address: SocketAddr, format: LogFormat) -> String {
    let sentence = format!("Lamplight is ready. Open http://{address}/chat");
    match format {
        LogFormat::Text => sentence,
        LogFormat::Json => {
            let timestamp = lamplight_wire::time::format(lamplight::system::wall());
            let fields = serde_json::json!({ "message": sentence });
            serde_json::json!({ "timestamp": timestamp, "level": "INFO", "fields": fields, "target": "lamplight" }).to_string()
        }
    }
}

/// Logs go to standard error; standard output has the address of the page.
fn start_log(config: &Config) {
    let filter: Targets = config
        .log
        .parse()
        .unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let lines = match config.log_format {
        LogFormat::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(colours)
                .with_target(false)
                .boxed()
        }
        LogFormat::Json => fmt::layer().with_writer(std::io::stderr).json().boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .init();
}

/// Listens for signals from the call on; the future ends when one came.
fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    async {
        let (Ok(mut term), Ok(mut interrupt)) = signals else {
            tracing::error!("cannot listen for signals; only SIGKILL stops this process");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_the_node_got_replaces_the_listen_flag() {
        let rest = |words: &[&str]| {
            let rest = without_listen(words.iter().map(OsString::from));
            rest.into_iter()
                .map(|word| word.into_string().expect("text"))
                .collect::<Vec<_>>()
        };
        let others = ["serve", "--auth", "open", "--listening", "--node-id=a"];
        assert_eq!(rest(&others), others);
        assert_eq!(
            rest(&["serve", "--listen", "[::1]:0", "--auth", "open"]),
            ["serve", "--auth", "open"]
        );
        assert_eq!(
            rest(&["serve", "--auth", "open", "--listen=127.0.0.1:0"]),
            ["serve", "--auth", "open"]
        );
        assert_eq!(rest(&["serve", "--listen"]), ["serve"]);
    }
}
