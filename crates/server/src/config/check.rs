//! Turns the settings that were found into a [`Config`], or into an explanation of each problem.

use super::settings::{OPEN_FLAG, SETTINGS};
use super::sources::{Found, Gathered, Source};
use super::types::{
    Config, ConfigError, Database, FileScanSettings, FilesPlace, JwkSource, JwtSettings, LogFormat,
    MIN_JWT_SECRET_BYTES, MIN_SERVER_KEY_BYTES, PushSettings, RedisSettings, Secret,
};
use super::values;
use crate::backends::urls;
use crate::files::{S3Settings, s3_problem};
use ipnet::IpNet;
use lamplight_usecases::quotas::Quotas;
use lamplight_usecases::{FileRules, Identity};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads values one by one and collects their problems.
struct Reader {
    gathered: Gathered,
    warnings: Vec<String>,
}

impl Reader {
    fn found(&self, key: &'static str) -> Option<&Found> {
        self.gathered.found.get(key)
    }

    fn is_given(&self, key: &'static str) -> bool {
        self.found(key).is_some()
    }

    /// A setting's value, or its default; `None` if it has neither or is wrong.
    fn value<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let setting = SETTINGS.iter().find(|setting| setting.key == key)?;
        let found = match self.gathered.found.get(key) {
            Some(found) => found.clone(),
            None if setting.default.is_empty() => return None,
            None => Found {
                text: setting.default.to_owned(),
                source: Source::Default,
            },
        };
        match read(&found.text) {
            Ok(value) => Some(value),
            Err(expected) => {
                // A URL may have a password in it, even where none belongs.
                let is_secret =
                    setting.is_secret || (found.text.contains("://") && found.text.contains('@'));
                let shown = if is_secret {
                    "a value that is not shown".to_owned()
                } else {
                    format!("{:?}", found.text)
                };
                self.problem(format!(
                    "{} is {shown}, from {}; expected {expected}.",
                    setting.env, found.source
                ));
                None
            }
        }
    }

    fn text(&mut self, key: &'static str) -> Option<String> {
        self.value(key, |text| Ok(text.to_owned()))
    }

    fn problem(&mut self, sentence: String) {
        self.gathered.problems.push(sentence);
    }

    fn warn(&mut self, sentence: impl Into<String>) {
        self.warnings.push(sentence.into());
    }

    /// The text of a URL with a password, if `check` accepts it.
    fn url(
        &mut self,
        key: &'static str,
        env: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Option<Secret> {
        let found = self.found(key)?.clone();
        match check(&found.text) {
            Ok(()) => Some(Secret::new(found.text)),
            Err(why) => {
                self.problem(format!(
                    "{env}, from {}, cannot be used (LL-114): {why}.",
                    found.source
                ));
                None
            }
        }
    }
}

pub(super) fn config(gathered: Gathered) -> Result<Config, ConfigError> {
    let mut reader = Reader {
        gathered,
        warnings: Vec::new(),
    };
    let listen = reader.value("listen", values::address);
    let identity = reader.value("auth", values::identity);
    let is_open_on_purpose = reader.value(OPEN_FLAG, values::yes_or_no).unwrap_or(false);
    let data_dir = PathBuf::from(reader.text("data-dir").unwrap_or_default());
    let database = read_database(&mut reader, &data_dir);
    let redis = read_redis(&mut reader);
    let node_id = reader.value("node-id", values::name);
    let node_address = reader.value("node-address", values::host_and_port);
    let jwt = read_jwt(&mut reader);
    let server_key = reader.value("server-key", values::bearer).map(Secret::new);
    let allowed_origins = reader
        .value("allowed-origins", values::origins)
        .unwrap_or_default();
    let trusted_proxies = reader
        .value("trusted-proxies", values::networks)
        .unwrap_or_default();
    let socket_path = reader.value("socket-path", values::socket_path);
    let presence_ttl = reader.value("presence-ttl", |text| match values::duration(text)? {
        // The page's heartbeat comes every 30 s; less would throw out people who are there.
        ttl if ttl < Duration::from_secs(1) => Err("a duration of at least 1s".to_owned()),
        ttl => Ok(ttl),
    });
    let presence_grace = reader.value("presence-grace", values::duration);
    let edit_window = reader.value("edit-window", values::duration);
    let group_limit = reader.value("group-limit", values::group);
    let roster_limit = reader.value("roster-limit", values::roster);
    let log = reader.value("log", values::log_filter);
    let log_format = reader.value("log-format", |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json".to_owned()),
    });
    let sends = reader.value("limit-sends", values::number);
    let typing = reader.value("limit-typing", values::number);
    let joins = reader.value("limit-joins", values::number);
    let logins = reader.value("limit-logins", values::number);
    let conversations = reader.value("limit-conversations", values::number);
    let max_sessions = reader.value("max-sessions", values::number);
    let is_registration_open = reader.value("registration", |text| match text {
        "open" => Ok(true),
        "closed" => Ok(false),
        _ => Err("open or closed".to_owned()),
    });
    let reads = reader.value("limit-reads", values::number);
    let limit_connections = reader.value("limit-connections", values::number);
    let write_timeout = reader.value("write-timeout", values::duration);
    let keep_alive = reader.value("keep-alive", values::duration);
    let limit_unsent = reader.value("limit-unsent", values::unsent);
    let max_payload = reader.value("max-payload", values::payload);
    let files = read_files(&mut reader);
    if files.is_none() && redis.is_some() {
        reader.warn("Files are kept in a directory of this node. Nodes that share Redis need one that they share, or S3: set FILES.");
    }
    let max_file_size = reader.value("max-file-size", values::bytes);
    let file_quota = reader.value("file-quota", values::bytes);
    let file_types = reader.value("file-types", values::media_types);
    let scan_url = reader.value("file-scan-url", values::web_address);
    let scan_timeout = reader.value("file-scan-timeout", values::some_duration);
    let push = PushSettings {
        subject: reader.value("vapid-subject", values::contact).or_else(|| {
            let is_https = |origin: &&String| origin.starts_with("https://");
            allowed_origins.iter().find(is_https).cloned()
        }),
        allow: reader
            .value("push-allow", values::origins)
            .unwrap_or_default(),
    };

    if let (Some(listen), Some(identity)) = (listen, identity) {
        check_open(&mut reader, identity, listen, is_open_on_purpose);
        check_jwt(&mut reader, identity, &jwt);
    }
    check_server_key(&mut reader, server_key.as_ref());
    advise(&mut reader, &trusted_proxies, presence_ttl, max_payload);

    let files = files.unwrap_or_else(|| FilesPlace::Directory(data_dir.join("files")));
    let whole = (|| {
        Some(Config {
            listen: listen?,
            data_dir,
            database,
            redis,
            node_id,
            node_address,
            identity: identity?,
            jwt,
            server_key,
            allowed_origins,
            trusted_proxies,
            socket_path: socket_path?,
            presence_ttl: presence_ttl?,
            presence_grace: presence_grace?,
            edit_window: Some(edit_window?).filter(|window| !window.is_zero()),
            group_limit: group_limit?,
            roster_limit: roster_limit?,
            log: log?,
            log_format: log_format?,
            quotas: Quotas {
                sends: sends?,
                typing: typing?,
                joins: joins?,
                logins: logins?,
                conversations: conversations?,
                reads: reads?,
            },
            max_sessions: usize::try_from(max_sessions?).unwrap_or(usize::MAX),
            is_registration_open: is_registration_open?,
            limit_connections: usize::try_from(limit_connections?).unwrap_or(usize::MAX),
            write_timeout: Some(write_timeout?).filter(|write_timeout| !write_timeout.is_zero()),
            keep_alive: Some(keep_alive?).filter(|keep_alive| !keep_alive.is_zero()),
            limit_unsent: limit_unsent?,
            max_payload: max_payload?,
            files,
            file_rules: FileRules {
                max_size: max_file_size?,
                quota: file_quota?,
                types: file_types.unwrap_or_default(),
            },
            file_scan: match scan_url {
                Some(url) => Some(FileScanSettings {
                    url,
                    timeout: scan_timeout?,
                }),
                None => None,
            },
            push,
            warnings: std::mem::take(&mut reader.warnings),
        })
    })();
    match whole {
        Some(config) if reader.gathered.problems.is_empty() => Ok(config),
        _ => Err(ConfigError {
            sentences: reader.gathered.problems,
        }),
    }
}

fn read_files(reader: &mut Reader) -> Option<FilesPlace> {
    let aws = reader.gathered.aws.clone();
    let files = reader.value("files", |text| {
        if text.starts_with("s3:") {
            let variable = |name: &str| aws.get(name).cloned();
            return S3Settings::read(text, variable).map(FilesPlace::S3);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!(
                "a directory, or s3://bucket/prefix; {scheme}:// is neither"
            ));
        }
        Ok(FilesPlace::Directory(PathBuf::from(text)))
    });
    if let Some(FilesPlace::S3(settings)) = &files
        && let Some(problem) = s3_problem(settings)
    {
        reader.problem(problem);
    }
    files
}

fn read_database(reader: &mut Reader, data_dir: &Path) -> Database {
    let is_postgres = |found: &Found| {
        found.text.starts_with("postgres:") || found.text.starts_with("postgresql:")
    };
    if reader.found("database-url").is_some_and(is_postgres) {
        let url = reader.url("database-url", "DATABASE_URL", urls::check_postgres);
        // Empty if it is wrong, which is reported.
        return Database::Postgres(url.unwrap_or_else(|| Secret::new("")));
    }
    let file = reader.value("database-url", values::sqlite_path);
    Database::Sqlite(file.unwrap_or_else(|| data_dir.join("lamplight.db")))
}

fn read_redis(reader: &mut Reader) -> Option<RedisSettings> {
    let prefix = reader.value("redis-prefix", values::name);
    let url = reader.url("redis-url", "REDIS_URL", urls::check_redis);
    if !reader.is_given("redis-url") {
        for (key, env) in [
            ("redis-prefix", "REDIS_PREFIX"),
            ("node-address", "NODE_ADDRESS"),
        ] {
            if reader.is_given(key) {
                reader.warn(format!("{env} has no effect without REDIS_URL."));
            }
        }
    }
    Some(RedisSettings {
        url: url?,
        prefix: prefix?,
    })
}

fn read_jwt(reader: &mut Reader) -> JwtSettings {
    JwtSettings {
        secret: reader.text("jwt-secret").map(Secret::new),
        jwks: reader.value("jwt-jwks", values::jwks),
        issuer: reader.text("jwt-issuer"),
        audience: reader.text("jwt-audience"),
    }
}

/// Checks only the settings for tokens.
pub(super) fn jwt(gathered: Gathered) -> Result<JwtSettings, ConfigError> {
    let mut reader = Reader {
        gathered,
        warnings: Vec::new(),
    };
    let settings = read_jwt(&mut reader);
    if reader.gathered.problems.is_empty() {
        Ok(settings)
    } else {
        Err(ConfigError {
            sentences: reader.gathered.problems,
        })
    }
}

fn check_open(
    reader: &mut Reader,
    identity: Identity,
    listen: SocketAddr,
    is_open_on_purpose: bool,
) {
    let is_loopback = listen.ip().to_canonical().is_loopback();
    match (identity, is_loopback, is_open_on_purpose) {
        (Identity::Open, false, false) => reader.problem(format!(
            "AUTH=open does not verify users, so the server does not listen on {listen}, where other machines reach it and could act as any \
             user. Listen on 127.0.0.1, use AUTH=local or AUTH=jwt, or, in a network that you trust, pass --{OPEN_FLAG}."
        )),
        (Identity::Open, false, true) => {
            reader.warn(format!("AUTH=open on {listen}: EVERYONE WHO REACHES THIS ADDRESS CAN READ AND WRITE AS ANY USER."));
        }
        (Identity::Open, true, _) => reader.warn("AUTH=open: everyone on this machine can read and write as any user."),
        (_, _, true) => reader.warn(format!("--{OPEN_FLAG} has no effect without AUTH=open.")),
        _ => {}
    }
}

fn check_jwt(reader: &mut Reader, identity: Identity, jwt: &JwtSettings) {
    if identity != Identity::Jwt {
        for (key, env) in [
            ("jwt-secret", "JWT_SECRET"),
            ("jwt-jwks", "JWT_JWKS"),
            ("jwt-issuer", "JWT_ISSUER"),
            ("jwt-audience", "JWT_AUDIENCE"),
        ] {
            if reader.is_given(key) {
                reader.warn(format!("{env} has no effect without AUTH=jwt."));
            }
        }
        return;
    }
    if !reader.is_given("jwt-secret") && !reader.is_given("jwt-jwks") {
        reader.problem(
            "AUTH=jwt needs JWT_SECRET (HS256, at least 32 bytes, shared with your application) or JWT_JWKS (the file or URL of its public \
             keys); neither is set."
                .to_owned(),
        );
    }
    if let Some(secret) = jwt
        .secret
        .as_ref()
        .filter(|secret| secret.expose().len() < MIN_JWT_SECRET_BYTES)
    {
        let source = reader
            .found("jwt-secret")
            .map_or_else(String::new, |found| found.source.to_string());
        reader.problem(format!(
            "JWT_SECRET, from {source}, has {} bytes; expected at least {MIN_JWT_SECRET_BYTES}, because a shorter one can be guessed from a \
             single token. Generate one with `openssl rand -base64 48`.",
            secret.expose().len()
        ));
    }
    if jwt.audience.is_none() {
        reader.warn("JWT_AUDIENCE is not set: the server also accepts tokens for other applications with the same keys.");
    }
    if let Some(JwkSource::Url(url)) = &jwt.jwks {
        let is_near = url.host().is_some_and(|host| {
            host == "localhost"
                || host
                    .trim_matches(['[', ']'])
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        });
        if url.scheme_str() == Some("http") && !is_near {
            reader.warn(format!("JWT_JWKS is fetched from {url} without TLS: an attacker on the network path can replace the keys."));
        }
    }
}

fn check_server_key(reader: &mut Reader, server_key: Option<&Secret>) {
    if let Some(key) = server_key.filter(|key| key.expose().len() < MIN_SERVER_KEY_BYTES) {
        let source = reader
            .found("server-key")
            .map_or_else(String::new, |found| found.source.to_string());
        reader.problem(format!(
            "SERVER_KEY, from {source}, has {} bytes; expected at least {MIN_SERVER_KEY_BYTES}, because with it anyone can write as \
             every user. Generate one with `openssl rand -base64 48`.",
            key.expose().len()
        ));
    }
}

fn advise(
    reader: &mut Reader,
    trusted_proxies: &[IpNet],
    presence_ttl: Option<Duration>,
    max_payload: Option<usize>,
) {
    if trusted_proxies
        .iter()
        .any(|network| network.prefix_len() == 0)
    {
        reader.warn("TRUSTED_PROXIES trusts every address, so any client can claim any address.");
    }
    if presence_ttl.is_some_and(|ttl| ttl < Duration::from_secs(60)) {
        reader.warn("PRESENCE_TTL is under 60s, but pages report activity every 30s: users can look offline while they are online.");
    }
    // 8,000 characters of twelve bytes each, as JSON may escape them.
    if max_payload.is_some_and(|bytes| bytes < 100_000) {
        reader.warn("MAX_PAYLOAD is under 100000: a message of 8,000 characters may exceed it.");
    }
}
