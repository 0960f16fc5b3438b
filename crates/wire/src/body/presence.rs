//! The presence of users: joining, statuses, activities, watches and blocks.

use super::Object;
use crate::loose::LooseId;
use serde::Deserialize;
use serde::de::Deserializer;
use ts_rs::TS;

/// `join_user` with an object.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct JoinUser {
    /// May be left out if a token or a cookie names the user.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    pub user_id: Option<LooseId>,
    #[serde(default)]
    #[ts(optional, type = "\"full\" | \"diff\" | \"watch\" | \"none\"")]
    pub roster: Option<String>,
    /// For `AUTH=open`.
    #[serde(default)]
    #[ts(optional)]
    pub name: Option<String>,
    /// For `AUTH=open`.
    #[serde(default)]
    #[ts(optional)]
    pub avatar_url: Option<String>,
}

/// `user_activity` with a payload.
#[derive(Debug, Default, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct UserActivity {
    /// `false` if the user is idle.
    #[serde(default)]
    #[ts(optional)]
    pub active: Option<bool>,
}

/// `set_status`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SetStatus {
    #[ts(type = "\"online\" | \"away\" | \"busy\" | \"invisible\"")]
    pub status: String,
    /// Status text that the user wrote.
    #[serde(default)]
    #[ts(optional)]
    pub text: Option<String>,
    /// The end of the status, RFC 3339.
    #[serde(default)]
    #[ts(optional)]
    pub until: Option<String>,
}

/// An activity, as a client sends it.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ActivityBody {
    pub kind: String,
    /// A short text to show.
    #[serde(default)]
    #[ts(optional)]
    pub label: Option<String>,
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    pub conversation_id: Option<LooseId>,
}

/// `set_activity`. The field is required, and may be `null`.
#[derive(Debug, Deserialize, TS)]
pub struct SetActivity {
    /// `null` for none.
    #[serde(deserialize_with = "present")]
    pub activity: Option<ActivityBody>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ActivityBody>, D::Error> {
    Ok(Option::<Object<ActivityBody>>::deserialize(deserializer)?.map(|Object(activity)| activity))
}

/// `watch_presence` and `unwatch_presence`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct WatchPresence {
    #[ts(type = "Array<string | number>")]
    pub user_ids: Vec<LooseId>,
}

/// `block_user` and `unblock_user`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct UserRef {
    #[ts(type = "string | number")]
    pub user_id: LooseId,
}
