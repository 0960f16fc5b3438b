//! Who is in: a pure state machine.
//!
//! Sessions, heartbeats, statuses and ticks go in together with [`Now`]; [`Change`]s with a version
//! come out, in the order in which everyone is to hear them. A user is online when the *set* of
//! their sessions is not empty (never a counter), and a session that closed stays in the set
//! through its grace period, so that a reload is no event.

mod leases;
mod roster;
mod sessions;
mod snapshot;
#[cfg(test)]
mod tests;
mod unattached;
mod user;
mod version;

pub use leases::{EndedLease, Leases, NodeIndex, NodeLease};
pub use roster::{Roster, Rules};
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

/// What a person chose to be shown as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManualStatus {
    /// Online, or away by itself when there is no activity on any device.
    #[default]
    Online,
    /// Away until they say otherwise.
    Away,
    /// Not to be disturbed.
    Busy,
    /// Not to be told from offline.
    Invisible,
}

/// A manual status with its text, for all of a user's devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusOverride {
    /// The status.
    pub status: ManualStatus,
    /// A line of the person's own.
    pub text: Option<Arc<str>>,
    /// When it falls back to [`ManualStatus::Online`] with no text.
    pub until: Option<Timestamp>,
}

impl StatusOverride {
    /// What is left of it at `wall`: itself, or the default once `until` has passed.
    #[must_use]
    pub fn at(self, wall: Timestamp) -> Self {
        if self.until.is_some_and(|until| until <= wall) {
            Self::default()
        } else {
            self
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
}

/// What others see of someone who is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// In, and active.
    Online,
    /// In, but not at the keyboard.
    Away,
    /// In, and not to be disturbed.
    Busy,
}

/// What a person is doing: in a call, sharing a file, or a word of the application's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// `in_call`, `sharing_file`, or the application's own.
    pub kind: Arc<str>,
    /// A line about it.
    pub label: Option<Arc<str>>,
    /// Where it is going on.
    pub conversation: Option<ConversationId>,
}

impl Activity {
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

/// Someone who is in, as everyone may see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Who.
    pub profile: Profile,
    /// How they are shown.
    pub status: Status,
    /// Their own line.
    pub text: Option<Arc<str>>,
    /// When they were last active on any device.
    pub last_active_at: Timestamp,
    /// What they are doing, over all devices.
    pub activities: Vec<Activity>,
    /// Grows with every change of this user, over restarts too.
    pub version: u64,
    /// A number that orders the roster by when people came in; it says nothing else. It stays while
    /// they are in, so a list ordered by it can be paged.
    pub since: u64,
}

/// Why someone is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineReason {
    /// The last connection closed and the grace period passed.
    Closed,
    /// A ping went unanswered, or no activity came for the time to live.
    Timeout,
    /// The node that held the last session is gone.
    NodeLost,
    /// They signed out.
    SignedOut,
}

/// Someone who is out, as everyone may see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offline {
    /// Who.
    pub user: UserId,
    /// When they were last seen; `None` for someone who never was.
    pub last_seen_at: Option<Timestamp>,
    /// Why.
    pub reason: OfflineReason,
    /// Newer than any version this user had before.
    pub version: u64,
}

/// One step of someone's presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// They came in.
    Online(Arc<Presence>),
    /// They are in, and look different. Never a leave and a join.
    Updated(Arc<Presence>),
    /// They went out.
    Offline(Offline),
}

impl Change {
    /// Whose presence changed.
    #[must_use]
    pub fn user(&self) -> &UserId {
        match self {
            Self::Online(presence) | Self::Updated(presence) => &presence.profile.id,
            Self::Offline(absence) => &absence.user,
        }
    }

    /// The version of the change.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Online(presence) | Self::Updated(presence) => presence.version,
            Self::Offline(absence) => absence.version,
        }
    }
}

/// Why a status or an activity was not taken.
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

/// Checks a status text or a label that came from outside; one without a visible character means
/// none.
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

/// Checks an activity's kind that came from outside.
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
