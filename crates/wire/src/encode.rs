//! Encodes replies, refusals and events.

use crate::shape::{self, Marks, OnlineUsers, PresenceChanges, User};
use crate::{Json, time};
use lamplight_domain::conversation::{Conversation, Receipt};
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::file::FileProgress;
use lamplight_domain::identity::{ConversationId, Generation, Profile, UserId};
use lamplight_domain::presence::{Change, Presence};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::{
    AccountReply, AdminReply, BlockReply, ConversationReply, GroupReply, Identity, MessageReply,
    PresenceReply, PushReply, Refusal, Reply, SearchReply,
};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::sync::Arc;

/// Serializes a shape. Shapes contain nothing that can fail to serialize.
fn write<T: Serialize>(shape: &T) -> Json {
    serde_json::to_string(shape).unwrap_or_else(|_| "null".to_owned())
}

/// The same, to be used more than once.
fn raw<T: Serialize>(shape: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(shape).unwrap_or_default()
}

/// `{ "success": true, … }`
#[derive(Serialize)]
struct Success<T: Serialize> {
    success: bool,
    #[serde(flatten)]
    rest: T,
}

fn success<T: Serialize>(rest: T) -> Json {
    write(&Success {
        success: true,
        rest,
    })
}

/// A refusal.
#[must_use]
pub fn refusal(refusal: &Refusal) -> Json {
    write(&shape::Refusal::from(refusal))
}

/// The answer to `POST /api/files/{id}/url`.
#[must_use]
pub fn signed_url(url: &str, expires_at: Timestamp) -> Json {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Signed<'a> {
        url: &'a str,
        expires_at: String,
    }
    success(Signed {
        url,
        expires_at: time::format(expires_at),
    })
}

/// The answer to `GET /api/auth/session`. By `registration` the page shows its form or not.
#[must_use]
pub fn session(result: Result<&Profile, &Refusal>, is_registration_open: bool) -> Json {
    #[derive(Serialize)]
    struct SessionAnswer<T: Serialize> {
        #[serde(flatten)]
        rest: T,
        registration: &'static str,
    }
    #[derive(Serialize)]
    struct Session<'a> {
        success: bool,
        user: User<'a>,
    }
    let registration = registration(is_registration_open);
    match result {
        Ok(user) => write(&SessionAnswer {
            rest: Session {
                success: true,
                user: User::from(user),
            },
            registration,
        }),
        Err(refusal) => write(&SessionAnswer {
            rest: shape::Refusal::from(refusal),
            registration,
        }),
    }
}

fn registration(is_open: bool) -> &'static str {
    if is_open { "open" } else { "closed" }
}

/// The answer to `GET /api/auth`. `registration` is there with local accounts only.
#[must_use]
pub fn auth(identity: Identity, is_registration_open: bool, user: Option<&Profile>) -> Json {
    #[derive(Serialize)]
    struct Auth<'a> {
        auth: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        registration: Option<&'static str>,
        user: Option<User<'a>>,
    }
    success(Auth {
        auth: match identity {
            Identity::Local => "local",
            Identity::Jwt => "jwt",
            Identity::Open => "open",
        },
        registration: (identity == Identity::Local).then(|| registration(is_registration_open)),
        user: user.map(User::from),
    })
}

/// A reply, the same for a socket's acknowledgement and for HTTP. `store` is the generation of the
/// store that it was read from.
#[must_use]
pub fn reply(reply: &Reply, store: &Generation) -> Json {
    let store = store.as_str();
    #[derive(Serialize)]
    struct Nothing {}
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Joined<'a> {
        user: User<'a>,
        session_id: &'a str,
        roster: &'static str,
        status: shape::ChosenStatus<'a>,
        store: &'a str,
    }
    #[derive(Serialize)]
    struct Status<'a> {
        status: shape::ChosenStatus<'a>,
    }
    #[derive(Serialize)]
    struct Watching<'a> {
        users: Vec<shape::WatchedState<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Sent<'a> {
        entry: &'a RawValue,
        message: &'a RawValue,
        duplicate: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        temp_id: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Changed<'a> {
        entry: shape::Entry<'a>,
        duplicate: bool,
    }
    #[derive(Serialize)]
    struct GroupChanged<'a> {
        entry: Option<shape::Entry<'a>>,
        duplicate: bool,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Read<'a> {
        conversation_id: &'a str,
        read_seq: u64,
    }
    #[derive(Serialize)]
    struct Synced<'a> {
        conversations: SyncedConversations<'a>,
        added: Vec<shape::Conversation<'a>>,
        store: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Paged<'a, T: Serialize> {
        data: Vec<T>,
        store: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_unread: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        degraded: bool,
    }
    #[derive(Serialize)]
    struct Count {
        count: usize,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        degraded: bool,
    }
    #[derive(Serialize)]
    struct OneConversation<'a> {
        conversation: shape::Conversation<'a>,
        created: bool,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct HistoryPage<'a, T: Serialize> {
        data: Vec<T>,
        users: Vec<User<'a>>,
        #[serde(flatten)]
        covers: Option<Covers>,
        has_more: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        has_before: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        has_after: Option<bool>,
        store: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct PinnedMessages<'a, T: Serialize> {
        data: Vec<T>,
        users: Vec<User<'a>>,
        has_more: bool,
        as_of_seq: u64,
        store: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Files<'a> {
        data: Vec<shape::ConversationFile<'a>>,
        users: Vec<User<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_cursor: Option<&'a str>,
        as_of_seq: u64,
        store: &'a str,
    }
    #[derive(Serialize)]
    struct SeqAt<'a> {
        seq: u64,
        store: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Covers {
        from_seq: u64,
        to_seq: u64,
        as_of_seq: u64,
    }
    #[derive(Serialize)]
    struct PublicKey<'a> {
        key: &'a str,
    }
    #[derive(Serialize)]
    struct Settings {
        settings: shape::AccountSettings,
    }
    #[derive(Serialize)]
    struct OneUser<'a> {
        user: User<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        username: Option<&'a str>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct SignedIn<'a> {
        user: User<'a>,
        token: &'a str,
        expires_at: String,
    }

    match reply {
        Reply::Done => success(Nothing {}),
        Reply::Presence(PresenceReply::Joined {
            user,
            session,
            mode,
            chosen,
        }) => success(Joined {
            user: user.into(),
            session_id: session.as_str(),
            roster: shape::mode(*mode),
            status: chosen.into(),
            store,
        }),
        Reply::Presence(PresenceReply::Status(chosen)) => success(Status {
            status: chosen.into(),
        }),
        Reply::Presence(PresenceReply::Watching { users: seen, .. }) => success(Watching {
            users: seen
                .iter()
                .map(|(seen, last_seen)| match &seen.shown {
                    Some(shown) => shape::WatchedState::In(shown.as_ref().into()),
                    None => shape::WatchedState::Out(shape::WatchedOffline {
                        user_id: seen.user.as_str(),
                        status: "offline",
                        last_seen_at: last_seen.map(time::format),
                        version: seen.version,
                    }),
                })
                .collect(),
        }),
        Reply::Messages(MessageReply::Sent {
            entry,
            now,
            duplicate,
            temp_id,
        }) => {
            let entry = raw(&shape::Entry::from(entry.as_ref()));
            let now = now.as_deref().and_then(shape::Message::now);
            let message = now.map(|now| raw(&now));
            success(Sent {
                message: message.as_deref().unwrap_or(&entry),
                entry: &entry,
                duplicate: *duplicate,
                temp_id: temp_id.as_deref(),
            })
        }
        Reply::Messages(MessageReply::Changed { entry, duplicate }) => success(Changed {
            entry: entry.as_ref().into(),
            duplicate: *duplicate,
        }),
        Reply::Groups(GroupReply::Changed { entry, duplicate }) => success(GroupChanged {
            entry: entry.as_deref().map(Into::into),
            duplicate: *duplicate,
        }),
        Reply::Groups(GroupReply::Members(page)) => success(Paged {
            data: page.items.iter().map(shape::Member::from).collect(),
            store,
            count: None,
            total_unread: None,
            next_cursor: page.next.clone(),
            degraded: false,
        }),
        Reply::Messages(MessageReply::Read {
            conversation,
            read_seq,
        }) => success(Read {
            conversation_id: conversation.as_str(),
            read_seq: *read_seq,
        }),
        Reply::Messages(MessageReply::Synced {
            conversations,
            refused,
            added,
        }) => {
            let added = added.iter().map(Into::into).collect();
            success(Synced {
                conversations: SyncedConversations {
                    conversations,
                    refused,
                },
                added,
                store,
            })
        }
        Reply::Presence(PresenceReply::Online {
            users,
            count,
            next,
            degraded,
        }) => success(Paged {
            data: users
                .iter()
                .map(|shown| shape::Presence::from(shown.as_ref()))
                .collect(),
            store,
            count: Some(*count),
            total_unread: None,
            next_cursor: next.clone(),
            degraded: *degraded,
        }),
        Reply::Presence(PresenceReply::OnlineCount { count, degraded }) => success(Count {
            count: *count,
            degraded: *degraded,
        }),
        Reply::Conversations(ConversationReply::Page { page, total_unread }) => success(Paged {
            data: page.items.iter().map(shape::Conversation::from).collect(),
            store,
            count: None,
            total_unread: Some(*total_unread),
            next_cursor: page.next.clone(),
            degraded: false,
        }),
        Reply::Conversations(ConversationReply::One {
            conversation,
            created,
        }) => success(OneConversation {
            conversation: conversation.as_ref().into(),
            created: *created,
        }),
        Reply::Messages(MessageReply::History(page)) => success(HistoryPage {
            data: page
                .messages
                .iter()
                .filter_map(shape::Message::now)
                .collect(),
            users: page.users.iter().map(User::from).collect(),
            covers: Some(Covers {
                from_seq: page.from_seq,
                to_seq: page.to_seq,
                as_of_seq: page.as_of_seq,
            }),
            has_more: page.has_more,
            has_before: page.around.map(|more| more.before),
            has_after: page.around.map(|more| more.after),
            store,
        }),
        Reply::Messages(MessageReply::Pinned(page)) => success(PinnedMessages {
            data: page
                .messages
                .iter()
                .filter_map(shape::Message::now)
                .collect(),
            users: page.users.iter().map(User::from).collect(),
            has_more: page.has_more,
            as_of_seq: page.as_of_seq,
            store,
        }),
        Reply::Messages(MessageReply::Files(part)) => success(Files {
            data: part
                .files
                .iter()
                .map(shape::ConversationFile::from)
                .collect(),
            users: part.users.iter().map(User::from).collect(),
            next_cursor: part.next.as_deref(),
            as_of_seq: part.as_of_seq,
            store,
        }),
        Reply::Messages(MessageReply::SeqAt(seq)) => success(SeqAt { seq: *seq, store }),
        Reply::Messages(MessageReply::Entries(history)) => success(HistoryPage {
            data: history.entries.iter().map(shape::Entry::from).collect(),
            users: history.users.iter().map(User::from).collect(),
            covers: None,
            has_more: history.has_more,
            has_before: history.around.map(|more| more.before),
            has_after: history.around.map(|more| more.after),
            store,
        }),
        Reply::Search(SearchReply { found, next }) => success(Paged {
            data: found.iter().filter_map(shape::SearchHit::of).collect(),
            store,
            count: None,
            total_unread: None,
            next_cursor: next.clone(),
            degraded: false,
        }),
        Reply::Blocks(BlockReply(page)) | Reply::Accounts(AccountReply::Users(page)) => {
            success(Paged {
                data: page.items.iter().map(User::from).collect(),
                store,
                count: None,
                total_unread: None,
                next_cursor: page.next.clone(),
                degraded: false,
            })
        }
        Reply::Push(PushReply { key }) => success(PublicKey { key }),
        Reply::Accounts(AccountReply::User(user)) | Reply::Admin(AdminReply::Profile(user)) => {
            success(OneUser {
                user: user.into(),
                username: None,
            })
        }
        Reply::Accounts(AccountReply::Settings(privacy)) => success(Settings {
            settings: privacy.into(),
        }),
        Reply::Accounts(AccountReply::Found { user, username }) => success(OneUser {
            user: user.into(),
            username: username.as_deref(),
        }),
        Reply::Accounts(AccountReply::SignedIn {
            user,
            token,
            expires,
        }) => success(SignedIn {
            user: user.into(),
            token,
            expires_at: time::format(*expires),
        }),
    }
}

/// The answer to `authenticate`.
#[must_use]
pub fn authenticated(expires_at: Option<Timestamp>) -> Json {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Authenticated {
        expires_at: Option<String>,
    }
    success(Authenticated {
        expires_at: expires_at.map(time::format),
    })
}

struct SyncedConversations<'a> {
    conversations: &'a [(ConversationId, Option<lamplight_usecases::ports::SyncPage>)],
    refused: &'a [(Arc<str>, Refusal)],
}

impl Serialize for SyncedConversations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let missing = Refusal::no_conversation();
        let mut map =
            serializer.serialize_map(Some(self.conversations.len() + self.refused.len()))?;
        for (conversation, page) in self.conversations {
            match page {
                Some(page) => {
                    map.serialize_entry(conversation.as_str(), &shape::SyncPage::from(page))?
                }
                None => {
                    map.serialize_entry(conversation.as_str(), &shape::Refusal::from(&missing))?
                }
            }
        }
        for (named, refusal) in self.refused {
            map.serialize_entry(&**named, &shape::Refusal::from(refusal))?;
        }
        map.end()
    }
}

/// `online_users`.
#[must_use]
pub fn online_users<'a>(
    users: impl Iterator<Item = &'a Arc<Presence>>,
    count: usize,
    truncated: bool,
    version: u64,
) -> Json {
    write(&OnlineUsers {
        users: users.map(|shown| shown.as_ref().into()).collect(),
        count,
        truncated,
        version,
    })
}

/// `presence_changes`.
#[must_use]
pub fn presence_changes(changes: &[Change], version: u64, count: Option<usize>) -> Json {
    write(&PresenceChanges {
        changes: changes.iter().map(Into::into).collect(),
        version,
        count,
    })
}

/// A change as an event of its own: its name and payload.
#[must_use]
pub fn presence_event(change: &Change) -> (&'static str, Json) {
    match change {
        Change::Online(shown) => ("user_online", write(&shape::Presence::from(shown.as_ref()))),
        Change::Updated(shown) => (
            "user_updated",
            write(&shape::Presence::from(shown.as_ref())),
        ),
        Change::Offline(absence) => ("user_offline", write(&shape::UserOffline::from(absence))),
    }
}

/// A new entry of a log as an event: its name and payload.
#[must_use]
pub fn entry_event(entry: &Entry) -> (&'static str, Json) {
    let name = match entry.kind {
        EntryKind::Message { .. } => "new_private_message",
        _ => "conversation_entry",
    };
    (name, write(&shape::Entry::from(entry)))
}

/// `conversation_updated`.
#[must_use]
pub fn conversation(conversation: &Conversation) -> Json {
    write(&shape::Conversation::from(conversation))
}

/// `receipt`.
#[must_use]
pub fn receipt(conversation: &ConversationId, receipt: &Receipt) -> Json {
    write(&shape::Receipt {
        conversation_id: conversation.as_str(),
        marks: Marks::from(receipt),
    })
}

/// `typing`.
#[must_use]
pub fn typing(
    conversation: &ConversationId,
    user: &UserId,
    is_typing: bool,
    expires_at: Timestamp,
) -> Json {
    write(&shape::Typing {
        conversation_id: conversation.as_str(),
        user_id: user.as_str(),
        is_typing,
        expires_at: time::format(expires_at),
    })
}

/// `file_progress`.
#[must_use]
pub fn file_progress(progress: &FileProgress) -> Json {
    write(&shape::FileProgress {
        conversation_id: progress.conversation.as_str(),
        file_id: progress.file.as_str(),
        user_id: progress.user.as_str(),
        name: &progress.name,
        size: progress.size,
        received: progress.received,
        state: progress.state.as_str(),
    })
}

/// `token_expired`.
#[must_use]
pub fn token_expired(grace_ms: u64) -> Json {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct TokenExpired {
        grace_ms: u64,
    }
    write(&TokenExpired { grace_ms })
}

/// `reconnect`.
#[must_use]
pub fn reconnect(after_ms: u64) -> Json {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Reconnect {
        after_ms: u64,
    }
    write(&Reconnect { after_ms })
}
