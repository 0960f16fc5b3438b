//! The profile of an account's owner.

use super::command::AccountReply;
use super::service::AccountService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::ProfileSource;
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use lamplight_domain::identity::{Profile, UserId};
use std::sync::Arc;

impl AccountService {
    /// Changes the name or the picture of the caller's account.
    pub(super) async fn update(
        &self,
        caller: &Caller,
        name: Option<Arc<str>>,
        avatar_url: Option<Option<Arc<str>>>,
    ) -> Result<Reply, Refusal> {
        let user = caller.verified_user()?;
        let update = self.locks.with(user, async {
            let before = self.profiles.profile_of(user).await?;
            let after = Profile {
                id: user.clone(),
                name: name.unwrap_or_else(|| before.name.clone()),
                avatar_url: avatar_url.unwrap_or_else(|| before.avatar_url.clone()),
            };
            if after == before {
                return Ok(Reply::Accounts(AccountReply::User(before)));
            }
            self.limits.profile(user)?;
            let person = self
                .profiles
                .upsert_profile(after.clone(), ProfileSource::Claims)
                .await?;
            if person.profile != after {
                return Err(Refusal::new(
                    Code::Forbidden,
                    "The application that this chat belongs to manages your profile. Change it there.",
                ));
            }
            Ok(Reply::Accounts(AccountReply::User(after)))
        });
        update.await
    }

    /// The profile of any user. User names are as public as the directory, which finds people by them.
    pub(super) async fn find_user(&self, caller: &Caller, user: &UserId) -> Result<Reply, Refusal> {
        caller.user()?;
        let person = deadline::store(self.directory.person(user))
            .await?
            .ok_or_else(|| Refusal::new(Code::NotFound, "There is no such user."))?;
        let username = if self.settings.identity == Identity::Local {
            deadline::store(self.accounts.account_of(user))
                .await?
                .map(|(username, _)| username)
        } else {
            None
        };
        Ok(Reply::Accounts(AccountReply::Found {
            user: person.profile,
            username,
        }))
    }

    pub(super) async fn who_am_i(&self, caller: &Caller) -> Result<Reply, Refusal> {
        Ok(Reply::Accounts(AccountReply::User(
            self.profiles.profile_of(caller.verified_user()?).await?,
        )))
    }
}
