//! Every setting by name: its flag, its environment variable, its key in `lamplight.toml`, its
//! default. One table, so that the three cannot drift apart and `--help` cannot leave one out.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One setting.
pub(super) struct Setting {
    /// The flag without its dashes, and the key in `lamplight.toml`.
    pub(super) key: &'static str,
    /// The environment variable.
    pub(super) env: &'static str,
    /// What stands in `--help` for the value.
    value_name: &'static str,
    /// What holds when nobody says otherwise; empty for nothing.
    pub(super) default: &'static str,
    /// A sentence for `--help`.
    help: &'static str,
    /// Whether its value may be shown in a message.
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

/// The key of the flag that lets `AUTH=open` leave this machine. Long on purpose: nobody types it
/// by accident.
pub(super) const OPEN_FLAG: &str = "open-to-the-network-without-authentication";

/// Every setting, in the order of `--help`.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    setting("listen", "LISTEN", "ADDRESS:PORT", "127.0.0.1:3000", "Where to listen"),
    setting("data-dir", "DATA_DIR", "PATH", "./data", "Where what must last is kept; made if it is not there"),
    setting("auth", "AUTH", "local|jwt|open", "local", "Who may sign in: Lamplight's own accounts (local), your application's tokens (jwt), or anyone without proof (open, for trials)"),
    setting(OPEN_FLAG, "OPEN_TO_THE_NETWORK_WITHOUT_AUTHENTICATION", "true|false", "false", "Let AUTH=open listen beyond this machine, where everyone who reaches it can be anyone"),
    secret("database-url", "DATABASE_URL", "sqlite:PATH", "The database; lamplight.db in the data directory if left out. postgres: is not built yet"),
    secret("redis-url", "REDIS_URL", "URL", "Redis or Valkey, for more than one node. Not built yet"),
    secret("jwt-secret", "JWT_SECRET", "SECRET", "The secret that the host application signs HS256 tokens with, at least 32 bytes"),
    setting("jwt-jwks", "JWT_JWKS", "FILE|URL", "", "The public keys of whoever signs RS256, ES256 or EdDSA tokens, as a JWK set"),
    setting("jwt-issuer", "JWT_ISSUER", "TEXT", "", "The `iss` that a token must have"),
    setting("jwt-audience", "JWT_AUDIENCE", "TEXT", "", "The `aud` that a token must have"),
    secret("server-key", "SERVER_KEY", "SECRET", "The key with which the host application writes profiles and conversations and reads metrics, at least 32 bytes"),
    setting("registration", "REGISTRATION", "open|closed", "open", "With AUTH=local: whether anyone may make an account, or only `lamplight account add`"),
    setting("max-sessions", "MAX_SESSIONS", "NUMBER", "20", "Sessions of one account; the oldest ends. 0 for no limit"),
    setting("allowed-origins", "ALLOWED_ORIGINS", "ORIGIN,...", "", "Pages of other sites that may use this server, such as https://app.example"),
    setting("trusted-proxies", "TRUSTED_PROXIES", "IP|CIDR,...", "", "Proxies whose word on the client's address is believed"),
    setting("socket-path", "SOCKET_PATH", "PATH", "/api/socketio", "The path of Socket.IO, answered with and without a slash at its end"),
    setting("presence-ttl", "PRESENCE_TTL", "DURATION", "1h", "How long a session stays online without a sign of life from its page"),
    setting("presence-grace", "PRESENCE_GRACE", "DURATION", "5s", "How long after a close a user may come back without anyone being told"),
    setting("roster-limit", "ROSTER_LIMIT", "NUMBER", "1000", "The most people in one list of who is online"),
    setting("log", "LOG", "FILTER", "info", "What is logged: error, warn, info, debug or trace, or target=level,..."),
    setting("log-format", "LOG_FORMAT", "text|json", "text", "How it is written"),
    setting("limit-sends", "LIMIT_SENDS", "NUMBER", "20", "Messages a second by one user; 0 for no limit"),
    setting("limit-typing", "LIMIT_TYPING", "NUMBER", "5", "Typing notices a second by one user; 0 for no limit"),
    setting("limit-joins", "LIMIT_JOINS", "NUMBER", "10", "Times a minute that one socket may announce its user; 0 for no limit"),
    setting("limit-reads", "LIMIT_READS", "NUMBER", "100", "Reads a second that a user may make (an address, where nobody says who asks), of 40 kB each on average; 0 for no limit"),
    setting("limit-logins", "LIMIT_LOGINS", "NUMBER", "10", "Attempts a minute to sign in to one account from one network (/24, /64); three times that from one network, ten times that at one account from networks that have not signed in to it for 30 days; 0 for no limit"),
    setting("limit-conversations", "LIMIT_CONVERSATIONS", "NUMBER", "20", "Conversations that one user may start a minute; 0 for no limit"),
    setting("limit-connections", "LIMIT_CONNECTIONS", "NUMBER", "200", "Connections at once from one address other than loopback; 0 for no limit"),
    setting("limit-unsent", "LIMIT_UNSENT", "BYTES", "4000000", "The most bytes that wait for one socket to read them, and eight times that for all sockets of one address; 0 for no limit"),
    setting("write-timeout", "WRITE_TIMEOUT", "DURATION", "20s", "How long a client may read nothing of what waits for it; 0 for ever"),
    setting("keep-alive", "KEEP_ALIVE", "DURATION", "75s", "How long an idle HTTP connection stays open: longer than the proxy in front keeps its own; 0 for ever"),
    setting("max-payload", "MAX_PAYLOAD", "BYTES", "1000000", "The most bytes in one packet or request body; 0 for no limit"),
];

/// What follows the list of settings in `--help`.
const AFTER_HELP: &str = "\
A flag beats an environment variable, that beats a line of ./.env, and that beats a key of lamplight.toml. A key is a
flag's name without its dashes (listen = \"127.0.0.1:3000\"), and underscores do as well. An empty value counts as not given.
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
            .help("The file with the settings [default: lamplight.toml, if it is there]");
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
