//! A JWK set that refreshes itself. Tokens with known keys never wait for a fetch.

use super::error::TokenError;
use super::keys::{self, Algorithm, Key};
use crate::config::JwkSource;
use crate::http_client::{self, Bounds};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// When keys are fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// After a successful fetch.
    pub(super) refresh: Duration,
    /// After a failed fetch.
    pub(super) retry: Duration,
    /// An unknown key id causes a fetch, but not within this time of the last one: invalid tokens
    /// must not make this server flood the other one.
    pub(super) cooldown: Duration,
    /// The bounds of one fetch.
    pub(super) bounds: Bounds,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(600),
            retry: Duration::from_secs(30),
            cooldown: Duration::from_secs(10),
            bounds: Bounds {
                time: Duration::from_secs(5),
                bytes: 1 << 20,
            },
        }
    }
}

/// Maximum number of keys that are tried for a token without a key id.
const MOST_TRIES: usize = 8;

/// The set and its source.
pub(super) struct Jwks {
    source: JwkSource,
    timing: Timing,
    /// Replaced as a whole.
    keys: RwLock<Arc<Vec<Key>>>,
    /// The error of the last fetch.
    trouble: RwLock<Option<String>>,
    /// When the last fetch began. Locked during a fetch.
    fetched: Mutex<Option<Instant>>,
}

impl Jwks {
    /// Creates a set. A file is read now and must be readable; a URL is fetched in the background
    /// and may be unreachable.
    pub(super) async fn open(source: JwkSource, timing: Timing) -> Result<Arc<Self>, String> {
        let jwks = Arc::new(Self {
            source,
            timing,
            keys: RwLock::default(),
            trouble: RwLock::default(),
            fetched: Mutex::new(None),
        });
        if let JwkSource::File(path) = &jwks.source {
            jwks.refresh().await;
            if let Some(trouble) = jwks.trouble.read().as_ref() {
                return Err(format!("JWT_JWKS is {}, but {trouble}.", path.display()));
            }
        }
        let weak = Arc::downgrade(&jwks);
        tokio::spawn(async move {
            // Ends when the set is dropped.
            while let Some(jwks) = weak.upgrade() {
                jwks.fetch_unless_within(jwks.timing.retry / 2).await;
                let pause = if jwks.trouble.read().is_some() {
                    jwks.timing.retry
                } else {
                    jwks.timing.refresh
                };
                drop(jwks);
                tokio::time::sleep(pause).await;
            }
        });
        Ok(jwks)
    }

    /// Verifies a signature with the key that the token names. Fetches the set if it does not know
    /// the key.
    pub(super) async fn verify(self: &Arc<Self>, signed: &Signed<'_>) -> Result<(), TokenError> {
        let outcome = self.look_up(signed);
        if !matches!(outcome, Err(TokenError::UnknownKey { .. })) {
            return outcome;
        }
        let jwks = Arc::clone(self);
        // In a task of its own: a caller that is cancelled must not cancel the fetch, because
        // others wait for it.
        let _ =
            tokio::spawn(async move { jwks.fetch_unless_within(jwks.timing.cooldown).await }).await;
        match self.look_up(signed) {
            Err(TokenError::UnknownKey { .. }) if self.keys.read().is_empty() => {
                let trouble = self.trouble.read().clone();
                Err(TokenError::KeysOutOfReach(
                    trouble.unwrap_or_else(|| "not fetched yet".to_owned()),
                ))
            }
            outcome => outcome,
        }
    }

    fn look_up(&self, signed: &Signed<'_>) -> Result<(), TokenError> {
        let keys = Arc::clone(&self.keys.read());
        let Some(kid) = signed.kid else {
            let mut fitting = keys
                .iter()
                .filter(|key| key.algorithm == signed.algorithm)
                .take(MOST_TRIES)
                .peekable();
            if fitting.peek().is_none() {
                return Err(signed.unknown(&keys));
            }
            return if fitting.any(|key| signed.is_by(key)) {
                Ok(())
            } else {
                Err(signed.bad_signature())
            };
        };
        let named: Vec<&Key> = keys
            .iter()
            .filter(|key| key.id.as_deref() == Some(kid))
            .collect();
        let fitting = named.iter().find(|key| key.algorithm == signed.algorithm);
        match (fitting, named.first()) {
            (Some(key), _) if signed.is_by(key) => Ok(()),
            (Some(_), _) => Err(signed.bad_signature()),
            (None, Some(other)) => Err(TokenError::KeyAlgorithm {
                kid: kid.to_owned(),
                came: signed.algorithm.name(),
                expected: other.algorithm.name(),
            }),
            (None, None) => Err(signed.unknown(&keys)),
        }
    }

    /// Fetches, unless a fetch began within `recent`; joins a running fetch.
    async fn fetch_unless_within(&self, recent: Duration) {
        let mut fetched = self.fetched.lock().await;
        if fetched.is_some_and(|at| at.elapsed() < recent) {
            return;
        }
        *fetched = Some(Instant::now());
        self.refresh().await;
    }

    async fn refresh(&self) {
        match load(&self.source, self.timing.bounds)
            .await
            .and_then(|loaded| keys::read(&loaded.json))
        {
            Ok((keys, left_out)) => {
                for why in left_out {
                    tracing::debug!("a key of {} is ignored: {why}", self.source);
                }
                let was_troubled = self.trouble.write().take().is_some();
                tracing::debug!("{} keys from {}", keys.len(), self.source);
                if was_troubled {
                    tracing::info!("the keys are in reach again: {}", self.source);
                }
                *self.keys.write() = Arc::new(keys);
            }
            Err(why) => {
                let kept = self.keys.read().len();
                tracing::warn!(
                    code = "LL-113",
                    "the keys at {} cannot be had: {why}. {kept} keys from before are kept",
                    self.source
                );
                *self.trouble.write() = Some(why);
            }
        }
    }
}

/// A fetched set.
pub(super) struct Loaded {
    pub(super) json: Vec<u8>,
    /// The `Date` of the response.
    pub(super) date: Option<String>,
}

/// Reads or fetches a set, once.
pub(super) async fn load(source: &JwkSource, bounds: Bounds) -> Result<Loaded, String> {
    let url = match source {
        JwkSource::Url(url) => url,
        JwkSource::File(path) => {
            let path = path.clone();
            let read = tokio::task::spawn_blocking(move || std::fs::read(path))
                .await
                .map_err(|error| error.to_string())?;
            return read
                .map(|json| Loaded { json, date: None })
                .map_err(|error| format!("it cannot be read: {error}"));
        }
    };
    let answer = http_client::get(url, &[], bounds)
        .await
        .map_err(|trouble| trouble.to_string())?;
    if answer.status.is_redirection() {
        let target = answer.header("location").unwrap_or("nowhere");
        return Err(format!(
            "it answers {} and leads to {target}; give that address",
            answer.status
        ));
    }
    if !answer.status.is_success() {
        return Err(format!("it answers {}", answer.status));
    }
    Ok(Loaded {
        json: answer.body.to_vec(),
        date: answer.header("date").map(str::to_owned),
    })
}

/// The parts of a token that its signature needs.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<&'a str>,
    /// Header and claims as received.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
}

impl Signed<'_> {
    fn is_by(&self, key: &Key) -> bool {
        self.algorithm == key.algorithm
            && self
                .algorithm
                .verify(self.signature, self.message, &key.key)
    }

    pub(super) fn bad_signature(&self) -> TokenError {
        TokenError::Signature {
            algorithm: self.algorithm.name(),
            kid: self.kid.map(str::to_owned),
        }
    }

    fn unknown(&self, keys: &[Key]) -> TokenError {
        TokenError::UnknownKey {
            kid: self.kid.map(str::to_owned),
            algorithm: self.algorithm.name(),
            have: keys
                .iter()
                .map(|key| key.id.clone().unwrap_or_else(|| "without kid".to_owned()))
                .collect(),
        }
    }
}
