//! Creates local accounts.

use super::command::AccountReply;
use super::passwords::check_password;
use super::service::AccountService;
use crate::caller::{Caller, Principal};
use crate::command::Reply;
use crate::deadline;
use crate::ports::{Account, HashFor};
use crate::refusal::{Code, Refusal};
use lamplight_domain::identity::{Profile, parse_name};
use lamplight_domain::text;

impl AccountService {
    pub(super) async fn register(
        &self,
        caller: &Caller,
        username: &str,
        password: String,
        name: Option<&str>,
    ) -> Result<Reply, Refusal> {
        self.settings.identity.local_accounts()?;
        // No limit for the operator.
        let is_host = caller.principal == Principal::Service;
        if !is_host {
            if !self.settings.is_registration_open {
                return Err(Refusal::new(
                    Code::Forbidden,
                    "Registration is closed on this server. Ask its operator for an account.",
                ));
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
        // Spares the slow hashing if the name is taken; `create` decides.
        if deadline::store(self.accounts.find(username))
            .await?
            .is_some()
        {
            return Err(username_taken());
        }
        let from = HashFor {
            address: caller.address,
            is_known: is_host,
        };
        let password_hash = self.passwords.hash(password, from).await?;
        let at = self.now();
        let id = self.ids.user(at);
        let profile = Profile {
            id: id.clone(),
            name,
            avatar_url: None,
        };
        let account = Account {
            user: id,
            password_hash: password_hash.clone(),
        };
        if !deadline::store(self.accounts.create(username, account, profile.clone(), at)).await? {
            return Err(username_taken());
        }
        if is_host {
            Ok(Reply::Accounts(AccountReply::User(profile)))
        } else {
            self.open_session(caller, profile, password_hash).await
        }
    }
}

fn parse_username(text: &str) -> Result<&str, Refusal> {
    let text = text::trim(text);
    if text::is_username(text) {
        Ok(text)
    } else {
        Err(Refusal::invalid(
            "A user name has 2 to 32 letters, digits, dots, dashes or underscores.",
        ))
    }
}

fn username_taken() -> Refusal {
    Refusal::new(
        Code::Conflict,
        "This user name is taken, or looks like one that is.",
    )
}
