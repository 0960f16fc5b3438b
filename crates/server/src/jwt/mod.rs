//! Tokens of the host application: HS256 with a shared secret, and RS256, ES256 or EdDSA with a JWK
//! set.
//!
//! jsonwebtoken verifies the signature. This module decides which key may verify which algorithm,
//! and validates every claim, because the time is an argument. A token must have an `exp`. Since
//! clocks differ, it is valid for [`EXPIRY_LEEWAY`] longer and may begin up to [`FUTURE_LEEWAY`]
//! from now.

mod claims;
mod error;
mod jwks;
mod keys;
#[cfg(test)]
mod tests;
mod verified;

pub use error::{Explained, TokenError};
pub use verified::{EXPIRY_LEEWAY, FUTURE_LEEWAY, Verified};

use crate::config::{JwkSource, JwtSettings};
use crate::http_client::Bounds;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jwks::{Jwks, Signed, Timing};
use keys::Algorithm;
use lamplight_domain::time::Timestamp;
use serde::Deserialize;
use std::sync::Arc;

/// Maximum length of a token.
const MOST_BYTES: usize = 16 * 1_024;

/// Verifies tokens.
pub struct TokenVerifier {
    secret: Option<DecodingKey>,
    jwks: Option<Arc<Jwks>>,
    issuer: Option<String>,
    audience: Option<String>,
}

/// The relevant fields of a token's header.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

impl TokenVerifier {
    /// Creates a verifier. Keys at a URL are fetched in the background, so that startup does not
    /// wait for another server.
    ///
    /// # Errors
    /// If the file with the keys cannot be read.
    pub async fn new(settings: &JwtSettings) -> Result<Self, String> {
        Self::with_timing(settings, Timing::default()).await
    }

    async fn with_timing(settings: &JwtSettings, timing: Timing) -> Result<Self, String> {
        let jwks = match &settings.jwks {
            Some(source) => Some(Jwks::open(source.clone(), timing).await?),
            None => None,
        };
        Ok(Self {
            secret: settings
                .secret
                .as_ref()
                .map(|secret| DecodingKey::from_secret(secret.expose().as_bytes())),
            jwks,
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
        })
    }

    /// Verifies a token at `now` and returns its claims. Waits only if the token names an unknown
    /// key.
    ///
    /// # Errors
    /// With the reason.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        let (header, message, signature) = take_apart(token)?;
        let Some(algorithm) = Algorithm::parse(&header.alg) else {
            return Err(TokenError::Algorithm {
                came: header.alg,
                have: self.algorithms(),
            });
        };
        let signed = Signed {
            algorithm,
            kid: header.kid.as_deref(),
            message,
            signature,
        };
        match (algorithm, &self.secret, &self.jwks) {
            (Algorithm::Hs256, Some(secret), _) if algorithm.verify(signature, message, secret) => {
            }
            (Algorithm::Hs256, Some(_), _) => return Err(signed.bad_signature()),
            (Algorithm::Rs256 | Algorithm::Es256 | Algorithm::EdDsa, _, Some(jwks)) => {
                jwks.verify(&signed).await?
            }
            _ => {
                return Err(TokenError::Algorithm {
                    came: header.alg,
                    have: self.algorithms(),
                });
            }
        }
        let claims = message.split_once('.').map_or("", |(_, claims)| claims);
        let claims = decode(claims).ok_or(TokenError::Malformed("its claims are not base64url"))?;
        claims::check(
            &claims,
            self.issuer.as_deref(),
            self.audience.as_deref(),
            now,
        )
    }

    fn algorithms(&self) -> Vec<&'static str> {
        let shared = self.secret.iter().map(|_| "HS256");
        let public = self.jwks.iter().flat_map(|_| ["RS256", "ES256", "EdDSA"]);
        shared.chain(public).collect()
    }
}

fn take_apart(token: &str) -> Result<(Header, &str, &str), TokenError> {
    if token.is_empty() {
        return Err(TokenError::Empty);
    }
    if token.len() > MOST_BYTES {
        return Err(TokenError::Malformed("it is longer than 16 KiB"));
    }
    match token.split('.').count() {
        3 => {}
        5 => return Err(TokenError::Encrypted),
        parts => return Err(TokenError::Opaque { parts }),
    }
    let (message, signature) = token
        .rsplit_once('.')
        .ok_or(TokenError::Opaque { parts: 1 })?;
    let header = message.split_once('.').map_or("", |(header, _)| header);
    let header = decode(header).ok_or(TokenError::Malformed("its header is not base64url"))?;
    let header: Header = serde_json::from_slice(&header)
        .map_err(|_| TokenError::Malformed("its header is not JSON with an alg"))?;
    // Extensions that the server must support (RFC 7515, 4.1.11); it supports none.
    if header.crit.is_some() {
        return Err(TokenError::Malformed(
            "its header has crit, which asks for something that this server does not know",
        ));
    }
    Ok((header, message, signature))
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// The summary of a JWK set.
pub(crate) struct Seen {
    /// The number of usable keys.
    pub(crate) usable: usize,
    /// Why the other keys are unusable.
    pub(crate) left_out: Vec<String>,
    /// The `Date` of the response.
    pub(crate) date: Option<String>,
}

/// Reads or fetches a JWK set once, for the doctor.
pub(crate) async fn look_at_keys(source: &JwkSource, bounds: Bounds) -> Result<Seen, String> {
    let loaded = jwks::load(source, bounds).await?;
    let (keys, left_out) = keys::read(&loaded.json)?;
    Ok(Seen {
        usable: keys.len(),
        left_out,
        date: loaded.date,
    })
}
