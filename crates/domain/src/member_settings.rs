//! A member's private settings of a conversation.

use crate::time::Timestamp;

/// The settings of a member. Most members have set nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberSettings {
    /// The conversation is muted until this time.
    pub muted_until: Option<Timestamp>,
    pub archived: bool,
    pub pinned: bool,
}

/// A change of settings. `None` leaves a setting unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// `Some(None)` ends the mute.
    pub muted_until: Option<Option<Timestamp>>,
    pub archived: Option<bool>,
    pub pinned: Option<bool>,
}

impl MemberSettings {
    #[must_use]
    pub fn with(self, change: SettingsChange) -> Self {
        Self {
            muted_until: change.muted_until.unwrap_or(self.muted_until),
            archived: change.archived.unwrap_or(self.archived),
            pinned: change.pinned.unwrap_or(self.pinned),
        }
    }

    #[must_use]
    pub fn is_muted(&self, at: Timestamp) -> bool {
        self.muted_until.is_some_and(|until| until > at)
    }

    /// Whether a new message of this time takes the conversation out of the archive.
    #[must_use]
    pub fn is_brought_back(&self, at: Timestamp) -> bool {
        self.archived && !self.is_muted(at)
    }

    /// Whether the total of unread messages counts the conversation.
    #[must_use]
    pub fn is_counted(&self, at: Timestamp) -> bool {
        !self.archived && !self.is_muted(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_keeps_omitted_settings() {
        let muted = MemberSettings {
            muted_until: Some(Timestamp(5)),
            ..MemberSettings::default()
        };
        let archived = muted.with(SettingsChange {
            archived: Some(true),
            ..SettingsChange::default()
        });
        assert_eq!(archived.muted_until, Some(Timestamp(5)));
        assert!(archived.archived && !archived.pinned);
        let heard = archived.with(SettingsChange {
            muted_until: Some(None),
            ..SettingsChange::default()
        });
        assert_eq!((heard.muted_until, heard.archived), (None, true));
    }

    #[test]
    fn a_mute_ends_at_its_time() {
        let settings = MemberSettings {
            muted_until: Some(Timestamp(5)),
            archived: true,
            pinned: false,
        };
        assert!(settings.is_muted(Timestamp(4)) && !settings.is_muted(Timestamp(5)));
        assert!(!settings.is_brought_back(Timestamp(4)));
        assert!(settings.is_brought_back(Timestamp(5)));
        assert!(!settings.is_counted(Timestamp(5)));
        let shown = MemberSettings {
            archived: false,
            ..settings
        };
        assert!(!shown.is_counted(Timestamp(4)) && shown.is_counted(Timestamp(5)));
    }
}
