//! The settings: found as flags, in the environment, in `.env` and in `lamplight.toml`, checked
//! once, and typed from then on. A wrong value stops the start with a sentence; a secret is never
//! part of one.

mod check;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
pub(crate) mod values;

pub use settings::Flags;

use ipnet::IpNet;
use lamplight_usecases::Identity;
use lamplight_usecases::quotas::Quotas;
use settings::{OPEN_FLAG, SETTINGS};
use sources::{Found, Gathered, Source, Surroundings, gather};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The shortest secret that HS256 may rest on: as long as what SHA-256 gives (RFC 7518, 3.2).
pub const MIN_JWT_SECRET_BYTES: usize = 32;

/// The shortest server key: 256 bits, if it is random.
pub const MIN_SERVER_KEY_BYTES: usize = 32;

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// Where a JWK set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwkSource {
    /// A file.
    File(PathBuf),
    /// An address, fetched with http or https.
    Url(http::Uri),
}

impl fmt::Display for JwkSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

/// Which tokens are believed.
#[derive(Clone, Debug, Default)]
pub struct JwtSettings {
    /// The secret of HS256.
    pub secret: Option<Secret>,
    /// The public keys of RS256, ES256 and EdDSA.
    pub jwks: Option<JwkSource>,
    /// The `iss` that a token must have.
    pub issuer: Option<String>,
    /// The `aud` that a token must have.
    pub audience: Option<String>,
}

impl JwtSettings {
    /// Reads the settings for tokens alone, from where [`Config::load`] reads them all.
    ///
    /// # Errors
    /// With a sentence for everything that is wrong.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        check::jwt(gather(
            flags,
            &Surroundings {
                environment: &|name| std::env::var(name).ok(),
                directory: Some(Path::new(".")),
            },
        ))
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Every setting, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where what must last is kept.
    pub data_dir: PathBuf,
    /// The SQLite file.
    pub database: PathBuf,
    /// Who is believed.
    pub identity: Identity,
    /// Which tokens are believed, where `identity` is [`Identity::Jwt`].
    pub jwt: JwtSettings,
    /// The host application's key.
    pub server_key: Option<Secret>,
    /// Whether anyone may make an account.
    pub is_registration_open: bool,
    /// The most sessions of one account; 0 for no limit.
    pub max_sessions: usize,
    /// Origins besides the server's own, as browsers write them (lower case, no port that the
    /// scheme implies).
    pub allowed_origins: Vec<String>,
    /// Whose word on a client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The path of Socket.IO, without a slash at its end.
    pub socket_path: String,
    /// How long a session lasts without activity.
    pub presence_ttl: Duration,
    /// How long a close is kept to ourselves.
    pub presence_grace: Duration,
    /// The most entries in one roster.
    pub roster_limit: usize,
    /// What is logged: parses as `tracing_subscriber::filter::Targets`.
    pub log: String,
    /// How it is written.
    pub log_format: LogFormat,
    /// How often is too often.
    pub quotas: Quotas,
    /// Connections at once from one address; 0 for no limit.
    pub limit_connections: usize,
    /// How long a client may read nothing of what waits for it; `None` for as long as it likes.
    pub write_timeout: Option<Duration>,
    /// How long an idle HTTP connection stays open; `None` for as long as its client likes.
    pub keep_alive: Option<Duration>,
    /// The most bytes that wait for one socket, and an eighth of the most that wait for one
    /// address.
    pub limit_unsent: Option<usize>,
    /// The most bytes in one packet or body. "No limit" is 2^31 - 1, which every client can read.
    pub max_payload: usize,
    warnings: Vec<String>,
}

/// What is wrong with the settings, a sentence for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The sentences, at least one.
    pub sentences: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the settings from the flags, the process' environment, `.env` and `lamplight.toml` of
    /// the working directory.
    ///
    /// # Errors
    /// With a sentence for everything that is wrong, not only the first.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::read(flags, &|name| std::env::var(name).ok(), Path::new("."))
    }

    /// Reads the settings from these flags, this environment and the files of this directory.
    ///
    /// # Errors
    /// With a sentence for everything that is wrong, not only the first.
    pub fn read(
        flags: &Flags,
        environment: &dyn Fn(&str) -> Option<String>,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        check::config(gather(
            flags,
            &Surroundings {
                environment,
                directory: Some(directory),
            },
        ))
    }

    /// The defaults with these settings on top, nothing read from the surroundings: for tests.
    /// Listens on a free port.
    ///
    /// # Panics
    /// When a setting is wrong.
    #[must_use]
    pub fn for_tests<V: Into<String>>(
        data_dir: &Path,
        settings: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        let mut flags = Flags::of(settings);
        flags
            .values
            .entry("listen")
            .or_insert_with(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string());
        flags
            .values
            .insert("data-dir", data_dir.display().to_string());
        match check::config(gather(
            &flags,
            &Surroundings {
                environment: &|_| None,
                directory: None,
            },
        )) {
            Ok(config) => config,
            Err(error) => panic!("{error}"),
        }
    }

    /// What should be said at the start: settings without effect, and settings that are open to
    /// misuse.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether an address is one of the trusted proxies.
    #[must_use]
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies
            .iter()
            .any(|network| network.contains(&address))
    }
}
