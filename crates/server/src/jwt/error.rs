//! Why a token was refused: what the server saw, what it expected, and how to fix it. An error
//! never contains the token.

use lamplight_domain::time::Timestamp;
use std::fmt;

/// Why a token is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It is empty.
    Empty,
    /// It has five parts: it is encrypted, for an application that holds the key.
    Encrypted,
    /// It does not have the three parts of a signed token.
    Opaque {
        /// How many it has.
        parts: usize,
    },
    /// It has the form of a signed token but cannot be decoded.
    Malformed(&'static str),
    /// The server has no keys for its algorithm.
    Algorithm {
        /// The token's `alg`.
        came: String,
        /// The algorithms with keys.
        have: Vec<&'static str>,
    },
    /// The server does not have its key.
    UnknownKey {
        /// The token's `kid`.
        kid: Option<String>,
        /// The token's `alg`.
        algorithm: &'static str,
        /// The known key ids.
        have: Vec<String>,
    },
    /// The key of that id is for another algorithm.
    KeyAlgorithm {
        /// The token's `kid`.
        kid: String,
        /// The token's `alg`.
        came: &'static str,
        /// The key's algorithm.
        expected: &'static str,
    },
    /// The signature does not match the key.
    Signature {
        /// The token's `alg`.
        algorithm: &'static str,
        /// The token's `kid`.
        kid: Option<String>,
    },
    /// It has no `exp`.
    NoExpiry,
    /// It has expired.
    Expired {
        /// The token's `exp`.
        at: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// Its `iat` or `nbf` is too far in the future.
    FromTheFuture {
        /// `iat` or `nbf`.
        claim: &'static str,
        /// Its value.
        at: Timestamp,
        /// The server's time.
        now: Timestamp,
    },
    /// It has another issuer.
    Issuer {
        /// The token's `iss`.
        came: Option<String>,
        /// `JWT_ISSUER`.
        expected: String,
    },
    /// It has another audience.
    Audience {
        /// The token's `aud`.
        came: Vec<String>,
        /// `JWT_AUDIENCE`.
        expected: String,
    },
    /// Its `sub` cannot be a user's id.
    Subject(String),
    /// Its user was signed out, and it was not issued after that.
    SignedOut {
        /// The token's `iat`.
        issued: Option<Timestamp>,
        /// When the user was signed out.
        at: Timestamp,
    },
    /// The keys could not be fetched, and there are none from before.
    KeysOutOfReach(String),
}

/// The parts of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// A stable code: `LL-` and a number if docs/troubleshooting.md has a section for it, a word
    /// otherwise.
    pub code: &'static str,
    /// The observed value.
    pub seen: String,
    /// The expected value.
    pub expected: String,
    /// How to fix it.
    pub fix: String,
}

const MINT: &str = "Let a route of your application sign a short token for Lamplight (HS256, with sub, exp and aud), and have getToken fetch it. \
    `lamplight token` makes one for trials.";

impl TokenError {
    /// The token may be valid: a later try may succeed, and this one does not count as a guess.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::KeysOutOfReach(_))
    }

    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::Encrypted | Self::Opaque { .. } | Self::Malformed(_) => "LL-106",
            Self::Algorithm { .. } | Self::UnknownKey { .. } | Self::KeyAlgorithm { .. } => {
                "LL-108"
            }
            Self::FromTheFuture { .. } => "LL-109",
            Self::KeysOutOfReach(_) => "LL-113",
            Self::Signature { .. } => "bad_signature",
            Self::NoExpiry => "no_expiry",
            Self::Expired { .. } => "expired",
            Self::Issuer { .. } => "wrong_issuer",
            Self::Audience { .. } => "wrong_audience",
            Self::Subject(_) => "bad_subject",
            Self::SignedOut { .. } => "signed_out",
        }
    }

    #[must_use]
    pub fn explain(&self) -> Explained {
        let (seen, expected, fix) = self.story();
        Explained {
            code: self.code(),
            seen,
            expected: expected.to_owned(),
            fix,
        }
    }

    fn story(&self) -> (String, String, String) {
        let three = "a signed token of three parts (header.claims.signature)".to_owned();
        match self {
            Self::Empty => ("The token is empty".to_owned(), three, MINT.to_owned()),
            Self::Encrypted => {
                ("The token has five parts: it is encrypted (JWE), for the application that made it".to_owned(), three, MINT.to_owned())
            }
            Self::Opaque { parts } => (format!("The token has {}", count(*parts)), three, MINT.to_owned()),
            Self::Malformed(what) => (format!("The token cannot be read: {what}"), three, MINT.to_owned()),
            Self::Algorithm { came, have } => (
                format!("The token is signed with {}", quoted(came)),
                if have.is_empty() {
                    "a key to check it with, and there is none".to_owned()
                } else {
                    format!("one of {}", have.join(", "))
                },
                "Sign with one of these, or set JWT_SECRET (for HS256) or JWT_JWKS (for RS256, ES256, EdDSA) on the server.".to_owned(),
            ),
            Self::UnknownKey { kid, algorithm, have } => (
                match kid {
                    Some(kid) => format!("The token is signed with {algorithm} and the key {}", quoted(kid)),
                    None => format!("The token is signed with {algorithm} and names no key"),
                },
                if have.is_empty() {
                    "a key that the server has, and it has none yet".to_owned()
                } else {
                    format!("one of the keys {}", list(have))
                },
                "Set JWT_JWKS to the keys of the issuer that signs these tokens.".to_owned(),
            ),
            Self::KeyAlgorithm { kid, came, expected } => (
                format!("The token is signed with {came} by the key {}", quoted(kid)),
                format!("{expected}, which is what that key is for"),
                "Sign with the algorithm of the key.".to_owned(),
            ),
            Self::Signature { algorithm, kid } => (
                format!(
                    "The signature does not fit ({algorithm}{})",
                    kid.as_ref().map_or_else(String::new, |kid| format!(", key {}", quoted(kid)))
                ),
                "a signature by the key that the server has".to_owned(),
                "Use the same JWT_SECRET, or the same keys, on both sides, without quotes or spaces around them.".to_owned(),
            ),
            Self::NoExpiry => (
                "The token has no exp that is a number".to_owned(),
                "the second at which it ends".to_owned(),
                "Add an exp of at most five minutes from now.".to_owned(),
            ),
            Self::Expired { at, now } => (
                format!("The token ended at {}", time(*at)),
                format!("one that lasts beyond {}, the server's time", time(*now)),
                "Fetch a fresh token.".to_owned(),
            ),
            Self::FromTheFuture { claim, at, now } => (
                format!("The token is from the future: its {claim} is {}", time(*at)),
                format!("at most {}s after {}, the server's time", super::verified::FUTURE_LEEWAY.as_secs(), time(*now)),
                "Set the clocks of both machines by NTP.".to_owned(),
            ),
            Self::Issuer { came, expected } => (
                came.as_ref().map_or_else(|| "The token has no iss".to_owned(), |came| format!("The token is from {}", quoted(came))),
                format!("iss {}", quoted(expected)),
                "Set JWT_ISSUER to the iss of the tokens, or send a token of that issuer.".to_owned(),
            ),
            Self::Audience { came, expected } => (
                if came.is_empty() { "The token has no aud".to_owned() } else { format!("The token is for {}", list(came)) },
                format!("aud {}", quoted(expected)),
                "Sign with that aud, or set JWT_AUDIENCE to the aud of the tokens.".to_owned(),
            ),
            Self::Subject(why) => (
                format!("The token's sub {why}"),
                "the user's id: a text of 1 to 128 characters, or a whole number".to_owned(),
                "Put the user's id in sub.".to_owned(),
            ),
            Self::SignedOut { issued, at } => (
                match issued {
                    Some(issued) => format!("The token was issued at {}, and its user was signed out at {}", time(*issued), time(*at)),
                    None => format!("The token has no iat, and its user was signed out at {}", time(*at)),
                },
                "a token with an iat after that".to_owned(),
                "Sign in again.".to_owned(),
            ),
            Self::KeysOutOfReach(why) => (
                format!("The keys to check the token with are out of reach ({why})"),
                "an answer from JWT_JWKS".to_owned(),
                "Try again in a moment; `lamplight doctor` finds the cause.".to_owned(),
            ),
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explained {
            code,
            seen,
            expected,
            fix,
        } = self.explain();
        write!(f, "{seen}; expected {expected}. {fix} ({code})")
    }
}

impl std::error::Error for TokenError {}

fn count(parts: usize) -> String {
    if parts == 1 {
        "one part: it is opaque, a name that only its maker can look up".to_owned()
    } else {
        format!("{parts} parts")
    }
}

/// Untrusted text, shortened and without characters that could forge a log line.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(100).collect();
    if short.len() < text.len() {
        format!("{short:?}…")
    } else {
        format!("{short:?}")
    }
}

fn list(items: &[String]) -> String {
    let shown: Vec<String> = items.iter().take(5).map(|item| quoted(item)).collect();
    let rest = if items.len() > 5 {
        format!(" and {} more", items.len() - 5)
    } else {
        String::new()
    };
    format!("{}{rest}", shown.join(", "))
}

fn time(at: Timestamp) -> String {
    lamplight_wire::time::format(at)
}
