//! The table of settings: flag, environment variable, key in `lamplight.toml`, default and help of
//! each. One table keeps the three names consistent and `--help` complete.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One setting.
pub(super) struct Setting {
    /// The flag without its dashes, and the key in `lamplight.toml`.
    pub(super) key: &'static str,
    /// The environment variable.
    pub(super) env: &'static str,
    /// The placeholder of the value in `--help`.
    value_name: &'static str,
    /// Empty for none.
    pub(super) default: &'static str,
    /// A sentence for `--help`.
    help: &'static str,
    /// Messages must not show the value.
    pub(super) is_secret: bool,
}

const fn setting(
    key: &'static str,
    env: &'static str,
    value_name: &'static str,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        env,
        value_name,
        default,
        help,
        is_secret: false,
    }
}

const fn secret(
    key: &'static str,
    env: &'static str,
    value_name: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        env,
        value_name,
        default: "",
        help,
        is_secret: true,
    }
}

/// The key of the flag that lets `AUTH=open` listen beyond this machine. It is long so that nobody
/// types it by accident.
pub(super) const OPEN_FLAG: &str = "open-to-the-network-without-authentication";

/// Every setting, in the order of `--help`.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    setting("listen", "LISTEN", "ADDRESS:PORT", "127.0.0.1:3000", "Address and port to listen on"),
    setting("data-dir", "DATA_DIR", "PATH", "./data", "Directory of the database and other data; created if missing"),
    setting("auth", "AUTH", "local|jwt|open", "local", "Who may sign in: Lamplight's own accounts (local), your application's tokens (jwt), or anyone without proof (open, for trials)"),
    setting(OPEN_FLAG, "OPEN_TO_THE_NETWORK_WITHOUT_AUTHENTICATION", "true|false", "false", "Let AUTH=open listen beyond this machine, where every client can act as any user"),
    secret("database-url", "DATABASE_URL", "sqlite:PATH|postgres://...", "The database: a SQLite file (lamplight.db in the data directory by default), or PostgreSQL 14 or newer: postgres://user:password@host/database?sslmode=verify-full"),
    secret("redis-url", "REDIS_URL", "URL", "Redis 7.0 or newer, or Valkey, for presence and for several nodes: redis://user:password@host:6379, rediss:// with TLS, redis+sentinel:// or redis+cluster://"),
    setting("redis-prefix", "REDIS_PREFIX", "TEXT", "lamplight", "Start of all keys and channels in Redis; applications that share a Redis need different ones"),
    setting("node-id", "NODE_ID", "TEXT", "", "Name of this node, different on each node; <hostname>:<port> by default"),
    setting("node-address", "NODE_ADDRESS", "HOST:PORT", "", "Where other nodes reach this one; the address towards Redis with the port of LISTEN by default"),
    secret("jwt-secret", "JWT_SECRET", "SECRET", "Secret with which your application signs HS256 tokens, at least 32 bytes"),
    setting("jwt-jwks", "JWT_JWKS", "FILE|URL", "", "Public keys (a JWK set) that verify RS256, ES256 or EdDSA tokens"),
    setting("jwt-issuer", "JWT_ISSUER", "TEXT", "", "Required `iss` of tokens"),
    setting("jwt-audience", "JWT_AUDIENCE", "TEXT", "", "Required `aud` of tokens"),
    secret("server-key", "SERVER_KEY", "SECRET", "Key with which your application writes profiles and conversations and reads metrics, at least 32 bytes"),
    setting("registration", "REGISTRATION", "open|closed", "open", "With AUTH=local: anyone may create an account (open), or only `lamplight account add` (closed)"),
    setting("max-sessions", "MAX_SESSIONS", "NUMBER", "20", "Sessions of one account; a new one ends the oldest. 0 for no limit"),
    setting("allowed-origins", "ALLOWED_ORIGINS", "ORIGIN,...", "", "Origins (scheme, host, port) of your pages, such as https://app.example"),
    setting("trusted-proxies", "TRUSTED_PROXIES", "IP|CIDR,...", "", "Proxies whose X-Forwarded-For is trusted for the client's address"),
    setting("socket-path", "SOCKET_PATH", "PATH", "/api/socketio", "Path of Socket.IO, with and without a slash at its end"),
    setting("presence-ttl", "PRESENCE_TTL", "DURATION", "1h", "How long a session stays online without activity from its page"),
    setting("presence-grace", "PRESENCE_GRACE", "DURATION", "5s", "How long after a close a user still counts as online, so that a reload causes no event"),
    setting("edit-window", "EDIT_WINDOW", "DURATION", "0", "How long after sending it an author can edit a message; 0 for no limit"),
    setting("group-limit", "GROUP_LIMIT", "NUMBER", "1000", "Maximum number of members of a group"),
    setting("roster-limit", "ROSTER_LIMIT", "NUMBER", "1000", "Maximum number of users in a list of online users"),
    setting("log", "LOG", "FILTER", "info", "Log level: error, warn, info, debug or trace, or target=level,..."),
    setting("log-format", "LOG_FORMAT", "text|json", "text", "Log format"),
    setting("limit-sends", "LIMIT_SENDS", "NUMBER", "20", "Messages, edits, deletions, reactions and pins a second from one user; 0 for no limit"),
    setting("limit-typing", "LIMIT_TYPING", "NUMBER", "5", "Typing events a second from one user; 0 for no limit"),
    setting("limit-joins", "LIMIT_JOINS", "NUMBER", "10", "join_user events a minute from one socket; 0 for no limit"),
    setting("limit-reads", "LIMIT_READS", "NUMBER", "100", "Reads a second by one user (by one address without a user), of 40 kB each on average; 0 for no limit"),
    setting("limit-logins", "LIMIT_LOGINS", "NUMBER", "10", "Sign-in attempts a minute at one account from one network (/24, /64); three times that from one network over all accounts, ten times that at one account from all networks without a sign-in to it within 30 days; 0 for no limit"),
    setting("limit-conversations", "LIMIT_CONVERSATIONS", "NUMBER", "20", "Conversations a minute that one user may start; 0 for no limit"),
    setting("limit-connections", "LIMIT_CONNECTIONS", "NUMBER", "200", "Simultaneous connections from one address other than loopback; 0 for no limit"),
    setting("limit-unsent", "LIMIT_UNSENT", "BYTES", "4000000", "Maximum bytes queued for one socket, and eight times that for all sockets of one address; 0 for no limit"),
    setting("write-timeout", "WRITE_TIMEOUT", "DURATION", "20s", "How long a client may read nothing while data is queued for it; 0 for no limit"),
    setting("keep-alive", "KEEP_ALIVE", "DURATION", "75s", "How long an idle HTTP connection stays open; set it above the proxy's own keep-alive. 0 for no limit"),
    setting("files", "FILES", "PATH|URL", "", "Storage of uploaded files: a directory (shared by all nodes), or s3://bucket/prefix with the variables AWS_REGION or AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; by default the directory files in the data directory"),
    setting("max-file-size", "MAX_FILE_SIZE", "BYTES", "100000000", "Maximum bytes of one file; 0 for no limit"),
    setting("file-quota", "FILE_QUOTA", "BYTES", "1000000000", "Maximum bytes of files that one user can start to upload in 24 hours; 0 for no limit"),
    setting("file-types", "FILE_TYPES", "TYPE,...", "", "Allowed types of uploaded files, such as image/*,application/pdf, as detected from their bytes; all by default"),
    secret("file-scan-url", "FILE_SCAN_URL", "URL", "Virus scanner that receives each file by POST; a file cannot be downloaded before it answers {\"verdict\": \"clean\"}"),
    setting("file-scan-timeout", "FILE_SCAN_TIMEOUT", "DURATION", "60s", "How long the scanner may take for one file before the file is sent again"),
    setting("vapid-subject", "VAPID_SUBJECT", "mailto:...|https://...", "", "Contact of this server's operator for push services (VAPID); Apple's requires it. The first https origin of ALLOWED_ORIGINS by default"),
    setting("push-allow", "PUSH_ALLOW", "ORIGIN,...", "", "Additional push services that are not on a public address or not over https, such as http://127.0.0.1:9000"),
    setting("max-payload", "MAX_PAYLOAD", "BYTES", "1000000", "Maximum bytes of one packet or request body; 0 for no limit"),
];

const AFTER_HELP: &str = "\
A flag overrides an environment variable, which overrides a line of ./.env, which overrides a key of lamplight.toml. A key is
a flag's name without its dashes (listen = \"127.0.0.1:3000\"), also with underscores. An empty value counts as not set.
Durations are 30s, 5m, 1h, 500ms, or plain seconds.";

/// The settings that came as flags. Flatten it into a command with clap: `#[command(flatten)]
/// settings: Flags`.
#[derive(Clone, Default)]
pub struct Flags {
    /// Values by key.
    pub(super) values: BTreeMap<&'static str, String>,
    /// `--config`.
    pub(super) file: Option<PathBuf>,
}

impl Flags {
    /// Flags as if they had been typed, for tests and for callers that are not a command line.
    ///
    /// # Panics
    /// When a key is none of the settings: a mistake in the calling code.
    #[must_use]
    pub fn of<V: Into<String>>(pairs: impl IntoIterator<Item = (&'static str, V)>) -> Self {
        let values = pairs.into_iter().map(|(key, value)| {
            assert!(
                SETTINGS.iter().any(|setting| setting.key == key),
                "{key} is no setting"
            );
            (key, value.into())
        });
        Self {
            values: values.collect(),
            file: None,
        }
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("PATH")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Settings file [default: lamplight.toml, if it exists]");
        SETTINGS.iter().fold(
            command.arg(config).after_help(AFTER_HELP),
            |command, setting| {
                let default = if setting.default.is_empty() {
                    String::new()
                } else {
                    format!(" [default: {}]", setting.default)
                };
                let help = format!("{} [env: {}]{default}", setting.help, setting.env);
                let arg = Arg::new(setting.key)
                    .long(setting.key)
                    .value_name(setting.value_name)
                    .action(ArgAction::Set)
                    .help(help);
                command.arg(if setting.key == OPEN_FLAG {
                    arg.num_args(0..=1).default_missing_value("true")
                } else {
                    arg
                })
            },
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let values = SETTINGS.iter().filter_map(|setting| {
            Some((setting.key, matches.get_one::<String>(setting.key)?.clone()))
        });
        Ok(Self {
            values: values.collect(),
            file: matches.get_one::<PathBuf>("config").cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
