use super::*;

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

fn events() -> Vec<Event> {
    let conversation = ConversationId::trusted("c1");
    let content = Content::trusted("hi \u{1f600} \"there\"\n");
    vec![
        Event::Appended {
            entry: entry(EntryKind::message(content)),
            to: members(),
            except: Some(ConnectionId::trusted("s1")),
        },
        Event::Appended {
            entry: entry(EntryKind::Unknown),
            to: members(),
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
        written[3],
        format!(
            r#"{head}"receipt","conversation":"c1","user":"ann","delivered_seq":9,"read_seq":8,{to}"#
        )
    );
    assert_eq!(
        written[5],
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
