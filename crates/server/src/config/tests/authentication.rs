//! Settings of authentication.

use super::*;

#[test]
fn open_listens_on_loopback_unless_allow_open_is_set() {
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
fn h8_a_guessable_server_key_makes_startup_fail() {
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
