//! What is received: the payloads of events and the bodies of requests. Fields that are not known
//! are left aside, for the original pages send more than is needed. In what the host application
//! and accounts write they are refused: a misspelt field would change nothing and say that all is
//! well.

use crate::loose::LooseId;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use ts_rs::TS;
use utoipa::ToSchema;

/// A `T` that is written as an object. What serde derives takes an array of the fields' values,
/// too: it would be a second form, which nobody knows of, and in which a field that comes to stand
/// elsewhere means something else.
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

/// `join_user`, where it is an object.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct JoinUser {
    /// The user. May be left out where a token or a cookie says it.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    pub user_id: Option<LooseId>,
    /// The roster mode.
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

/// `user_activity`, where it has a payload.
#[derive(Debug, Default, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct UserActivity {
    /// `false` says that the person is idle.
    #[serde(default)]
    #[ts(optional)]
    pub active: Option<bool>,
}

/// `set_status`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SetStatus {
    /// The manual status.
    #[ts(type = "\"online\" | \"away\" | \"busy\" | \"invisible\"")]
    pub status: String,
    /// A line of the person's own.
    #[serde(default)]
    #[ts(optional)]
    pub text: Option<String>,
    /// RFC 3339: when it is over.
    #[serde(default)]
    #[ts(optional)]
    pub until: Option<String>,
}

/// An activity, as a client tells it.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ActivityBody {
    /// What.
    pub kind: String,
    /// A line about it.
    #[serde(default)]
    #[ts(optional)]
    pub label: Option<String>,
    /// Where.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    pub conversation_id: Option<LooseId>,
}

/// `set_activity`. The field must be there, if only as `null`.
#[derive(Debug, Deserialize, TS)]
pub struct SetActivity {
    /// What, or `null` for nothing.
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
    /// Whom.
    #[ts(type = "Array<string | number>")]
    pub user_ids: Vec<LooseId>,
}

/// `join_conversation` and `leave_conversation`, where it is an object.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConversationRef {
    /// Which.
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
}

/// `send_private_message`, and `POST /api/privatechat/message`.
#[derive(Debug, Deserialize, TS, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// Where.
    #[ts(type = "string | number")]
    #[schema(value_type = String)]
    pub conversation_id: LooseId,
    /// What: up to 8,000 characters, kept as typed.
    pub content: String,
    /// Makes the send repeatable: a UUID by preference.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    #[schema(value_type = Option<String>)]
    pub client_message_id: Option<LooseId>,
    /// As the original pages send it.
    #[serde(default)]
    #[ts(optional, type = "string | number")]
    #[schema(value_type = Option<String>)]
    pub temp_id: Option<LooseId>,
}

/// `typing`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TypingBody {
    /// Where.
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
    /// Began, or stopped.
    pub is_typing: bool,
}

/// `mark_read`.
#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MarkRead {
    /// Where.
    #[ts(type = "string | number")]
    pub conversation_id: LooseId,
    /// To where.
    pub seq: u64,
}

/// The body of `POST /api/privatechat/conversations/{id}/read`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ReadBody {
    /// To where.
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

/// A map from conversation to the newest entry known of it, in the order in which it came; of a key
/// that comes twice the later one counts. `None` is what makes no sense: it is refused by itself.
#[derive(Debug, Default)]
pub struct HaveSeqs(pub Vec<(String, Option<HaveSeq>)>);

/// A `seq`, and the id of the entry there where the client tells it.
#[derive(Debug)]
pub struct HaveSeq {
    /// The `seq`.
    pub seq: u64,
    /// The id.
    pub id: Option<LooseId>,
}

/// One of `sync`'s values.
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

/// The body of `POST /api/privatechat/conversations`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenConversation {
    /// With whom.
    #[schema(value_type = String)]
    pub user_id: LooseId,
}

/// The body of `PUT /api/privatechat/conversations/{id}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutConversation {
    /// Who is in it.
    #[schema(value_type = Vec<String>)]
    pub member_ids: Vec<LooseId>,
}

/// The body of `PUT /api/users/{id}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutUser {
    /// The display name.
    pub name: String,
    /// Where the picture is; a token's claim calls it `picture`.
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
    /// The display name; the username where none is given.
    #[serde(default)]
    pub name: Option<String>,
}

/// The body of `POST /api/auth/login`.
#[derive(Deserialize, ToSchema)]
pub struct Login {
    /// The name to sign in with.
    pub username: String,
    /// The password.
    pub password: String,
}

/// The body of `POST /api/auth/password`.
#[derive(Deserialize, ToSchema)]
pub struct ChangePassword {
    /// The password in force.
    pub current: String,
    /// The one to come: at least 8 characters.
    pub next: String,
}

/// The body of `PATCH /api/account`. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateAccount {
    /// The display name.
    #[serde(default)]
    pub name: Option<String>,
    /// Where the picture is; `null` or an empty text takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub avatar_url: Option<Option<String>>,
}

/// Tells `null` from a field that is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// Whoever a request without a token says it is from, in `AUTH=open`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenIdentity {
    /// The original pages' field.
    #[serde(default)]
    pub sender_id: Option<LooseId>,
    /// The same, under its other name.
    #[serde(default)]
    pub user_id: Option<LooseId>,
}

/// The `auth` of a Socket.IO CONNECT.
#[derive(Default, Deserialize)]
pub struct ConnectAuth {
    /// The caller's token.
    #[serde(default)]
    pub token: Option<String>,
}
