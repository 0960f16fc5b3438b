//! Profiles that the host application writes.

use super::command::AdminReply;
use crate::command::Reply;
use crate::handler::Handler;
use crate::ports::ProfileSource;
use crate::refusal::Refusal;
use lamplight_domain::identity::Profile;

impl Handler {
    pub(crate) async fn put_profile(&self, profile: Profile) -> Result<Reply, Refusal> {
        let user = profile.id.clone();
        let person = self
            .with_user_lock(&user, self.upsert_profile(profile, ProfileSource::Host))
            .await?;
        Ok(Reply::Admin(AdminReply::Profile(person.profile)))
    }
}
