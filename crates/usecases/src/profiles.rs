//! Profiles: writes them to the directory and announces changes.

use crate::deadline;
use crate::limits::Limits;
use crate::ports::{
    Clock, Directory, EventBus, Messages, Person, Ports, PresenceStore, ProfileSource, ProfileWrite,
};
use crate::refusal::Refusal;
use crate::user_locks::UserLocks;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::presence::ManualStatus;
use lamplight_domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Profiles in the cache of [`Profiles`].
const MAX_CACHED: usize = 10_000;

/// Writes profiles, and remembers which ones the directory has, so that a request does not write
/// again what an earlier one wrote.
pub(crate) struct Profiles {
    directory: Arc<dyn Directory>,
    presence: Arc<dyn PresenceStore>,
    messages: Arc<dyn Messages>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    locks: Arc<UserLocks>,
    /// Profiles that were written, with when their token was issued.
    written: Mutex<HashMap<UserId, (Profile, Option<Timestamp>)>>,
}

impl Profiles {
    pub(crate) fn new(ports: &Ports, limits: &Arc<Limits>, locks: &Arc<UserLocks>) -> Self {
        Self {
            directory: Arc::clone(&ports.directory),
            presence: Arc::clone(&ports.presence),
            messages: Arc::clone(&ports.messages),
            bus: Arc::clone(&ports.bus),
            clock: Arc::clone(&ports.clock),
            limits: Arc::clone(limits),
            locks: Arc::clone(locks),
            written: Mutex::default(),
        }
    }

    /// Writes the profile in a token's claims, or a bare profile if the directory has none.
    ///
    /// Costs little if nothing changed. Skips a token that was not issued after the token whose
    /// claims are in force: otherwise two devices with different tokens would change the profile
    /// back and forth. A change above the rate limit waits for the next request with that token, so
    /// that the limit bounds the announcements too.
    pub(crate) async fn ensure_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        issued_at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        if self.is_written(&profile, source, issued_at) {
            return Ok(());
        }
        let user = profile.id.clone();
        let write = self.locks.with(&user, async {
            if source == ProfileSource::Claims && !self.may_change(&profile).await? {
                return Ok(());
            }
            let person = self
                .upsert(profile.clone(), source, issued_at, false)
                .await?;
            // With a time: the profile that the store has, which may be from a later token; the
            // next token is compared with it. Without a time: only a profile of the host
            // application can have overridden this one, and always will.
            let written = if issued_at.is_some() {
                person.profile
            } else {
                profile
            };
            self.set_written(written, issued_at);
            Ok(())
        });
        write.await
    }

    /// Whether a profile that a user states of themselves may be written now. Not while they are
    /// invisible, since a name that changes shows that somebody is there: it waits until they join
    /// again and are visible. And not too often, since each change is announced to everyone.
    pub(crate) async fn may_change(&self, profile: &Profile) -> Result<bool, Refusal> {
        let person = deadline::store(self.directory.person(&profile.id)).await?;
        let changes = person
            .as_ref()
            .is_none_or(|person| person.profile != *profile);
        let is_invisible = person.is_some_and(|person| {
            person.status.chosen.at(self.now()).status == ManualStatus::Invisible
        });
        Ok(!is_invisible && (!changes || self.limits.profile(&profile.id).is_ok()))
    }

    /// Writes a profile, and announces it to everyone who can see it if it changed. The caller
    /// holds the user's lock, so that the roster gets the profile that the store wrote last, and no
    /// older one that was read here.
    pub(crate) async fn upsert_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
    ) -> Result<Person, Refusal> {
        self.upsert(profile, source, None, false).await
    }

    /// The same, of a user whose session joins right after, and shows the profile.
    pub(crate) async fn upsert_before_join(
        &self,
        profile: Profile,
        source: ProfileSource,
    ) -> Result<Person, Refusal> {
        self.upsert(profile, source, None, true).await
    }

    async fn upsert(
        &self,
        profile: Profile,
        source: ProfileSource,
        issued_at: Option<Timestamp>,
        joins: bool,
    ) -> Result<Person, Refusal> {
        let directory = &self.directory;
        let (person, done) = match issued_at.filter(|_| source == ProfileSource::Claims) {
            Some(issued_at) => {
                deadline::store(directory.upsert_claims(profile, issued_at, self.now())).await?
            }
            None => deadline::store(directory.upsert_profile(profile, source, self.now())).await?,
        };
        if done == ProfileWrite::Unchanged {
            return Ok(person);
        }
        let user = &person.profile.id;
        self.written.lock().remove(user);
        // A new user is shown by the join alone, and is in no conversation.
        if !joins || done == ProfileWrite::Changed {
            deadline::store(self.presence.set_profile(person.profile.clone())).await?;
        }
        if done == ProfileWrite::Changed {
            for (conversation, to) in deadline::store(self.messages.shared_with(user)).await? {
                self.bus
                    .publish(Event::ConversationChanged { conversation, to });
            }
        }
        Ok(person)
    }

    /// The directory has another profile of this user by now.
    pub(crate) fn forget(&self, user: &UserId) {
        self.written.lock().remove(user);
    }

    /// The profile of a user, a bare one if the directory has none.
    pub(crate) async fn profile_of(&self, user: &UserId) -> Result<Profile, Refusal> {
        let person = deadline::store(self.directory.person(user)).await?;
        Ok(person.map_or_else(|| Profile::bare(user.clone()), |person| person.profile))
    }

    /// Whether there is nothing to write: this profile was written not long ago, or one that is not
    /// older. A token without an issue time counts as new.
    fn is_written(
        &self,
        profile: &Profile,
        source: ProfileSource,
        issued_at: Option<Timestamp>,
    ) -> bool {
        match self.written.lock().get_mut(&profile.id) {
            Some(_) if source == ProfileSource::Nobody => true,
            Some((written, at)) if written == profile => {
                *at = (*at).max(issued_at);
                true
            }
            Some((_, at)) => issued_at.is_some() && *at >= issued_at,
            None => false,
        }
    }

    fn set_written(&self, profile: Profile, issued_at: Option<Timestamp>) {
        let mut written = self.written.lock();
        if written.len() >= MAX_CACHED {
            written.clear();
        }
        written.insert(profile.id.clone(), (profile, issued_at));
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}
