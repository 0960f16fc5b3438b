//! Profiles that the host application writes.

use crate::command::{Caller, Reply};
use crate::handler::Handler;
use crate::ports::ProfileSource;
use crate::refusal::Refusal;
use lamplight_domain::identity::Profile;

impl Handler {
    pub(crate) async fn put_profile(
        &self,
        caller: &Caller,
        profile: Profile,
    ) -> Result<Reply, Refusal> {
        Self::host_only(caller)?;
        let user = profile.id.clone();
        let person = self
            .with_user_lock(&user, self.upsert_profile(profile, ProfileSource::Host))
            .await?;
        Ok(Reply::User(person.profile))
    }
}
