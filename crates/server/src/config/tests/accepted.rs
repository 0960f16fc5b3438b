//! What values may be.

use super::*;

#[test]
fn an_invalid_value_is_reported_with_its_source_and_the_expected_form() {
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
            "expected sqlite: and the path of a file, such as sqlite:/var/lib/lamplight/lamplight.db, or postgres://",
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
fn all_invalid_settings_are_reported_together() {
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
fn durations_have_units_and_a_maximum() {
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
