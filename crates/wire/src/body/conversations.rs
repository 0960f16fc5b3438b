//! Conversations, groups, and the settings of a member.

use super::double_option;
use crate::loose::LooseId;
use serde::Deserialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// `join_conversation` and `leave_conversation` with an object.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConversationRef {
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
}

/// `open_conversation`, and the body of `POST /api/privatechat/conversations`: `userId` for the conversation with another
/// user, or `memberIds` for a group.
#[derive(Debug, Deserialize, ToSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct OpenConversation {
    /// The other user.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    #[ts(optional, type = "string | number")]
    pub user_id: Option<LooseId>,
    /// Those who are in the group besides the caller, who is its owner.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    #[ts(optional, type = "Array<string | number>")]
    pub member_ids: Option<Vec<LooseId>>,
    /// The name of the group.
    #[serde(default)]
    #[ts(optional)]
    pub name: Option<String>,
    /// The URL of the group's picture.
    #[serde(default)]
    #[ts(optional)]
    pub avatar_url: Option<String>,
    /// The history that members see who join later: `joined` (the default), only later entries, or
    /// `all`.
    #[serde(default)]
    #[ts(optional, type = "\"joined\" | \"all\"")]
    pub history: Option<String>,
    /// Makes the request repeatable; preferably a UUID.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    #[ts(optional, type = "string | number")]
    pub client_conversation_id: Option<LooseId>,
}

/// `update_group` together with `conversationId`, and the body of
/// `PATCH /api/privatechat/conversations/{id}`. Missing fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct UpdateGroup {
    /// `null` or an empty text removes it.
    #[serde(default, deserialize_with = "double_option")]
    #[schema(value_type = Option<String>)]
    #[ts(optional, type = "string | null")]
    pub name: Option<Option<String>>,
    /// The URL of the picture; `null` or an empty text removes it.
    #[serde(default, deserialize_with = "double_option")]
    #[schema(value_type = Option<String>)]
    #[ts(optional, type = "string | null")]
    pub avatar_url: Option<Option<String>>,
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    #[ts(optional, type = "string | number")]
    pub client_message_id: Option<LooseId>,
}

/// `add_members` together with `conversationId`, and the body of
/// `POST /api/privatechat/conversations/{id}/members`.
#[derive(Debug, Deserialize, ToSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct AddMembers {
    #[schema(value_type = Vec<String>)]
    #[ts(type = "Array<string | number>")]
    pub user_ids: Vec<LooseId>,
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    #[ts(optional, type = "string | number")]
    pub client_message_id: Option<LooseId>,
}

/// The body of `PUT /api/privatechat/conversations/{id}/members/{userId}`.
#[derive(Debug, Deserialize, ToSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct SetRole {
    /// `owner`, `admin` or `member`.
    #[ts(type = "\"owner\" | \"admin\" | \"member\"")]
    pub role: String,
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    #[ts(optional, type = "string | number")]
    pub client_message_id: Option<LooseId>,
}

/// `remove_member`, together with `conversationId`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RemoveMember {
    /// The member; oneself to leave.
    #[ts(type = "string | number")]
    pub user_id: LooseId,
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    pub client_message_id: Option<LooseId>,
}

/// `set_member_role`, together with `conversationId`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SetMemberRole {
    #[ts(type = "string | number")]
    pub user_id: LooseId,
    #[serde(flatten)]
    #[ts(flatten)]
    pub set: SetRole,
}

/// A change of a group over the socket: what a request has in its path, and what it has in its body.
#[derive(Debug, Deserialize)]
pub struct InGroup<T> {
    #[serde(rename = "conversationId")]
    pub id: LooseId,
    #[serde(flatten)]
    pub change: T,
}

/// The body of `PUT /api/privatechat/conversations/{id}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutConversation {
    #[schema(value_type = Vec<String>)]
    pub member_ids: Vec<LooseId>,
}

/// `set_conversation_settings`. Missing fields stay as they are.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SetConversationSettings {
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
    /// Muted until this time, RFC 3339; `null` ends the mute.
    #[serde(default, deserialize_with = "double_option")]
    #[ts(optional, type = "string | null")]
    pub muted_until: Option<Option<String>>,
    #[serde(default)]
    #[ts(optional)]
    pub archived: Option<bool>,
    #[serde(default)]
    #[ts(optional)]
    pub pinned: Option<bool>,
}

/// The body of `PUT /api/privatechat/conversations/{id}/settings`. Missing fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsBody {
    /// Muted until this time, RFC 3339; `null` ends the mute.
    #[serde(default, deserialize_with = "double_option")]
    #[schema(value_type = Option<String>)]
    pub muted_until: Option<Option<String>>,
    /// A new message ends it, unless the conversation is muted.
    #[serde(default)]
    pub archived: Option<bool>,
    #[serde(default)]
    pub pinned: Option<bool>,
}
