use super::settings::SETTINGS;
use super::*;
use clap::{Args, FromArgMatches};
use lamplight_usecases::Identity;
use lamplight_usecases::quotas::Quotas;
use std::collections::HashMap;
use std::time::Duration;
use tempfile::TempDir;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A directory with these files, and an environment.
struct World {
    directory: TempDir,
    environment: HashMap<&'static str, &'static str>,
}

impl World {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            environment: HashMap::new(),
        }
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.insert(name, value);
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.directory.path().join(name), text).unwrap();
        self
    }

    fn read(&self, arguments: &[&str]) -> Result<Config, ConfigError> {
        let command = Flags::augment_args(clap::Command::new("lamplight"));
        let matches = command
            .try_get_matches_from(std::iter::once(&"lamplight").chain(arguments))
            .unwrap();
        let flags = Flags::from_arg_matches(&matches).unwrap();
        Config::read(
            &flags,
            &|name| self.environment.get(name).map(|&value| value.to_owned()),
            self.directory.path(),
        )
    }

    /// The only sentence that is said.
    fn refusal(&self, arguments: &[&str]) -> String {
        let error = self.read(arguments).unwrap_err();
        assert_eq!(error.sentences.len(), 1, "{error}");
        error.to_string()
    }
}

fn refusal(arguments: &[&str]) -> String {
    World::new().refusal(arguments)
}

fn warnings(arguments: &[&str]) -> String {
    World::new().read(arguments).unwrap().warnings().join("\n")
}

#[test]
fn no_setting_needs_to_be_made() {
    let config = World::new().read(&[]).unwrap();
    assert_eq!(config.listen, "127.0.0.1:3000".parse().unwrap());
    assert_eq!(config.data_dir, Path::new("./data"));
    assert_eq!(
        config.database.file().unwrap(),
        Path::new("./data/lamplight.db")
    );
    assert_eq!(config.identity, Identity::Local);
    assert_eq!(config.socket_path, "/api/socketio");
    assert_eq!(
        (config.presence_ttl, config.presence_grace),
        (Duration::from_secs(3_600), Duration::from_secs(5))
    );
    assert_eq!(
        (
            config.roster_limit,
            config.limit_connections,
            config.max_payload
        ),
        (1_000, 200, 1_000_000)
    );
    assert_eq!(
        (config.write_timeout, config.keep_alive),
        (Some(Duration::from_secs(20)), Some(Duration::from_secs(75)))
    );
    assert_eq!(config.limit_unsent, Some(4_000_000));
    assert_eq!(
        format!("{:?}", config.quotas),
        format!("{:?}", Quotas::default())
    );
    assert_eq!(
        (config.log.as_str(), config.log_format),
        ("info", LogFormat::Text)
    );
    assert!(config.warnings().is_empty());
}

#[test]
fn a_flag_beats_the_environment_beats_dot_env_beats_the_file() {
    let toml =
        "listen = '127.0.0.1:1'\nroster_limit = 1\npresence-ttl = \"1m\"\nsocket-path = '/one'\n";
    let dot_env =
        "# words\nLISTEN=127.0.0.1:2\nROSTER_LIMIT=2\nexport PRESENCE_TTL='2m'\nUNRELATED=x\n";
    let world = World::new()
        .file("lamplight.toml", toml)
        .file(".env", dot_env)
        .env("LISTEN", "127.0.0.1:3")
        .env("ROSTER_LIMIT", "3");
    let config = world.read(&["--listen", "127.0.0.1:4"]).unwrap();
    assert_eq!(config.listen.port(), 4);
    assert_eq!(config.roster_limit, 3);
    assert_eq!(config.presence_ttl, Duration::from_secs(120));
    assert_eq!(config.socket_path, "/one");
}

#[test]
fn an_empty_value_counts_as_not_given() {
    let world = World::new()
        .env("REDIS_URL", "")
        .env("LISTEN", " ")
        .file(".env", "JWT_SECRET=\nLISTEN=127.0.0.1:2\n");
    assert_eq!(world.read(&[]).unwrap().listen.port(), 2);
}

#[test]
fn the_file_takes_lists_and_numbers_and_any_path() {
    let toml = "allowed-origins = ['https://a.example', 'http://b.example:80']\nlimit-sends = 7\ntrusted-proxies = ['10.1.2.3/8', '::1']";
    let config = World::new()
        .file("other.toml", toml)
        .read(&["--config", "other.toml"])
        .unwrap();
    assert_eq!(
        config.allowed_origins,
        ["https://a.example", "http://b.example"]
    );
    assert_eq!(config.quotas.sends, 7);
    assert!(config.is_trusted_proxy("10.200.0.1".parse().unwrap()));
    assert!(config.is_trusted_proxy("::ffff:10.0.0.1".parse().unwrap()));
    assert!(config.is_trusted_proxy("::1".parse().unwrap()));
    assert!(!config.is_trusted_proxy("11.0.0.1".parse().unwrap()));
}

#[test]
fn a_key_that_is_no_setting_is_refused() {
    let sentence = World::new()
        .file("lamplight.toml", "lisen = '127.0.0.1:1'")
        .refusal(&[]);
    assert!(
        sentence.contains("\"lisen\" in") && sentence.contains("Was listen meant?"),
        "{sentence}"
    );
    let sentence = World::new()
        .file("lamplight.toml", "[database]\nurl = 'x'")
        .refusal(&[]);
    assert!(
        sentence.contains("`lamplight serve --help` lists the settings."),
        "{sentence}"
    );
    let sentence = World::new()
        .file("lamplight.toml", "listen = 1.5")
        .refusal(&[]);
    assert!(
        sentence.contains("listen in") && sentence.contains("is a float"),
        "{sentence}"
    );
}

#[test]
fn a_key_in_two_spellings_is_refused() {
    let sentence = World::new()
        .file("lamplight.toml", "roster_limit = 5\nroster-limit = 7")
        .refusal(&[]);
    assert!(
        sentence.contains("roster-limit and roster_limit"),
        "{sentence}"
    );
    assert_eq!(
        World::new()
            .file("lamplight.toml", "roster_limit = 5")
            .read(&[])
            .unwrap()
            .roster_limit,
        5
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told_without_its_secrets() {
    let sentence = World::new()
        .file(
            "lamplight.toml",
            "listen = 'x'\njwt-secret = hunter2hunter2\n",
        )
        .refusal(&[]);
    assert!(
        sentence.contains("is not TOML: line 2") && !sentence.contains("hunter2"),
        "{sentence}"
    );
    let sentence = World::new()
        .file(".env", "JWT_SECRET='hunter2\n")
        .refusal(&[]);
    assert!(
        sentence.contains("\"JWT_SECRET\"") && !sentence.contains("hunter2"),
        "{sentence}"
    );
    let sentence = refusal(&["--config", "missing.toml"]);
    assert!(
        sentence.contains("missing.toml cannot be read"),
        "{sentence}"
    );
}

#[test]
fn a_wrong_value_is_named_with_where_it_came_from_and_what_was_expected() {
    let sentence = World::new().env("LISTEN", "3000").refusal(&[]);
    assert_eq!(
        sentence,
        "LISTEN is \"3000\", from the environment variable LISTEN; expected an IP address and a port, such as 127.0.0.1:3000, \
         0.0.0.0:3000 or [::1]:3000."
    );
    let cases = [
        ("--auth", "none", "expected local, jwt or open"),
        ("--presence-ttl", "1 year", "expected a duration"),
        ("--presence-ttl", "0", "at least 1s"),
        ("--presence-grace", "-5s", "expected a duration"),
        ("--roster-limit", "0", "expected a number of people"),
        ("--limit-sends", "many", "expected a whole number"),
        ("--limit-typing", "-1", "expected a whole number"),
        ("--limit-joins", "1.5", "expected a whole number"),
        ("--limit-logins", "x", "expected a whole number"),
        (
            "--limit-connections",
            "99999999999",
            "expected a whole number",
        ),
        (
            "--max-payload",
            "10",
            "expected a number of bytes from 1024",
        ),
        (
            "--socket-path",
            "api",
            "expected a path such as /api/socketio",
        ),
        (
            "--socket-path",
            "/",
            "expected a path such as /api/socketio",
        ),
        ("--socket-path", "/healthz/", "not one of Lamplight's own"),
        (
            "--socket-path",
            "/api/auth/login",
            "not one of Lamplight's own",
        ),
        (
            "--socket-path",
            "/chat/assets",
            "not one of Lamplight's own",
        ),
        ("--log", "info,http=loud", "expected error, warn, info"),
        ("--log", "inof", "expected error, warn, info"),
        ("--log-format", "xml", "expected text or json"),
        (
            "--trusted-proxies",
            "10.0.0.0/8,proxy",
            "\"proxy\" is neither",
        ),
        (
            "--database-url",
            "mysql://secret@host/db",
            "expected sqlite: and the path",
        ),
        (
            "--jwt-jwks",
            "ftp://keys.example",
            "expected the path of a file or an http or https URL",
        ),
        (
            "--jwt-jwks",
            "https://user:secret@keys.example/",
            "without a user name",
        ),
        ("--server-key", "two secret words", "without spaces"),
        (
            "--open-to-the-network-without-authentication",
            "perhaps",
            "expected true or false",
        ),
    ];
    for (flag, value, expected) in cases {
        let argument = format!("{flag}={value}");
        let sentence = refusal(&[&argument]);
        assert!(
            sentence.contains(expected) && sentence.contains(&format!("from the flag {flag}")),
            "{argument}: {sentence}"
        );
        assert!(
            !sentence.contains("secret@") && !sentence.contains("secret words"),
            "{sentence}"
        );
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let error = World::new()
        .read(&["--listen", "x", "--auth", "y", "--log-format", "z"])
        .unwrap_err();
    assert_eq!(error.sentences.len(), 3, "{error}");
}

#[test]
fn addresses_of_servers_are_checked_and_never_shown() {
    let config = World::new()
        .env("REDIS_URL", "rediss://user:hunter2@cache:7000")
        .env(
            "DATABASE_URL",
            "postgres://user:hunter2@db/x?sslmode=require",
        )
        .env("FILES", "/shared/files")
        .read(&[
            "--redis-prefix",
            "chat:eu-1",
            "--node-address",
            "[fd00::7]:3000",
        ])
        .unwrap();
    let redis = config.redis.as_ref().unwrap();
    assert_eq!(redis.url.expose(), "rediss://user:hunter2@cache:7000");
    assert_eq!(redis.prefix, "chat:eu-1");
    assert_eq!(config.node_address.as_deref(), Some("[fd00::7]:3000"));
    assert!(matches!(config.database, Database::Postgres(_)));
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    assert!(!format!("{config:?}").contains("hunter2"));
    for (flag, value, expected) in [
        (
            "--redis-url",
            "http://user:hunter2@cache",
            "REDIS_URL, from the flag",
        ),
        (
            "--redis-url",
            "redis://user:hunter2@cache:port",
            "REDIS_URL, from the flag",
        ),
        (
            "--database-url",
            "postgres://user:hunter2@db:port/x",
            "DATABASE_URL, from the flag",
        ),
        (
            "--database-url",
            "postgresql://user:hunter2@db/x?sslmode=maybe",
            "DATABASE_URL, from the flag",
        ),
        ("--redis-prefix", "", ""),
        (
            "--redis-prefix",
            "a b",
            "expected 1 to 64 letters, digits and - _ . :",
        ),
        (
            "--redis-prefix",
            "{tag}",
            "expected 1 to 64 letters, digits and - _ . :",
        ),
        ("--node-id", &"n".repeat(65), "expected 1 to 64 letters"),
        ("--node-address", "10.0.0.7", "expected a host and a port"),
        (
            "--node-address",
            "http://10.0.0.7:3000",
            "expected a host and a port",
        ),
        ("--node-address", "10.0.0.7:0", "expected a host and a port"),
    ] {
        let argument = format!("{flag}={value}");
        if expected.is_empty() {
            // As not set.
            assert!(World::new().read(&[&argument]).is_ok());
            continue;
        }
        let sentence = refusal(&[&argument]);
        assert!(sentence.contains(expected), "{argument}: {sentence}");
        assert!(!sentence.contains("hunter2"), "{sentence}");
    }
}

#[test]
fn settings_of_several_nodes_without_redis_are_warned_of() {
    let config = World::new()
        .read(&["--redis-prefix", "x", "--node-address", "a:1"])
        .unwrap();
    let warnings = config.warnings().join(" ");
    assert!(
        warnings.contains("REDIS_PREFIX has no effect without REDIS_URL")
            && warnings.contains("NODE_ADDRESS has no effect without REDIS_URL"),
        "{warnings}"
    );
}

#[test]
fn a_node_is_named_by_its_host_and_port_unless_the_setting_names_it() {
    let config = World::new().read(&[]).unwrap();
    let name = config.node_id(3_000);
    assert!(name.ends_with(":3000") && name.len() > 5, "{name}");
    let config = World::new().read(&["--node-id", "node-1"]).unwrap();
    assert_eq!(config.node_id(3_000), "node-1");
}

#[test]
fn the_database_may_be_elsewhere() {
    let config = World::new()
        .read(&["--database-url", "sqlite:///var/lib/x.db"])
        .unwrap();
    assert_eq!(config.database.file(), Some(Path::new("/var/lib/x.db")));
    let config = World::new()
        .read(&["--database-url", "sqlite:x.db", "--data-dir", "/d"])
        .unwrap();
    assert_eq!(config.database.file(), Some(Path::new("x.db")));
    assert!(refusal(&["--database-url", "sqlite::memory:"]).contains("the path of a file"));
}

#[test]
fn open_stays_on_this_machine_unless_told() {
    for listen in ["0.0.0.0:3000", "[::]:3000", "192.168.0.7:3000"] {
        let sentence = refusal(&["--auth", "open", "--listen", listen]);
        assert!(
            sentence.contains(listen)
                && sentence.contains("--open-to-the-network-without-authentication"),
            "{sentence}"
        );
        let printed = warnings(&[
            "--auth",
            "open",
            "--listen",
            listen,
            "--open-to-the-network-without-authentication",
        ]);
        assert!(printed.contains("EVERYONE"), "{printed}");
    }
    for listen in [
        "127.0.0.1:3000",
        "[::1]:3000",
        "localhost:3000",
        "127.9.9.9:1",
    ] {
        assert!(
            warnings(&["--auth", "open", "--listen", listen]).contains("everyone on this machine")
        );
    }
    assert!(
        warnings(&["--open-to-the-network-without-authentication"])
            .contains("no effect without AUTH=open")
    );
}

#[test]
fn jwt_needs_keys_that_cannot_be_guessed() {
    assert!(refusal(&["--auth", "jwt"]).contains("AUTH=jwt needs JWT_SECRET"));
    let sentence = World::new()
        .env("JWT_SECRET", "short-secret")
        .refusal(&["--auth", "jwt"]);
    assert!(
        sentence.contains("has 12 bytes; expected at least 32")
            && !sentence.contains("short-secret"),
        "{sentence}"
    );
    let config = World::new()
        .env("JWT_SECRET", SECRET)
        .read(&["--auth", "jwt", "--jwt-audience", "lamplight"])
        .unwrap();
    assert_eq!(config.jwt.secret.as_ref().unwrap().expose(), SECRET);
    assert!(config.warnings().is_empty());
    assert!(!format!("{config:?}").contains(SECRET));
    let config = World::new()
        .read(&["--auth", "jwt", "--jwt-jwks", "keys.json"])
        .unwrap();
    assert_eq!(config.jwt.jwks, Some(JwkSource::File("keys.json".into())));
    assert!(config.warnings()[0].contains("JWT_AUDIENCE is not set"));
    let printed = warnings(&[
        "--auth",
        "jwt",
        "--jwt-audience",
        "a",
        "--jwt-jwks",
        "http://keys.example/jwks.json",
    ]);
    assert!(printed.contains("without TLS"), "{printed}");
    assert_eq!(
        warnings(&[
            "--auth",
            "jwt",
            "--jwt-audience",
            "a",
            "--jwt-jwks",
            "http://[::1]:9/jwks.json"
        ]),
        ""
    );
    // A wrong JWT_JWKS is one sentence, not also a missing one.
    assert!(refusal(&["--auth", "jwt", "--jwt-jwks", "ftp://x"]).contains("JWT_JWKS is"));
}

#[test]
fn settings_without_effect_are_told() {
    let printed = warnings(&[
        "--jwt-secret",
        "x",
        "--jwt-audience",
        "a",
        "--jwt-issuer",
        "i",
        "--jwt-jwks",
        "f",
    ]);
    for env in ["JWT_SECRET", "JWT_AUDIENCE", "JWT_ISSUER", "JWT_JWKS"] {
        assert!(
            printed.contains(&format!("{env} has no effect without AUTH=jwt.")),
            "{printed}"
        );
    }
}

#[test]
fn h8_a_server_key_that_can_be_guessed_stops_the_start() {
    let sentence = refusal(&["--server-key", "a-short-key"]);
    assert!(
        sentence.contains("SERVER_KEY")
            && sentence.contains("11 bytes")
            && sentence.contains("openssl rand"),
        "{sentence}"
    );
    assert!(!sentence.contains("a-short-key"), "{sentence}");
    assert!(World::new().read(&["--server-key", SECRET]).is_ok());
    assert!(refusal(&["--server-key", &SECRET[1..]]).contains("31 bytes"));
}

#[test]
fn registration_and_sessions_are_settings() {
    let config = World::new().read(&[]).unwrap();
    assert!(
        config.is_registration_open
            && config.max_sessions == 20
            && config.quotas.conversations == 20
    );
    let config = World::new()
        .read(&[
            "--registration",
            "closed",
            "--max-sessions",
            "0",
            "--limit-conversations",
            "0",
        ])
        .unwrap();
    assert!(
        !config.is_registration_open
            && config.max_sessions == 0
            && config.quotas.conversations == 0
    );
    assert!(refusal(&["--registration", "shut"]).contains("open or closed"));
}

#[test]
fn settings_that_invite_trouble_are_told() {
    assert!(warnings(&["--trusted-proxies", "0.0.0.0/0"]).contains("TRUSTED_PROXIES"));
    assert!(warnings(&["--presence-ttl", "10s"]).contains("PRESENCE_TTL"));
    assert!(warnings(&["--max-payload", "2048"]).contains("MAX_PAYLOAD"));
}

#[test]
fn origins_are_read_as_browsers_write_them() {
    for (given, normal) in [
        ("https://App.Example:443", "https://app.example"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://[::1]", "http://[::1]"),
        (
            "https://xn--bcher-kva.example",
            "https://xn--bcher-kva.example",
        ),
        ("capacitor://localhost", "capacitor://localhost"),
    ] {
        assert_eq!(values::origin(given).as_deref(), Ok(normal));
    }
    assert_eq!(
        values::origin("https://app.example/").unwrap_err(),
        "an origin without a path, such as https://app.example"
    );
    assert!(
        values::origin("https://*.example")
            .unwrap_err()
            .contains("one by one")
    );
    assert!(
        values::origin("https://bücher.example")
            .unwrap_err()
            .contains("xn--")
    );
    for wrong in [
        "null",
        "app.example",
        "https://",
        "https://a:b",
        "https://a:0",
        "https://[::1",
        "https://a b",
        "1x://a",
        "https://u@a",
    ] {
        assert!(values::origin(wrong).is_err(), "{wrong}");
    }
    assert!(
        refusal(&["--allowed-origins", "https://a.example,b.example"])
            .contains("got \"b.example\"")
    );
    for between in [";", " ", "; "] {
        let sentence = refusal(&[
            "--allowed-origins",
            &format!("https://a.example{between}https://b.example"),
        ]);
        assert!(
            sentence.contains("commas between origins: https://a.example,https://b.example."),
            "{sentence}"
        );
    }
}

#[test]
fn durations_have_units_and_an_end() {
    for (text, millis) in [
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("45", 45_000),
        ("500ms", 500),
        ("2d", 172_800_000),
        ("0", 0),
    ] {
        assert_eq!(values::duration(text), Ok(Duration::from_millis(millis)));
    }
    for wrong in [
        "",
        "s",
        "1w",
        "-1s",
        "1.5h",
        "99999999999999999999",
        "400d",
        "18446744073709551615h",
    ] {
        assert!(values::duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn zero_turns_a_limit_off() {
    let config = World::new()
        .read(&[
            "--max-payload",
            "0",
            "--limit-sends=0",
            "--limit-connections=0",
        ])
        .unwrap();
    assert_eq!(
        (
            config.max_payload,
            config.quotas.sends,
            config.limit_connections
        ),
        (2_147_483_647, 0, 0)
    );
}

#[test]
fn the_help_lists_every_setting_with_its_default() {
    let help = Flags::augment_args(clap::Command::new("lamplight"))
        .render_long_help()
        .to_string();
    for setting in SETTINGS {
        assert!(
            help.contains(&format!("--{}", setting.key)),
            "{}",
            setting.key
        );
        assert!(
            help.contains(&format!("[env: {}]", setting.env)),
            "{}",
            setting.env
        );
        assert!(
            setting.default.is_empty() || help.contains(&format!("[default: {}]", setting.default)),
            "{}",
            setting.key
        );
    }
    assert!(help.contains("lamplight.toml"));
}

#[test]
fn tests_get_a_free_port_and_nothing_from_outside() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::for_tests(
        directory.path(),
        [("auth", "open"), ("presence-grace", "100ms")],
    );
    assert_eq!((config.listen.port(), config.identity), (0, Identity::Open));
    assert_eq!(
        config.database.file().unwrap(),
        directory.path().join("lamplight.db")
    );
}
