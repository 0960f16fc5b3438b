//! The profiles beside a page: users in the page who are not in the list of members.

use super::{add, done, make, remove, send};
use crate::{Subject, at, conversation, message, user};
use lamplight_domain::conversation::SHOWN_MEMBERS;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::group::History;
use lamplight_domain::identity::{MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{Groups, Messages, Range};

/// Those beside a page of messages, and beside the same page of entries, as `viewer` gets them.
async fn named<S: Messages>(
    store: &S,
    viewer: &str,
    place: &str,
    range: Range,
) -> [Vec<String>; 2] {
    let (viewer, place) = (user(viewer), conversation(place));
    let page = store.messages(&viewer, &place, range, 50).await;
    let page = page.expect("an answer").expect("a member");
    let log = store.history(&viewer, &place, range, 50).await;
    let log = log.expect("an answer").expect("a member");
    [page.users, log.users].map(|users| {
        let ids = users.iter().map(|one| one.id.as_str().to_owned());
        ids.collect()
    })
}

fn answer(sender: &str, to: &MessageId, mentions: &[&str]) -> NewEntry {
    NewEntry {
        write: Write::Message {
            content: Content::trusted("an answer"),
            reply_to: Some(to.clone()),
            mentions: mentions.iter().map(|id| user(id)).collect(),
            attachments: Vec::new(),
        },
        ..message("g", sender, "")
    }
}

/// Members past the first 100: senders first.
pub async fn a_page_of_a_large_group_includes_profiles_missing_in_its_list<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let ids: Vec<String> = (0..SHOWN_MEMBERS + 10)
        .map(|number| format!("u{number:03}"))
        .collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    make(store, "g", &ids, History::All).await;
    let first = Range::Before(3);
    send(store, "g", "u005", "from the list").await;
    // The entry that made the group names everybody.
    let beyond: Vec<String> = ids[SHOWN_MEMBERS..]
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(named(store, "u001", "g", first).await, [vec![], beyond]);
    let sent = send(store, "g", "u101", "beyond the list").await;
    let reply = answer("u007", &sent, &["u102", "u008", "u101"]);
    store.append(reply, None).await.expect("a message");
    for (reacting, emoji) in [("u103", "👍"), ("u009", "👍"), ("u102", "🎉")] {
        let action = MessageAction::React {
            emoji: Emoji::trusted(emoji),
            added: true,
        };
        let write = Write::Change {
            message: sent.clone(),
            action,
        };
        let reaction = NewEntry {
            write,
            ..message("g", reacting, "")
        };
        store.append(reaction, None).await.expect("a reaction");
    }
    let [page, log] = named(store, "u101", "g", Range::After(2)).await;
    assert_eq!(page, ["u101", "u102", "u103"]);
    assert_eq!(log, ["u101", "u103", "u102"]);
    for range in [Range::Newest, Range::Around(3)] {
        let [page, log] = named(store, "u001", "g", range).await;
        assert_eq!(page, ["u101", "u102", "u103"]);
        assert_eq!(log.len(), 10, "{log:?}");
    }
}

/// Former members of a group and of the host's conversation of two; none in a direct conversation.
pub async fn a_page_includes_profiles_of_former_members<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    make(store, "g", &["a", "b", "c"], History::All).await;
    send(store, "g", "c", "hello").await;
    assert_eq!(named(store, "a", "g", Range::Newest).await, [[""; 0]; 2]);
    let sent = send(store, "g", "c", "pinned").await;
    let pin = NewEntry {
        write: Write::Change {
            message: sent,
            action: MessageAction::Pin { pinned: true },
        },
        ..message("g", "a", "")
    };
    store.append(pin, None).await.expect("a pin");
    let beside_pins = async || {
        let pins = store
            .pinned(&user("a"), &conversation("g"), u64::MAX, 9)
            .await;
        pins.expect("an answer").expect("a member").users
    };
    assert_eq!(beside_pins().await, []);
    done(store, "g", "a", remove("c")).await;
    assert_eq!(named(store, "a", "g", Range::Newest).await, [["c"], ["c"]]);
    assert_eq!(beside_pins().await[0].id, user("c"));
    // The entry that removes her is about her, without a message of hers.
    let [page, log] = named(store, "a", "g", Range::After(4)).await;
    assert_eq!((page.len(), log), (0, vec!["c".to_owned()]));
    done(store, "g", "a", add(&["c"])).await;
    assert_eq!(named(store, "a", "g", Range::Newest).await, [[""; 0]; 2]);

    let put = async |members: &[&str]| {
        let members: Vec<UserId> = members.iter().map(|id| user(id)).collect();
        let place = conversation("two");
        let put = store.put_conversation(&place, &members, at(0));
        put.await.expect("a conversation");
    };
    put(&["a", "b"]).await;
    send(store, "two", "b", "hello").await;
    assert_eq!(named(store, "a", "two", Range::Newest).await, [[""; 0]; 2]);
    put(&["a", "c"]).await;
    assert_eq!(
        named(store, "c", "two", Range::Newest).await,
        [["b"], ["b"]]
    );
}

/// A newcomer sees no replies to messages before their log.
pub async fn m15_hidden_entries_include_no_profiles<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    make(store, "g", &["a", "b", "c"], History::Joined).await;
    let sent = send(store, "g", "a", "hello").await;
    done(store, "g", "a", add(&["d"])).await;
    let write = Write::Change {
        message: sent,
        action: MessageAction::React {
            emoji: Emoji::trusted("👍"),
            added: true,
        },
    };
    let reaction = NewEntry {
        write,
        ..message("g", "c", "")
    };
    store.append(reaction, None).await.expect("a reaction");
    send(store, "g", "b", "bye").await;
    done(store, "g", "a", remove("c")).await;
    let after = Range::Before(6);
    assert_eq!(named(store, "d", "g", after).await, [[""; 0]; 2]);
    assert_eq!(named(store, "b", "g", after).await, [["c"], ["c"]]);
}
