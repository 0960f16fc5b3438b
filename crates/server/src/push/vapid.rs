//! Tokens that identify the sender to a push service (RFC 8292).

use super::keys::secret;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::PushKey;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use web_push_native::p256::pkcs8::EncodePrivateKey as _;

/// How long a token holds; at most a day (section 2).
const LIFE_S: i64 = 12 * 3_600;
/// A token that expires sooner is replaced.
const LEFT_S: i64 = 3_600;
/// The most tokens kept.
const AT_MOST: usize = 256;

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
}

struct Token {
    header: Arc<str>,
    expires: i64,
}

/// Makes tokens, and uses each as long as it holds: push services ask for that, and signing costs.
pub(super) struct Vapid {
    subject: Option<String>,
    /// By the origin of the push service and the public key.
    tokens: Mutex<HashMap<(String, Arc<str>), Token>>,
}

impl Vapid {
    pub(super) fn new(subject: Option<String>) -> Self {
        Self {
            subject,
            tokens: Mutex::default(),
        }
    }

    /// The header `Authorization` for a push service. `None` if the key cannot be read.
    pub(super) fn header(&self, audience: &str, key: &PushKey, now: Timestamp) -> Option<Arc<str>> {
        let now = now.0 / 1_000;
        let place = (audience.to_owned(), Arc::clone(&key.public));
        if let Some(token) = self.tokens.lock().get(&place)
            && token.expires - now > LEFT_S
            && token.expires - now <= LIFE_S
        {
            return Some(Arc::clone(&token.header));
        }
        let expires = now + LIFE_S;
        let claims = Claims {
            aud: audience,
            exp: expires,
            sub: self.subject.as_deref(),
        };
        let secret = secret(key)?.to_pkcs8_der().ok()?;
        let signer = EncodingKey::from_ec_der(secret.as_bytes());
        let token = encode(&Header::new(Algorithm::ES256), &claims, &signer).ok()?;
        let header: Arc<str> = format!("vapid t={token}, k={}", key.public).into();
        let mut tokens = self.tokens.lock();
        if tokens.len() >= AT_MOST {
            tokens.clear();
        }
        let kept = Token {
            header: Arc::clone(&header),
            expires,
        };
        tokens.insert(place, kept);
        Some(header)
    }
}
