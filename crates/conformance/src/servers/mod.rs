//! Real servers for tests: each on free ports and in a directory of its own, stopped when the test
//! process ends, however that happens.

mod pgbouncer;
mod postgres;
mod redis;

pub use pgbouncer::PgBouncer;
pub use postgres::{PostgresConfig, PostgresServer, SmallDisk};
pub use redis::{RedisConfig, RedisServer, start_cluster, start_sentinel, unique_prefix};

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// How long a server may take to start on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

type Spawn = (Command, Sender<io::Result<Child>>);

/// Starts a program that the kernel kills when this process ends: `setpriv --pdeathsig` goes in
/// front of the arguments. The signal is sent when the *thread* that started the program ends, so
/// one thread that never ends starts them all.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Spawn>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, receiver) = channel::<Spawn>();
        std::thread::Builder::new()
            .name("test servers".to_owned())
            .spawn(move || {
                while let Ok((mut command, answer)) = receiver.recv() {
                    let _ = answer.send(command.spawn());
                }
            })
            .expect("a thread");
        sender
    });
    command.stdin(std::process::Stdio::null());
    let (answer, answered) = channel();
    spawner.send((command, answer)).expect("the thread runs");
    answered.recv().expect("the thread answers")
}

/// A command that runs `program` and dies with this process.
pub(crate) fn bound_to_this_process(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Polls until `done` gives a value, or gives up.
pub(crate) fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if let Some(value) = done() {
            return value;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("no {what} in {PATIENCE:?}");
}

/// Sends a signal (`KILL`, `STOP`, `CONT`, `TERM`) to a process.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(status.expect("kill").success(), "kill -{name} {pid}");
}
