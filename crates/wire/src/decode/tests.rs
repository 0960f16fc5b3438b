use super::*;

#[test]
fn f1_a_join_may_omit_the_authenticated_user() {
    let caller = UserId::parse("a😀b").unwrap();
    let join = |caller, payload| match event_by(caller, "join_user", payload) {
        Ok(SocketRequest::Command(Command::Presence(PresenceCommand::Join { user, .. }))) => {
            Ok(user.as_str().to_owned())
        }
        Ok(_) => panic!("a join"),
        Err(refusal) => Err(refusal.message),
    };
    assert_eq!(
        join(Some(&caller), "{\"roster\":\"diff\"}").unwrap(),
        "a😀b"
    );
    assert_eq!(
        join(Some(&caller), "{\"userId\":7}").unwrap(),
        "7",
        "who is named is compared with the token elsewhere"
    );
    assert_eq!(join(None, "{}").unwrap_err(), "join_user needs a userId.");
}

#[test]
fn an_array_is_refused_where_an_object_is_expected() {
    for (name, payload) in [
        ("user_activity", "[]"),
        ("user_activity", "[false]"),
        ("send_private_message", "[\"7\",\"hello\"]"),
        ("set_status", "[\"busy\"]"),
        ("set_activity", "{\"activity\":[\"in_call\"]}"),
        ("set_activity", "[null]"),
        ("typing", "[\"7\",true]"),
        ("mark_read", "[\"7\",1]"),
        ("watch_presence", "[[\"1\"]]"),
        ("sync", "[{}]"),
        ("authenticate", "[\"token\"]"),
        ("join_user", "[\"42\"]"),
    ] {
        let refusal = event(name, payload).expect_err(payload);
        assert!(refusal.message.contains("sequence"), "{}", refusal.message);
    }
    assert!(json::<body::OpenConversation>(b" {\"userId\":5,\"more\":[]} ").is_ok());
    assert!(json::<body::OpenConversation>(b"[\"5\"]").is_err());
    assert!(event("set_activity", "{\"activity\":null}").is_ok());
}

#[test]
fn f13_unknown_fields_of_changes_are_named() {
    let put = json::<body::PutUser>(br#"{"name":"Ada","picture":"/a.png"}"#)
        .expect("a join by the token's user");
    assert_eq!(put.avatar_url.as_deref(), Some("/a.png"));
    for refused in [
        json::<body::PutUser>(br#"{"name":"Ada","avatar":"/a.png"}"#).err(),
        json::<body::PutUser>(br#"{"name":"Ada","picture":"/a.png","avatarUrl":"/b.png"}"#).err(),
        json::<body::PutConversation>(br#"{"memberIds":["1"],"members":[]}"#).err(),
        json::<body::Register>(br#"{"username":"ada","password":"lovelace1","displayName":"Ada"}"#)
            .err(),
        json::<body::UpdateAccount>(br#"{"displayName":"Ada"}"#).err(),
    ] {
        let said = refused.expect("refused").message;
        assert!(said.contains("field `"), "{said}");
    }
    let said = json::<body::PutUser>(br#"{"name":"Ada","avatar":"/a.png"}"#)
        .expect_err("refused")
        .message;
    assert!(
        said.contains("`avatar`") && said.contains("`name`") && said.contains("`avatarUrl`"),
        "{said}"
    );
    let sent = json::<body::SendMessage>(
        br#"{"conversationId":7,"content":"x","senderId":1,"timestamp":5}"#,
    );
    assert!(sent.is_ok(), "the original pages send more than is needed");
}

#[test]
fn refusals_mention_no_rust_types_or_lines() {
    for (name, payload) in [
        ("set_status", "5"),
        ("set_status", "{}"),
        (
            "send_private_message",
            "{\"conversationId\":{},\"content\":\"x\"}",
        ),
        ("mark_read", "{\"conversationId\":\"7\",\"seq\":-1}"),
        ("mark_read", "{\"conversationId\":\"7\",\"seq\":1.5}"),
        ("typing", "{\"conversationId\":\"7\""),
    ] {
        let said = event(name, payload).expect_err(payload).message;
        for word in ["struct", "u64", "i64", "line ", "column"] {
            assert!(!said.contains(word), "{said}");
        }
    }
}

#[test]
fn m14_an_invalid_item_of_a_sync_is_refused_alone() {
    let payload = format!(
        "{{\"conversations\":{{\"7\":3,\"{}\":0,\"8\":-1,\"9\":null,\"\":0,\"10\":{{\"a\":[1]}},\"11\":0}}}}",
        "y".repeat(129)
    );
    let Ok(SocketRequest::Command(Command::Messages(MessageCommand::Sync { have, refused }))) =
        event("sync", &payload)
    else {
        panic!("a sync")
    };
    assert_eq!(
        have.iter()
            .map(|have| (have.conversation.as_str(), have.seq))
            .collect::<Vec<_>>(),
        [("7", 3), ("11", 0)]
    );
    assert_eq!(
        refused.iter().map(|(id, _)| id.len()).collect::<Vec<_>>(),
        [129, 1, 1, 0, 2]
    );
}

#[test]
fn a_heartbeat_may_name_its_user() {
    for payload in ["\"42\"", "42", "\"\"", "null", "{}", " 42 "] {
        let Ok(SocketRequest::Command(Command::Presence(PresenceCommand::Heartbeat {
            active: true,
        }))) = event("user_activity", payload)
        else {
            panic!("{payload}")
        };
    }
    let Ok(SocketRequest::Command(Command::Presence(PresenceCommand::Heartbeat { active: false }))) =
        event("user_activity", "{\"active\":false}")
    else {
        panic!("idle")
    };
    for payload in ["true", "1.5", "{\"active\":1}"] {
        assert!(event("user_activity", payload).is_err(), "{payload}");
    }
}

#[test]
fn a_refusal_does_not_echo_the_input() {
    let payload = format!("\"{}\"", "é".repeat(100_000));
    let refusal = event("set_status", &payload).unwrap_err();
    assert!(
        refusal.message.chars().count() < 300,
        "{}",
        refusal.message.len()
    );
    assert!(refusal.message.contains("expected"), "{}", refusal.message);
}
