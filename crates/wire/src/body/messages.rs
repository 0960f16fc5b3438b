//! Messages, their changes, and read marks.

use crate::loose::LooseId;
use serde::Deserialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// `send_private_message`, and `POST /api/privatechat/message`.
#[derive(Debug, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    #[ts(type = "string | number")]
    #[schema(value_type = String)]
    pub conversation_id: LooseId,
    /// Up to 8,000 characters, stored as typed.
    pub content: String,
    /// The id of the message that this one answers.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    #[schema(value_type = Option<String>)]
    pub reply_to: Option<LooseId>,
    /// The ids of members to mention, at most 100.
    #[serde(default)]
    #[ts(optional, type = "Array<string | number>")]
    #[schema(value_type = Option<Vec<String>>)]
    pub mentions: Option<Vec<LooseId>>,
    /// The ids of files to send along, at most 10: uploaded to this conversation by the sender, and
    /// not sent yet. The content may be empty then.
    #[serde(default)]
    #[ts(optional, type = "string[]")]
    #[schema(value_type = Option<Vec<String>>)]
    pub attachments: Option<Vec<LooseId>>,
    /// Makes the send repeatable; preferably a UUID.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    #[schema(value_type = Option<String>)]
    pub client_message_id: Option<LooseId>,
    /// As pages of the original system send it.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    #[schema(value_type = Option<String>)]
    pub temp_id: Option<LooseId>,
}

/// `edit_message`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct EditMessage {
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
    #[ts(type = "string | number")]
    pub message_id: LooseId,
    /// Up to 8,000 characters, stored as typed.
    pub content: String,
    /// The ids of the members who are mentioned from then on, at most 100; none by default.
    #[serde(default)]
    #[ts(optional, type = "Array<string | number>")]
    pub mentions: Option<Vec<LooseId>>,
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    pub client_message_id: Option<LooseId>,
}

/// `delete_message`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DeleteMessage {
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
    #[ts(type = "string | number")]
    pub message_id: LooseId,
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    pub client_message_id: Option<LooseId>,
}

/// `react`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct React {
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
    #[ts(type = "string | number")]
    pub message_id: LooseId,
    /// One emoji.
    pub emoji: String,
    /// `false` takes the reaction back.
    pub added: bool,
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    pub client_message_id: Option<LooseId>,
}

/// `pin_message`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct PinMessage {
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
    #[ts(type = "string | number")]
    pub message_id: LooseId,
    /// `false` unpins the message.
    pub pinned: bool,
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    pub client_message_id: Option<LooseId>,
}

/// The body of `PATCH /api/privatechat/messages/{conversationId}/{messageId}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EditBody {
    /// Up to 8,000 characters, stored as typed.
    pub content: String,
    /// The ids of the members who are mentioned from then on, at most 100; none by default.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub mentions: Option<Vec<LooseId>>,
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub client_message_id: Option<LooseId>,
}

/// The optional body of the other changes of a message.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeBody {
    /// Makes the change repeatable; preferably a UUID.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub client_message_id: Option<LooseId>,
}

/// `typing`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TypingBody {
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
    pub is_typing: bool,
}

/// `mark_read`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MarkRead {
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
    pub seq: u64,
}

/// The body of `POST /api/privatechat/conversations/{id}/read`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ReadBody {
    pub seq: u64,
}
