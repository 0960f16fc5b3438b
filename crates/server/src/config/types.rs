//! The settings, checked and typed.

use crate::files::S3Settings;
use ipnet::IpNet;
use lamplight_usecases::quotas::Quotas;
use lamplight_usecases::{FileRules, Identity};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Minimum length of an HS256 secret: the output size of SHA-256 (RFC 7518, 3.2).
pub const MIN_JWT_SECRET_BYTES: usize = 32;

/// Minimum length of the server key: 256 bits, if it is random.
pub const MIN_SERVER_KEY_BYTES: usize = 32;

/// A string that is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

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

/// Where messages, people and accounts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// The file.
    Sqlite(PathBuf),
    /// The connection string, with its password.
    Postgres(Secret),
}

impl Database {
    /// The SQLite file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

/// The Redis that presence and the nodes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// Has a password.
    pub url: Secret,
    /// Keys and channels begin with this and a colon.
    pub prefix: String,
}

/// The location of a JWK set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwkSource {
    File(PathBuf),
    /// An http or https URL.
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

/// How tokens are verified.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object for each line.
    Json,
}

/// Every setting, validated.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// The directory of the database and other data.
    pub data_dir: PathBuf,
    pub database: Database,
    pub redis: Option<RedisSettings>,
    /// The name of this node: see [`Config::node_id`].
    pub(super) node_id: Option<String>,
    /// Where other nodes reach this one, as host and port; found out by default.
    pub node_address: Option<String>,
    pub identity: Identity,
    /// Used with [`Identity::Jwt`].
    pub jwt: JwtSettings,
    pub server_key: Option<Secret>,
    /// Anyone may create an account.
    pub is_registration_open: bool,
    /// For each account; 0 for no limit.
    pub max_sessions: usize,
    /// Origins besides the server's own, as browsers write them (lower case, no port that the
    /// scheme implies).
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The path of Socket.IO, without a slash at its end.
    pub socket_path: String,
    /// How long a session lasts without activity.
    pub presence_ttl: Duration,
    /// How long a user still counts as online after a close.
    pub presence_grace: Duration,
    /// How long after it was sent a message can be edited; `None` for ever.
    pub edit_window: Option<Duration>,
    /// Maximum number of members of a group.
    pub group_limit: usize,
    /// Maximum number of users in a list.
    pub roster_limit: usize,
    /// Parses as `tracing_subscriber::filter::Targets`.
    pub log: String,
    pub log_format: LogFormat,
    pub quotas: Quotas,
    /// Simultaneous connections of one address; 0 for no limit.
    pub limit_connections: usize,
    /// How long a client may read nothing while data waits for it; `None` for no limit.
    pub write_timeout: Option<Duration>,
    /// How long an idle HTTP connection stays open; `None` for no limit.
    pub keep_alive: Option<Duration>,
    /// Maximum bytes queued for one socket, and an eighth of the maximum for one address.
    pub limit_unsent: Option<usize>,
    /// Maximum bytes of one packet or body. "No limit" is 2^31 - 1, which clients in every language
    /// can read.
    pub max_payload: usize,
    pub files: FilesPlace,
    pub file_rules: FileRules,
    /// The scanner that decides about each file, if there is one.
    pub file_scan: Option<FileScanSettings>,
    pub push: PushSettings,
    pub(super) warnings: Vec<String>,
}

/// How push services are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushSettings {
    /// The operator's contact for push services (VAPID): a `mailto:` or `https:` URL.
    pub subject: Option<String>,
    /// Origins of push services that need neither https nor a public address.
    pub allow: Vec<String>,
}

/// Where the bytes of files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilesPlace {
    Directory(PathBuf),
    S3(S3Settings),
}

/// A service that is sent each file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileScanSettings {
    /// May have a key in its query, so it is never logged.
    pub url: http::Uri,
    /// How long it may take for one file.
    pub timeout: Duration,
}

impl fmt::Debug for FileScanSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileScanSettings")
            .field("host", &self.url.host())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The problems of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub sentences: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences.join("\n"))
    }
}

impl std::error::Error for ConfigError {}
