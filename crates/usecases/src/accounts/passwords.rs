//! Passwords of local accounts.

use super::service::AccountService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::network::login_network;
use crate::ports::HashFor;
use crate::refusal::{Code, Refusal};
use lamplight_domain::identity::UserId;
use lamplight_domain::text::{self, MAX_USERNAME_CHARS};
use lamplight_domain::time::Timestamp;

const MIN_PASSWORD: usize = 8;
const MAX_PASSWORD: usize = 256;
/// The most code points that one character decomposes into (UAX #15, table 9): a decomposed text
/// may be this many times as long.
const DECOMPOSED: usize = 4;
/// How long the store remembers a network that signed in to an account.
const NETWORK_KNOWN_FOR_MS: i64 = 30 * 24 * 3_600 * 1_000;

pub(super) fn check_password(password: &str) -> Result<(), Refusal> {
    match password.chars().count() {
        length if length < MIN_PASSWORD => {
            Err(Refusal::invalid("A password has at least 8 characters."))
        }
        length if length > MAX_PASSWORD => {
            Err(Refusal::invalid("A password has at most 256 characters."))
        }
        _ => Ok(()),
    }
}

/// Whether a user name and a password, normalized or not, are short enough for an account.
pub(super) fn may_be_credentials(username: &str, password: &str) -> bool {
    username.chars().count() <= DECOMPOSED * MAX_USERNAME_CHARS && may_be_password(password)
}

fn may_be_password(password: &str) -> bool {
    password.chars().count() <= DECOMPOSED * MAX_PASSWORD
}

/// The same message for a wrong user name and a wrong password, so that a caller cannot find out
/// which user names exist.
pub(super) fn wrong_credentials() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "The user name or the password is wrong.",
    )
}

/// A password that matched.
pub(super) struct Verified {
    /// The hash that it matched.
    pub(super) hash: String,
    /// The priority of further hashing.
    pub(super) from: HashFor,
}

impl AccountService {
    /// Whether a password matches a hash: normalized, or as typed, since hashes from before the
    /// normalization are of the password as typed. Takes as long where there is no account.
    pub(super) async fn verify_password(
        &self,
        typed: String,
        hash: Option<String>,
        from: HashFor,
    ) -> Result<bool, Refusal> {
        let password = text::password(&typed).into_owned();
        let differs = password != typed;
        let matches = self.passwords.verify(password, hash.clone(), from).await?;
        if matches || !differs {
            Ok(matches)
        } else {
            Ok(self.passwords.verify(typed, hash, from).await?)
        }
    }

    /// Counts an attempt at an account's password, and returns its priority in the queue for
    /// hashing. Reads the network from the store whether or not the account exists, so that neither
    /// the reply nor its time shows which.
    pub(super) async fn count_attempt(
        &self,
        caller: &Caller,
        username: &str,
    ) -> Result<HashFor, Refusal> {
        let since = Timestamp(self.now().0.saturating_sub(NETWORK_KNOWN_FOR_MS));
        let is_known = match caller.address.map(login_network) {
            Some(network) => {
                deadline::store(self.accounts.knows_network(username, network, since)).await?
            }
            None => false,
        };
        self.limits.account(username, caller.address, is_known)?;
        Ok(HashFor {
            address: caller.address,
            is_known,
        })
    }

    /// Whether this is the password of the caller's account: `None` if it is wrong. It counts as a
    /// sign-in attempt.
    pub(super) async fn verify_owner(
        &self,
        caller: &Caller,
        user: &UserId,
        password: String,
    ) -> Result<Option<Verified>, Refusal> {
        self.limits.network(caller.address)?;
        let Some((username, account)) = deadline::store(self.accounts.account_of(user)).await?
        else {
            return Err(Refusal::new(
                Code::NotFound,
                "You have no account with a password here.",
            ));
        };
        let from = self.count_attempt(caller, &username).await?;
        let hash = account.password_hash;
        let matches = may_be_password(&password)
            && self
                .verify_password(password, Some(hash.clone()), from)
                .await?;
        Ok(matches.then_some(Verified { hash, from }))
    }

    /// Sets a new password, and ends every other session: a caller with the old password is signed
    /// out.
    pub(super) async fn change_password(
        &self,
        caller: &Caller,
        current: String,
        next: String,
    ) -> Result<Reply, Refusal> {
        let user = caller.verified_user()?;
        let next = text::password(&next).into_owned();
        check_password(&next)?;
        let not_current = || Refusal::new(Code::Forbidden, "The current password is wrong.");
        let Verified { hash: before, from } = self
            .verify_owner(caller, user, current)
            .await?
            .ok_or_else(not_current)?;
        let hash = self.passwords.hash(next, from).await?;
        let set = self
            .accounts
            .set_password(user, &before, &hash, caller.credential.as_deref());
        // Hashing is slow: if another command set a password meanwhile, `current` is not the
        // current password any more.
        let Some(ended) = deadline::store(set).await? else {
            return Err(not_current());
        };
        self.ended.publish_stored(user, ended);
        Ok(Reply::Done)
    }
}
