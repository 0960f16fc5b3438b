//! The claims of a valid token, and the tolerance for clock skew.

use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use std::time::Duration;

/// How long a token is valid after its `exp`.
pub const EXPIRY_LEEWAY: Duration = Duration::from_secs(5);
/// How far in the future a token's `iat` and `nbf` may be.
pub const FUTURE_LEEWAY: Duration = Duration::from_secs(30);

/// The claims of a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// `sub`.
    pub user: UserId,
    /// `name`, if it is a valid name.
    pub name: Option<String>,
    /// `picture`, if it is a valid avatar URL.
    pub picture: Option<String>,
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `exp`.
    pub expires_at: Timestamp,
}
