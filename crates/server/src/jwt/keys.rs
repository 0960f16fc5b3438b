//! Public keys, each bound to one algorithm.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, crypto};
use serde::Deserialize;

/// The accepted algorithms. `none` is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            // The second is its fully specified name, RFC 9864.
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Whether this is a signature of `message` by `key`. A key of another family never fits.
    pub(super) fn verify(self, signature: &str, message: &str, key: &DecodingKey) -> bool {
        crypto::verify(signature, message.as_bytes(), key, self.theirs()).unwrap_or(false)
    }

    fn theirs(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A key and its permitted uses.
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The relevant fields of a JWK.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

/// Maximum number of keys of a set.
const MOST_KEYS: usize = 100;

/// The usable keys of a set, and why the others are unusable.
///
/// # Errors
/// If it is no JWK set, or has no usable key.
pub(super) fn read(json: &[u8]) -> Result<(Vec<Key>, Vec<String>), String> {
    let set: JwkSet = serde_json::from_slice(json)
        .map_err(|error| format!("it is no JWK set ({{\"keys\": [...]}}): {error}"))?;
    let (mut keys, mut left_out) = (Vec::new(), Vec::new());
    for value in set.keys.into_iter().take(MOST_KEYS) {
        let kid = value
            .get("kid")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("without kid")
            .to_owned();
        match key(value) {
            Ok(key) => keys.push(key),
            Err(why) => left_out.push(format!("{kid}: {why}")),
        }
    }
    if keys.is_empty() {
        let why = if left_out.is_empty() {
            "it is empty".to_owned()
        } else {
            left_out.join("; ")
        };
        return Err(format!("it has no key for RS256, ES256 or EdDSA: {why}"));
    }
    Ok((keys, left_out))
}

fn key(value: serde_json::Value) -> Result<Key, String> {
    let jwk: Jwk =
        serde_json::from_value(value).map_err(|error| format!("it is no JWK: {error}"))?;
    if jwk
        .purpose
        .as_deref()
        .is_some_and(|purpose| purpose != "sig")
    {
        return Err("it is not for signatures".to_owned());
    }
    let broken = |_| "its numbers cannot be read".to_owned();
    // The type of the key decides the algorithm, never the token. This excludes algorithm
    // confusion.
    let (algorithm, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let bits = bytes(&jwk.n)
                .ok_or("its modulus cannot be read")?
                .iter()
                .skip_while(|byte| **byte == 0)
                .count()
                * 8;
            if bits < 2_048 {
                return Err(format!(
                    "RSA with {bits} bits can be broken; 2048 is the least"
                ));
            }
            (
                Algorithm::Rs256,
                DecodingKey::from_rsa_components(&jwk.n, &jwk.e).map_err(broken)?,
            )
        }
        ("EC", Some("P-256")) => (
            Algorithm::Es256,
            DecodingKey::from_ec_components(&jwk.x, &jwk.y).map_err(broken)?,
        ),
        ("OKP", Some("Ed25519")) => {
            if bytes(&jwk.x).is_none_or(|x| x.len() != 32) {
                return Err("Ed25519 has keys of 32 bytes".to_owned());
            }
            (
                Algorithm::EdDsa,
                DecodingKey::from_ed_components(&jwk.x).map_err(broken)?,
            )
        }
        ("oct", _) => return Err("a shared secret has no place among public keys".to_owned()),
        (kty, Some(curve)) => return Err(format!("{kty} with {curve} is not supported")),
        (kty, None) => return Err(format!("{kty} is not supported")),
    };
    if let Some(alg) = jwk
        .alg
        .as_deref()
        .filter(|alg| Algorithm::parse(alg) != Some(algorithm))
    {
        return Err(format!("it is for {alg}; {} would do", algorithm.name()));
    }
    // A point off its curve is only detected when the key is used.
    crypto::verify("AA", b"", &key, algorithm.theirs())
        .map_err(|_| "it is not a valid key".to_owned())?;
    Ok(Key {
        id: jwk.kid,
        algorithm,
        key,
    })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
