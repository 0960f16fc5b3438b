//! Avatars: who may set the picture of an account or a group, and the sweep of unused pictures. A
//! profile or a group refers to its picture by its address.

use super::service::FileService;
use crate::caller::Caller;
use crate::deadline;
use crate::groups;
use crate::metadata::Budget;
use crate::ports::{FileBytes, StoreResult};
use crate::refusal::Refusal;
use lamplight_domain::group::GroupRefused;
use lamplight_domain::identity::{ConversationId, FileId, UserId};
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::time::Timestamp;

/// An unused picture is deleted this long after its upload began, in milliseconds: earlier, its
/// profile or group may not refer to it yet.
const BEGINNING: i64 = 10 * 60 * 1_000;
/// Pictures that a step of the sweep checks.
const AT_ONCE: usize = 100;
/// Steps of a sweep. A user may replace 20 pictures a minute by default, so the sweep is to get through
/// the pictures of 100,000 others in a quarter of an hour.
const STEPS: usize = 10;

/// The owner of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvatarOwner {
    /// The caller's.
    Account,
    Group(ConversationId),
}

impl FileService {
    /// Checks before an upload that the caller may set the picture of the account or the group.
    ///
    /// # Errors
    /// When the caller may not.
    pub async fn may_set_avatar(
        &self,
        caller: &Caller,
        owner: &AvatarOwner,
    ) -> Result<(), Refusal> {
        self.limits.admit(Budget::Write, caller)?;
        if let Ok(user) = caller.user() {
            // A picture that is replaced lies there until the sweep finds it.
            self.limits.conversation(user)?;
        }
        let conversation = match owner {
            AvatarOwner::Account => return caller.verified_user().map(drop),
            AvatarOwner::Group(conversation) => conversation,
        };
        let who = caller.user_or_host()?;
        if !who.is_host() {
            let summary = deadline::store(self.messages.summary(&who, conversation)).await?;
            let role = summary.ok_or_else(Refusal::no_conversation)?.role;
            if authorize(Some(role), Action::Manage).is_ok() {
                return Ok(());
            }
        }
        let details = deadline::store(self.messages.details(conversation)).await?;
        match details.ok_or_else(Refusal::no_conversation)?.group {
            None => Err(groups::refused(GroupRefused::NotAGroup)),
            Some(_) if who.is_host() => Ok(()),
            Some(_) => Err(groups::refused(GroupRefused::NotAnAdmin)),
        }
    }

    /// Registers a picture before its first byte is written.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_avatar(
        &self,
        caller: &Caller,
        owner: &AvatarOwner,
    ) -> Result<FileId, Refusal> {
        let id = self.ids.file();
        let account = match owner {
            AvatarOwner::Account => Some(caller.verified_user()?),
            AvatarOwner::Group(_) => None,
        };
        self.add_avatar(&id, account, owner).await?;
        Ok(id)
    }

    async fn add_avatar(
        &self,
        id: &FileId,
        account: Option<&UserId>,
        owner: &AvatarOwner,
    ) -> Result<(), Refusal> {
        let group = match owner {
            AvatarOwner::Account => None,
            AvatarOwner::Group(conversation) => Some(conversation),
        };
        let added = self.files.add_avatar(id, account, group, self.now());
        deadline::store(added).await
    }

    /// Checks the next pictures, and deletes those without an owner: the bytes first, then the record.
    /// A picture that cannot be deleted does not delay others. Returns how many it deleted.
    ///
    /// # Errors
    /// When the records or the bytes cannot be reached.
    pub async fn sweep_avatars(&self, bytes: &dyn FileBytes) -> StoreResult<usize> {
        let mut deleted = 0;
        for _ in 0..STEPS {
            deleted += self.sweep_some_avatars(bytes).await?;
            if self.swept_avatar.lock().is_none() {
                break;
            }
        }
        Ok(deleted)
    }

    async fn sweep_some_avatars(&self, bytes: &dyn FileBytes) -> StoreResult<usize> {
        let began_before = Timestamp(self.now().0.saturating_sub(BEGINNING));
        let after = self.swept_avatar.lock().clone();
        let page = self.files.avatars(after.as_ref(), AT_ONCE).await?;
        let (mut gone, mut failed) = (Vec::new(), None);
        for avatar in &page {
            if !avatar.is_used && avatar.created_at < began_before {
                match bytes.delete_avatar(&avatar.id).await {
                    Ok(()) => gone.push(avatar.id.clone()),
                    Err(error) => failed = Some(error),
                }
            }
        }
        if !gone.is_empty() {
            self.files.forget_avatars(&gone).await?;
        }
        // From the beginning again after the last page.
        let last = page.last().filter(|_| page.len() == AT_ONCE);
        *self.swept_avatar.lock() = last.map(|avatar| avatar.id.clone());
        failed.map_or(Ok(gone.len()), Err)
    }
}
