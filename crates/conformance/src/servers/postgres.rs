//! A real PostgreSQL (14 or later) for tests.

use super::{free_port, wait_for};
use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// The administrator of the test servers.
const ADMIN: &str = "lamplight";

/// How a server is started. The default does not survive a crash of the machine, which no test
/// brings about, and is quicker so.
#[derive(Clone, Debug, Default)]
pub struct PostgresConfig {
    /// Syncs to the disk as in production.
    pub durable: bool,
    /// Takes TLS, with a certificate for `localhost` that
    /// [`PostgresServer::certificate_authority`] issued.
    pub tls: bool,
    /// More settings, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
}

/// A running server. It ends when this is dropped, and with the test process, however that ends.
#[derive(Debug)]
pub struct PostgresServer {
    directory: Option<TempDir>,
    port: u16,
    /// Stops the server and removes its directory once its standard input is closed.
    janitor: Option<Child>,
}

impl PostgresServer {
    /// The server that all tests of this process share. Use a database of your own
    /// ([`PostgresServer::fresh_database`]) and do no harm to it.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&PostgresConfig::default()))
    }

    /// A server of one's own, for tests that change or break it.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start(config: &PostgresConfig) -> Self {
        static EMPTY: OnceLock<PostgresServer> = OnceLock::new();
        let empty = EMPTY.get_or_init(|| {
            let server = Self::prepare();
            let mut init = server.program("initdb");
            init.args([
                "--no-sync",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--username", ADMIN, "--pgdata"])
            .arg(server.data());
            run(&mut init);
            server
        });
        let server = Self::prepare();
        let mut copy = Command::new("cp");
        run(copy.arg("--archive").arg(empty.data()).arg(server.data()));
        server.configure(config);
        server.start_again();
        server
    }

    /// A standby that follows this server from now on. The server stops for as long as the copy
    /// takes: not every distribution has `pg_basebackup`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn standby(&self, config: &PostgresConfig) -> Self {
        let server = Self::prepare();
        self.stop();
        let mut copy = Command::new("cp");
        run(copy.arg("--archive").arg(self.data()).arg(server.data()));
        self.start_again();
        server.configure(config);
        let primary = format!(
            "primary_conninfo = 'host=127.0.0.1 port={} user={ADMIN}'\n",
            self.port
        );
        let own = server.data().join("postgresql.auto.conf");
        let settings = std::fs::read_to_string(&own).expect("ALTER SYSTEM has a file of its own");
        std::fs::write(own, settings + &primary).expect("written");
        std::fs::write(server.data().join("standby.signal"), "").expect("written");
        server.start_again();
        server
    }

    /// An empty database and its URL, over TCP.
    ///
    /// # Panics
    /// If the server does not answer.
    #[must_use]
    pub fn fresh_database(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The URL of a database, over TCP, without TLS.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ADMIN}@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a database, over the unix socket.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        let directory = self.directory();
        format!(
            "postgres://{ADMIN}@/{database}?host={}&port={}",
            directory.display(),
            self.port
        )
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the socket, the log and the certificates.
    ///
    /// # Panics
    /// Never; it is there until the drop.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.as_ref().expect("a directory").path()
    }

    /// The certificate of the authority that issued the server's, in PEM format.
    #[must_use]
    pub fn certificate_authority(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    /// Runs statements as the administrator; returns the rows, columns separated by `|`.
    ///
    /// # Panics
    /// If a statement fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(psql());
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--host"])
            .arg(self.directory())
            .args(["--port", &self.port.to_string(), "--username", ADMIN])
            .args(["--dbname", database, "--command", sql]);
        run(&mut psql).trim_end().to_owned()
    }

    /// Stops the server as `pg_ctl stop -m fast` does: connections are cut.
    pub fn stop(&self) {
        self.control(&["stop", "--mode=fast"]);
    }

    /// Stops the server at once, as a crash of its processes would.
    pub fn crash(&self) {
        self.control(&["stop", "--mode=immediate"]);
    }

    /// Starts the server after [`PostgresServer::stop`] or [`PostgresServer::crash`].
    pub fn start_again(&self) {
        let log = self.directory().join("log");
        self.control(&["start", "--timeout=60", "--log", &log.to_string_lossy()]);
    }

    /// Crashes and starts again.
    pub fn restart(&self) {
        self.crash();
        self.start_again();
    }

    /// Makes the settings in `postgresql.conf` take effect.
    pub fn set(&self, settings: &[(&str, &str)]) {
        for (name, value) in settings {
            self.sql("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"));
        }
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        self.control(&["promote", "--timeout=60"]);
    }

    /// Stops all processes of the server with SIGSTOP: connections stay open, and nothing answers.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn pause(&self) {
        self.signal_all("STOP");
    }

    /// Ends a [`PostgresServer::pause`].
    ///
    /// # Panics
    /// If the server does not run.
    pub fn resume(&self) {
        self.signal_all("CONT");
    }

    /// A database on a disk of its own of so many megabytes, and its URL. `None` where this process
    /// may not mount one.
    ///
    /// # Panics
    /// If the server does not answer.
    #[must_use]
    pub fn small_disk(&self, megabytes: u32) -> Option<(SmallDisk, String)> {
        let path = self.directory().join("small");
        std::fs::create_dir(&path).expect("a directory");
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={megabytes}m,mode=777"),
            "tmpfs",
        ]);
        if !mount
            .arg(&path)
            .output()
            .is_ok_and(|output| output.status.success())
        {
            return None;
        }
        let location = path.join("data");
        std::fs::create_dir(&location).expect("a directory");
        let mut chown = Command::new("chown");
        run(chown.arg("postgres").arg(&location));
        let location = location.display();
        self.sql(
            "postgres",
            &format!("CREATE TABLESPACE small LOCATION '{location}'"),
        );
        self.sql("postgres", "CREATE DATABASE small TABLESPACE small");
        Some((SmallDisk { path }, self.url("small")))
    }

    fn prepare() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("postgres-")
            .tempdir()
            .expect("a directory");
        let janitor = janitor(directory.path());
        let server = Self {
            directory: Some(directory),
            port: free_port(),
            janitor: Some(janitor),
        };
        if is_root() {
            let mut chown = Command::new("chown");
            run(chown.arg("postgres").arg(server.directory()));
        }
        server
    }

    fn data(&self) -> PathBuf {
        self.directory().join("data")
    }

    fn configure(&self, config: &PostgresConfig) {
        let mut settings = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n\
             max_connections = 300\nshared_buffers = 32MB\njit = off\nautovacuum = off\nlog_checkpoints = off\n",
            self.port,
            self.directory().display()
        );
        if !config.durable {
            settings += "fsync = off\nfull_page_writes = off\n";
        }
        if config.tls {
            make_certificates(self);
            settings +=
                "ssl = on\nssl_cert_file = '../server.pem'\nssl_key_file = '../server.key'\n";
        }
        for (name, value) in &config.settings {
            let _ = writeln!(settings, "{name} = '{value}'");
        }
        // Users whose name begins with "secret" need their password.
        let access = "local all all trust\nhost all /^secret 127.0.0.1/32 scram-sha-256\n\
                      host all secret 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n\
                      host replication all 127.0.0.1/32 trust\n";
        let own = self.data().join("postgresql.auto.conf");
        let text = std::fs::read_to_string(self.data().join("postgresql.conf"));
        let text = text.expect("initdb wrote postgresql.conf");
        let text = text.split("# test settings\n").next().unwrap_or_default();
        std::fs::write(
            self.data().join("postgresql.conf"),
            format!("{text}# test settings\n{settings}"),
        )
        .expect("written");
        std::fs::write(self.data().join("pg_hba.conf"), access).expect("written");
        debug_assert!(own.exists(), "ALTER SYSTEM has a file of its own");
    }

    fn control(&self, arguments: &[&str]) {
        let mut control = self.program("pg_ctl");
        control
            .args(arguments)
            .args(["--wait", "--silent", "--pgdata"]);
        control.arg(self.data());
        run(&mut control);
    }

    fn program(&self, name: &str) -> Command {
        let mut command = as_postgres(&binaries().join(name));
        command.current_dir(self.directory());
        command
    }

    fn signal_all(&self, name: &str) {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid"));
        let file = file.expect("the server runs");
        let postmaster = file.lines().next().expect("a process id").to_owned();
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(children).expect("its children");
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(&postmaster);
        // One that ended meanwhile is no failure.
        drop(kill.args(children.split_whitespace()).output());
    }
}

/// The disk of [`PostgresServer::small_disk`]. It is there as long as the server's directory.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Takes all the room that is left.
    ///
    /// # Panics
    /// If there is no disk.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.path.join("ballast")).expect("a file");
        let block = [0; 4_096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }

    /// Gives back the room.
    ///
    /// # Panics
    /// If it was not filled.
    pub fn free(&self) {
        std::fs::remove_file(self.path.join("ballast")).expect("removed");
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut janitor) = self.janitor.take() {
            drop(janitor.stdin.take());
            drop(janitor.wait());
        }
    }
}

/// The programs of the server: `POSTGRES_BIN`, or those that are installed.
fn binaries() -> &'static Path {
    static BINARIES: OnceLock<PathBuf> = OnceLock::new();
    BINARIES.get_or_init(|| {
        std::env::var_os("POSTGRES_BIN").map_or_else(installed_binaries, PathBuf::from)
    })
}

/// Where Debian, Alpine and others have the programs of the server.
fn installed_binaries() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|path| path.join("postgres").exists())
        .collect();
    versions.sort();
    versions.pop().unwrap_or_else(|| "/usr/bin".into())
}

/// The client, which packages of a server alone do not have.
fn psql() -> PathBuf {
    let own = binaries().join("psql");
    if own.exists() { own } else { "psql".into() }
}

pub(super) fn is_root() -> bool {
    let uid = Command::new("id").arg("-u").output().expect("id");
    uid.stdout.trim_ascii() == b"0"
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--",
    ]);
    command.arg(program);
    command
}

fn run(command: &mut Command) -> String {
    // The server must not inherit a pipe that this process waits on.
    let is_control = command.get_args().any(|argument| argument == "start");
    if is_control {
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = status.status().expect("PostgreSQL is installed");
        assert!(status.success(), "{command:?} failed");
        return String::new();
    }
    let output = command.output().expect("PostgreSQL is installed");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A shell that outlives this process by what it takes to stop the server.
fn janitor(directory: &Path) -> Child {
    let script = "cat > /dev/null; data=\"$1/data\"; \
        if [ -f \"$data/postmaster.pid\" ]; then \
            postmaster=$(head -1 \"$data/postmaster.pid\"); \
            kill -CONT $postmaster $(cat /proc/$postmaster/task/$postmaster/children); \
            kill -QUIT $postmaster; \
            for _ in 1 2 3 4 5 6 7 8 9 10; do [ -d /proc/$postmaster ] && sleep 0.1; done; \
        fi; \
        if [ -d \"$1/small\" ]; then umount -l \"$1/small\"; fi; rm -rf \"$1\"";
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script, "sh"])
        .arg(directory)
        // A signal to the group of the tests is not for it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    shell.spawn().expect("a shell")
}

/// An authority, and a certificate for `localhost` that it issued.
fn make_certificates(server: &PostgresServer) {
    let directory = server.directory();
    let openssl = |arguments: &[&str]| {
        let mut openssl = Command::new("openssl");
        run(openssl.current_dir(directory).args(arguments));
    };
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let authority = [
        "req",
        "-x509",
        "-subj",
        "/CN=test authority",
        "-days",
        "2",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ];
    openssl(&[&authority[..], &key[..]].concat());
    let request = [
        "req",
        "-subj",
        "/CN=localhost",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
    ];
    openssl(&[&request[..], &key[..]].concat());
    std::fs::write(
        directory.join("server.ext"),
        "subjectAltName = DNS:localhost\n",
    )
    .expect("written");
    openssl(&[
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
        "server.ext",
        "-out",
        "server.pem",
    ]);
    if is_root() {
        let mut chown = Command::new("chown");
        run(chown
            .current_dir(directory)
            .args(["postgres", "server.key", "server.pem"]));
    }
    let mut chmod = Command::new("chmod");
    run(chmod.current_dir(directory).args(["600", "server.key"]));
    wait_for("certificate", || {
        directory.join("server.pem").exists().then_some(())
    });
}
