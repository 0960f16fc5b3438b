//! Local accounts: register, sign in, sign out, change what is one's own.

use super::command::AccountReply;
use crate::caller::{Caller, Principal};
use crate::command::Reply;
use crate::handler::Handler;
use crate::limits::login_network;
use crate::ports::{Account, HashFor, NewSession, ProfileSource};
use crate::refusal::{Code, Refusal};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{Profile, UserId, parse_name};
use lamplight_domain::text::{self, MAX_USERNAME_CHARS};
use lamplight_domain::time::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

const MIN_PASSWORD: usize = 8;
const MAX_PASSWORD: usize = 256;
/// One character decomposes into at most this many (UAX #15, table 9), so a decomposed name may be
/// so much longer.
const DECOMPOSED: usize = 4;
/// How long the store remembers a network that signed in to an account.
const NETWORK_KNOWN_FOR_MS: i64 = 30 * 24 * 3_600 * 1_000;

fn check_password(password: &str) -> Result<(), Refusal> {
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

fn parse_username(text: &str) -> Result<&str, Refusal> {
    let text = text::trim(text);
    if text::is_username(text) {
        Ok(text)
    } else {
        Err(Refusal::invalid(
            "A username has 2 to 32 letters, digits, dots, dashes or underscores.",
        ))
    }
}

impl Handler {
    pub(crate) async fn register(
        &self,
        caller: &Caller,
        username: &str,
        password: String,
        name: Option<&str>,
    ) -> Result<Reply, Refusal> {
        self.settings.identity.local_accounts()?;
        // Whoever runs the server adds accounts as fast as they like.
        let is_host = caller.principal == Principal::Service;
        if !is_host {
            if !self.settings.is_registration_open {
                let why =
                    "This server takes no new accounts by itself. Ask whoever runs it for one.";
                return Err(Refusal::new(Code::Forbidden, why));
            }
            self.limits.network(caller.address)?;
            self.limits.site(caller.address)?;
        }
        let username = parse_username(username)?;
        let password = text::password(&password).into_owned();
        check_password(&password)?;
        let name = parse_name(
            name.filter(|name| text::is_visible(name))
                .unwrap_or(username),
        )
        .map_err(|error| Refusal::invalid(error.to_string()))?;
        // Looking first spares the hashing for a name that is taken; the store has the last word.
        if self
            .store(self.ports.accounts.find(username))
            .await?
            .is_some()
        {
            return Err(taken());
        }
        let from = HashFor {
            address: caller.address,
            is_known: is_host,
        };
        let password_hash = self.ports.passwords.hash(password, from).await?;
        let at = self.wall();
        let id = self.ports.ids.user(at);
        let profile = Profile {
            id: id.clone(),
            name,
            avatar_url: None,
        };
        let account = Account {
            user: id,
            password_hash: password_hash.clone(),
        };
        if !self
            .store(
                self.ports
                    .accounts
                    .create(username, account, profile.clone(), at),
            )
            .await?
        {
            return Err(taken());
        }
        if is_host {
            Ok(Reply::Accounts(AccountReply::User(profile)))
        } else {
            self.signed_in(caller, profile, password_hash).await
        }
    }

    pub(crate) async fn login(
        &self,
        caller: &Caller,
        username: &str,
        password: String,
    ) -> Result<Reply, Refusal> {
        self.settings.identity.local_accounts()?;
        let username = text::trim(username);
        if username.chars().count() > DECOMPOSED * MAX_USERNAME_CHARS
            || password.chars().count() > DECOMPOSED * MAX_PASSWORD
        {
            return Err(wrong());
        }
        self.limits.network(caller.address)?;
        let from = self.attempt(caller, username).await?;
        let account = self.store(self.ports.accounts.find(username)).await?;
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let right = self.is_right(password, hash, from).await?;
        let Some(account) = account.filter(|_| right) else {
            return Err(wrong());
        };
        let profile = self.profile_of(&account.user).await?;
        self.signed_in(caller, profile, account.password_hash).await
    }

    /// Whether a password is the hash's: normalised, or as typed, since hashes from before the
    /// normalisation hold what was typed. Where there is no account it takes as long.
    async fn is_right(
        &self,
        typed: String,
        hash: Option<String>,
        from: HashFor,
    ) -> Result<bool, Refusal> {
        let password = text::password(&typed).into_owned();
        let differs = password != typed;
        let right = self
            .ports
            .passwords
            .verify(password, hash.clone(), from)
            .await?;
        if right || !differs {
            Ok(right)
        } else {
            Ok(self.ports.passwords.verify(typed, hash, from).await?)
        }
    }

    /// Counts an attempt at an account's password, and says how it stands in the queue for hashing.
    /// The store is asked for the network whether or not there is such an account, so that neither
    /// the answer nor its time tells.
    async fn attempt(&self, caller: &Caller, username: &str) -> Result<HashFor, Refusal> {
        let since = Timestamp(self.wall().0.saturating_sub(NETWORK_KNOWN_FOR_MS));
        let is_known = match network_of(caller) {
            Some(network) => {
                self.store(self.ports.accounts.knows_network(username, network, since))
                    .await?
            }
            None => false,
        };
        self.limits.account(username, caller.address, is_known)?;
        Ok(HashFor {
            address: caller.address,
            is_known,
        })
    }

    /// The hash is the one that the password was right for: whoever had the old one while another
    /// was set is not in.
    async fn signed_in(
        &self,
        caller: &Caller,
        user: Profile,
        password_hash: String,
    ) -> Result<Reply, Refusal> {
        let token = self.ports.ids.secret();
        let at = self.wall();
        let life = i64::try_from(self.settings.session_life.as_millis()).unwrap_or(i64::MAX);
        let expires = Timestamp(at.0.saturating_add(life));
        let session = NewSession {
            digest: self.ports.passwords.digest(&token),
            user: user.id.clone(),
            at,
            expires,
            network: network_of(caller),
            most: self.settings.max_sessions,
            password_hash: Some(password_hash),
        };
        let Some(ended) = self
            .store(self.ports.accounts.open_session(session))
            .await?
        else {
            return Err(wrong());
        };
        self.tell_ended(&user.id, ended);
        Ok(Reply::Accounts(AccountReply::SignedIn {
            user,
            token,
            expires,
        }))
    }

    /// The sockets of sessions that ended are closed.
    fn tell_ended(&self, user: &UserId, ended: Vec<String>) {
        for digest in ended {
            self.ports.bus.publish(Event::SignedOut {
                user: user.clone(),
                credential: digest.into(),
            });
        }
    }

    /// Ends the session; its sockets are closed and its user is out at once, unless they are in on
    /// another device. Where the store takes no writes the session is over all the same, for as
    /// long as this process lives, and the answer says that it could not be written.
    pub(crate) async fn logout(&self, caller: &Caller) -> Result<Reply, Refusal> {
        let user = caller.verified_user()?;
        let credential = caller
            .credential
            .clone()
            .ok_or_else(Refusal::unauthenticated)?;
        match self
            .store(self.ports.accounts.end_session(&credential))
            .await
        {
            Ok(None) => Ok(Reply::Done),
            Ok(Some(user)) => {
                self.ports
                    .bus
                    .publish(Event::SignedOut { user, credential });
                Ok(Reply::Done)
            }
            Err(refusal) => {
                self.end_in_memory(user, credential);
                Err(signed_out_for_now(refusal))
            }
        }
    }

    /// Ends every session of the caller's account, this one too.
    pub(crate) async fn logout_all(&self, caller: &Caller) -> Result<Reply, Refusal> {
        let user = caller.verified_user()?;
        match self.store(self.ports.accounts.end_sessions(user)).await {
            Ok(ended) => {
                self.tell_ended(user, ended);
                Ok(Reply::Done)
            }
            Err(refusal) => {
                // A store that takes no writes can often be read.
                let all = self
                    .store(self.ports.accounts.sessions_of(user))
                    .await
                    .unwrap_or_default();
                let own = caller
                    .credential
                    .iter()
                    .filter(|own| !all.iter().any(|digest| *digest == ***own))
                    .cloned();
                for digest in all
                    .iter()
                    .map(|digest| Arc::from(digest.as_str()))
                    .chain(own)
                {
                    self.end_in_memory(user, digest);
                }
                Err(signed_out_for_now(refusal))
            }
        }
    }

    /// A new password ends every other session: whoever had the old one is out.
    pub(crate) async fn change_password(
        &self,
        caller: &Caller,
        current: String,
        next: String,
    ) -> Result<Reply, Refusal> {
        let user = caller.verified_user()?;
        let next = text::password(&next).into_owned();
        check_password(&next)?;
        self.limits.network(caller.address)?;
        let Some((username, account)) = self.store(self.ports.accounts.account_of(user)).await?
        else {
            return Err(Refusal::new(
                Code::NotFound,
                "You have no account with a password here.",
            ));
        };
        let from = self.attempt(caller, &username).await?;
        let fits = current.chars().count() <= DECOMPOSED * MAX_PASSWORD;
        let not_current = || Refusal::new(Code::Forbidden, "The current password is wrong.");
        let before = account.password_hash;
        let is_right = fits && self.is_right(current, Some(before.clone()), from).await?;
        if !is_right {
            return Err(not_current());
        }
        let hash = self.ports.passwords.hash(next, from).await?;
        let set =
            self.ports
                .accounts
                .set_password(user, &before, &hash, caller.credential.as_deref());
        // Hashing takes a while, and somebody may have set another one meanwhile: then this one
        // knew an old one.
        let Some(ended) = self.store(set).await? else {
            return Err(not_current());
        };
        self.tell_ended(user, ended);
        Ok(Reply::Done)
    }

    /// Changes the name or the picture of the caller's account.
    pub(crate) async fn update_account(
        &self,
        caller: &Caller,
        name: Option<Arc<str>>,
        avatar_url: Option<Option<Arc<str>>>,
    ) -> Result<Reply, Refusal> {
        let user = caller.verified_user()?;
        let updated = self.with_user_lock(user, async {
            let before = self.profile_of(user).await?;
            let after = Profile {
                id: user.clone(),
                name: name.unwrap_or_else(|| before.name.clone()),
                avatar_url: avatar_url.unwrap_or_else(|| before.avatar_url.clone()),
            };
            if after == before {
                return Ok(Reply::Accounts(AccountReply::User(before)));
            }
            self.limits.profile(user)?;
            let person = self.upsert_profile(after.clone(), ProfileSource::Claims).await?;
            if person.profile != after {
                let why = "Your profile is written by the application that this server belongs to. Change it there.";
                return Err(Refusal::new(Code::Forbidden, why));
            }
            Ok(Reply::Accounts(AccountReply::User(after)))
        });
        updated.await
    }

    pub(crate) async fn who_am_i(&self, caller: &Caller) -> Result<Reply, Refusal> {
        Ok(Reply::Accounts(AccountReply::User(
            self.profile_of(caller.verified_user()?).await?,
        )))
    }
}

fn network_of(caller: &Caller) -> Option<IpAddr> {
    caller.address.map(login_network)
}

/// What is true after a session was ended in memory alone.
fn signed_out_for_now(refusal: Refusal) -> Refusal {
    let message =
        "You are signed out. The server could not write it down yet; it will as soon as it can.";
    Refusal {
        message: message.into(),
        ..refusal
    }
}

fn taken() -> Refusal {
    Refusal::new(Code::Conflict, "This username is taken.")
}

/// One sentence for a wrong name and a wrong password, so that nobody learns which names there are.
fn wrong() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "The username or the password is wrong.",
    )
}
