//! `join_user`, `user_activity`, and going.

use super::command::PresenceReply;
use super::service::PresenceService;
use crate::caller::{Caller, Principal};
use crate::command::Reply;
use crate::deadline;
use crate::ports::ProfileSource;
use crate::refusal::{Code, Refusal};
use crate::settings::Identity;
use lamplight_domain::identity::{ConnectionId, Profile, UserId};
use lamplight_domain::presence::OfflineReason;
use lamplight_domain::roster_feed::Mode;
use std::sync::Arc;

impl PresenceService {
    /// Announces the user of a socket. Calling it again gives a fresh snapshot, and another mode if
    /// asked.
    pub(super) async fn join(
        &self,
        caller: &Caller,
        user: UserId,
        mode: Mode,
        name: Option<Arc<str>>,
        avatar_url: Option<Arc<str>>,
    ) -> Result<Reply, Refusal> {
        let open = self.identity == Identity::Open;
        match &caller.principal {
            Principal::Anonymous if !open => return Err(Refusal::unauthenticated()),
            Principal::Service => {
                return Err(Refusal::new(
                    Code::Forbidden,
                    "The server key is not a user.",
                ));
            }
            Principal::User(proven) if *proven != user => {
                return Err(Refusal::new(
                    Code::Forbidden,
                    "The token is another user's.",
                ));
            }
            Principal::UnverifiedUser(claimed) if *claimed != user => {
                return Err(Refusal::new(
                    Code::Conflict,
                    "This connection announced another user before.",
                ));
            }
            _ => {}
        }
        let session = caller
            .session
            .clone()
            .ok_or_else(|| Refusal::invalid("Only a socket can announce a user."))?;
        self.limits.join(&session)?;
        // Another socket is another allowance of joins, and each costs a list.
        self.limits.read(&user)?;

        let bare = Profile::bare(user.clone());
        let says = open && (name.is_some() || avatar_url.is_some());
        let joined = self.locks.with(&user, async {
            let said = says.then(|| Profile {
                name: name.unwrap_or_else(|| bare.name.clone()),
                avatar_url,
                ..bare.clone()
            });
            let (profile, source) = match said {
                Some(said) if self.profiles.may_change(&said).await? => {
                    (said, ProfileSource::Claims)
                }
                _ => (bare, ProfileSource::Nobody),
            };
            let person = self.profiles.upsert_profile(profile, source).await?;
            let (profile, chosen) = (
                person.profile.clone(),
                person.status.chosen.clone().at(self.now()),
            );
            self.connections.admit(&session, &user);
            deadline::store(self.store.join(&session, person)).await?;
            if !self.connections.follow(&session, mode) {
                self.close_unheard(&session).await?;
            }
            Ok(Reply::Presence(PresenceReply::Joined {
                user: profile,
                session: session.clone(),
                mode,
                chosen,
            }))
        });
        joined.await
    }

    /// Announces a user again whose socket was recovered: it kept its roster and what it watches.
    pub(super) async fn resume(&self, caller: &Caller) -> Result<Reply, Refusal> {
        let (user, session) = caller.on_socket()?;
        let resumed = self.locks.with(user, async {
            let person = self
                .profiles
                .upsert_profile(Profile::bare(user.clone()), ProfileSource::Nobody)
                .await?;
            deadline::store(self.store.join(session, person)).await?;
            if !self.connections.admit(session, user) {
                self.close_unheard(session).await?;
            }
            Ok(Reply::Done)
        });
        resumed.await
    }

    /// A socket lost its connection while it was announced, and its leave came too early to find
    /// it. In the same turn as the join: should its client be back already, what announces it again
    /// comes after this.
    async fn close_unheard(&self, session: &ConnectionId) -> Result<(), Refusal> {
        deadline::store(self.store.close(session, OfflineReason::Closed)).await
    }

    pub(super) async fn heartbeat(&self, caller: &Caller, active: bool) -> Result<Reply, Refusal> {
        let (_, session) = caller.on_socket()?;
        deadline::store(self.store.activity(session, active)).await?;
        Ok(Reply::Done)
    }

    pub(super) async fn leave(
        &self,
        caller: &Caller,
        reason: OfflineReason,
    ) -> Result<Reply, Refusal> {
        let (user, session) = caller.on_socket()?;
        self.typing.stop_on_socket(user, session);
        deadline::store(self.store.close(session, reason)).await?;
        Ok(Reply::Done)
    }

    pub(super) async fn sign_out(&self, caller: &Caller) -> Result<Reply, Refusal> {
        let (user, session) = caller.on_socket()?;
        self.typing.stop_on_socket(user, session);
        deadline::store(self.store.sign_out(session)).await?;
        Ok(Reply::Done)
    }
}
