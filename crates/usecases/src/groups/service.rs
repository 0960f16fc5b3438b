//! Groups: runs the commands of this area.

use super::command::{GroupCommand, GroupReply, Wanted};
use crate::caller::Caller;
use crate::command::Reply;
use crate::deadline;
use crate::limits::Limits;
use crate::ports::{Clock, Directory, Groups, Ids, Ports};
use crate::profiles::Profiles;
use crate::refusal::{Code, Refusal};
use crate::settings::{Identity, Settings};
use crate::shared::Shared;
use lamplight_domain::identity::UserId;
use lamplight_domain::time::Timestamp;
use std::sync::Arc;

pub(crate) struct GroupService {
    pub(super) groups: Arc<dyn Groups>,
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) limits: Arc<Limits>,
    pub(super) profiles: Arc<Profiles>,
    identity: Identity,
    /// The most members of a group.
    pub(super) limit: usize,
}

impl GroupService {
    pub(crate) fn new(ports: &Ports, settings: &Settings, shared: &Shared) -> Self {
        Self {
            groups: Arc::clone(&ports.groups),
            directory: Arc::clone(&ports.directory),
            clock: Arc::clone(&ports.clock),
            ids: Arc::clone(&ports.ids),
            limits: Arc::clone(&shared.limits),
            profiles: Arc::clone(&shared.profiles),
            identity: settings.identity,
            limit: settings.group_limit,
        }
    }

    pub(crate) async fn handle(
        &self,
        caller: &Caller,
        command: GroupCommand,
    ) -> Result<Reply, Refusal> {
        match command {
            GroupCommand::Make {
                members,
                name,
                avatar_url,
                history,
                client_id,
            } => {
                let wanted = Wanted {
                    members,
                    name,
                    avatar_url,
                    history,
                    client_id,
                };
                self.make(caller, wanted).await
            }
            GroupCommand::Change {
                conversation,
                action,
                key,
            } => self.change(caller, conversation, action, key).await,
            GroupCommand::Members {
                conversation,
                cursor,
                limit,
            } => {
                let user = caller.user_or_host()?;
                let read = self
                    .groups
                    .member_page(&user, &conversation, cursor.as_deref(), limit);
                let page = deadline::store(read).await?;
                let page = page.ok_or_else(Refusal::no_conversation)?;
                Ok(Reply::Groups(GroupReply::Members(page)))
            }
        }
    }

    pub(super) fn check_count(&self, members: usize) -> Result<(), Refusal> {
        if members > self.limit {
            return Err(self.too_many());
        }
        Ok(())
    }

    pub(super) fn too_many(&self) -> Refusal {
        let message = format!("A group has at most {} members.", self.limit);
        Refusal::new(Code::TooLong, message)
    }

    /// With local accounts, an unknown user does not exist. Otherwise the host application knows its
    /// users, and the store makes bare profiles.
    pub(super) async fn check_known(&self, users: &[UserId]) -> Result<(), Refusal> {
        if self.identity != Identity::Local {
            return Ok(());
        }
        let unknown = deadline::store(self.directory.unknown(users)).await?;
        match unknown.first() {
            Some(unknown) => Err(Refusal::no_such_user(unknown)),
            None => Ok(()),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }
}
