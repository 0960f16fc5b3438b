//! Privacy settings: whether others see the user's last-seen time and read marks. A user who hides
//! them does not see those of others. The settings exist with every `AUTH`.

use super::command::AccountReply;
use super::service::AccountService;
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::ports::ProfileSource;
use crate::refusal::Refusal;
use lamplight_domain::event::Event;
use lamplight_domain::identity::Profile;
use lamplight_domain::presence::PrivacyChange;

impl AccountService {
    pub(super) async fn privacy(&self, caller: &Caller) -> Result<Reply, Refusal> {
        let user = std::slice::from_ref(caller.user()?);
        let found = deadline::store(self.directory.privacy_of(user)).await?;
        let privacy = found.first().map(|(privacy, _)| *privacy);
        Ok(Reply::Accounts(AccountReply::Settings(
            privacy.unwrap_or_default(),
        )))
    }

    pub(super) async fn set_privacy(
        &self,
        caller: &Caller,
        change: PrivacyChange,
    ) -> Result<Reply, Refusal> {
        let user = caller.user()?;
        self.profiles
            .ensure_profile(Profile::bare(user.clone()), ProfileSource::Nobody, None)
            .await?;
        let set = self.locks.with(user, async {
            let saved = self.directory.set_privacy(user, change, self.now());
            let saved = deadline::store(saved).await?;
            let privacy = saved.privacy;
            // By the revision, the presence store ends with the directory's value.
            deadline::store(self.presence.set_status(user, saved)).await?;
            Ok(privacy)
        });
        let privacy = set.await?;
        // The nodes with sockets of the user read again who hides from them.
        self.bus
            .publish(Event::BlockersChanged { user: user.clone() });
        Ok(Reply::Accounts(AccountReply::Settings(privacy)))
    }
}
