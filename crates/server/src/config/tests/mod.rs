mod accepted;
mod authentication;
mod precedence;

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

    /// The only problem or warning.
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
fn no_setting_is_required() {
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
fn the_database_may_have_another_path() {
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
fn settings_without_effect_are_reported() {
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
fn risky_settings_are_reported() {
    assert!(warnings(&["--trusted-proxies", "0.0.0.0/0"]).contains("TRUSTED_PROXIES"));
    assert!(warnings(&["--presence-ttl", "10s"]).contains("PRESENCE_TTL"));
    assert!(warnings(&["--max-payload", "2048"]).contains("MAX_PAYLOAD"));
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
fn tests_get_a_free_port_and_ignore_the_environment() {
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
