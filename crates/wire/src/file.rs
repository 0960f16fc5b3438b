//! The JSON shape of files in the list of a conversation's files.

use crate::entry::SharedFile;
use crate::time;
use lamplight_usecases::ports::SentFile;
use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// A file with the message that it was sent with.
#[derive(Serialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConversationFile<'a> {
    pub file: SharedFile<'a>,
    pub message_id: &'a str,
    /// The message's place in the log: `around` of it shows the message.
    pub seq: u64,
    pub sender_id: &'a str,
    /// When the message was sent.
    pub created_at: String,
}

impl<'a> From<&'a SentFile> for ConversationFile<'a> {
    fn from(sent: &'a SentFile) -> Self {
        Self {
            file: (&sent.file).into(),
            message_id: sent.message.as_str(),
            seq: sent.seq,
            sender_id: sent.sender.as_str(),
            created_at: time::format(sent.sent_at),
        }
    }
}
