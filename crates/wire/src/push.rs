//! The JSON of a push message, which a service worker reads.

use crate::{Json, time};
use lamplight_domain::text::shortened;
use lamplight_usecases::ports::PushNotice;
use serde::Serialize;
use ts_rs::TS;

/// The most bytes of a notice. Push services take 4,096 after the encryption (RFC 8291, section 4).
pub const MOST_BYTES: usize = 3_000;
/// The most bytes of a name.
const NAME_BYTES: usize = 256;
/// Less of a text than this is not worth the sender's picture.
const SHORT: usize = 300;
/// An address of a picture that is longer is left out.
const AVATAR_BYTES: usize = 512;

/// The push for a message. It can arrive more than once: show each `messageId` once. If the user has
/// disabled content, it has ids only.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct PushPayload<'a> {
    /// 1. A worker ignores what it does not know.
    pub v: u8,
    #[ts(type = "\"message\"")]
    pub kind: &'static str,
    pub conversation_id: &'a str,
    pub message_id: &'a str,
    pub seq: u64,
    pub sender_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sender_name: Option<&'a str>,
    /// Of a group that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub conversation_name: Option<&'a str>,
    /// The beginning of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub text: Option<&'a str>,
    /// The first file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub attachment: Option<PushAttachment<'a>>,
    /// The sender's picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub avatar_url: Option<&'a str>,
    pub created_at: String,
    /// The unread messages in all of the receiver's conversations that are neither muted nor
    /// archived.
    pub unread: u64,
}

/// A file that comes with a message.
#[derive(Clone, Serialize, TS)]
pub struct PushAttachment<'a> {
    /// Its media type.
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub name: &'a str,
}

/// The payload of a notice, of at most [`MOST_BYTES`].
#[must_use]
pub fn payload(notice: &PushNotice) -> Json {
    let content = notice.content.as_ref();
    let name = |text: &str| shortened(text, NAME_BYTES).into_owned();
    let sender = content.map(|content| name(&content.sender.name));
    let conversation = content.and_then(|content| content.conversation_name.as_deref());
    let conversation = conversation.map(name);
    let attachment = content.and_then(|content| content.attachment.as_ref());
    let attachment = attachment.map(|(kind, file)| (name(kind), name(file)));
    let avatar = content.and_then(|content| content.sender.avatar_url.as_deref());
    let text = content.map_or("", |content| &content.text);
    let write = |text: &str, avatar: Option<&str>| {
        let payload = PushPayload {
            v: 1,
            kind: "message",
            conversation_id: notice.conversation.as_str(),
            message_id: notice.message.as_str(),
            seq: notice.seq,
            sender_id: notice.sender.as_str(),
            sender_name: sender.as_deref(),
            conversation_name: conversation.as_deref(),
            text: Some(text).filter(|text| !text.is_empty()),
            attachment: attachment
                .as_ref()
                .map(|(kind, name)| PushAttachment { kind, name }),
            avatar_url: avatar,
            created_at: time::format(notice.created_at),
            unread: notice.total_unread,
        };
        serde_json::to_string(&payload).unwrap_or_default()
    };
    let mut avatar = avatar.filter(|url| url.len() <= AVATAR_BYTES);
    let mut text = shortened(text, MOST_BYTES);
    loop {
        let json = write(&text, avatar);
        let excess = json.len().saturating_sub(MOST_BYTES);
        if excess == 0 {
            return json;
        }
        if text.len() <= SHORT && avatar.take().is_some() {
            continue;
        }
        if text.len() <= "…".len() {
            return write("", None);
        }
        // A byte of the text is at least one of the JSON, and at most six.
        let bytes = text.len().saturating_sub(excess).max(text.len() / 2);
        text = shortened(&text, bytes).into_owned().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_domain::identity::{ConversationId, MessageId, Profile, UserId};
    use lamplight_domain::time::Timestamp;
    use lamplight_usecases::ports::PushContent;
    use serde_json::Value;

    fn notice(text: &str) -> PushNotice {
        let long = "\u{1F44B}\u{1F3FD}\"".repeat(42);
        PushNotice {
            conversation: ConversationId::trusted(long.as_str()),
            message: MessageId::trusted("0190e0a0-0000-7000-8000-000000000001"),
            seq: u64::MAX >> 11,
            created_at: Timestamp(1_764_000_000_120),
            sender: UserId::trusted(long.as_str()),
            total_unread: 1_000_000,
            content: Some(PushContent {
                sender: Profile {
                    id: UserId::trusted("x"),
                    name: long.as_str().into(),
                    avatar_url: Some(format!("https://a.example/{}", "x".repeat(480)).into()),
                },
                conversation_name: Some(long.as_str().into()),
                text: text.into(),
                attachment: Some(("image/png".into(), long.as_str().into())),
            }),
        }
    }

    #[test]
    fn a_payload_is_bounded_and_ends_between_graphemes() {
        let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}";
        for one in ["x", "\u{0}", "\"", "e\u{301}", family] {
            let json = payload(&notice(&one.repeat(8_000)));
            assert!(json.len() <= MOST_BYTES, "{} bytes of {one:?}", json.len());
            let read: Value = serde_json::from_str(&json).expect("JSON");
            let text = read["text"].as_str().unwrap_or_default();
            let kept = text.trim_end_matches('…');
            assert_eq!(kept.replace(one, ""), "", "{one:?} is whole");
            assert_ne!(text, kept, "{one:?} is cut");
        }
        let short = payload(&notice("hello"));
        let read: Value = serde_json::from_str(&short).expect("JSON");
        assert_eq!(read["text"], "hello");
        assert!(read["avatarUrl"].is_string());
    }

    #[test]
    fn without_content_there_are_ids_only() {
        let json = payload(&PushNotice {
            content: None,
            ..notice("a secret")
        });
        let read: Value = serde_json::from_str(&json).expect("JSON");
        let mut keys: Vec<&str> = read
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        let ids = [
            "conversationId",
            "createdAt",
            "kind",
            "messageId",
            "senderId",
            "seq",
            "unread",
            "v",
        ];
        assert_eq!(keys, ids);
    }
}
