//! Local accounts: register, sign in, sign out.

use crate::command::{Caller, Reply, Who};
use crate::handler::{Handler, Identity};
use crate::ports::Account;
use crate::refusal::{Code, Refusal};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{Profile, UserId, parse_name};
use lamplight_domain::text::{self, MAX_USERNAME_CHARS};
use lamplight_domain::time::Timestamp;

const MIN_PASSWORD: usize = 8;
const MAX_PASSWORD: usize = 256;
/// One character decomposes into at most this many (UAX #15, table 9), so a decomposed name may be so much longer.
const DECOMPOSED: usize = 4;

fn parse_username(text: &str) -> Result<&str, Refusal> {
    let text = text::trim(text);
    if text::is_username(text) {
        Ok(text)
    } else {
        Err(Refusal::invalid("A username has 2 to 32 letters, digits, dots, dashes or underscores."))
    }
}

impl Handler {
    fn local_only(&self) -> Result<(), Refusal> {
        if self.settings.identity == Identity::Local {
            return Ok(());
        }
        Err(Refusal::new(Code::NotFound, "There are no accounts here: the server runs with another AUTH."))
    }

    pub(crate) async fn register(&self, caller: &Caller, username: &str, password: String, name: Option<&str>) -> Result<Reply, Refusal> {
        self.local_only()?;
        self.limits.address(caller.address)?;
        let username = parse_username(username)?;
        let password = text::password(&password).into_owned();
        let length = password.chars().count();
        if length < MIN_PASSWORD {
            return Err(Refusal::invalid("A password has at least 8 characters."));
        }
        if length > MAX_PASSWORD {
            return Err(Refusal::invalid("A password has at most 256 characters."));
        }
        let name = parse_name(name.filter(|name| text::is_visible(name)).unwrap_or(username))
            .map_err(|error| Refusal::invalid(error.to_string()))?;
        // Looking first spares the hashing for a name that is taken; the store has the last word.
        if self.store(self.ports.accounts.find(username)).await?.is_some() {
            return Err(taken());
        }
        let password_hash = self.ports.passwords.hash(password).await?;
        let at = self.wall();
        let id = self.ports.ids.user(at);
        let profile = Profile { id: id.clone(), name, avatar_url: None };
        let account = Account { user: id, password_hash };
        if !self.store(self.ports.accounts.create(username, account, profile.clone(), at)).await? {
            return Err(taken());
        }
        self.signed_in(profile).await
    }

    pub(crate) async fn login(&self, caller: &Caller, username: &str, password: String) -> Result<Reply, Refusal> {
        self.local_only()?;
        let username = text::trim(username);
        if username.chars().count() > DECOMPOSED * MAX_USERNAME_CHARS || password.chars().count() > DECOMPOSED * MAX_PASSWORD {
            return Err(wrong());
        }
        self.limits.login(username, caller.address)?;
        let account = self.store(self.ports.accounts.find(username)).await?;
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let right = self.is_right(password, hash).await?;
        let Some(account) = account.filter(|_| right) else { return Err(wrong()) };
        let profile = self.profile_of(&account.user).await?;
        self.signed_in(profile).await
    }

    /// Whether a password is the hash's: normalised, or as typed, since hashes from before the normalisation hold what was typed. Where there
    /// is no account it takes as long.
    async fn is_right(&self, typed: String, hash: Option<String>) -> Result<bool, Refusal> {
        let password = text::password(&typed).into_owned();
        let differs = password != typed;
        let right = self.ports.passwords.verify(password, hash.clone()).await?;
        if right || !differs { Ok(right) } else { Ok(self.ports.passwords.verify(typed, hash).await?) }
    }

    async fn signed_in(&self, user: Profile) -> Result<Reply, Refusal> {
        let token = self.ports.ids.secret();
        let at = self.wall();
        let life = i64::try_from(self.settings.session_life.as_millis()).unwrap_or(i64::MAX);
        let expires = Timestamp(at.0.saturating_add(life));
        let digest = self.ports.passwords.digest(&token);
        self.store(self.ports.accounts.open_session(&digest, &user.id, at, expires)).await?;
        Ok(Reply::SignedIn { user, token, expires })
    }

    /// Ends the session; its sockets are closed and its user is out at once, unless they are in on another device.
    pub(crate) async fn logout(&self, caller: &Caller) -> Result<Reply, Refusal> {
        self.local_only()?;
        let credential = caller.credential.clone().ok_or_else(Refusal::unauthenticated)?;
        if let Some(user) = self.store(self.ports.accounts.end_session(&credential)).await? {
            self.ports.fanout.publish(Event::SignedOut { user, credential });
        }
        Ok(Reply::Done)
    }

    pub(crate) async fn who_am_i(&self, caller: &Caller) -> Result<Reply, Refusal> {
        self.local_only()?;
        let user: &UserId = match &caller.who {
            Who::Proven(user) => user,
            _ => return Err(Refusal::unauthenticated()),
        };
        Ok(Reply::User(self.profile_of(user).await?))
    }
}

fn taken() -> Refusal {
    Refusal::new(Code::Conflict, "This username is taken.")
}

/// One sentence for a wrong name and a wrong password, so that nobody learns which names there are.
fn wrong() -> Refusal {
    Refusal::new(Code::Unauthenticated, "The username or the password is wrong.")
}
