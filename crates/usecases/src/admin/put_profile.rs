//! Profiles that the host application writes.

use super::command::AdminReply;
use super::service::AdminService;
use crate::command::Reply;
use crate::ports::ProfileSource;
use crate::refusal::Refusal;
use lamplight_domain::identity::Profile;

impl AdminService {
    pub(super) async fn put_profile(&self, profile: Profile) -> Result<Reply, Refusal> {
        let user = profile.id.clone();
        let person = self
            .locks
            .with(
                &user,
                self.profiles.upsert_profile(profile, ProfileSource::Host),
            )
            .await?;
        Ok(Reply::Admin(AdminReply::Profile(person.profile)))
    }
}
