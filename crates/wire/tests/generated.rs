//! What two languages share is generated, committed, and proved to be clean here. `make generate`
//! writes it again.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot read its files fails"
)]

use lamplight_domain::conversation::{Conversation, GroupDetails, Member, Receipt};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{
    Change as MessageChange, DetailsChange, Entry, EntryKind, Extras, MembersChange, MessageAction,
    Quote,
};
use lamplight_domain::file::{Attachment, Dimensions};
use lamplight_domain::fold::{Message, Reactions};
use lamplight_domain::identity::{
    ConnectionId, ConversationId, FileId, Generation, MessageId, Profile, UserId,
};
use lamplight_domain::member_settings::MemberSettings;
use lamplight_domain::message::Content;
use lamplight_domain::permission::Role;
use lamplight_domain::presence::{
    Activity, Change, ManualStatus, Offline, OfflineReason, Presence, Status, StatusOverride,
};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    History, MessagePage, MoreAround, Page, PinnedPage, PushContent, PushNotice, SentFile,
    SentFiles, SyncPage, WatchedPresence,
};
use lamplight_usecases::{
    AccountReply, Code, ConversationReply, GroupReply, Identity, MessageReply, PresenceReply,
    PushReply, Refusal, Reply,
};
use lamplight_wire::decode::{self, SocketRequest};
use lamplight_wire::{encode, push, typescript};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a generated text with the committed one, or writes it when asked to by `GENERATE=1`.
fn check(path: &str, text: &str) {
    let file = root().join(path);
    if std::env::var_os("GENERATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "{path} differs from the shapes: run `make generate` and look at the difference"
    );
}

#[test]
fn typescript_types_are_clean() {
    check(
        "packages/client/src/generated/wire.ts",
        &typescript::declarations(),
    );
}

fn asha() -> Profile {
    Profile {
        id: UserId::trusted("42"),
        name: "Asha".into(),
        avatar_url: Some("https://example.org/asha.png".into()),
    }
}

fn ben() -> Profile {
    Profile {
        name: "Ben <b>".into(),
        ..Profile::bare(UserId::trusted("7"))
    }
}

const AT: Timestamp = Timestamp(1_764_000_000_120);
const EPOCH: u64 = 3 << 32;

fn presence(version: u64) -> Arc<Presence> {
    Arc::new(Presence {
        profile: asha(),
        status: Status::Busy,
        text: Some("Lunch".into()),
        last_active_at: AT,
        hides_last_seen: false,
        activities: vec![Activity {
            kind: "in_call".into(),
            label: None,
            conversation: Some(ConversationId::trusted("c1")),
        }],
        version,
        since: EPOCH + 1,
    })
}

fn plain_presence(version: u64) -> Arc<Presence> {
    let plain = Presence {
        profile: ben(),
        status: Status::Online,
        text: None,
        last_active_at: AT,
        hides_last_seen: false,
        activities: vec![],
        version,
        since: version,
    };
    Arc::new(plain)
}

fn absence(version: u64) -> Offline {
    Offline {
        user: UserId::trusted("42"),
        last_seen_at: Some(AT),
        reason: OfflineReason::Closed,
        version,
    }
}

fn message(seq: u64) -> Entry {
    Entry {
        id: MessageId::trusted(format!("m{seq}")),
        conversation: ConversationId::trusted("c1"),
        seq,
        sender: UserId::trusted("42"),
        kind: EntryKind::message(Content::trusted("Hi <script>\n\u{1F44B}")),
        client_message_id: (seq == 2).then(|| "0190e0a0-0000-7000-8000-000000000001".into()),
        created_at: AT,
    }
}

fn changes_of_messages() -> [Entry; 4] {
    let actions = [
        MessageAction::Edit {
            content: Content::trusted("Hello"),
            mentions: vec![UserId::trusted("7")],
        },
        MessageAction::Delete,
        MessageAction::React {
            emoji: Emoji::trusted("\u{1F44D}"),
            added: true,
        },
        MessageAction::Pin { pinned: false },
    ];
    let mut seq = 3;
    actions.map(|action| {
        seq += 1;
        let change = MessageChange {
            message: MessageId::trusted("m2"),
            message_seq: 2,
            action,
        };
        Entry {
            kind: EntryKind::Change(Box::new(change)),
            client_message_id: (seq == 4).then(|| "id-4".into()),
            ..message(seq)
        }
    })
}

/// A reply with a mention.
fn picture() -> Attachment {
    Attachment {
        id: FileId::trusted("f1"),
        name: "plan.png".into(),
        media_type: "image/png".into(),
        size: 4_096,
        dimensions: Some(Dimensions {
            width: 640,
            height: 480,
        }),
        has_thumbnail: true,
        blur_hash: Some("LEHV6nWB2yk8pyo0adR*.7kCMdnj".into()),
        duration_ms: None,
    }
}

fn reply() -> Entry {
    let extras = Extras {
        reply_to: Some(Quote {
            id: MessageId::trusted("m1"),
            seq: 1,
            sender: UserId::trusted("7"),
            excerpt: "Hi".into(),
        }),
        mentions: vec![UserId::trusted("7")],
        attachments: vec![picture()],
    };
    Entry {
        kind: EntryKind::Message {
            content: Content::trusted("Hello @Ben"),
            extras: extras.boxed(),
        },
        ..message(2)
    }
}

/// The same after everything that can be done to it but a deletion.
fn acted_on() -> Message {
    Message {
        edited_at: Some(AT),
        pinned_at: Some(AT),
        reactions: vec![Reactions {
            emoji: Emoji::trusted("\u{1F44D}"),
            count: 2,
            is_mine: true,
            users: vec![UserId::trusted("42"), UserId::trusted("7")],
        }],
        ..reply().into()
    }
}

fn deleted() -> Message {
    let mut message = Message::from(message(1));
    message.delete(AT);
    message
}

fn conversation() -> Conversation {
    Conversation {
        id: ConversationId::trusted("c1"),
        members: [asha(), ben()].into(),
        group: None,
        role: Role::Member,
        last_message: Some(message(2).into()),
        unread: 1,
        head_seq: 2,
        read_seq: 1,
        settings: MemberSettings::default(),
        created_at: AT,
    }
}

fn set() -> Conversation {
    Conversation {
        id: ConversationId::trusted("c2"),
        settings: MemberSettings {
            muted_until: Some(AT),
            archived: true,
            pinned: true,
        },
        ..conversation()
    }
}

fn group() -> Conversation {
    Conversation {
        group: Some(GroupDetails {
            name: Some("The group".into()),
            avatar_url: Some("/g.png".into()),
            member_count: 2,
        }),
        role: Role::Owner,
        ..conversation()
    }
}

/// By a member, and by the host application.
fn changes_of_groups() -> [Entry; 2] {
    let members = MembersChange {
        added: vec![UserId::trusted("7")],
        removed: vec![UserId::trusted("9")],
        roles: vec![(UserId::trusted("42"), Role::Admin)],
    };
    let details = DetailsChange {
        name: Some(Some("The group".into())),
        avatar_url: Some(None),
    };
    [
        Entry {
            kind: EntryKind::Members(Box::new(members)),
            ..message(8)
        },
        Entry {
            kind: EntryKind::Details(details),
            sender: UserId::host(),
            ..message(9)
        },
    ]
}

fn receipt() -> Receipt {
    Receipt {
        user: UserId::trusted("7"),
        delivered_seq: 2,
        read_seq: 1,
    }
}

fn frames() -> Value {
    let c1 = ConversationId::trusted("c1");
    let mut all = Map::new();
    let mut add = |name: &str, text: String| {
        all.insert(name.to_owned(), serde_json::from_str(&text).unwrap());
    };
    let changes = [
        Change::Online(presence(EPOCH + 1)),
        Change::Updated(presence(EPOCH + 2)),
        Change::Offline(absence(EPOCH + 3)),
    ];
    let list = [presence(EPOCH + 2), plain_presence(EPOCH + 4)];
    add(
        "event online_users",
        encode::online_users(list.iter(), 2, false, EPOCH + 4),
    );
    for change in &changes {
        let (name, json) = encode::presence_event(change);
        add(&format!("event {name}"), json);
    }
    add(
        "event presence_changes",
        encode::presence_changes(&changes, EPOCH + 3, None),
    );
    add(
        "event new_private_message",
        encode::entry_event(&message(2)).1,
    );
    let unknown = Entry {
        kind: EntryKind::Unknown,
        ..message(3)
    };
    let (name, json) = encode::entry_event(&unknown);
    add(&format!("event {name}"), json);
    for entry in changes_of_messages() {
        let kind = entry.change().unwrap().action.name();
        let (name, json) = encode::entry_event(&entry);
        add(&format!("event {name} {kind}"), json);
    }
    for (entry, kind) in changes_of_groups().iter().zip(["members", "details"]) {
        let (name, json) = encode::entry_event(entry);
        add(&format!("event {name} {kind}"), json);
    }
    add(
        "event new_private_message reply",
        encode::entry_event(&reply()).1,
    );
    add(
        "event typing",
        encode::typing(&c1, &UserId::trusted("7"), true, AT),
    );
    add("event receipt", encode::receipt(&c1, &receipt()));
    add(
        "event conversation_updated",
        encode::conversation(&conversation()),
    );
    add(
        "event conversation_updated group",
        encode::conversation(&group()),
    );
    add("event token_expired", encode::token_expired(30_000));
    add("event reconnect", encode::reconnect(1_500));

    let chosen = StatusOverride {
        status: ManualStatus::Invisible,
        text: Some("Lunch".into()),
        until: Some(AT),
    };
    let page = SyncPage {
        entries: vec![message(1), message(2)],
        reset: false,
        head_seq: 2,
        read_seq: 1,
        receipts: vec![receipt()],
        first_seq: 1,
        has_more: false,
    };
    let replies = [
        ("done", Reply::Done),
        (
            "join_user",
            Reply::Presence(PresenceReply::Joined {
                user: asha(),
                session: ConnectionId::trusted("socket"),
                mode: lamplight_domain::roster_feed::Mode::Diff,
                chosen: StatusOverride::default(),
            }),
        ),
        ("set_status", Reply::Presence(PresenceReply::Status(chosen))),
        (
            "watch_presence",
            Reply::Presence(PresenceReply::Watching {
                users: vec![
                    (
                        WatchedPresence {
                            user: UserId::trusted("42"),
                            shown: Some(presence(EPOCH + 2)),
                            version: EPOCH + 2,
                            is_hidden: false,
                        },
                        None,
                    ),
                    (
                        WatchedPresence {
                            user: UserId::trusted("9"),
                            shown: None,
                            version: EPOCH + 4,
                            is_hidden: false,
                        },
                        Some(AT),
                    ),
                ],
                later: vec![],
                later_weight: 0,
            }),
        ),
        (
            "send_private_message",
            Reply::Messages(MessageReply::Sent {
                entry: Arc::new(message(2)),
                now: None,
                duplicate: false,
                temp_id: Some("temp-1".into()),
            }),
        ),
        (
            "send_private_message again",
            Reply::Messages(MessageReply::Sent {
                entry: Arc::new(reply()),
                now: Some(Box::new(acted_on())),
                duplicate: true,
                temp_id: None,
            }),
        ),
        (
            "react",
            Reply::Messages(MessageReply::Changed {
                entry: Arc::new(changes_of_messages()[2].clone()),
                duplicate: false,
            }),
        ),
        (
            "members changed",
            Reply::Groups(GroupReply::Changed {
                entry: Some(Arc::new(changes_of_groups()[0].clone())),
                duplicate: false,
            }),
        ),
        (
            "members",
            Reply::Groups(GroupReply::Members(Page {
                items: vec![Member {
                    profile: asha(),
                    role: Role::Owner,
                }],
                next: Some("cursor".into()),
            })),
        ),
        (
            "mark_read",
            Reply::Messages(MessageReply::Read {
                conversation: c1.clone(),
                read_seq: 2,
            }),
        ),
        (
            "sync",
            Reply::Messages(MessageReply::Synced {
                conversations: vec![
                    (c1.clone(), Some(page.clone())),
                    (ConversationId::trusted("gone"), None),
                    (
                        ConversationId::trusted("restored"),
                        Some(SyncPage {
                            reset: true,
                            ..page
                        }),
                    ),
                ],
                refused: vec![],
                added: vec![conversation()],
            }),
        ),
        (
            "online-users",
            Reply::Presence(PresenceReply::Online {
                users: list.to_vec(),
                count: 2,
                next: Some("cursor".into()),
                degraded: false,
            }),
        ),
        (
            "online-users countOnly",
            Reply::Presence(PresenceReply::OnlineCount {
                count: 2,
                degraded: true,
            }),
        ),
        (
            "conversations",
            Reply::Conversations(ConversationReply::Page {
                page: Page {
                    items: vec![conversation(), set()],
                    next: None,
                },
                total_unread: 1,
            }),
        ),
        (
            "conversation",
            Reply::Conversations(ConversationReply::One {
                conversation: Box::new(conversation()),
                created: true,
            }),
        ),
        (
            "messages",
            Reply::Messages(MessageReply::History(MessagePage {
                messages: vec![deleted(), acted_on()],
                from_seq: 1,
                to_seq: 7,
                as_of_seq: 7,
                has_more: true,
                around: None,
                users: vec![asha()],
            })),
        ),
        (
            "pinned messages",
            Reply::Messages(MessageReply::Pinned(PinnedPage {
                messages: vec![acted_on()],
                has_more: true,
                as_of_seq: 7,
                users: vec![asha()],
            })),
        ),
        (
            "files",
            Reply::Messages(MessageReply::Files(SentFiles {
                files: vec![SentFile {
                    file: picture(),
                    message: MessageId::trusted("m1"),
                    seq: 1,
                    sender: UserId::trusted("a"),
                    sent_at: AT,
                }],
                next: Some("Zjc6MDp4".into()),
                as_of_seq: 7,
                users: vec![asha()],
            })),
        ),
        ("place of a time", Reply::Messages(MessageReply::SeqAt(7))),
        (
            "messages all around",
            Reply::Messages(MessageReply::Entries(History {
                entries: vec![message(1), changes_of_messages()[0].clone()],
                has_more: true,
                around: Some(MoreAround {
                    before: false,
                    after: true,
                }),
                users: Vec::new(),
            })),
        ),
        (
            "users",
            Reply::Accounts(AccountReply::Users(Page {
                items: vec![asha(), ben()],
                next: None,
            })),
        ),
        ("session", Reply::Accounts(AccountReply::User(asha()))),
        (
            "login",
            Reply::Accounts(AccountReply::SignedIn {
                user: asha(),
                token: "secret".into(),
                expires: AT,
            }),
        ),
    ];
    let store = Generation::trusted("8f0c2c4b9d3e5a17");
    for (name, reply) in replies {
        add(&format!("reply {name}"), encode::reply(&reply, &store));
    }
    add("reply authenticate", encode::authenticated(Some(AT)));
    add(
        "reply auth",
        encode::auth(Identity::Local, true, Some(&asha())),
    );
    add(
        "reply auth without accounts",
        encode::auth(Identity::Jwt, true, None),
    );
    let key = PushReply {
        key: "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM".into(),
    };
    add("reply push key", encode::reply(&key.into(), &store));
    let content = PushContent {
        sender: asha(),
        conversation_name: Some("Garden".into()),
        text: "Hi <script>\n\u{1F44B}".into(),
        attachment: Some(("image/png".into(), "leaf.png".into())),
    };
    for (name, content) in [
        ("push message", Some(content)),
        ("push message without content", None),
    ] {
        let notice = PushNotice {
            conversation: ConversationId::trusted("c1"),
            message: MessageId::trusted("m2"),
            seq: 2,
            created_at: AT,
            sender: UserId::trusted("42"),
            total_unread: 3,
            content,
        };
        add(name, push::payload(&notice));
    }
    for code in Code::ALL {
        let refusal = Refusal {
            code,
            message: "A sentence.".into(),
            retry_after: code.is_retryable().then_some(Duration::from_millis(250)),
        };
        add(
            &format!("refusal {}", code.as_str()),
            encode::refusal(&refusal),
        );
    }
    Value::Object(all)
}

#[test]
fn golden_frames_are_clean() {
    check(
        "fixtures/wire/frames.json",
        &(serde_json::to_string_pretty(&frames()).unwrap() + "\n"),
    );
}

/// Valid and invalid input of clients, with the decoded result.
fn received() -> Vec<(&'static str, Value)> {
    vec![
        ("join_user", json!("42")),
        ("join_user", json!(42)),
        (
            "join_user",
            json!({ "userId": 42, "roster": "diff", "name": " Asha ", "avatarUrl": "https://example.org/a.png", "more": 1 }),
        ),
        (
            "join_user",
            json!({ "userId": "42", "roster": "everything" }),
        ),
        (
            "join_user",
            json!({ "userId": "42", "avatarUrl": "javascript:alert(1)" }),
        ),
        ("join_user", json!(4.5)),
        ("join_user", json!("")),
        ("join_user", json!("a\u{0}b")),
        ("join_user", json!("x".repeat(129))),
        ("join_user", Value::Null),
        ("user_activity", Value::Null),
        ("user_activity", json!({})),
        ("user_activity", json!({ "active": false })),
        ("user_activity", json!({ "active": "no" })),
        (
            "set_status",
            json!({ "status": "busy", "text": "Lunch", "until": "2026-01-31T12:00:00Z" }),
        ),
        ("set_status", json!({ "status": "asleep" })),
        ("set_status", json!({ "status": "away", "until": "noon" })),
        (
            "set_status",
            json!({ "status": "away", "text": "x".repeat(201) }),
        ),
        (
            "set_activity",
            json!({ "activity": { "kind": "in_call", "conversationId": 7 } }),
        ),
        ("set_activity", json!({ "activity": null })),
        ("set_activity", json!({})),
        ("watch_presence", json!({ "userIds": ["1", 2] })),
        ("unwatch_presence", json!({ "userIds": [] })),
        ("watch_presence", json!({ "userIds": [null] })),
        ("join_conversation", json!("7")),
        ("join_conversation", json!(7)),
        ("leave_conversation", json!({ "conversationId": 7 })),
        (
            "send_private_message",
            json!({ "conversationId": 7, "content": " hi ", "clientMessageId": "id-1", "tempId": "temp-1" }),
        ),
        (
            "send_private_message",
            json!({ "conversationId": "7", "content": "hi", "tempId": "temp-1", "senderId": 42 }),
        ),
        (
            "send_private_message",
            json!({ "conversationId": "7", "content": "hi" }),
        ),
        ("send_private_message", json!({ "conversationId": "7" })),
        (
            "send_private_message",
            json!({ "conversationId": "7", "content": 5 }),
        ),
        (
            "send_private_message",
            json!({ "conversationId": "7", "content": "hi", "clientMessageId": "" }),
        ),
        ("send_private_message", json!([1, 2])),
        (
            "send_private_message",
            json!({ "conversationId": "7", "content": "hi", "replyTo": "m1", "mentions": ["42", 42, "9"] }),
        ),
        (
            "send_private_message",
            json!({ "conversationId": "7", "content": "hi", "replyTo": null, "mentions": null }),
        ),
        (
            "send_private_message",
            json!({ "conversationId": "7", "content": "hi", "replyTo": "" }),
        ),
        (
            "send_private_message",
            json!({ "conversationId": "7", "content": "hi", "mentions": "42" }),
        ),
        (
            "edit_message",
            json!({ "conversationId": 7, "messageId": "m1", "content": " hi ", "mentions": ["42"], "clientMessageId": "id-1" }),
        ),
        (
            "edit_message",
            json!({ "conversationId": "7", "messageId": "m1" }),
        ),
        (
            "edit_message",
            json!({ "conversationId": "7", "messageId": "", "content": "hi" }),
        ),
        (
            "delete_message",
            json!({ "conversationId": "7", "messageId": "m1" }),
        ),
        ("delete_message", json!({ "conversationId": "7" })),
        (
            "react",
            json!({ "conversationId": "7", "messageId": "m1", "emoji": "\u{1F44D}", "added": true }),
        ),
        (
            "react",
            json!({ "conversationId": "7", "messageId": "m1", "emoji": "\u{1F44D}" }),
        ),
        (
            "pin_message",
            json!({ "conversationId": "7", "messageId": "m1", "pinned": false, "clientMessageId": 5 }),
        ),
        (
            "pin_message",
            json!({ "conversationId": "7", "messageId": "m1", "pinned": "no" }),
        ),
        ("typing", json!({ "conversationId": "7", "isTyping": true })),
        ("typing", json!({ "conversationId": "7", "isTyping": 1 })),
        ("mark_read", json!({ "conversationId": "7", "seq": 5 })),
        ("mark_read", json!({ "conversationId": "7", "seq": -1 })),
        ("mark_read", json!({ "conversationId": "7", "seq": 1.5 })),
        ("block_user", json!({ "userId": 42 })),
        ("block_user", json!("42")),
        ("unblock_user", json!({ "userId": "42" })),
        ("unblock_user", json!({ "userId": "" })),
        (
            "set_conversation_settings",
            json!({ "conversationId": "7", "mutedUntil": "2026-01-31T12:00:00Z", "archived": true }),
        ),
        (
            "set_conversation_settings",
            json!({ "conversationId": 7, "mutedUntil": null, "pinned": false }),
        ),
        (
            "set_conversation_settings",
            json!({ "conversationId": "7", "mutedUntil": "later" }),
        ),
        (
            "set_conversation_settings",
            json!({ "conversationId": "7", "archived": 1 }),
        ),
        ("open_conversation", json!({ "userId": 42 })),
        (
            "open_conversation",
            json!({ "memberIds": [42, "43"], "name": " N ", "history": "all", "clientConversationId": 9 }),
        ),
        ("open_conversation", json!({})),
        (
            "update_group",
            json!({ "conversationId": 7, "name": null, "avatarUrl": "/a.png", "clientMessageId": 9 }),
        ),
        ("update_group", json!({ "conversationId": "7" })),
        ("update_group", json!({ "name": "N" })),
        (
            "add_members",
            json!({ "conversationId": 7, "userIds": [42, "43"], "clientMessageId": "id-1" }),
        ),
        (
            "add_members",
            json!({ "conversationId": "7", "userIds": "42" }),
        ),
        (
            "remove_member",
            json!({ "conversationId": "7", "userId": 42, "clientMessageId": 9 }),
        ),
        ("remove_member", json!({ "conversationId": "7" })),
        (
            "set_member_role",
            json!({ "conversationId": 7, "userId": 42, "role": "admin", "clientMessageId": "id-1" }),
        ),
        (
            "set_member_role",
            json!({ "conversationId": "7", "userId": "42", "role": "king" }),
        ),
        (
            "set_member_role",
            json!({ "conversationId": "7", "userId": "42" }),
        ),
        ("sync", json!({ "conversations": { "7": 5, "8": 0 } })),
        (
            "sync",
            json!({ "conversations": { "7": { "seq": 5, "id": "m5" }, "8": { "seq": 0 }, "9": { "id": "m1" }, "10": { "seq": 1, "id": "" } } }),
        ),
        ("sync", json!({ "conversations": [] })),
        ("authenticate", json!({ "token": "t" })),
        ("authenticate", json!({})),
        ("drop_tables", Value::Null),
    ]
}

#[test]
fn golden_commands_are_clean() {
    let understood: Vec<Value> = received()
        .into_iter()
        .map(|(event, payload)| {
            let asked = decode::event(event, &payload.to_string());
            let said = match asked {
                Ok(SocketRequest::Command(command)) => format!("{command:?}"),
                Ok(SocketRequest::Authenticate(token)) => format!("Authenticate({token:?})"),
                Err(refusal) => format!("refused: {}: {}", refusal.code.as_str(), refusal.message),
            };
            json!({ "event": event, "payload": payload, "understood": said })
        })
        .collect();
    check(
        "fixtures/wire/commands.json",
        &(serde_json::to_string_pretty(&understood).unwrap() + "\n"),
    );
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(decode::event("join_user", &deep).is_err());
    assert!(decode::event("send_private_message", &format!("{{\"content\":{deep}}}")).is_err());
}
