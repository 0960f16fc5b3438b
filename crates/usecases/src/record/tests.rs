use super::*;

#[test]
fn changes_round_trip() {
    let actions = [
        MessageAction::Edit {
            content: Content::trusted("a \"text\"\u{0}\n"),
            mentions: vec![UserId::trusted("ü")],
        },
        MessageAction::Delete,
        MessageAction::React {
            emoji: Emoji::trusted("👍🏽"),
            added: false,
        },
        MessageAction::Pin { pinned: true },
    ];
    for action in actions {
        let written = Change {
            message: MessageId::trusted("m1"),
            message_seq: 7,
            action,
        };
        let read = read_change(written.action.name(), &write_change(&written));
        assert_eq!(read, EntryKind::Change(Box::new(written)));
    }
}

#[test]
fn changes_of_groups_round_trip() {
    let user = |id: &str| UserId::trusted(id);
    let kinds = [
        EntryKind::Members(Box::new(MembersChange {
            added: vec![user("a"), user("ü\"")],
            removed: vec![user("c")],
            roles: vec![(user("a"), Role::Owner), (user("b"), Role::Member)],
        })),
        EntryKind::Details(DetailsChange {
            name: Some(None),
            avatar_url: None,
        }),
        EntryKind::Details(DetailsChange {
            name: Some(Some("Ü \"x\"".into())),
            avatar_url: Some(Some("/a.png".into())),
        }),
    ];
    for kind in kinds {
        let (name, record) = write_other(&kind).expect("a record");
        assert_eq!(read_change(name, &record), kind);
        assert_eq!(read_digest(&record), None);
        let record = with_digest(&record, "a digest");
        assert_eq!(read_change(name, &record), kind);
        assert_eq!(read_digest(&record).as_deref(), Some("a digest"));
    }
    assert_eq!(read_change("members", "["), EntryKind::Unknown);
    assert_eq!(write_other(&EntryKind::Hidden), None);
}

#[test]
fn records_of_newer_versions_are_unknown_or_partly_read() {
    assert_eq!(read_change("poll", "{}"), EntryKind::Unknown);
    assert_eq!(read_change("pin", "{"), EntryKind::Unknown);
    assert_eq!(
        read_change("pin", r#"{"message":"m","seq":1}"#),
        EntryKind::Unknown
    );
    let pin = read_change("pin", r#"{"message":"m","seq":1,"on":true,"why":{"a":1}}"#);
    assert!(matches!(pin, EntryKind::Change(_)));
    assert_eq!(read_extras("nonsense"), Extras::default());
}

#[test]
fn extras_round_trip_and_only_nodes_send_excerpts() {
    let extras = Extras {
        reply_to: Some(Quote {
            id: MessageId::trusted("m1"),
            seq: 3,
            sender: UserId::trusted("a"),
            excerpt: "what it said".into(),
        }),
        mentions: vec![UserId::trusted("b")],
        attachments: vec![Attachment {
            id: FileId::trusted("f"),
            name: "a \"name\".png".into(),
            media_type: "image/png".into(),
            size: 7,
            dimensions: Some(Dimensions {
                width: 1,
                height: 2,
            }),
            has_thumbnail: true,
            blur_hash: Some("L\"EHV6\\".into()),
            duration_ms: Some(7),
        }],
    };
    assert_eq!(read_extras(&write_whole_extras(&extras)), extras);
    let mut stored = extras.clone();
    if let Some(quote) = &mut stored.reply_to {
        quote.excerpt = "".into();
    }
    assert_eq!(read_extras(&write_extras(&extras)), stored);
    assert!(!write_extras(&extras).contains("said"));
    assert_eq!(
        read_mentions(&write_mentions(&extras.mentions)),
        extras.mentions
    );
}
