//! Groups: their members and details.

use super::messages::AppendError;
use super::store::{Page, StoreError, StoreResult};
use async_trait::async_trait;
use lamplight_domain::conversation::{Conversation, Member};
use lamplight_domain::entry::Entry;
use lamplight_domain::group::{GroupRefused, GroupWrite, NewGroup};
use lamplight_domain::identity::{ConnectionId, ConversationId, UserId};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct GroupChanged {
    /// The new entry, the one that an earlier write with the same key made, or the one that made the
    /// state which the write asks for. `None` where no entry made it.
    pub entry: Option<Arc<Entry>>,
    /// Whether nothing was appended.
    pub duplicate: bool,
}

/// Why a group was not changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GroupError {
    /// There is no such conversation, or the sender is not in it.
    #[error("no such conversation for the sender")]
    NotFound,
    /// The same client message id stands for another write.
    #[error("the client message id stands for another write")]
    Conflict,
    /// This user is to be added, and either of them has blocked the other.
    #[error("a block stands between the sender and {0}")]
    Blocked(UserId),
    /// This user is to be added, and has deleted their account.
    #[error("{0} has deleted their account")]
    Deleted(UserId),
    #[error("the change is refused: {0:?}")]
    Refused(GroupRefused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AppendError> for GroupError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::Conflict,
            AppendError::Store(error) => Self::Store(error),
            _ => Self::NotFound,
        }
    }
}

/// Groups, in the same store as the logs. Users who are not in the directory get bare profiles.
#[async_trait]
pub trait Groups: Send + Sync + 'static {
    /// Makes a group, whose log begins with the entry that adds its members. `false` where its maker
    /// has made it before, under the same client id; `None` where they are no longer in it.
    /// After the commit follow an [`Event::Appended`] and an [`Event::ConversationChanged`] for all
    /// members.
    ///
    /// # Errors
    /// Unless the group has been made before: [`GroupError::Blocked`] where either of the maker and
    /// another member has blocked the other, [`GroupError::Deleted`] where a member has deleted their
    /// account.
    ///
    /// [`Event::Appended`]: lamplight_domain::event::Event::Appended
    /// [`Event::ConversationChanged`]: lamplight_domain::event::Event::ConversationChanged
    async fn make_group(&self, new: NewGroup) -> Result<Option<(Conversation, bool)>, GroupError>;

    /// Changes a group as [`GroupState::judge`] decides, in one transaction with the entry that records
    /// the change. An added member starts with everything read, and in a group with [`History::Joined`]
    /// their log begins with that entry. For a removed member that entry is the last one. The
    /// transaction checks repetitions first, then blocks between the sender and the added users, deleted
    /// accounts, and rights. [`GroupAction::Replace`] ignores deleted accounts that are not members.
    ///
    /// After the commit an [`Event::Appended`] for all who are or were members goes to the bus, and
    /// an [`Event::ConversationChanged`] for those who are added; for all members where the group has
    /// at most [`SHOWN_MEMBERS`].
    ///
    /// [`GroupState::judge`]: lamplight_domain::group::GroupState::judge
    /// [`GroupAction::Replace`]: lamplight_domain::group::GroupAction::Replace
    /// [`History::Joined`]: lamplight_domain::group::History::Joined
    /// [`SHOWN_MEMBERS`]: lamplight_domain::conversation::SHOWN_MEMBERS
    /// [`Event::Appended`]: lamplight_domain::event::Event::Appended
    /// [`Event::ConversationChanged`]: lamplight_domain::event::Event::ConversationChanged
    async fn change_group(
        &self,
        write: GroupWrite,
        except: Option<ConnectionId>,
    ) -> Result<GroupChanged, GroupError>;

    /// The members of a conversation in the order of their ids, `None` if there is none for this
    /// caller; the host application, [`UserId::host`], sees all.
    async fn member_page(
        &self,
        caller: &UserId,
        conversation: &ConversationId,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<Page<Member>>>;
}
