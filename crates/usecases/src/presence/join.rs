//! A socket announces its user, sends heartbeats, and leaves.

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
    /// Announces the user of a socket. Repeated, it sends a fresh snapshot and may change the mode.
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
            Principal::Service => return Err(Refusal::not_a_user()),
            Principal::User(verified) if *verified != user => {
                return Err(Refusal::new(
                    Code::Forbidden,
                    "The token belongs to another user.",
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
        // The limit on joins is for one socket, and a user may open many: each join costs a list.
        self.limits.read(&user)?;

        let bare = Profile::bare(user.clone());
        let has_profile = open && (name.is_some() || avatar_url.is_some());
        let join = self.locks.with(&user, async {
            let seen_before = self.privacy_changes_seen(&user);
            let stated = has_profile.then(|| Profile {
                name: name.unwrap_or_else(|| bare.name.clone()),
                avatar_url,
                ..bare.clone()
            });
            let (profile, source) = match stated {
                Some(stated) if self.profiles.may_change(&stated).await? => {
                    (stated, ProfileSource::Claims)
                }
                _ => (bare, ProfileSource::Nobody),
            };
            let person = self.profiles.upsert_before_join(profile, source).await?;
            let (profile, chosen) = (
                person.profile.clone(),
                person.status.chosen.clone().at(self.now()),
            );
            self.connections.admit(&session, &user);
            let (privacy, revision) = (person.status.privacy, person.status.revision);
            self.connections.set_privacy(&user, privacy, revision);
            // Concurrently, because each may wait for an unresponsive Redis, and one after the other
            // they would hold the lock too long. Hidden users are read once this node receives
            // changes of them, and before the connection follows anyone.
            let joined = deadline::store(self.store.join(&session, person));
            let hidden = async {
                let seen = self.privacy_changes_seen(&user);
                self.attached(&user).await;
                let (hidden, privacy) = tokio::join!(
                    self.hide(&user),
                    self.read_privacy_again(&user, seen_before, seen)
                );
                hidden.and(privacy)
            };
            let (joined, hidden) = tokio::join!(joined, hidden);
            joined?;
            if let Err(refusal) = hidden {
                self.close_after_join(&session).await?;
                return Err(refusal);
            }
            if !self.connections.follow(&session, mode) {
                self.close_after_join(&session).await?;
            }
            Ok(Reply::Presence(PresenceReply::Joined {
                user: profile,
                session: session.clone(),
                mode,
                chosen,
            }))
        });
        join.await
    }

    /// Announces a user again after the socket's connection was recovered: the socket kept its
    /// roster and the users that it watches.
    pub(super) async fn resume(&self, caller: &Caller) -> Result<Reply, Refusal> {
        let (user, session) = caller.on_socket()?;
        let resume = self.locks.with(user, async {
            let seen_before = self.privacy_changes_seen(user);
            let person = self
                .profiles
                .upsert_before_join(Profile::bare(user.clone()), ProfileSource::Nobody)
                .await?;
            let (privacy, revision) = (person.status.privacy, person.status.revision);
            deadline::store(self.store.join(session, person)).await?;
            if self.connections.admit(session, user) {
                self.connections.set_privacy(user, privacy, revision);
                let seen = self.privacy_changes_seen(user);
                self.attached(user).await;
                self.read_privacy_again(user, seen_before, seen).await?;
            } else {
                self.close_after_join(session).await?;
            }
            Ok(Reply::Done)
        });
        resume.await
    }

    /// How many changes of privacy settings or blocks have reached this node. `None` if those of this
    /// user do not reach it yet.
    fn privacy_changes_seen(&self, user: &UserId) -> Option<u64> {
        let is_attached = self.connections.attached(user).is_none();
        is_attached.then(|| self.connections.privacy_changes())
    }

    /// The privacy settings were read before this node had a socket of the user and followed changes.
    /// Read a change that another node made in between.
    async fn read_privacy_again(
        &self,
        user: &UserId,
        before: Option<u64>,
        after: Option<u64>,
    ) -> Result<(), Refusal> {
        if before.is_some() && before == after {
            return Ok(());
        }
        let read = self.directory.privacy_of(std::slice::from_ref(user));
        for (privacy, revision) in deadline::store(read).await? {
            self.connections.set_privacy(user, privacy, revision);
        }
        Ok(())
    }

    /// A client that syncs after its join misses nothing.
    async fn attached(&self, user: &UserId) {
        if let Some(attached) = self.connections.attached(user) {
            attached.await;
        }
    }

    /// The socket lost its connection during its join, so its leave came before there was a session
    /// to close. Runs under the same lock as the join: if the client is back already, its next
    /// announcement comes after this.
    async fn close_after_join(&self, session: &ConnectionId) -> Result<(), Refusal> {
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
