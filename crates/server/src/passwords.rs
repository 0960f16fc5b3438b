//! Password hashing with argon2id.

use crate::fair_queue::{Bounds, FairQueue};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lamplight_usecases::ports::{HashError, HashFor, Passwords};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Two run at once: each uses 19 MiB and a core for about 30 ms, which signed-in users must not
/// miss. The queue is so long that the last request waits for a few seconds.
const BOUNDS: Bounds = Bounds {
    places: 2,
    waiting: 128,
    waiting_of_one: 16,
};

/// OWASP's minimum: 19 MiB, two passes, one lane.
const PARAMS: Params = Params::DEFAULT;
const _: () = assert!(
    Params::DEFAULT_M_COST == 19 * 1_024
        && Params::DEFAULT_T_COST == 2
        && Params::DEFAULT_P_COST == 1
);

/// The hash of a discarded random text, with [`PARAMS`]: passwords of unknown accounts are compared
/// with it, so that both cases take the same time.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$7G/Hbv8+nsIZoa4bUwQU/A$FgEQ1pyQ6Omw7IKGNPgNidHCLzhw+wMPaiO3ifvYlS0";

/// argon2id on blocking threads, two at a time.
#[derive(Clone, Debug)]
pub struct Argon2Passwords {
    queue: Arc<FairQueue>,
}

impl Argon2Passwords {
    #[must_use]
    pub fn new() -> Self {
        Self {
            queue: FairQueue::new(BOUNDS),
        }
    }

    /// Waits for a permit and runs `work` on a blocking thread. The work holds the permit, so that
    /// a caller who gives up does not admit a third hash.
    async fn run<T: Send + 'static>(
        &self,
        from: HashFor,
        work: impl FnOnce(&Argon2<'_>) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let place = self.queue.place(from).await?;
        tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS))
        })
        .await
        .map_err(|error| HashError::Failed(format!("the hasher failed: {error}")))
    }
}

impl Default for Argon2Passwords {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Passwords for Argon2Passwords {
    async fn hash(&self, password: String, from: HashFor) -> Result<String, HashError> {
        self.run(from, move |argon2| {
            argon2
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
        })
        .await?
        .map_err(|error| HashError::Failed(format!("the password could not be hashed: {error}")))
    }

    async fn verify(
        &self,
        password: String,
        hash: Option<String>,
        from: HashFor,
    ) -> Result<bool, HashError> {
        self.run(from, move |argon2| {
            let text = hash.as_deref().unwrap_or(NOBODY);
            let parsed = PasswordHash::new(text).map_err(|error| {
                HashError::Failed(format!("a stored password hash is broken: {error}"))
            })?;
            let is_right = argon2.verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(is_right && hash.is_some())
        })
        .await?
    }

    fn digest(&self, token: &str) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn a_password_is_verified_by_its_hash_alone() {
        let passwords = Argon2Passwords::new();
        let hash = passwords
            .hash("correct horse".to_owned(), HashFor::default())
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_ne!(
            hash,
            passwords
                .hash("correct horse".to_owned(), HashFor::default())
                .await
                .unwrap(),
            "a salt of its own"
        );
        assert!(
            passwords
                .verify(
                    "correct horse".to_owned(),
                    Some(hash.clone()),
                    HashFor::default()
                )
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("correct house".to_owned(), Some(hash), HashFor::default())
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("correct horse".to_owned(), None, HashFor::default())
                .await
                .unwrap()
        );
        assert!(matches!(
            passwords
                .verify("x".to_owned(), Some("md5".to_owned()), HashFor::default())
                .await,
            Err(HashError::Failed(_))
        ));
    }

    #[test]
    fn the_hash_for_unknown_users_costs_as_much_as_a_real_one() {
        let hash = PasswordHash::new(NOBODY).unwrap();
        let params = Params::try_from(&hash).unwrap();
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (PARAMS.m_cost(), PARAMS.t_cost(), PARAMS.p_cost())
        );
        assert_eq!(hash.hash.map(|hash| hash.len()), Some(32));
    }

    #[tokio::test]
    async fn at_most_two_hashes_run_even_when_callers_stop_waiting() {
        let passwords = Argon2Passwords::new();
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let work = |running: Arc<AtomicUsize>, most: Arc<AtomicUsize>| {
            move |_: &Argon2<'_>| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                running.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let tasks = (0..8).map(|index| {
            let (passwords, work) = (
                passwords.clone(),
                work(Arc::clone(&running), Arc::clone(&most)),
            );
            async move {
                let patience = Duration::from_millis(if index % 2 == 0 { 5 } else { 5_000 });
                let _ =
                    tokio::time::timeout(patience, passwords.run(HashFor::default(), work)).await;
            }
        });
        futures_util::future::join_all(tasks).await;
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_digest_is_sha_256() {
        assert_eq!(
            Argon2Passwords::new().digest("abc"),
            "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
        );
    }
}
