//! A real PgBouncer for tests.

use super::postgres::{PostgresServer, is_root};
use super::{free_port, spawn, wait_for};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};

/// A pooler in transaction mode in front of a server. It ends when this is dropped.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    child: Child,
}

impl PgBouncer {
    /// # Panics
    /// If PgBouncer is not installed or does not start.
    #[must_use]
    pub fn start(server: &PostgresServer) -> Self {
        let port = free_port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=lamplight\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\nmax_client_conn = 500\ndefault_pool_size = 4\n",
            server.port()
        );
        // Removed with the server's directory.
        let file = server.directory().join(format!("pgbouncer-{port}.ini"));
        std::fs::write(&file, settings).expect("written");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        }
        command.args(["--", "pgbouncer", "--quiet"]).arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(command).expect("PgBouncer is installed");
        wait_for("PgBouncer", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        Self { port, child }
    }

    /// The URL of a database through the pooler.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://lamplight@127.0.0.1:{}/{database}?prepared_statements=false",
            self.port
        )
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
