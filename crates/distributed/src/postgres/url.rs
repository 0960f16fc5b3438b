//! The connection string. The driver's own parser refuses `sslmode=verify-full` and `sslrootcert`,
//! and its errors quote what they refuse, which can be a part of a password.

#[cfg(test)]
mod tests;

use super::error::OpenError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode, TargetSessionAttrs};

const DEFAULT_PORT: u16 = 5432;

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Tcp(String, u16),
    /// The directory of a unix socket, and the port in the socket's name.
    Unix(PathBuf, u16),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path, port) => write!(f, "{} (port {port})", path.display()),
        }
    }
}

/// The meaning of `sslmode`, as in libpq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disable,
    /// TLS if the server offers it, without a check of its certificate.
    #[default]
    Prefer,
    /// TLS; the certificate is checked as with [`TlsMode::VerifyCa`] if there is an `sslrootcert`.
    Require,
    /// TLS with a certificate that a known authority issued, for any name.
    VerifyCa,
    /// TLS with a certificate that a known authority issued for the host of the URL.
    VerifyFull,
}

/// The files and the mode of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsSettings {
    pub(super) mode: TlsMode,
    /// `None` for the system's authorities.
    pub(super) root_cert: Option<PathBuf>,
    pub(super) client_cert: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
}

/// A connection string, taken apart. Its `Debug` has no password.
#[derive(Clone)]
pub(super) struct ConnectionUrl {
    pub(super) hosts: Vec<Host>,
    pub(super) tls: TlsSettings,
    pub(super) connect_timeout: Option<Duration>,
    /// Whether only a server that takes writes will do: asked for, or the first of several hosts.
    pub(super) prepares: bool,
    pub(super) pool_size: Option<usize>,
    base: Config,
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionUrl")
            .field("hosts", &self.hosts)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl ConnectionUrl {
    /// # Errors
    /// When it is no connection string that Lamplight understands; the error shows no part of it
    /// but names of options.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or_else(|| bad("it does not begin with postgres:// or postgresql://"))?;
        if rest.contains('#') {
            return Err(bad(
                "it has a \"#\"; write it as %23, and other special characters of a password as percent codes too",
            ));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let mut parsed = Self {
            hosts: Vec::new(),
            tls: TlsSettings::default(),
            connect_timeout: None,
            prepares: true,
            pool_size: None,
            base: Config::new(),
        };
        parsed.base.application_name("lamplight");
        let hosts = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => {
                parsed.credentials(credentials)?;
                hosts
            }
            None => authority,
        };
        if database.contains('@') {
            return Err(bad(
                "its password has a \"/\" or a \"?\"; write special characters as percent codes (%2F, %3F)",
            ));
        }
        if !database.is_empty() {
            parsed.base.dbname(decode(database, "the database's name")?);
        }
        let mut list = HostList::of_authority(hosts)?;
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            parsed.option(name, value, &mut list)?;
        }
        parsed.hosts = list.hosts()?;
        if parsed.base.get_user().is_none() {
            return Err(bad(
                "it names no user: postgres://user:password@host/database",
            ));
        }
        if parsed.base.get_dbname().is_none() {
            return Err(bad(
                "it names no database: postgres://user:password@host/database",
            ));
        }
        if parsed.hosts.len() > 1
            && parsed.base.get_target_session_attrs() == TargetSessionAttrs::Any
        {
            // Of several servers one takes writes.
            parsed
                .base
                .target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(parsed)
    }

    /// The driver's settings for one of the hosts.
    pub(super) fn config(&self, host: &Host) -> Config {
        let mut config = self.base.clone();
        match host {
            Host::Tcp(name, port) => config.host(name).port(*port),
            Host::Unix(path, port) => config.host_path(path).port(*port),
        };
        config.ssl_mode(match self.tls.mode {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        if matches!(host, Host::Unix(..)) {
            // PostgreSQL has no TLS on unix sockets.
            config.ssl_mode(SslMode::Disable);
        }
        config
    }

    fn credentials(&mut self, credentials: &str) -> Result<(), OpenError> {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        if !user.is_empty() {
            self.base.user(decode(user, "the user's name")?);
        }
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            self.base.password(decode(password, "the password")?);
        }
        Ok(())
    }

    fn option(&mut self, name: &str, value: &str, hosts: &mut HostList) -> Result<(), OpenError> {
        let is_name = |name: &str| {
            name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        if !is_name(name) {
            return Err(bad(
                "it has an option with a malformed name; is there a \"?\" in the password that is not written as %3F?",
            ));
        }
        let text = decode(value, name)?;
        let wrong = |expected: &str| bad(&format!("its option {name} is not {expected}"));
        match name {
            "user" => drop(self.base.user(text)),
            "password" => drop(self.base.password(text)),
            "dbname" => drop(self.base.dbname(text)),
            "application_name" => drop(self.base.application_name(text)),
            "options" => drop(self.base.options(text)),
            "host" => hosts.names = text.split(',').map(str::to_owned).collect(),
            "port" => {
                let port = |text: &str| match text {
                    "" => Ok(DEFAULT_PORT),
                    text => text.parse().map_err(|_| wrong("a port")),
                };
                hosts.ports = text.split(',').map(port).collect::<Result<_, _>>()?;
            }
            "sslmode" => {
                self.tls.mode = match &*text {
                    "disable" => TlsMode::Disable,
                    "allow" | "prefer" => TlsMode::Prefer,
                    "require" => TlsMode::Require,
                    "verify-ca" => TlsMode::VerifyCa,
                    "verify-full" => TlsMode::VerifyFull,
                    _ => return Err(wrong("disable, prefer, require, verify-ca or verify-full")),
                };
            }
            "sslrootcert" => self.tls.root_cert = (text != "system").then(|| text.into()),
            "sslcert" => self.tls.client_cert = Some(text.into()),
            "sslkey" => self.tls.client_key = Some(text.into()),
            "target_session_attrs" => {
                let attrs = match &*text {
                    "any" => TargetSessionAttrs::Any,
                    "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
                    _ => return Err(wrong("read-write, primary or any: Lamplight writes")),
                };
                self.base.target_session_attrs(attrs);
            }
            "channel_binding" => {
                let binding = match &*text {
                    "disable" => ChannelBinding::Disable,
                    "prefer" => ChannelBinding::Prefer,
                    "require" => ChannelBinding::Require,
                    _ => return Err(wrong("disable, prefer or require")),
                };
                self.base.channel_binding(binding);
            }
            "connect_timeout" => {
                let seconds: u64 = text.parse().map_err(|_| wrong("a number of seconds"))?;
                self.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "prepared_statements" => {
                self.prepares = text.parse().map_err(|_| wrong("true or false"))?;
            }
            "pool_size" => {
                let size = text.parse().ok().filter(|size| (2..=1_000).contains(size));
                self.pool_size = Some(size.ok_or_else(|| wrong("a number from 2 to 1000"))?);
            }
            _ => {
                return Err(bad(&format!(
                    "it has the option {name}, which Lamplight does not know"
                )));
            }
        }
        Ok(())
    }
}

/// The hosts of a URL, and the options that replace them.
struct HostList {
    names: Vec<String>,
    ports: Vec<u16>,
}

impl HostList {
    fn of_authority(authority: &str) -> Result<Self, OpenError> {
        let mut list = Self {
            names: Vec::new(),
            ports: Vec::new(),
        };
        for host in authority.split(',').filter(|host| !host.is_empty()) {
            let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((name, port)) => (name, port.strip_prefix(':')),
                None => match host.split_once(':') {
                    Some((name, port)) => (name, Some(port)),
                    None => (host, None),
                },
            };
            list.names.push(decode(name, "a host's name")?);
            list.ports.push(match port {
                None | Some("") => DEFAULT_PORT,
                // Not quoted: it may be a part of a password.
                Some(port) => port.parse().map_err(|_| {
                    bad("a port is not a number; are special characters of the password written as percent codes?")
                })?,
            });
        }
        Ok(list)
    }

    fn hosts(self) -> Result<Vec<Host>, OpenError> {
        let Self { names, ports } = self;
        if names.is_empty() {
            return Err(bad(
                "it names no host: postgres://user:password@host/database",
            ));
        }
        if ports.len() > 1 && ports.len() != names.len() {
            return Err(bad("it has another number of ports than of hosts"));
        }
        let port_of = |place: usize| {
            let port = ports.get(place).or(ports.first());
            port.copied().unwrap_or(DEFAULT_PORT)
        };
        let host = |(place, name): (usize, String)| {
            if name.starts_with('/') {
                Host::Unix(name.into(), port_of(place))
            } else {
                Host::Tcp(name, port_of(place))
            }
        };
        Ok(names.into_iter().enumerate().map(host).collect())
    }
}

fn bad(why: &str) -> OpenError {
    OpenError::Url(why.to_owned())
}

fn decode(text: &str, what: &str) -> Result<String, OpenError> {
    let wrong = || bad(&format!("{what} has a malformed percent code"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = rest.next().map(char::from).and_then(|c| c.to_digit(16));
            digit
                .and_then(|digit| u8::try_from(digit).ok())
                .ok_or_else(wrong)
        };
        bytes.push(digit()? << 4 | digit()?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}
