//! Where a value comes from.

use super::*;

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
fn an_invalid_file_is_reported_without_its_secrets() {
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
    // dotenvy reports only the value of such a line.
    let sentence = World::new()
        .file(".env", "LISTEN=127.0.0.1:1\nJWT_SECRET=\"hunter2=$abc\"\n")
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
fn a_dollar_in_a_secret_of_dot_env_is_literal() {
    let start = |line: &str| World::new().file(".env", line).read(&[]);
    let lost = [
        "SERVER_KEY=0123456789012345678901234567890123$abc",
        "SERVER_KEY=\"0123456789012345678901234567890123$abc.\"",
        "export SERVER_KEY = 0123456789012345678901234567890123${nothing}x",
        "SERVER_KEY=\"it's0123456789012345678901234567890123$abc.\"",
        "THE_PART=x\nSERVER_KEY=0123456789012345678901234567890123$THE_PART",
    ];
    for line in lost {
        let sentence = World::new().file(".env", line).refusal(&[]);
        assert!(
            sentence.contains("Put the value between single quotes: SERVER_KEY='...'.")
                && !sentence.contains("0123"),
            "{line}: {sentence}"
        );
    }
    let whole = [
        "SERVER_KEY='0123456789012345678901234567890123$abc'",
        "SERVER_KEY=0123456789012345678901234567890123\\$abc",
        "SERVER_KEY=01234567890123456789012345678901234567 # costs $5",
        "THE_PART=01234567890123456789\nSERVER_KEY=${THE_PART}01234567890123456789",
    ];
    for line in whole {
        let key = start(line).unwrap().server_key.unwrap();
        assert!(key.expose().len() >= 38, "{line}");
    }
    // Not a secret: a person sees what became of it.
    assert!(start("NODE_ID=a$b").is_ok());
}
