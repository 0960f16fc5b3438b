//! The JSON of a user's visible state, in records and in published changes.

use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::presence::{
    Activity, ManualStatus, OfflineReason, Presence, Privacy, SavedStatus, Status, StatusOverride,
};
use lamplight_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct ProfileJson {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar: Option<String>,
}

impl From<&Profile> for ProfileJson {
    fn from(profile: &Profile) -> Self {
        Self {
            name: profile.name.to_string(),
            avatar: profile.avatar_url.as_deref().map(str::to_owned),
        }
    }
}

impl ProfileJson {
    pub(super) fn into_profile(self, user: &UserId) -> Profile {
        Profile {
            id: user.clone(),
            name: self.name.into(),
            avatar_url: self.avatar.map(Into::into),
        }
    }
}

/// A manual status.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StatusJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    revision: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hides_last_seen: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hides_reads: bool,
}

impl From<&SavedStatus> for StatusJson {
    fn from(saved: &SavedStatus) -> Self {
        let status = match saved.chosen.status {
            ManualStatus::Online => None,
            ManualStatus::Away => Some("away"),
            ManualStatus::Busy => Some("busy"),
            ManualStatus::Invisible => Some("invisible"),
        };
        Self {
            status: status.map(str::to_owned),
            text: saved.chosen.text.as_deref().map(str::to_owned),
            until: saved.chosen.until.map(|until| until.0),
            revision: saved.revision,
            hides_last_seen: saved.privacy.hides_last_seen,
            hides_reads: saved.privacy.hides_reads,
        }
    }
}

impl From<StatusJson> for SavedStatus {
    fn from(json: StatusJson) -> Self {
        let status = match json.status.as_deref() {
            Some("away") => ManualStatus::Away,
            Some("busy") => ManualStatus::Busy,
            Some("invisible") => ManualStatus::Invisible,
            _ => ManualStatus::Online,
        };
        Self {
            chosen: StatusOverride {
                status,
                text: json.text.map(Into::into),
                until: json.until.map(Timestamp),
            },
            revision: json.revision,
            privacy: Privacy {
                hides_last_seen: json.hides_last_seen,
                hides_reads: json.hides_reads,
            },
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct ActivityJson {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
}

impl From<&Activity> for ActivityJson {
    fn from(activity: &Activity) -> Self {
        Self {
            kind: activity.kind.to_string(),
            label: activity.label.as_deref().map(str::to_owned),
            conversation: activity.conversation.as_ref().map(ToString::to_string),
        }
    }
}

impl ActivityJson {
    pub(super) fn into_activity(self) -> Activity {
        Activity {
            kind: self.kind.into(),
            label: self.label.map(Into::into),
            conversation: self.conversation.map(ConversationId::trusted),
        }
    }
}

/// The visible state of an online user, without the version and `since`, which precede it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownJson {
    /// Absent if it is that of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<ProfileJson>,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    last_active: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hides_last_seen: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    activities: Vec<ActivityJson>,
}

impl ShownJson {
    pub(super) fn new(shown: &Presence, with_profile: bool) -> Self {
        Self {
            profile: with_profile.then(|| ProfileJson::from(&shown.profile)),
            status: match shown.status {
                Status::Online => "online",
                Status::Away => "away",
                Status::Busy => "busy",
            }
            .to_owned(),
            text: shown.text.as_deref().map(str::to_owned),
            last_active: shown.last_active_at.0,
            hides_last_seen: shown.hides_last_seen,
            activities: shown.activities.iter().map(ActivityJson::from).collect(),
        }
    }

    /// `profile` is used where the JSON has none.
    pub(super) fn into_presence(
        self,
        profile: &Profile,
        version: u64,
        since: u64,
    ) -> Option<Presence> {
        let status = match self.status.as_str() {
            "online" => Status::Online,
            "away" => Status::Away,
            "busy" => Status::Busy,
            _ => return None,
        };
        let activities = self.activities.into_iter().map(ActivityJson::into_activity);
        Some(Presence {
            profile: match self.profile {
                Some(own) => own.into_profile(&profile.id),
                None => profile.clone(),
            },
            status,
            text: self.text.map(Into::into),
            last_active_at: Timestamp(self.last_active),
            hides_last_seen: self.hides_last_seen,
            activities: activities.collect(),
            version,
            since,
        })
    }
}

pub(super) fn reason_name(reason: OfflineReason) -> &'static str {
    match reason {
        OfflineReason::Closed => "closed",
        OfflineReason::Timeout => "timeout",
        OfflineReason::NodeLost => "node_lost",
        OfflineReason::SignedOut => "signed_out",
    }
}

/// A reason that a later release added reads as `Closed`.
pub(super) fn reason(name: &str) -> OfflineReason {
    match name {
        "timeout" => OfflineReason::Timeout,
        "node_lost" => OfflineReason::NodeLost,
        "signed_out" => OfflineReason::SignedOut,
        _ => OfflineReason::Closed,
    }
}
