//! `REDIS_URL`.

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The default of `REDIS_PREFIX`.
const DEFAULT_PREFIX: &str = "lamplight";
const PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

/// Why a `REDIS_URL` cannot be used. The text leaves out the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("REDIS_URL {0}")]
pub struct RedisUrlError(String);

fn error<T>(text: impl Into<String>) -> Result<T, RedisUrlError> {
    Err(RedisUrlError(text.into()))
}

/// How to find the server that takes commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Single,
    /// The addresses are Sentinels, which know the primary of `service`.
    Sentinel { service: String },
    /// The addresses are nodes of a Redis Cluster.
    Cluster,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

/// Where Redis is, and how long to wait for it.
///
/// `REDIS_URL` is one of
///
/// - `redis://[user][:password@]host[:port][/db]`; `rediss://` for TLS, `valkey://` and
///   `valkeys://` mean the same
/// - `unix:///path/to/socket[?db=1&user=name&pass=secret]` (or `redis+unix://`)
/// - `redis+sentinel://[user][:password@]host[:port][,host[:port]...]/service[/db]` (`redis-sentinel`
///   and `rediss+sentinel` too): the addresses are Sentinels; `?sentinel_user=` and
///   `?sentinel_password=` log in to them
/// - `redis+cluster://[user][:password@]host[:port][,host[:port]...]` (`rediss+cluster` too), or
///   `redis://...?cluster=true`
///
/// Special characters of names and passwords are percent-encoded. `?ca=/path/to/ca.pem` trusts the
/// certificates of that file instead of the system's.
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) addresses: Vec<Address>,
    pub(crate) topology: Topology,
    pub(crate) tls: bool,
    pub(crate) credentials: Credentials,
    pub(crate) sentinel_credentials: Credentials,
    pub(crate) db: i64,
    pub(crate) certificate_authority: Option<PathBuf>,
    pub(crate) prefix: String,
    /// A command that has no answer by then fails.
    pub(crate) command_deadline: Duration,
    /// A connection that is not set up by then fails.
    pub(crate) connect_deadline: Duration,
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisOptions({self}, prefix {})", self.prefix)
    }
}

/// The addresses, without credentials.
impl fmt::Display for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.topology {
            Topology::Single => "",
            Topology::Sentinel { service } => &format!("Sentinels of {service} at "),
            Topology::Cluster => "Redis Cluster at ",
        };
        f.write_str(kind)?;
        for (index, address) in self.addresses.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}

impl RedisOptions {
    /// Reads a `REDIS_URL`.
    ///
    /// # Errors
    /// When it has none of the forms above.
    pub fn parse(url: &str) -> Result<Self, RedisUrlError> {
        let Some((scheme, rest)) = url.trim().split_once(':') else {
            return error("has no scheme, as redis://host:6379 has");
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        if !fragment.is_empty() {
            return error("has a #fragment; write # in a password as %23");
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (is_tls, kind) = match scheme {
            "redis" | "valkey" => (false, ""),
            "rediss" | "valkeys" => (true, ""),
            "unix" | "redis+unix" | "valkey+unix" => (false, "unix"),
            "redis+sentinel" | "redis-sentinel" | "valkey+sentinel" => (false, "sentinel"),
            "rediss+sentinel" | "rediss-sentinel" | "valkeys+sentinel" => (true, "sentinel"),
            "redis+cluster" | "redis-cluster" | "valkey+cluster" => (false, "cluster"),
            "rediss+cluster" | "rediss-cluster" | "valkeys+cluster" => (true, "cluster"),
            _ => {
                return error(
                    "has an unknown scheme; use redis://, rediss://, unix://, redis+sentinel:// \
                     or redis+cluster://",
                );
            }
        };
        let mut options = Self {
            addresses: Vec::new(),
            topology: Topology::Single,
            tls: is_tls,
            credentials: Credentials::default(),
            sentinel_credentials: Credentials::default(),
            db: 0,
            certificate_authority: None,
            prefix: DEFAULT_PREFIX.to_owned(),
            command_deadline: Duration::from_secs(2),
            connect_deadline: Duration::from_secs(3),
        };
        if kind == "cluster" {
            options.topology = Topology::Cluster;
        }
        options.read_query(query, kind)?;
        if kind == "unix" {
            let path = decode(rest)?;
            if path.is_empty() {
                return error("names no socket, as unix:///run/redis/redis.sock does");
            }
            options.addresses.push(Address::Unix(path.into()));
        } else {
            options.read_hosts(rest, kind)?;
        }
        if options.topology == Topology::Cluster && options.db != 0 {
            return error("names a database, but Redis Cluster has only number 0");
        }
        Ok(options)
    }

    fn read_query(&mut self, query: &str, kind: &str) -> Result<(), RedisUrlError> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value)?;
            match name {
                "db" => self.db = database(&value)?,
                "user" => self.credentials.user = Some(value),
                "pass" | "password" => self.credentials.password = Some(value),
                "sentinel_user" => self.sentinel_credentials.user = Some(value),
                "sentinel_password" => self.sentinel_credentials.password = Some(value),
                "ca" => self.certificate_authority = Some(value.into()),
                "cluster" if kind.is_empty() || kind == "cluster" => match value.as_str() {
                    "true" | "1" | "" => self.topology = Topology::Cluster,
                    "false" | "0" => {}
                    _ => return error("has cluster= with neither true nor false"),
                },
                // Connections always speak RESP3.
                "protocol" => {}
                // Do not print the name: it may be a misplaced password.
                _ => {
                    return error(
                        "has an unknown parameter; known are db, user, pass, cluster, ca, \
                         sentinel_user and sentinel_password",
                    );
                }
            }
        }
        Ok(())
    }

    fn read_hosts(&mut self, rest: &str, kind: &str) -> Result<(), RedisUrlError> {
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts = match hosts.rsplit_once('@') {
            Some((credentials, hosts)) => {
                let (user, password) = match credentials.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (credentials, None),
                };
                if !user.is_empty() {
                    self.credentials.user = Some(decode(user)?);
                }
                if let Some(password) = password {
                    self.credentials.password = Some(decode(password)?);
                }
                hosts
            }
            None => hosts,
        };
        let port = if kind == "sentinel" {
            SENTINEL_PORT
        } else {
            PORT
        };
        for host in hosts.split(',') {
            self.addresses.push(address(host, port)?);
        }
        let path = path.trim_end_matches('/');
        let db = if kind == "sentinel" {
            let (service, db) = path.split_once('/').unwrap_or((path, ""));
            if service.is_empty() {
                return error("names no service, as redis+sentinel://host/service does");
            }
            self.topology = Topology::Sentinel {
                service: decode(service)?,
            };
            db
        } else {
            path
        };
        if !db.is_empty() {
            self.db = database(db)?;
        }
        if self.topology == Topology::Single && self.addresses.len() > 1 {
            return error("has several hosts; use redis+sentinel:// or redis+cluster://");
        }
        Ok(())
    }

    /// Keys and channels begin with `<prefix>:`. Applications that share a server use prefixes of
    /// their own.
    ///
    /// # Errors
    /// When the prefix is empty, longer than 64 bytes, or has characters other than letters,
    /// digits, `.`, `_` and `-`. Without a colon no prefix begins with another's keys.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, RedisUrlError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(is_plain) {
            return Err(RedisUrlError(
                "needs a REDIS_PREFIX of 1 to 64 letters, digits, '.', '_' and '-'".into(),
            ));
        }
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// Trusts the certificates of this PEM file instead of the system's.
    #[must_use]
    pub fn with_certificate_authority(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificate_authority = Some(path.into());
        self
    }

    /// How long a command and the set-up of a connection may take.
    #[must_use]
    pub fn with_deadlines(mut self, command: Duration, connect: Duration) -> Self {
        self.command_deadline = command;
        self.connect_deadline = connect;
        self
    }

    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The first address of the URL; `None` for a Unix socket.
    pub(crate) fn first_address(&self) -> Option<(&str, u16)> {
        match self.addresses.first()? {
            Address::Tcp { host, port } => Some((host, *port)),
            Address::Unix(_) => None,
        }
    }

    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The connection settings of the `redis` crate. RESP3, which separates messages from answers.
    pub(crate) fn connection_info(&self, address: &Address) -> redis::ConnectionInfo {
        self.info(address, &self.credentials, self.db)
    }

    pub(crate) fn sentinel_info(&self, address: &Address) -> redis::ConnectionInfo {
        self.info(address, &self.sentinel_credentials, 0)
    }

    fn info(&self, address: &Address, credentials: &Credentials, db: i64) -> redis::ConnectionInfo {
        let address = match address {
            Address::Tcp { host, port } if self.tls => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            Address::Tcp { host, port } => ConnectionAddr::Tcp(host.clone(), *port),
            Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
        };
        let mut settings = RedisConnectionInfo::default()
            .set_protocol(redis::ProtocolVersion::RESP3)
            .set_db(db);
        if let Some(user) = &credentials.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &credentials.password {
            settings = settings.set_password(password);
        }
        let info = address.into_connection_info().expect("an address is one");
        info.set_redis_settings(settings)
    }
}

fn decode(text: &str) -> Result<String, RedisUrlError> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => error("is not UTF-8 once it is percent-decoded"),
    }
}

fn database(text: &str) -> Result<i64, RedisUrlError> {
    match text.parse() {
        Ok(number) if number >= 0 => Ok(number),
        _ => error("names a database that is not a number"),
    }
}

fn address(text: &str, default_port: u16) -> Result<Address, RedisUrlError> {
    // IPv6 addresses stand in brackets.
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return error("has no host, as redis://host:6379 has");
    }
    let port = match port {
        None | Some("") => default_port,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return error("has a port that is not a number"),
        },
    };
    Ok(Address::Tcp {
        host: decode(host)?,
        port,
    })
}

#[cfg(test)]
mod tests;
