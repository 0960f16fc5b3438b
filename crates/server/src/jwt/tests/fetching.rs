//! Keys at an address.

use super::*;
use crate::http_client::mock_server::{MockServer, reply};
use parking_lot::Mutex;
use std::time::Duration;

/// Someone else's key server, whose answer can be changed.
struct KeyServer {
    server: MockServer,
    answer: Arc<Mutex<String>>,
}

impl KeyServer {
    async fn start(keys: &[&Value]) -> Self {
        let answer = Arc::new(Mutex::new(reply(
            "200 OK",
            "",
            &json!({ "keys": keys }).to_string(),
        )));
        let shown = Arc::clone(&answer);
        Self {
            server: MockServer::start(move |_| shown.lock().clone()).await,
            answer,
        }
    }

    fn set(&self, keys: &[&Value]) {
        *self.answer.lock() = reply("200 OK", "", &json!({ "keys": keys }).to_string());
    }

    fn fail(&self) {
        *self.answer.lock() = reply("500 Internal Server Error", "", "");
    }

    async fn verifier(&self, timing: Timing) -> TokenVerifier {
        let source = JwkSource::Url(self.server.url("/jwks.json").parse().unwrap());
        let settings = JwtSettings {
            jwks: Some(source),
            ..JwtSettings::default()
        };
        TokenVerifier::with_timing(&settings, timing).await.unwrap()
    }
}

#[tokio::test]
async fn an_unknown_key_is_fetched_once_and_not_again_within_the_cooldown() {
    let (old, new, unknown) = (ec("old"), ec("new"), ec("unknown"));
    let server = KeyServer::start(&[&old.jwk]).await;
    let timing = Timing {
        cooldown: Duration::from_millis(300),
        ..Timing::default()
    };
    let verifier = server.verifier(timing).await;
    // The first token waits for the first fetch and makes no second one.
    assert!(verifier.verify(&old.token(&claims()), NOW).await.is_ok());
    assert_eq!(server.server.requests(), 1);
    tokio::time::sleep(timing.cooldown).await;
    server.set(&[&old.jwk, &new.jwk]);
    let token = new.token(&claims());
    let many = futures_util::future::join_all((0..20).map(|_| verifier.verify(&token, NOW))).await;
    assert!(many.iter().all(Result::is_ok));
    assert_eq!(server.server.requests(), 2, "they share one fetch");
    for _ in 0..5 {
        let error = verifier
            .verify(&unknown.token(&claims()), NOW)
            .await
            .unwrap_err();
        let have = vec!["old".to_owned(), "new".to_owned()];
        assert_eq!(
            error,
            TokenError::UnknownKey {
                kid: Some("unknown".to_owned()),
                algorithm: "ES256",
                have
            }
        );
    }
    assert_eq!(server.server.requests(), 2, "within the cooldown");
    tokio::time::sleep(timing.cooldown).await;
    assert!(
        verifier
            .verify(&unknown.token(&claims()), NOW)
            .await
            .is_err()
    );
    assert_eq!(server.server.requests(), 3);
}

#[tokio::test]
async fn stale_keys_are_kept_when_the_server_fails() {
    let (old, new) = (ec("old"), ec("new"));
    let server = KeyServer::start(&[&old.jwk]).await;
    let timing = Timing {
        cooldown: Duration::ZERO,
        ..Timing::default()
    };
    let verifier = server.verifier(timing).await;
    assert!(verifier.verify(&old.token(&claims()), NOW).await.is_ok());
    server.fail();
    assert!(matches!(
        verifier.verify(&new.token(&claims()), NOW).await,
        Err(TokenError::UnknownKey { .. })
    ));
    assert!(server.server.requests() >= 2);
    assert!(verifier.verify(&old.token(&claims()), NOW).await.is_ok());
}

#[tokio::test]
async fn keys_are_refreshed_in_the_background_and_withdrawn_ones_are_dropped() {
    let (old, new) = (ec("old"), ec("new"));
    let server = KeyServer::start(&[&old.jwk]).await;
    let timing = Timing {
        refresh: Duration::from_millis(50),
        retry: Duration::from_millis(50),
        cooldown: Duration::from_secs(60),
        ..Timing::default()
    };
    let verifier = server.verifier(timing).await;
    assert!(verifier.verify(&old.token(&claims()), NOW).await.is_ok());
    server.set(&[&new.jwk]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(matches!(
        verifier.verify(&old.token(&claims()), NOW).await,
        Err(TokenError::UnknownKey { .. })
    ));
    assert!(verifier.verify(&new.token(&claims()), NOW).await.is_ok());
    // No caller waits for the refresh any more.
    drop(verifier);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let requests = server.server.requests();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.server.requests(), requests);
}

#[tokio::test]
async fn a_fetch_never_delays_a_known_key() {
    let known = ec("known");
    let keys = json!({ "keys": [&known.jwk] }).to_string();
    let first = Mutex::new(true);
    // The first answer is whole; every later one promises a body that never comes, on a connection
    // that stays open.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4_096]).await;
            let is_first = std::mem::replace(&mut *first.lock(), false);
            let answer = if is_first {
                reply("200 OK", "", &keys)
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_owned()
            };
            let _ = stream.write_all(answer.as_bytes()).await;
            open.push(stream);
        }
    });
    let settings = JwtSettings {
        jwks: Some(JwkSource::Url(url.parse().unwrap())),
        ..JwtSettings::default()
    };
    let bounds = Bounds {
        time: Duration::from_millis(400),
        bytes: 1 << 20,
    };
    let timing = Timing {
        cooldown: Duration::ZERO,
        bounds,
        ..Timing::default()
    };
    let verifier = Arc::new(TokenVerifier::with_timing(&settings, timing).await.unwrap());
    assert!(verifier.verify(&known.token(&claims()), NOW).await.is_ok());
    let slow = tokio::spawn({
        let (verifier, token) = (Arc::clone(&verifier), ec("unknown").token(&claims()));
        async move { verifier.verify(&token, NOW).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let quick = tokio::time::timeout(
        Duration::from_millis(100),
        verifier.verify(&known.token(&claims()), NOW),
    )
    .await;
    assert!(quick.unwrap().is_ok());
    assert!(!slow.is_finished());
    assert!(slow.await.unwrap().is_err());
}

#[tokio::test]
async fn without_keys_authentication_is_unavailable() {
    let server = KeyServer::start(&[]).await;
    server.fail();
    let error = server
        .verifier(Timing::default())
        .await
        .verify(&ec("x").token(&claims()), NOW)
        .await
        .unwrap_err();
    assert!(
        error.is_unavailable() && error.code() == "LL-113" && error.to_string().contains("500"),
        "{error}"
    );
    *server.answer.lock() = reply("308 Permanent Redirect", "location: /elsewhere\r\n", "");
    let error = server
        .verifier(Timing::default())
        .await
        .verify(&ec("x").token(&claims()), NOW)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("leads to /elsewhere"), "{error}");
    let too_large = " ".repeat((1 << 20) + 1);
    *server.answer.lock() = reply("200 OK", "", &too_large);
    let error = server
        .verifier(Timing::default())
        .await
        .verify(&ec("x").token(&claims()), NOW)
        .await
        .unwrap_err();
    assert!(
        error.is_unavailable() && error.to_string().contains("limit"),
        "{error}"
    );
}
