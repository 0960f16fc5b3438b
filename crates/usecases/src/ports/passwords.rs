//! Password hashing.

use async_trait::async_trait;
use std::net::IpAddr;

/// Who wants a password hashed. What waits is bounded, networks take turns, and those that have
/// signed in to the account before come first.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashFor {
    /// Where it is asked from.
    pub address: Option<IpAddr>,
    /// Whether that network has signed in to the account before.
    pub is_known: bool,
}

/// Why a password was not hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// As many wait from this network as may.
    #[error("too many passwords from one network wait to be hashed")]
    NetworkFull,
    /// As many wait as may.
    #[error("too many passwords wait to be hashed")]
    Full,
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// Password hashing, slow on purpose.
#[async_trait]
pub trait Passwords: Send + Sync + 'static {
    /// A hash in PHC string format.
    async fn hash(&self, password: String, from: HashFor) -> Result<String, HashError>;
    /// Whether the password is the hash's. With no hash, takes as long and says no, so that nobody
    /// learns from the time which accounts there are.
    async fn verify(
        &self,
        password: String,
        hash: Option<String>,
        from: HashFor,
    ) -> Result<bool, HashError>;
    /// The digest under which a secret token is kept.
    fn digest(&self, token: &str) -> String;
}
