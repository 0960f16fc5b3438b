//! Profiles: the directory, and writing to it.

use crate::handler::Handler;
use crate::ports::{Person, ProfileSource};
use crate::refusal::Refusal;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::presence::ManualStatus;
use lamplight_domain::time::Timestamp;

impl Handler {
    /// Writes what a token says of its user, or that there is such a user. Cheap when nothing
    /// changed, and nothing for a token that was not issued after the one whose word stands: two
    /// devices with different ones would turn a profile back and forth. What comes too fast is left
    /// for the next request with that token, so that everyone who is told of it is told at that
    /// rate.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ensure_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        issued_at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        if self.is_profile_written(&profile, source, issued_at) {
            return Ok(());
        }
        let user = profile.id.clone();
        let written = self.with_user_lock(&user, async {
            if source == ProfileSource::Claims && !self.may_say(&profile).await? {
                return Ok(());
            }
            let person = self
                .remember_from(profile.clone(), source, issued_at)
                .await?;
            // What the store has, which may be the word of a later token: the next one is held
            // against that. A word without a time is turned down for the host application's alone,
            // and always will be.
            self.set_profile_written(
                if issued_at.is_some() {
                    person.profile
                } else {
                    profile
                },
                issued_at,
            );
            Ok(())
        });
        written.await
    }

    /// Whether what someone says of themselves is written now. Not while they are not to be seen:
    /// it waits until they come in anew and are, since a name that changes tells that somebody is
    /// there. And not too often, since everyone is told.
    pub(crate) async fn may_say(&self, profile: &Profile) -> Result<bool, Refusal> {
        let person = self.store(self.ports.directory.person(&profile.id)).await?;
        let is_news = person
            .as_ref()
            .is_none_or(|person| person.profile != *profile);
        let is_invisible = person.is_some_and(|person| {
            person.status.chosen.at(self.wall()).status == ManualStatus::Invisible
        });
        Ok(!is_invisible && (!is_news || self.limits.profile(&profile.id).is_ok()))
    }

    /// Writes a profile and tells everyone who can see it, if it changed. In the user's turn, so
    /// that the roster has the profile that the store kept last, and a person read here is not told
    /// to it after a newer word of another device.
    pub(crate) async fn upsert_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
    ) -> Result<Person, Refusal> {
        self.remember_from(profile, source, None).await
    }

    async fn remember_from(
        &self,
        profile: Profile,
        source: ProfileSource,
        issued_at: Option<Timestamp>,
    ) -> Result<Person, Refusal> {
        let directory = &self.ports.directory;
        let (person, changed) = match issued_at.filter(|_| source == ProfileSource::Claims) {
            Some(issued_at) => {
                self.store(directory.upsert_claims(profile, issued_at, self.wall()))
                    .await?
            }
            None => {
                self.store(directory.upsert_profile(profile, source, self.wall()))
                    .await?
            }
        };
        if changed {
            self.forget_profile_written(&person.profile.id);
            self.store(self.ports.presence.set_profile(person.profile.clone()))
                .await?;
            for (conversation, to) in self
                .store(self.ports.messages.shared_with(&person.profile.id))
                .await?
            {
                self.ports
                    .bus
                    .publish(Event::ConversationChanged { conversation, to });
            }
        }
        Ok(person)
    }

    /// The profile of someone who signed in.
    pub(crate) async fn profile_of(&self, user: &UserId) -> Result<Profile, Refusal> {
        let person = self.store(self.ports.directory.person(user)).await?;
        Ok(person.map_or_else(|| Profile::bare(user.clone()), |person| person.profile))
    }
}
