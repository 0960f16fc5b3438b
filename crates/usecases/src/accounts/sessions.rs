//! Local sessions: signing in and out.

use super::command::AccountReply;
use super::passwords::{may_be_credentials, wrong_credentials};
use super::service::AccountService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::network::login_network;
use crate::ports::NewSession;
use crate::refusal::Refusal;
use lamplight_domain::event::Event;
use lamplight_domain::identity::Profile;
use lamplight_domain::text;
use lamplight_domain::time::Timestamp;

impl AccountService {
    pub(super) async fn login(
        &self,
        caller: &Caller,
        username: &str,
        password: String,
    ) -> Result<Reply, Refusal> {
        self.settings.identity.local_accounts()?;
        let username = text::trim(username);
        if !may_be_credentials(username, &password) {
            return Err(wrong_credentials());
        }
        self.limits.network(caller.address)?;
        let from = self.count_attempt(caller, username).await?;
        let account = deadline::store(self.accounts.find(username)).await?;
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let matches = self.verify_password(password, hash, from).await?;
        let Some(account) = account.filter(|_| matches) else {
            return Err(wrong_credentials());
        };
        let profile = self.profiles.profile_of(&account.user).await?;
        self.open_session(caller, profile, account.password_hash)
            .await
    }

    /// Opens a session for a caller whose password matched this hash. If the account has another
    /// hash by now, the password is no longer right.
    pub(super) async fn open_session(
        &self,
        caller: &Caller,
        user: Profile,
        password_hash: String,
    ) -> Result<Reply, Refusal> {
        let token = self.ids.secret();
        let at = self.now();
        let life = i64::try_from(self.settings.session_life.as_millis()).unwrap_or(i64::MAX);
        let expires = Timestamp(at.0.saturating_add(life));
        let session = NewSession {
            digest: self.passwords.digest(&token),
            user: user.id.clone(),
            at,
            expires,
            network: caller.address.map(login_network),
            most: self.settings.max_sessions,
            password_hash: Some(password_hash),
        };
        let Some(ended) = deadline::store(self.accounts.open_session(session)).await? else {
            return Err(wrong_credentials());
        };
        self.ended.publish_stored(&user.id, ended);
        Ok(Reply::Accounts(AccountReply::SignedIn {
            user,
            token,
            expires,
        }))
    }

    /// Ends the caller's session and closes its sockets; the user goes offline at once unless they
    /// are online on another device. If the store accepts no writes, every node refuses the session
    /// until the store has it, and the reply is an error.
    pub(super) async fn logout(&self, caller: &Caller) -> Result<Reply, Refusal> {
        let user = caller.verified_user()?;
        let credential = caller
            .credential
            .clone()
            .ok_or_else(Refusal::unauthenticated)?;
        match deadline::store(self.accounts.end_session(&credential)).await {
            Ok(None) => Ok(Reply::Done),
            Ok(Some(user)) => {
                self.bus.publish(Event::SignedOut {
                    user,
                    credential,
                    is_stored: true,
                });
                self.ended.reach_other_nodes().await;
                Ok(Reply::Done)
            }
            Err(refusal) => {
                self.ended.end(user, credential);
                self.ended.reach_other_nodes().await;
                Err(not_written(refusal))
            }
        }
    }

    /// Ends every session of the caller's account, this one too.
    pub(super) async fn logout_all(&self, caller: &Caller) -> Result<Reply, Refusal> {
        let user = caller.verified_user()?;
        let ended = self
            .ended
            .end_account(user, caller.credential.clone(), self.now());
        ended.await.map_err(not_written)?;
        Ok(Reply::Done)
    }
}

/// The refusal after a session ended in memory alone.
fn not_written(refusal: Refusal) -> Refusal {
    Refusal {
        message: "You are signed out. The server could not save this yet and tries again.".into(),
        ..refusal
    }
}
