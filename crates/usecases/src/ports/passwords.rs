//! Password hashing.

use async_trait::async_trait;
use std::net::IpAddr;

/// The priority of a password in the queue for hashing. The queue is bounded, serves networks
/// round robin, and prefers networks that have signed in to the account before.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashFor {
    pub address: Option<IpAddr>,
    /// Whether that network has signed in to the account before.
    pub is_known: bool,
}

/// Why a password was not hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("too many passwords from one network wait to be hashed")]
    NetworkFull,
    #[error("too many passwords wait to be hashed")]
    Full,
    #[error("{0}")]
    Failed(String),
}

/// Password hashing, slow on purpose.
#[async_trait]
pub trait Passwords: Send + Sync + 'static {
    /// A hash in PHC string format.
    async fn hash(&self, password: String, from: HashFor) -> Result<String, HashError>;
    /// Whether the password matches the hash. Without a hash it takes as long and returns `false`, so
    /// that the time does not show which accounts exist.
    async fn verify(
        &self,
        password: String,
        hash: Option<String>,
        from: HashFor,
    ) -> Result<bool, HashError>;
    /// The digest that the store keeps of a secret token.
    fn digest(&self, token: &str) -> String;
}
