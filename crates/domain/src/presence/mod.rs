//! Presence: a pure state machine.
//!
//! Sessions, heartbeats, statuses, leases and ticks go in together with [`Now`]; [`Change`]s with a
//! version come out, in the order in which they are published. A user is online when the *set* of
//! their sessions is not empty (never a counter), and a session that closed stays in the set
//! through its grace period, so that a reload is no event.

mod bucket_clock;
mod bucket_feed;
mod leases;
mod record;
mod roster;
mod rules;
mod sessions;
mod snapshot;
#[cfg(test)]
mod tests;
mod unattached;
mod user;
mod version;

pub use bucket_clock::{BucketClock, Reading};
pub use bucket_feed::{BucketFeed, BucketPosition, FeedBody, FeedMessage, LoadedBucket};
pub use leases::{EndedLease, Leases, NodeIndex, NodeLease};
pub use record::{SessionLife, SessionState, UserRecord, UserState};
pub use roster::Roster;
pub use rules::Rules;
pub use snapshot::{RosterSnapshot, VersionFloors, bucket_of};
pub use version::{clock_version, next_version};

use crate::identity::{ConversationId, Profile, UserId};
use crate::text::{is_visible, trim};
use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// The most characters a status text or an activity's label may have.
pub const MAX_TEXT_CHARS: usize = 200;
/// The most characters an activity's kind may have.
pub const MAX_KIND_CHARS: usize = 64;

/// The status that a user chose to be shown with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManualStatus {
    /// Online, and away while no device is active.
    #[default]
    Online,
    Away,
    Busy,
    /// Shown as offline in every answer.
    Invisible,
}

/// A manual status with its text, for all of a user's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusOverride {
    /// The status.
    pub status: ManualStatus,
    pub text: Option<Arc<str>>,
    /// When it falls back to [`ManualStatus::Online`] with no text.
    pub until: Option<Timestamp>,
}

impl StatusOverride {
    /// The status in force at `wall`: this one, or the default once `until` has passed.
    #[must_use]
    pub fn at(self, wall: Timestamp) -> Self {
        if self.is_over(wall) {
            Self::default()
        } else {
            self
        }
    }

    /// Whether `until` has passed at `wall`.
    #[must_use]
    pub fn is_over(&self, wall: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= wall)
    }
}

/// A user's privacy settings. A user who hides something does not see it of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// When the user was last seen.
    pub hides_last_seen: bool,
    /// How far the user has read.
    pub hides_reads: bool,
}

/// A change of privacy settings; omitted fields stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivacyChange {
    pub hides_last_seen: Option<bool>,
    pub hides_reads: Option<bool>,
}

impl Privacy {
    #[must_use]
    pub fn changed(self, change: PrivacyChange) -> Self {
        Self {
            hides_last_seen: change.hides_last_seen.unwrap_or(self.hides_last_seen),
            hides_reads: change.hides_reads.unwrap_or(self.hides_reads),
        }
    }
}

/// A manual status as the directory saved it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedStatus {
    /// The status.
    pub chosen: StatusOverride,
    /// Grows with every write to the directory, by [`next_version`]; 0 if none was ever written.
    /// Two nodes may hand their writes to the presence store in either order: it ignores a revision
    /// that is not newer than the one it has.
    pub revision: u64,
    /// Changes under a new revision too.
    pub privacy: Privacy,
}

/// The visible status of an online user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Online,
    Away,
    Busy,
}

/// A user's activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// `in_call`, `sharing_file`, or a kind of the host application.
    pub kind: Arc<str>,
    pub label: Option<Arc<str>>,
    pub conversation: Option<ConversationId>,
}

impl Activity {
    /// The activity of a user who uploads a file. It never contains the conversation, because users
    /// who are not its members see it too.
    #[must_use]
    pub fn sharing_file() -> Self {
        Self {
            kind: "sharing_file".into(),
            label: None,
            conversation: None,
        }
    }

    /// The bytes of its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let conversation = self
            .conversation
            .as_ref()
            .map_or(0, |conversation| conversation.as_str().len());
        self.kind.len() + self.label.as_deref().map_or(0, str::len) + conversation
    }
}

/// An online user, as everyone may see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    pub profile: Profile,
    pub status: Status,
    /// The text that the user set with the status.
    pub text: Option<Arc<str>>,
    /// On any device.
    pub last_active_at: Timestamp,
    /// Whether the last-seen time is hidden from everyone.
    pub hides_last_seen: bool,
    /// Of all devices.
    pub activities: Vec<Activity>,
    /// Grows with every change of this user, over restarts too.
    pub version: u64,
    /// Orders the roster by arrival, and has no other meaning. It is constant while the user is online,
    /// so that a list in this order can be paged.
    pub since: u64,
}

/// Why a user went offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineReason {
    /// The last connection closed, and the grace period passed.
    Closed,
    /// A ping went unanswered, or no activity came for the time to live.
    Timeout,
    /// The node of the last session died.
    NodeLost,
    SignedOut,
}

/// A user who went offline, as everyone may see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offline {
    pub user: UserId,
    /// `None` if the user was never seen.
    pub last_seen_at: Option<Timestamp>,
    pub reason: OfflineReason,
    /// Newer than any version this user had before.
    pub version: u64,
}

/// A change of a user's visible state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Online(Arc<Presence>),
    /// The state of an online user changed. It is never published as a leave and a join.
    Updated(Arc<Presence>),
    Offline(Offline),
}

impl Change {
    /// The user whose presence changed.
    #[must_use]
    pub fn user(&self) -> &UserId {
        match self {
            Self::Online(presence) | Self::Updated(presence) => &presence.profile.id,
            Self::Offline(offline) => &offline.user,
        }
    }

    /// The version of the change.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Online(presence) | Self::Updated(presence) => presence.version,
            Self::Offline(offline) => offline.version,
        }
    }
}

/// Why a status or an activity was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidPresence {
    /// A text is too long or has a control character.
    Text,
    /// An activity's kind has no visible character, is too long or has a control character.
    Kind,
}

impl fmt::Display for InvalidPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "A status text or label has at most 200 characters and no control characters.",
            Self::Kind => "An activity's kind has 1 to 64 characters, one of them visible, and no control characters.",
        })
    }
}

/// Checks a status text or a label from outside; a text without a visible character is none.
///
/// # Errors
/// When it is too long or has a control character.
pub fn parse_text(text: &str) -> Result<Option<Arc<str>>, InvalidPresence> {
    let text = trim(text);
    if !is_visible(text) {
        return Ok(None);
    }
    if text.chars().count() > MAX_TEXT_CHARS || text.chars().any(char::is_control) {
        return Err(InvalidPresence::Text);
    }
    Ok(Some(text.into()))
}

/// Checks the kind of an activity from outside.
///
/// # Errors
/// When it has no visible character, is too long or has a control character.
pub fn parse_kind(text: &str) -> Result<Arc<str>, InvalidPresence> {
    if !is_visible(text)
        || text.chars().count() > MAX_KIND_CHARS
        || text.chars().any(char::is_control)
    {
        return Err(InvalidPresence::Kind);
    }
    Ok(text.into())
}
