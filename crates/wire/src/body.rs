//! The JSON shapes that the server receives: payloads of events and bodies of requests. Unknown
//! fields are ignored, because pages of the original system send more than the server needs. In
//! writes of the host application and of accounts they are refused: a misspelt field would change
//! nothing and still succeed.

use crate::loose::LooseId;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use ts_rs::TS;
use utoipa::ToSchema;

/// A `T` written as an object. A derived `Deserialize` also accepts an array of the fields' values,
/// an undocumented second form whose meaning changes with the order of the fields.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

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

/// `join_conversation` and `leave_conversation` with an object.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConversationRef {
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
}

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

/// `sync`.
#[derive(Debug, Deserialize, TS)]
pub struct SyncBody {
    /// The newest entry that the client has of each conversation: its `seq`, or better its `seq`
    /// and `id`.
    #[ts(type = "Record<string, number | { seq: number, id?: string }>")]
    pub conversations: HaveSeqs,
}

/// A map from conversation to its newest known entry, in the order of the request; of a repeated key
/// the last one counts. `None` stands for a malformed value, which is refused alone.
#[derive(Debug, Default)]
pub struct HaveSeqs(pub Vec<(String, Option<HaveSeq>)>);

/// A `seq`, and the id of its entry if the client sent it.
#[derive(Debug)]
pub struct HaveSeq {
    pub seq: u64,
    pub id: Option<LooseId>,
}

/// A value of `sync`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seq {
    Known(u64),
    Entry {
        seq: u64,
        #[serde(default)]
        id: Option<LooseId>,
    },
    Other(de::IgnoredAny),
}

impl<'de> Deserialize<'de> for HaveSeqs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;

        impl<'de> Visitor<'de> for MapVisitor {
            type Value = HaveSeqs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from conversation ids to the last seq, or { seq, id }, known of each")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HaveSeqs, A::Error> {
                let mut all: Vec<(String, Option<HaveSeq>)> = Vec::new();
                let mut places: HashMap<String, usize> = HashMap::new();
                while let Some((key, seq)) = map.next_entry::<String, Seq>()? {
                    let seq = match seq {
                        Seq::Known(seq) => Some(HaveSeq { seq, id: None }),
                        Seq::Entry { seq, id } => Some(HaveSeq { seq, id }),
                        Seq::Other(_) => None,
                    };
                    match places.get(&key) {
                        Some(place) => all[*place].1 = seq,
                        None => {
                            places.insert(key.clone(), all.len());
                            all.push((key, seq));
                        }
                    }
                    if all.len() > 10_000 {
                        return Err(de::Error::custom("too many conversations"));
                    }
                }
                Ok(HaveSeqs(all))
            }
        }

        deserializer.deserialize_map(MapVisitor)
    }
}

/// `authenticate`.
#[derive(Debug, Deserialize, TS)]
pub struct Authenticate {
    /// A fresh token for the same user.
    pub token: String,
}

/// The body of `DELETE /api/account`.
#[derive(Deserialize, ToSchema)]
pub struct DeleteAccount {
    pub password: String,
    /// `delete` erases what the user wrote; left out, messages stay without a name.
    #[serde(default)]
    pub messages: Option<String>,
}

/// The body of `PUT /api/account/settings`. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountSettingsBody {
    /// `everyone`, or `nobody`: others are not told when the user was last seen, nor the user of others.
    #[serde(default)]
    pub last_seen: Option<String>,
    /// `false`: others are not told how far the user has read, nor the user of others.
    #[serde(default)]
    pub receipts: Option<bool>,
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
    /// What members who join later see: `joined` (the default), what follows then, or `all`.
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
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    #[ts(optional, type = "string | null")]
    pub name: Option<Option<String>>,
    /// The URL of the picture; `null` or an empty text removes it.
    #[serde(default, deserialize_with = "given")]
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
    #[serde(default, deserialize_with = "given")]
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
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub muted_until: Option<Option<String>>,
    /// A new message ends it, unless the conversation is muted.
    #[serde(default)]
    pub archived: Option<bool>,
    #[serde(default)]
    pub pinned: Option<bool>,
}

/// The body of `POST /api/push/subscriptions`: what `PushSubscription.toJSON()` of a browser returns,
/// and what the user wants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushSubscriptionBody {
    /// An `https` address at the browser's push service, at most 2,048 bytes.
    pub endpoint: String,
    pub keys: PushKeysBody,
    /// Whether notices have texts and names (the default), or ids only.
    #[serde(default)]
    pub content: Option<bool>,
    /// The key of `GET /api/push/key` that the browser subscribed with; the present one by default.
    #[serde(default)]
    pub key: Option<String>,
}

/// The keys of a browser's subscription, in base64url.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PushKeysBody {
    /// Its public key: a point on P-256, 65 bytes.
    pub p256dh: String,
    /// Its authentication secret, 16 bytes.
    pub auth: String,
}

/// The body of `DELETE /api/push/subscriptions`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PushEndpointBody {
    pub endpoint: String,
}

/// The body of `PUT /api/users/{id}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutUser {
    pub name: String,
    /// The URL of the picture; a token's claim calls it `picture`.
    #[serde(default, alias = "picture")]
    pub avatar_url: Option<String>,
}

/// The body of `POST /api/auth/register`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The name to sign in with: 2 to 32 letters, digits, dots, dashes or underscores.
    pub username: String,
    /// At least 8 characters.
    pub password: String,
    /// The display name; the user name by default.
    #[serde(default)]
    pub name: Option<String>,
}

/// The body of `POST /api/auth/login`.
#[derive(Deserialize, ToSchema)]
pub struct Login {
    pub username: String,
    pub password: String,
}

/// The body of `POST /api/auth/password`.
#[derive(Deserialize, ToSchema)]
pub struct ChangePassword {
    /// The present password.
    pub current: String,
    /// The new password: at least 8 characters.
    pub next: String,
}

/// The body of `PATCH /api/account`. Missing fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateAccount {
    #[serde(default)]
    pub name: Option<String>,
    /// The URL of the picture; `null` or an empty text removes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub avatar_url: Option<Option<String>>,
}

/// Distinguishes `null` from a missing field.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// The user that a request names with `AUTH=open`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenIdentity {
    #[serde(default)]
    pub sender_id: Option<LooseId>,
    #[serde(default)]
    pub user_id: Option<LooseId>,
}

/// The `auth` of a Socket.IO CONNECT.
#[derive(Default, Deserialize)]
pub struct ConnectAuth {
    #[serde(default)]
    pub token: Option<String>,
}
