mod fetching;

use super::*;
use crate::config::Secret;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::EncodingKey;
use lamplight_domain::identity::UserId;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use std::sync::LazyLock;

const SECRET: &str = "a secret of thirty-two characters";
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const NOW_SECONDS: i64 = 1_800_000_000;

/// A key pair: what signs, and its public JWK.
struct Pair {
    algorithm: jsonwebtoken::Algorithm,
    private: EncodingKey,
    jwk: Value,
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

static RSA: LazyLock<Pair> = LazyLock::new(|| {
    let key = rsa::RsaPrivateKey::new(&mut OsRng, 2_048).unwrap();
    Pair {
        algorithm: jsonwebtoken::Algorithm::RS256,
        private: EncodingKey::from_rsa_der(key.to_pkcs1_der().unwrap().as_bytes()),
        jwk: json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "rsa", "n": b64(&key.n().to_bytes_be()), "e": b64(&key.e().to_bytes_be()) }),
    }
});

fn ec(kid: &str) -> Pair {
    let key = p256::SecretKey::random(&mut OsRng);
    let point = key.public_key().to_encoded_point(false);
    Pair {
        algorithm: jsonwebtoken::Algorithm::ES256,
        private: EncodingKey::from_ec_der(
            p256::pkcs8::EncodePrivateKey::to_pkcs8_der(&key)
                .unwrap()
                .as_bytes(),
        ),
        jwk: json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": b64(point.x().unwrap()), "y": b64(point.y().unwrap()) }),
    }
}

fn ed() -> Pair {
    let key = ed25519_dalek::SigningKey::generate(&mut OsRng);
    Pair {
        algorithm: jsonwebtoken::Algorithm::EdDSA,
        private: EncodingKey::from_ed_der(key.to_pkcs8_der().unwrap().as_bytes()),
        jwk: json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(key.verifying_key().as_bytes()) }),
    }
}

/// A token with any header and claims, signed by any means.
fn token(
    header: &Value,
    claims: &Value,
    key: &EncodingKey,
    algorithm: jsonwebtoken::Algorithm,
) -> String {
    let message = format!(
        "{}.{}",
        b64(header.to_string().as_bytes()),
        b64(claims.to_string().as_bytes())
    );
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

impl Pair {
    fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": format!("{:?}", self.algorithm), "kid": self.jwk["kid"] });
        token(&header, claims, &self.private, self.algorithm)
    }
}

fn shared(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    token(
        &json!({ "alg": "HS256", "typ": "JWT" }),
        claims,
        &key,
        jsonwebtoken::Algorithm::HS256,
    )
}

fn claims() -> Value {
    json!({ "sub": "42", "exp": NOW_SECONDS + 300, "iat": NOW_SECONDS, "name": " Ada ", "picture": "https://a.example/p.png", "aud": "lamplight", "iss": "me" })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn by_secret() -> JwtSettings {
    JwtSettings {
        secret: Some(Secret::new(SECRET)),
        ..JwtSettings::default()
    }
}

async fn check(settings: &JwtSettings, token: &str) -> Result<Verified, TokenError> {
    TokenVerifier::new(settings)
        .await
        .unwrap()
        .verify(token, NOW)
        .await
}

/// A verifier by the keys of a file.
fn by_file(keys: &[&Value]) -> (tempfile::NamedTempFile, JwtSettings) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({ "keys": keys }).to_string()).unwrap();
    let settings = JwtSettings {
        jwks: Some(JwkSource::File(file.path().to_owned())),
        ..JwtSettings::default()
    };
    (file, settings)
}

#[tokio::test]
async fn a_token_signed_with_the_shared_secret_is_accepted() {
    let verified = check(&by_secret(), &shared(&claims())).await.unwrap();
    let expected = Verified {
        user: UserId::trusted("42"),
        name: Some("Ada".to_owned()),
        picture: Some("https://a.example/p.png".to_owned()),
        issued_at: Some(Timestamp(NOW_SECONDS * 1_000)),
        expires_at: Timestamp((NOW_SECONDS + 300) * 1_000),
    };
    assert_eq!(verified, expected);
    assert_eq!(
        check(&by_secret(), &shared(&with("sub", json!(42))))
            .await
            .unwrap()
            .user
            .as_str(),
        "42"
    );
}

#[tokio::test]
async fn tokens_signed_with_each_kind_of_key_are_accepted() {
    let (ec, ed) = (ec("ec"), ed());
    let (_file, mut settings) = by_file(&[&RSA.jwk, &ec.jwk, &ed.jwk]);
    settings.secret = Some(Secret::new(SECRET));
    for pair in [&*RSA, &ec, &ed] {
        assert_eq!(
            check(&settings, &pair.token(&claims()))
                .await
                .unwrap()
                .user
                .as_str(),
            "42",
            "{:?}",
            pair.algorithm
        );
        let header = json!({ "alg": format!("{:?}", pair.algorithm) });
        let without_kid = token(&header, &claims(), &pair.private, pair.algorithm);
        assert!(
            check(&settings, &without_kid).await.is_ok(),
            "{:?}",
            pair.algorithm
        );
        let mut broken = pair.token(&claims());
        let at = broken.rfind('.').unwrap() + 10;
        let other = if &broken[at..=at] == "A" { "B" } else { "A" };
        broken.replace_range(at..=at, other);
        assert!(
            matches!(
                check(&settings, &broken).await,
                Err(TokenError::Signature { .. })
            ),
            "{:?}",
            pair.algorithm
        );
    }
    assert!(check(&settings, &shared(&claims())).await.is_ok());
}

#[tokio::test]
async fn a_public_key_cannot_be_used_as_a_secret() {
    let (_file, mut settings) = by_file(&[&RSA.jwk]);
    let modulus = URL_SAFE_NO_PAD
        .decode(RSA.jwk["n"].as_str().unwrap())
        .unwrap();
    for secret in [
        modulus.as_slice(),
        RSA.jwk["n"].as_str().unwrap().as_bytes(),
        RSA.jwk.to_string().as_bytes(),
    ] {
        let forged = token(
            &json!({ "alg": "HS256", "kid": "rsa" }),
            &claims(),
            &EncodingKey::from_secret(secret),
            jsonwebtoken::Algorithm::HS256,
        );
        assert!(matches!(
            check(&settings, &forged).await,
            Err(TokenError::Algorithm { .. })
        ));
        settings.secret = Some(Secret::new(SECRET));
        assert!(matches!(
            check(&settings, &forged).await,
            Err(TokenError::Signature { .. })
        ));
        settings.secret = None;
    }
}

#[tokio::test]
async fn a_key_verifies_its_own_algorithm_only() {
    let ec = ec("one");
    let (_file, settings) = by_file(&[&ec.jwk]);
    let crossed = token(
        &json!({ "alg": "RS256", "kid": "one" }),
        &claims(),
        &ec.private,
        ec.algorithm,
    );
    let error = check(&settings, &crossed).await.unwrap_err();
    assert_eq!(
        error,
        TokenError::KeyAlgorithm {
            kid: "one".to_owned(),
            came: "RS256",
            expected: "ES256"
        }
    );
    assert_eq!(error.code(), "LL-108");
}

#[tokio::test]
async fn unsigned_tokens_are_refused() {
    for alg in ["none", "None", "NONE", "HS512", "RS512", "ES256K", ""] {
        let message = format!(
            "{}.{}",
            b64(json!({ "alg": alg }).to_string().as_bytes()),
            b64(claims().to_string().as_bytes())
        );
        for signature in ["", "AA"] {
            let error = check(&by_secret(), &format!("{message}.{signature}"))
                .await
                .unwrap_err();
            assert_eq!(
                error,
                TokenError::Algorithm {
                    came: alg.to_owned(),
                    have: vec!["HS256"]
                }
            );
        }
    }
    let unsigned = shared(&claims()).rsplit_once('.').unwrap().0.to_owned() + ".";
    assert!(matches!(
        check(&by_secret(), &unsigned).await,
        Err(TokenError::Signature { .. })
    ));
    let other = JwtSettings {
        secret: Some(Secret::new("another secret of thirty-two characters")),
        ..JwtSettings::default()
    };
    assert_eq!(
        check(&other, &shared(&claims())).await.unwrap_err().code(),
        "bad_signature"
    );
}

#[tokio::test]
async fn malformed_tokens_are_reported_apart_from_wrong_signatures() {
    let cases = [
        ("a.b.c.d.e", TokenError::Encrypted),
        ("opaque", TokenError::Opaque { parts: 1 }),
        ("", TokenError::Empty),
        ("a.b", TokenError::Opaque { parts: 2 }),
        (
            "..",
            TokenError::Malformed("its header is not JSON with an alg"),
        ),
        (
            "é.b.c",
            TokenError::Malformed("its header is not base64url"),
        ),
    ];
    for (token, expected) in cases {
        let error = check(&by_secret(), token).await.unwrap_err();
        assert_eq!(
            (error.clone(), error.code()),
            (expected, "LL-106"),
            "{token}"
        );
    }
    assert_eq!(
        check(&by_secret(), &"a".repeat(20_000))
            .await
            .unwrap_err()
            .code(),
        "LL-106"
    );
    let critical = token(
        &json!({ "alg": "HS256", "crit": ["b64"], "b64": false }),
        &claims(),
        &EncodingKey::from_secret(SECRET.as_bytes()),
        jsonwebtoken::Algorithm::HS256,
    );
    assert!(matches!(
        check(&by_secret(), &critical).await,
        Err(TokenError::Malformed(_))
    ));
}

#[tokio::test]
async fn expired_and_premature_tokens_are_refused() {
    let at = |claim: &str, offset: i64| with(claim, json!(NOW_SECONDS + offset));
    let good = [
        at("exp", 1),
        at("exp", 0),
        at("exp", -4),
        at("iat", 30),
        at("nbf", 30),
        at("nbf", -1),
        with("nbf", json!(null)),
        with("exp", json!(1e300)),
    ];
    for claims in good {
        assert!(
            check(&by_secret(), &shared(&claims)).await.is_ok(),
            "{claims}"
        );
    }
    let fraction = check(
        &by_secret(),
        &shared(&with("exp", json!(NOW_SECONDS as f64 + 1.5))),
    )
    .await
    .unwrap();
    assert_eq!(fraction.expires_at, Timestamp(NOW.0 + 1_500));
    for (claims, code) in [
        (at("exp", -5), "expired"),
        (with("exp", json!(null)), "no_expiry"),
        (with("exp", json!("1900000000")), "no_expiry"),
        (at("iat", 31), "LL-109"),
        (at("nbf", 31), "LL-109"),
        (with("nbf", json!("soon")), "LL-106"),
    ] {
        assert_eq!(
            check(&by_secret(), &shared(&claims))
                .await
                .unwrap_err()
                .code(),
            code,
            "{claims}"
        );
    }
}

#[tokio::test]
async fn issuer_and_audience_are_checked_if_configured() {
    let settings = JwtSettings {
        issuer: Some("me".to_owned()),
        audience: Some("lamplight".to_owned()),
        ..by_secret()
    };
    for good in [claims(), with("aud", json!(["other", "lamplight"]))] {
        assert!(check(&settings, &shared(&good)).await.is_ok());
    }
    for (wrong, code) in [
        (with("iss", json!("you")), "wrong_issuer"),
        (with("iss", json!(null)), "wrong_issuer"),
        (with("aud", json!("other")), "wrong_audience"),
        (with("aud", json!(["other"])), "wrong_audience"),
        (with("aud", json!(null)), "wrong_audience"),
        (with("aud", json!("lamplight2")), "wrong_audience"),
    ] {
        assert_eq!(
            check(&settings, &shared(&wrong)).await.unwrap_err().code(),
            code,
            "{wrong}"
        );
        assert!(
            check(&by_secret(), &shared(&wrong)).await.is_ok(),
            "not checked where it is not set"
        );
    }
}

#[tokio::test]
async fn the_subject_is_the_user_id_and_an_invalid_profile_is_ignored() {
    for sub in [
        json!(null),
        json!(""),
        json!(1.5),
        json!({}),
        json!(true),
        json!("a\u{7}"),
        json!("x".repeat(129)),
    ] {
        assert_eq!(
            check(&by_secret(), &shared(&with("sub", sub.clone())))
                .await
                .unwrap_err()
                .code(),
            "bad_subject",
            "{sub}"
        );
    }
    let mut odd = with("name", json!("  "));
    odd["picture"] = json!("javascript:alert(1)");
    let verified = check(&by_secret(), &shared(&odd)).await.unwrap();
    assert_eq!((verified.name, verified.picture), (None, None));
}

#[tokio::test]
async fn an_error_describes_the_response_and_never_contains_the_token() {
    let settings = JwtSettings {
        audience: Some("lamplight".to_owned()),
        ..by_secret()
    };
    let token = shared(&with("aud", json!("evil\nINFO all is well")));
    let sentence = check(&settings, &token).await.unwrap_err().to_string();
    assert!(
        sentence.contains("expected aud \"lamplight\"") && sentence.contains("(wrong_audience)"),
        "{sentence}"
    );
    assert!(
        !sentence.contains('\n') && !sentence.contains(&token[..30]),
        "{sentence}"
    );
    let explained = check(&by_secret(), &shared(&with("exp", json!(1))))
        .await
        .unwrap_err()
        .explain();
    assert_eq!(
        explained.seen,
        "The token ended at 1970-01-01T00:00:01.000Z"
    );
    assert!(
        explained.expected.contains("2027-01-15T08:00:00.000Z"),
        "{}",
        explained.expected
    );
}

#[tokio::test]
async fn only_trustworthy_keys_of_a_set_are_used() {
    let ec = ec("good");
    let off_curve = json!({ "kty": "EC", "crv": "P-256", "kid": "off", "x": b64(&[1; 32]), "y": b64(&[2; 32]) });
    let short = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "short", "x": b64(&[1; 8]) });
    let weak = json!({ "kty": "RSA", "kid": "weak", "n": b64(&[255; 128]), "e": "AQAB" });
    let secret = json!({ "kty": "oct", "kid": "secret", "k": b64(SECRET.as_bytes()) });
    let wrapping =
        json!({ "kty": "RSA", "kid": "enc", "use": "enc", "n": RSA.jwk["n"], "e": "AQAB" });
    let other =
        json!({ "kty": "RSA", "kid": "ps", "alg": "PS256", "n": RSA.jwk["n"], "e": "AQAB" });
    let all = [
        &off_curve,
        &short,
        &weak,
        &secret,
        &wrapping,
        &other,
        &json!(7),
        &ec.jwk,
    ];
    let (keys, left_out) = keys::read(json!({ "keys": all }).to_string().as_bytes()).unwrap();
    assert_eq!(
        keys.iter()
            .map(|key| key.id.clone().unwrap())
            .collect::<Vec<_>>(),
        ["good"]
    );
    assert_eq!(left_out.len(), 7, "{left_out:?}");
    assert!(keys::read(b"{}").is_err_and(|why| why.contains("no JWK set")));
    assert!(
        keys::read(json!({ "keys": [weak] }).to_string().as_bytes())
            .is_err_and(|why| why.contains("1024 bits"))
    );
}

#[tokio::test]
async fn an_unreadable_key_file_makes_startup_fail() {
    let settings = JwtSettings {
        jwks: Some(JwkSource::File("/nowhere/keys.json".into())),
        ..JwtSettings::default()
    };
    let sentence = TokenVerifier::new(&settings).await.err().unwrap();
    assert!(
        sentence.starts_with("JWT_JWKS is /nowhere/keys.json, but it cannot be read"),
        "{sentence}"
    );
}
