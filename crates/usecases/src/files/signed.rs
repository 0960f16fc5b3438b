//! Addresses of files that work without a cookie or a token, for one user and a while.

use super::service::{FileService, no_file};
use crate::caller::Caller;
use crate::deadline;
use crate::refusal::{Code, Refusal};
use lamplight_domain::file::{is_signature, signature};
use lamplight_domain::identity::{FileId, UserId};
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

/// How long a signed address works: 12 hours.
const LIFE: i64 = 12 * 3_600 * 1_000;

/// The signature parameters of a file's URL, for one user.
#[derive(Clone, Debug)]
pub struct SignedAddress {
    pub user: UserId,
    pub expires_at: Timestamp,
    pub signature: String,
}

impl FileService {
    /// Signs the address of a file that the caller may have now.
    ///
    /// # Errors
    /// `not_found` where there is none.
    pub async fn sign(&self, caller: &Caller, id: &FileId) -> Result<SignedAddress, Refusal> {
        self.readable(caller, id).await?;
        let user = caller.user()?;
        let expires_at = Timestamp(self.now().0.saturating_add(LIFE));
        let key = self.key().await?;
        Ok(SignedAddress {
            signature: signature(key.as_bytes(), id, user, expires_at),
            user: user.clone(),
            expires_at,
        })
    }

    /// Checks a signed address. Whether its user may still have the file is for
    /// [`FileService::readable`].
    ///
    /// # Errors
    /// `not_found` if the signature is wrong, `forbidden` if it has expired.
    pub async fn check_signed(&self, id: &FileId, address: &SignedAddress) -> Result<(), Refusal> {
        let key = self.key().await?;
        let (given, user) = (&address.signature, &address.user);
        if !is_signature(given, key.as_bytes(), id, user, address.expires_at) {
            return Err(no_file());
        }
        if address.expires_at < self.now() {
            return Err(Refusal::new(
                Code::Forbidden,
                "This address has expired: ask for another one.",
            ));
        }
        Ok(())
    }

    async fn key(&self) -> Result<Arc<str>, Refusal> {
        let read = || deadline::store(self.files.signing_key());
        self.signing_key.get_or_try_init(read).await.cloned()
    }
}
