//! A real `redis-server` (7.0 or later) for tests, or the program that `REDIS_SERVER` names, such as
//! `valkey-server`.

use super::{bound_to_this_process, free_port, signal, spawn, wait_for};
use parking_lot::Mutex;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// How a server is started. The default has no password, no TLS and no persistence.
#[derive(Clone, Debug, Default)]
pub struct RedisConfig {
    pub password: Option<String>,
    /// The port speaks TLS, with a certificate of an authority of its own:
    /// [`RedisServer::certificate_authority`].
    pub tls: bool,
    /// An append-only file, synced with every write.
    pub append_only: bool,
    /// A limit in bytes, past which writes are refused.
    pub max_memory: Option<u64>,
    /// The port of the server on this machine that it is a replica of.
    pub replica_of: Option<u16>,
    /// A node of a Redis Cluster; see [`start_cluster`].
    pub cluster: bool,
    /// More settings, as in `redis.conf`.
    pub extra: Vec<(String, String)>,
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    config: RedisConfig,
    port: u16,
    /// `None` for the shared server, which leaves nothing behind.
    directory: Option<TempDir>,
    child: Mutex<Option<Child>>,
}

/// A prefix that no other test of this process uses.
#[must_use]
pub fn unique_prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl RedisServer {
    /// The server that all tests of this process share. Use a prefix of your own
    /// ([`unique_prefix`]) and do no harm to it.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start_in(RedisConfig::default(), None))
    }

    /// A server of one's own, for tests that change or break it.
    ///
    /// # Panics
    /// If `redis-server` is not installed or does not start.
    #[must_use]
    pub fn start(config: RedisConfig) -> Self {
        let directory = tempfile::Builder::new().prefix("redis-").tempdir();
        Self::start_in(config, Some(directory.expect("a directory")))
    }

    fn start_in(config: RedisConfig, directory: Option<TempDir>) -> Self {
        if config.tls {
            make_certificates(directory.as_ref().expect("a directory").path());
        }
        // Another process may take the port first.
        for _ in 0..5 {
            let port = free_port();
            if let Some(child) = launch(&config, port, directory.as_ref().map(TempDir::path)) {
                return Self {
                    config,
                    port,
                    directory,
                    child: Mutex::new(Some(child)),
                };
            }
        }
        panic!("redis-server does not start");
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address as `REDIS_URL` has it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.config.tls { "rediss" } else { "redis" };
        let credentials = match &self.config.password {
            Some(password) => format!(":{password}@"),
            None => String::new(),
        };
        // Certificates name hosts.
        let host = if self.config.tls {
            "localhost"
        } else {
            "127.0.0.1"
        };
        format!("{scheme}://{credentials}{host}:{}", self.port)
    }

    /// The same server through its Unix socket; the shared server has none.
    #[must_use]
    pub fn unix_url(&self) -> String {
        let path = self.directory().join("redis.sock");
        match &self.config.password {
            Some(password) => format!("unix://{}?pass={password}", path.display()),
            None => format!("unix://{}", path.display()),
        }
    }

    /// The certificate, in PEM, that a client trusts.
    #[must_use]
    pub fn certificate_authority(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    fn directory(&self) -> &Path {
        let directory = self.directory.as_ref();
        directory.expect("not the shared server").path()
    }

    /// Kills the server as a crash does.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills the server, if it runs, and starts it on the same port with nothing in it.
    pub fn restart_empty(&self) {
        self.kill();
        if let Some(directory) = &self.directory {
            for name in ["dump.rdb", "appendonlydir"] {
                let path = directory.path().join(name);
                let _ = std::fs::remove_file(&path);
                let _ = std::fs::remove_dir_all(&path);
            }
        }
        self.relaunch();
    }

    /// Kills the server, if it runs, and starts it on the same port with what it had stored: see
    /// [`RedisConfig::append_only`] and [`RedisServer::save`].
    pub fn restart(&self) {
        self.kill();
        self.relaunch();
    }

    fn relaunch(&self) {
        let directory = self.directory.as_ref().map(TempDir::path);
        let child = wait_for("restarted redis-server", || {
            launch(&self.config, self.port, directory)
        });
        *self.child.lock() = Some(child);
    }

    /// Writes everything to disk, for a [`RedisServer::restart`].
    pub fn save(&self) {
        assert_eq!(self.cli(&["SAVE"]), "OK");
    }

    /// Stops the process where it is (`SIGSTOP`).
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a paused process go on (`SIGCONT`).
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.lock();
        signal(child.as_ref().expect("a running server").id(), name);
    }

    /// Runs a command with `redis-cli`, and returns what it prints.
    ///
    /// # Panics
    /// If `redis-cli` is not installed or cannot be run.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let directory = self.directory.as_ref().map(TempDir::path);
        cli(&self.config, self.port, directory, arguments).expect("redis-cli")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three or more masters that share the slots, without replicas.
#[must_use]
pub fn start_cluster(nodes: usize) -> Vec<RedisServer> {
    // The bus port is 10,000 above the port by default, which may not exist.
    let servers: Vec<_> = (0..nodes)
        .map(|_| {
            RedisServer::start(RedisConfig {
                cluster: true,
                extra: vec![("cluster-port".to_owned(), free_port().to_string())],
                ..RedisConfig::default()
            })
        })
        .collect();
    let addresses = servers
        .iter()
        .map(|server| format!("127.0.0.1:{}", server.port));
    let mut arguments = vec!["--cluster".to_owned(), "create".to_owned()];
    arguments.extend(addresses);
    arguments.push("--cluster-yes".to_owned());
    let output = Command::new("redis-cli").args(&arguments).output();
    let output = output.expect("redis-cli");
    assert!(output.status.success(), "{output:?}");
    for server in &servers {
        wait_for("Redis Cluster", || {
            let info = server.cli(&["CLUSTER", "INFO"]);
            let slots = info.contains("cluster_slots_ok:16384");
            let size = info.contains(&format!("cluster_known_nodes:{nodes}"));
            (info.contains("cluster_state:ok") && slots && size).then_some(())
        });
    }
    servers
}

/// A Sentinel that watches `master` under the name `service`, with a quorum of one, and begins a
/// failover after a second.
#[must_use]
pub fn start_sentinel(service: &str, master: &RedisServer) -> RedisServer {
    let directory = tempfile::Builder::new().prefix("sentinel-").tempdir();
    let directory = directory.expect("a directory");
    let port = free_port();
    let mut text = format!("bind 127.0.0.1\nport {port}\nsave \"\"\n");
    let _ = writeln!(text, "dir {}", directory.path().display());
    let _ = writeln!(
        text,
        "sentinel monitor {service} 127.0.0.1 {} 1",
        master.port
    );
    if let Some(password) = &master.config.password {
        let _ = writeln!(text, "sentinel auth-pass {service} {password}");
    }
    let _ = writeln!(text, "sentinel down-after-milliseconds {service} 1000");
    let _ = writeln!(text, "sentinel failover-timeout {service} 5000");
    let path = directory.path().join("sentinel.conf");
    std::fs::write(&path, text).expect("a configuration");
    let mut command = bound_to_this_process(program());
    command.arg(&path).arg("--sentinel").stdout(Stdio::null());
    let child = spawn(command).expect("redis-server is installed");
    let server = RedisServer {
        config: RedisConfig::default(),
        port,
        directory: Some(directory),
        child: Mutex::new(Some(child)),
    };
    wait_for("Sentinel", || {
        let answer = cli(&server.config, port, None, &["PING"]).ok()?;
        (answer == "PONG").then_some(())
    });
    server
}

/// The server that is started.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| std::env::var("REDIS_SERVER").unwrap_or("redis-server".to_owned()))
}

/// `None` if it ended at once, since its port was taken.
fn launch(config: &RedisConfig, port: u16, directory: Option<&Path>) -> Option<Child> {
    let mut command = bound_to_this_process(program());
    let mut set = |name: &str, value: &str| {
        command.arg(format!("--{name}")).arg(value);
    };
    set("bind", "127.0.0.1");
    set("save", "");
    set("loglevel", "warning");
    if let Some(directory) = directory {
        let path = |name: &str| directory.join(name).display().to_string();
        set("dir", &directory.display().to_string());
        set("unixsocket", &path("redis.sock"));
        if config.tls {
            set("port", "0");
            set("tls-port", &port.to_string());
            set("tls-cert-file", &path("server.pem"));
            set("tls-key-file", &path("server.key"));
            set("tls-ca-cert-file", &path("ca.pem"));
            set("tls-auth-clients", "no");
        }
    }
    if !config.tls {
        set("port", &port.to_string());
    }
    if let Some(password) = &config.password {
        set("requirepass", password);
        set("masterauth", password);
    }
    if config.append_only {
        set("appendonly", "yes");
        set("appendfsync", "always");
    }
    if let Some(bytes) = config.max_memory {
        set("maxmemory", &bytes.to_string());
    }
    if config.cluster {
        set("cluster-enabled", "yes");
        set("cluster-node-timeout", "2000");
    }
    for (name, value) in &config.extra {
        set(name, value);
    }
    if let Some(master) = config.replica_of {
        command.args(["--replicaof", "127.0.0.1", &master.to_string()]);
    }
    command.stdout(Stdio::null());
    let mut child = spawn(command).expect("redis-server is installed");
    wait_for("redis-server", || {
        if child.try_wait().expect("a status").is_some() {
            return Some(None);
        }
        let answer = cli(config, port, directory, &["PING"]).ok()?;
        (answer == "PONG").then_some(Some(()))
    })
    .map(|()| child)
}

fn cli(
    config: &RedisConfig,
    port: u16,
    directory: Option<&Path>,
    arguments: &[&str],
) -> io::Result<String> {
    let mut command = Command::new("redis-cli");
    command.args(["-h", if config.tls { "localhost" } else { "127.0.0.1" }]);
    command.args(["-p", &port.to_string()]);
    if config.tls {
        let authority = directory.map(|directory| directory.join("ca.pem"));
        command.arg("--tls").arg("--cacert").args(authority);
    }
    if let Some(password) = &config.password {
        command.args(["--no-auth-warning", "-a", password]);
    }
    let output = command.args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim_end().to_owned())
}

/// An authority, and a certificate of its for `localhost`.
fn make_certificates(directory: &Path) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        let output = command.args(arguments).current_dir(directory).output();
        let output = output.expect("openssl is installed");
        assert!(output.status.success(), "{output:?}");
    };
    let curve = "ec_paramgen_curve:prime256v1";
    let extensions = "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n";
    std::fs::write(directory.join("extensions"), extensions).expect("a file");
    run(&[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        curve,
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=test authority",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ]);
    run(&[
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        curve,
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
    ]);
    run(&[
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "extensions",
        "-out",
        "server.pem",
    ]);
}
