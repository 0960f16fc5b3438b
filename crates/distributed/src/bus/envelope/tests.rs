use super::*;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{Change, DetailsChange, Extras, MembersChange, MessageAction, Quote};
use lamplight_domain::file::Attachment;
use lamplight_domain::identity::FileId;
use lamplight_domain::permission::Role;

fn writer() -> Writer {
    Writer::new(0x00c0_ffee_0000_0001, "a\"b:3000")
}

fn members() -> Members {
    ["ann", "bo\"b", "cé"].map(UserId::trusted).into()
}

fn entry(kind: EntryKind) -> Arc<Entry> {
    Arc::new(Entry {
        id: MessageId::trusted("m1"),
        conversation: ConversationId::trusted("c1"),
        seq: 7,
        sender: UserId::trusted("ann"),
        client_message_id: Some("k\\1".into()),
        kind,
        created_at: Timestamp(1_700_000_000_123),
    })
}

fn answer() -> Extras {
    Extras {
        reply_to: Some(Quote {
            id: MessageId::trusted("m0"),
            seq: 3,
            sender: UserId::trusted("cé"),
            excerpt: "what it \"said\"".into(),
        }),
        mentions: vec![UserId::trusted("ann")],
        attachments: vec![Attachment {
            id: FileId::trusted("f"),
            name: "né.png".into(),
            media_type: "image/png".into(),
            size: 1,
            dimensions: None,
            has_thumbnail: false,
            blur_hash: Some("LEHV6nWB2yk8".into()),
            duration_ms: Some(1_500),
        }],
    }
}

fn change(action: MessageAction) -> Arc<Entry> {
    entry(EntryKind::Change(Box::new(Change {
        message: MessageId::trusted("m0"),
        message_seq: 3,
        action,
    })))
}

fn events() -> Vec<Event> {
    let conversation = ConversationId::trusted("c1");
    let content = Content::trusted("hi \u{1f600} \"there\"\n");
    vec![
        Event::Appended {
            entry: entry(EntryKind::message(content)),
            to: members(),
            newcomers: [].into(),
            except: Some(ConnectionId::trusted("s1")),
        },
        Event::Appended {
            entry: entry(EntryKind::Unknown),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: entry(EntryKind::Message {
                content: Content::trusted("an answer"),
                extras: answer().boxed(),
            }),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: change(MessageAction::Edit {
                content: Content::trusted("bet\u{0}ter \"\n\u{1f600}"),
                mentions: vec![UserId::trusted("bo\"b")],
            }),
            to: members(),
            newcomers: [].into(),
            except: Some(ConnectionId::trusted("s1")),
        },
        Event::Appended {
            entry: change(MessageAction::Delete),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: change(MessageAction::React {
                emoji: Emoji::trusted("👍🏽"),
                added: false,
            }),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: change(MessageAction::Pin { pinned: true }),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Typing {
            conversation: conversation.clone(),
            user: UserId::trusted("ann"),
            is_typing: true,
            expires_at: Timestamp(5),
            to: members(),
        },
        Event::Receipt {
            conversation: conversation.clone(),
            receipt: Receipt {
                user: UserId::trusted("ann"),
                delivered_seq: 9,
                read_seq: 8,
            },
            to: members(),
        },
        Event::ConversationChanged {
            conversation,
            to: members(),
        },
        Event::SignedOut {
            user: UserId::trusted("ann"),
            credential: "secret".into(),
            is_stored: false,
        },
        Event::SignedOutEverywhere {
            user: UserId::trusted("ann"),
            until: Timestamp(1_700_000_000_123),
        },
        Event::Appended {
            entry: change(MessageAction::Delete),
            to: members(),
            newcomers: [UserId::trusted("bo\"b")].into(),
            except: None,
        },
        Event::Appended {
            entry: entry(EntryKind::Members(Box::new(MembersChange {
                added: vec![UserId::trusted("n\"")],
                removed: vec![UserId::trusted("r")],
                roles: vec![(UserId::trusted("ann"), Role::Owner)],
            }))),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::Appended {
            entry: entry(EntryKind::Details(DetailsChange {
                name: Some(Some("N \"1\"".into())),
                avatar_url: Some(None),
            })),
            to: members(),
            newcomers: [].into(),
            except: None,
        },
        Event::BlockersChanged {
            user: UserId::trusted("ann"),
        },
        Event::Sharing {
            user: UserId::trusted("cé"),
            file: FileId::trusted("f"),
            is_active: true,
        },
    ]
}

#[test]
fn every_event_comes_through_whole() {
    for event in events() {
        let payload = writer().event(42, &event).expect("an envelope");
        let head = Head {
            run: 0x00c0_ffee_0000_0001,
            number: 42,
        };
        assert_eq!(peek(&payload), Some(head));
        let Contents::Event(read) = decode(&payload).expect("it is well-formed") else {
            panic!("no event");
        };
        assert_eq!(format!("{read:?}"), format!("{event:?}"));
    }
    let lost = writer().lost(43);
    assert_eq!(peek(&lost).map(|head| head.number), Some(43));
    assert!(matches!(decode(&lost), Ok(Contents::Lost)));
}

#[test]
fn c15_the_form_of_version_1_does_not_change() {
    let written: Vec<String> = events()
        .iter()
        .map(|event| String::from_utf8(writer().event(1, event).unwrap()).unwrap())
        .collect();
    let head = r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a\"b:3000","kind":"#;
    let to = r#""to":["ann","bo\"b","cé"]}"#;
    assert_eq!(
        written[0],
        format!(
            r#"{head}"appended","conversation":"c1","entry":{{"id":"m1","seq":7,"sender":"ann","client_message_id":"k\\1","content":"hi 😀 \"there\"\n","created_at":1700000000123}},"except":"s1",{to}"#
        )
    );
    assert_eq!(
        written[2],
        format!(
            r#"{head}"appended","conversation":"c1","entry":{{"id":"m1","seq":7,"sender":"ann","client_message_id":"k\\1","content":"an answer","extras":"{{\"reply_to\":{{\"id\":\"m0\",\"seq\":3,\"sender\":\"cé\",\"excerpt\":\"what it \\\"said\\\"\"}},\"mentions\":[\"ann\"],\"files\":[{{\"id\":\"f\",\"name\":\"né.png\",\"type\":\"image/png\",\"size\":1,\"blur_hash\":\"LEHV6nWB2yk8\",\"duration\":1500}}]}}","created_at":1700000000123}},{to}"#
        )
    );
    assert_eq!(
        written[6],
        format!(
            r#"{head}"appended","conversation":"c1","entry":{{"id":"m1","seq":7,"sender":"ann","client_message_id":"k\\1","kind":"pin","record":"{{\"message\":\"m0\",\"seq\":3,\"on\":true}}","created_at":1700000000123}},{to}"#
        )
    );
    assert_eq!(
        written[8],
        format!(
            r#"{head}"receipt","conversation":"c1","user":"ann","delivered_seq":9,"read_seq":8,{to}"#
        )
    );
    assert_eq!(
        written[10],
        format!(r#"{head}"signed_out","user":"ann","credential":"secret","is_stored":false}}"#)
    );
}

#[test]
fn c15_other_versions_kinds_and_fields_are_skipped() {
    // A later version may change every other field.
    for payload in [
        r#"{"v":2}"#,
        r#"{"v":2,"run":7,"n":"x","kind":["appended"]}"#,
        r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"reaction","emoji":"x"}"#,
    ] {
        let read = decode(payload.as_bytes());
        assert!(matches!(read, Ok(Contents::Unknown)), "{read:?}");
    }
    assert_eq!(peek(br#"{"v":2,"run":"00c0ffee00000001","n":1}"#), None);

    let more = r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"conversation","urgent":{"x":[1]},"conversation":"c1","to":["ann"]}"#;
    assert_eq!(peek(more.as_bytes()).map(|head| head.number), Some(1));
    let read = decode(more.as_bytes());
    assert!(matches!(
        read,
        Ok(Contents::Event(Event::ConversationChanged { .. }))
    ));

    // Fields in another order are no other version.
    let reordered = r#"{"n":1,"v":1,"run":"00c0ffee00000001","kind":"lost","node":"a"}"#;
    assert_eq!(peek(reordered.as_bytes()), None);
    assert!(matches!(decode(reordered.as_bytes()), Ok(Contents::Lost)));
}

/// The entry as the first versions read it.
#[derive(Deserialize)]
struct FirstFields {
    seq: u64,
    content: Option<String>,
}

#[test]
fn c15_the_first_versions_read_messages_and_show_nothing_of_other_kinds() {
    let mut contents = Vec::new();
    for event in &events()[..7] {
        let payload = writer().event(1, event).expect("an envelope");
        let envelope: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        let entry = envelope["entry"].clone();
        let entry: FirstFields = serde_json::from_value(entry).expect("an entry");
        assert_eq!(entry.seq, 7);
        contents.push(entry.content);
    }
    let shown: Vec<_> = contents.iter().map(Option::is_some).collect();
    assert_eq!(shown, [true, false, true, false, false, false, false]);
    // A kind of a later version, and a record that this version cannot read.
    for (kind, record) in [("poll", "{}"), ("pin", "nonsense")] {
        let payload = format!(
            r#"{{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"appended","conversation":"c1","entry":{{"id":"m1","seq":7,"sender":"ann","kind":"{kind}","record":"{record}","created_at":1}},"to":["ann"]}}"#
        );
        let read = decode(payload.as_bytes());
        let Ok(Contents::Event(Event::Appended { entry, .. })) = read else {
            panic!("{read:?}");
        };
        assert_eq!(entry.kind, EntryKind::Unknown);
    }
}

#[test]
fn malformed_envelopes_are_errors_and_nothing_worse() {
    for payload in [
        "",
        "{",
        "[]",
        "{\"v\":1}",
        "\u{1}\u{2}",
        r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"appended","conversation":"c1"}"#,
        r#"{"v":1,"run":"00c0ffee00000001","n":-1,"node":"a","kind":"lost"}"#,
        r#"{"v":1,"run":"00c0ffee00000001","n":1,"node":"a","kind":"typing","to":7}"#,
    ] {
        assert!(decode(payload.as_bytes()).is_err(), "{payload}");
    }
    for payload in [
        "{\"v\":1,\"run\":\"00c0ffee0000000",
        "{\"v\":1,\"run\":\"00c0ffee0000000é",
        "{\"v\":1,\"run\":\"00c0ffee00000001\",\"n\":",
        "{\"v\":1,\"run\":\"00c0ffee00000001\",\"n\":99999999999999999999999,",
        "{\"v\":1,\"run\":\"00c0ffee00000001\",\"n\":x,",
    ] {
        assert_eq!(peek(payload.as_bytes()), None, "{payload}");
    }
}

#[test]
fn summaries_join_what_follows() {
    let mut summary = Summary::new();
    for (conversation, seq) in [("a", 1), ("b", 5), ("a", 2), ("a", 4), ("b", 6)] {
        summary.add(conversation, seq);
    }
    let payload = summary.encode();
    let read = Summary::decode(&payload).expect("version 1");
    let expected = [("a", 1, 2), ("b", 5, 6), ("a", 4, 4)];
    assert_eq!(
        read.entries,
        expected.map(|(conversation, first, last)| (conversation.into(), first, last))
    );
    assert!(Summary::decode(br#"{"v":2,"entries":[["a",1,1]]}"#).is_none());
    assert!(Summary::decode(b"x").is_none());
}
