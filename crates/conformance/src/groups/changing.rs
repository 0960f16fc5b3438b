//! Making groups, and changes of their members, roles and details.

use super::{
    add, change, done, keyed, log, make, members_of, name, new_group, refused, remove, role, seen,
    send, users, write,
};
use crate::{Subject, at, client_id, conversation, message, user};
use futures_util::future::join_all;
use lamplight_domain::conversation::SHOWN_MEMBERS;
use lamplight_domain::entry::{DetailsChange, EntryKind, MessageAction};
use lamplight_domain::event::Event;
use lamplight_domain::group::{GroupRefused, GroupWrite, History, NewGroup};
use lamplight_domain::identity::UserId;
use lamplight_domain::message_rules::WriteRefused;
use lamplight_domain::permission::Role;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{AppendError, GroupError, Groups, Messages};

/// A repetition by its creator returns the existing group; ids of other users do not collide.
pub async fn m1_a_group_is_made_once_under_its_makers_id<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let new = |id: &str, members: &[&str]| NewGroup {
        name: Some("The group".into()),
        avatar_url: Some("/a.png".into()),
        client_id: Some("mine".into()),
        ..new_group(id, members, History::Joined)
    };
    let made = store.make_group(new("g", &["b", "a", "c"])).await;
    let (made, is_new) = made.expect("an answer").expect("a member");
    assert!(is_new);
    let group = made.group.clone().expect("a group");
    assert_eq!(
        (
            group.name.as_deref(),
            group.avatar_url.as_deref(),
            group.member_count
        ),
        (Some("The group"), Some("/a.png"), 3)
    );
    assert_eq!((made.role, made.members.len()), (Role::Owner, 3));
    assert_eq!((made.head_seq, made.unread), (1, 0));
    assert_eq!(made.last_message, None);
    let again = store.make_group(new("other", &["b", "c"])).await;
    let (again, is_new) = again.expect("an answer").expect("a member");
    assert_eq!((again, is_new), (made, false));
    let others = store.make_group(new("h", &["a", "b"])).await;
    let (others, is_new) = others.expect("an answer").expect("a member");
    assert_eq!((others.id.as_str(), is_new), ("h", true));
    let theirs = seen(store, "c", "g").await.expect("a member");
    assert_eq!((theirs.role, theirs.unread), (Role::Member, 0));
    let entries = log(store, "a", "g").await.expect("a member");
    assert_eq!(entries.len(), 1);
    let change = members_of(&entries[0]);
    assert_eq!(change.added, users(&["a", "b", "c"]));
    assert_eq!(change.roles, [(user("b"), Role::Owner)]);
    assert_eq!(entries[0].sender, user("b"));
    let published = subject.events.exactly(2).await;
    assert_eq!(published[0].1[..], users(&["a", "b", "c"]));
    // A former member gets no answer that shows the group.
    done(store, "g", "b", remove("b")).await;
    let gone = store.make_group(new("third", &["b", "c"])).await;
    assert!(gone.expect("an answer").is_none());
}

/// The same key with the same change is answered with its entry, with another one it is a conflict.
pub async fn m1_a_repeated_change_of_a_group_is_a_duplicate<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let adding = || keyed("1", write("g", "a", add(&["b", "c"])));
    let first = store.change_group(adding(), None).await.expect("a change");
    let first = first.entry.expect("an entry");
    assert_eq!(members_of(&first).added, users(&["c"]), "only new members");
    assert_eq!(first.client_message_id.as_deref(), Some("1"));
    let again = store.change_group(adding(), None).await.expect("an answer");
    assert!(again.duplicate);
    assert_eq!(again.entry.as_deref(), Some(&*first));
    let other = keyed("1", write("g", "a", remove("c")));
    assert!(matches!(
        store.change_group(other, None).await,
        Err(GroupError::Conflict)
    ));
    let named = || keyed("2", write("g", "a", name(Some("N"))));
    assert!(
        !store
            .change_group(named(), None)
            .await
            .expect("a change")
            .duplicate
    );
    done(store, "g", "a", name(Some("M"))).await;
    assert!(
        store
            .change_group(named(), None)
            .await
            .expect("an answer")
            .duplicate
    );
    // A message under the same key is another write.
    let message = NewEntry {
        key: client_id("1"),
        ..message("g", "a", "hello")
    };
    let sent = store.append(message, None).await;
    assert!(matches!(sent, Err(AppendError::Conflict)), "{sent:?}");
    subject.events.exactly(4).await;
}

/// In their order, with the socket that is left out, and to the added and the others as a
/// conversation that changed.
pub async fn m10_a_change_of_members_is_announced_to_current_and_former_members<
    S: Messages + Groups,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b", "c"], History::Joined).await;
    let socket = lamplight_domain::identity::ConnectionId::trusted("s");
    let write = write("g", "a", add(&["d"]));
    let added = store.change_group(write, Some(socket.clone())).await;
    assert_eq!(added.expect("a change").entry.expect("an entry").seq, 2);
    assert_eq!(done(store, "g", "a", remove("b")).await.seq, 3);
    send(store, "g", "c", "who left?").await;
    let published = subject.events.exactly(4).await;
    let to: Vec<_> = published.iter().map(|(_, to, _)| to.to_vec()).collect();
    assert_eq!(to[1], users(&["a", "b", "c", "d"]));
    assert_eq!(published[1].2, Some(socket));
    assert_eq!(
        to[2],
        users(&["a", "b", "c", "d"]),
        "the removed member gets the event"
    );
    assert_eq!(to[3], users(&["a", "c", "d"]));
    let changed: Vec<_> = subject
        .events
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::ConversationChanged { to, .. } => Some(to.to_vec()),
            _ => None,
        })
        .collect();
    assert_eq!(changed[1], users(&["a", "b", "c", "d"]));
    assert_eq!(changed[2], users(&["a", "c", "d"]));
}

/// A member who is there, a role that is the same, a name that is the same.
pub async fn an_unchanged_answer_names_the_entry_that_made_the_state<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::All).await;
    done(store, "g", "a", add(&["c"])).await;
    done(store, "g", "a", role("b", Role::Admin)).await;
    done(store, "g", "a", name(Some("N"))).await;
    for (action, seq) in [
        (add(&["b"]), 1),
        (add(&["b", "c"]), 2),
        (role("b", Role::Admin), 3),
        (role("a", Role::Owner), 1),
        (name(Some("N")), 4),
    ] {
        let same = change(store, "g", "a", action.clone()).await;
        let same = same.expect("an answer");
        assert!(same.duplicate, "{action:?}");
        assert_eq!(same.entry.map(|entry| entry.seq), Some(seq), "{action:?}");
    }
    subject.events.exactly(4).await;
}

/// The rules of `domain::group` hold in the transaction.
pub async fn roles_decide_about_changes<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    make(store, "g", &["o", "a", "m"], History::Joined).await;
    done(store, "g", "o", role("a", Role::Admin)).await;
    for action in [add(&["x"]), remove("a"), name(Some("x"))] {
        let outcome = change(store, "g", "m", action).await;
        assert_eq!(refused(outcome), GroupRefused::NotAnAdmin);
    }
    let outcome = change(store, "g", "a", role("m", Role::Admin)).await;
    assert_eq!(refused(outcome), GroupRefused::NotAnOwner);
    let outcome = change(store, "g", "a", remove("o")).await;
    assert_eq!(refused(outcome), GroupRefused::IsAnOwner);
    let outcome = change(store, "g", "o", role("o", Role::Member)).await;
    assert_eq!(refused(outcome), GroupRefused::LastOwner);
    let outcome = change(store, "g", "a", remove("x")).await;
    assert_eq!(refused(outcome), GroupRefused::NoMember);
    done(store, "g", "a", add(&["n"])).await;
    done(store, "g", "a", remove("m")).await;
    for stranger in ["x", "m"] {
        let outcome = change(store, "g", stranger, add(&["y"])).await;
        assert!(matches!(outcome, Err(GroupError::NotFound)), "{outcome:?}");
    }
    let outcome = change(store, "nowhere", "o", add(&["y"])).await;
    assert!(matches!(outcome, Err(GroupError::NotFound)), "{outcome:?}");
    // A direct conversation is not a group, for any caller.
    let (direct, _) = store
        .ensure_direct(&user("a"), &user("b"), conversation("two"), at(0))
        .await
        .expect("an answer")
        .expect("a conversation");
    assert_eq!(direct.group, None);
    for by in ["a", ""] {
        let outcome = change(store, "two", by, add(&["c"])).await;
        assert_eq!(refused(outcome), GroupRefused::NotAGroup);
    }
    // A group that shrinks to two stays one.
    done(store, "g", "n", remove("n")).await;
    let left = seen(store, "o", "g").await.expect("a member");
    assert_eq!(left.group.map(|group| group.member_count), Some(2));
    subject.events.exactly(5).await;
}

/// To the admin who joined first, otherwise to the member who joined first, in the entry of the
/// leave.
pub async fn the_last_owner_hands_over<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    make(store, "g", &["o", "m"], History::Joined).await;
    done(store, "g", "o", add(&["b"])).await;
    done(store, "g", "o", add(&["a"])).await;
    for admin in ["a", "b"] {
        done(store, "g", "o", role(admin, Role::Admin)).await;
    }
    let left = done(store, "g", "o", remove("o")).await;
    assert_eq!(members_of(&left).roles, [(user("b"), Role::Owner)]);
    assert_eq!(
        seen(store, "b", "g").await.expect("a member").role,
        Role::Owner
    );
    done(store, "g", "b", remove("a")).await;
    let left = done(store, "g", "b", remove("b")).await;
    assert_eq!(members_of(&left).roles, [(user("m"), Role::Owner)]);
    let last = done(store, "g", "m", remove("m")).await;
    assert_eq!(members_of(&last).roles, []);
    assert!(seen(store, "m", "g").await.is_none());
    let members = store.members(&conversation("g")).await;
    assert_eq!(members.expect("an answer").expect("a group").len(), 0);
}

/// With an entry that has what changed.
pub async fn details_are_changed_and_announced<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let entry = done(store, "g", "a", name(Some("First"))).await;
    assert_eq!(
        entry.kind,
        EntryKind::Details(DetailsChange {
            name: Some(Some("First".into())),
            avatar_url: None,
        })
    );
    let both = lamplight_domain::group::GroupAction::SetDetails(DetailsChange {
        name: Some(None),
        avatar_url: Some(Some("/b.png".into())),
    });
    done(store, "g", "", both).await;
    let group = seen(store, "b", "g").await.expect("a member").group;
    let group = group.expect("a group");
    assert_eq!(
        (group.name, group.avatar_url.as_deref()),
        (None, Some("/b.png"))
    );
    let entries = log(store, "b", "g").await.expect("a member");
    assert_eq!(entries[1], *entry);
    assert!(entries[2].sender.is_host());
    assert_eq!(entries[2].author(), None);
    let details = store.details(&conversation("g")).await.expect("an answer");
    assert_eq!(
        details.and_then(|details| details.group),
        seen(store, "a", "g").await.expect("a member").group
    );
}

/// Members may not, and authors delete their own.
pub async fn admins_of_a_group_delete_and_pin<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    make(store, "g", &["o", "m"], History::Joined).await;
    let sent = send(store, "g", "o", "by the owner").await;
    let own = send(store, "g", "m", "by a member").await;
    let act = |sender: &str, on: &lamplight_domain::identity::MessageId, action| NewEntry {
        write: Write::Change {
            message: on.clone(),
            action,
        },
        ..message("g", sender, "")
    };
    let pin = || MessageAction::Pin { pinned: true };
    for (entry, expected) in [
        (
            act("m", &sent, MessageAction::Delete),
            WriteRefused::NotTheAuthor,
        ),
        (act("m", &own, pin()), WriteRefused::NotAnAdmin),
    ] {
        let outcome = store.append(entry, None).await;
        assert!(
            matches!(&outcome, Err(AppendError::Refused(refused)) if *refused == expected),
            "{outcome:?}"
        );
    }
    for entry in [act("o", &own, pin()), act("o", &own, MessageAction::Delete)] {
        assert!(!store.append(entry, None).await.expect("a change").duplicate);
    }
}

/// Its entries have no author. A direct conversation that it enlarges becomes a group without
/// owners, in which everyone sees the whole log.
pub async fn the_host_changes_members_in_its_own_name<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    let put = async |members: &[&str]| {
        let members = users(members);
        store
            .put_conversation(&conversation("c"), &members, at(2))
            .await
            .expect("an answer")
    };
    put(&["a", "b"]).await;
    assert_eq!(seen(store, "a", "c").await.expect("a member").group, None);
    send(store, "c", "a", "of two").await;
    let (affected, changed) = put(&["a", "c", "d"]).await;
    assert_eq!(
        (affected.to_vec(), changed),
        (users(&["a", "b", "c", "d"]), true)
    );
    let entries = log(store, "d", "c").await.expect("a member");
    assert_eq!(entries.len(), 2, "the whole log");
    assert!(entries[1].sender.is_host());
    let change = members_of(&entries[1]);
    assert_eq!(
        (&change.added[..], &change.removed[..], &change.roles[..]),
        (&users(&["c", "d"])[..], &users(&["b"])[..], &[][..])
    );
    assert!(!put(&["d", "c", "a"]).await.1, "nothing changes");
    let group = seen(store, "a", "c").await.expect("a member");
    assert_eq!((group.role, group.unread), (Role::Member, 0));
    assert!(group.group.is_some());
    put(&["a", "c"]).await;
    let still = seen(store, "a", "c").await.expect("a member");
    assert_eq!(still.group.map(|group| group.member_count), Some(2));
    // It may do what admins may.
    done(store, "c", "", add(&["e"])).await;
    done(store, "c", "", role("e", Role::Owner)).await;
    done(store, "c", "", remove("e")).await;
    let published = subject.events.exactly(6).await;
    assert_eq!(published[1].1[..], users(&["a", "b", "c", "d"]));
}

/// In the order of their ids.
pub async fn members_come_in_pages_with_their_roles<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    make(store, "g", &["c", "a", "b", "d", "e"], History::Joined).await;
    done(store, "g", "c", role("d", Role::Admin)).await;
    let (mut cursor, mut all) = (None::<String>, Vec::new());
    loop {
        let page = store
            .member_page(&user("b"), &conversation("g"), cursor.as_deref(), 2)
            .await;
        let page = page.expect("an answer").expect("a member");
        all.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let all: Vec<_> = all
        .iter()
        .map(|one| (one.profile.id.as_str(), one.role))
        .collect();
    let expected = [
        ("a", Role::Member),
        ("b", Role::Member),
        ("c", Role::Owner),
        ("d", Role::Admin),
        ("e", Role::Member),
    ];
    assert_eq!(all, expected);
    let ask = async |user: &UserId, place: &str| {
        let place = conversation(place);
        let page = store.member_page(user, &place, None, 10).await;
        page.expect("an answer").map(|page| page.items.len())
    };
    assert_eq!(ask(&UserId::host(), "g").await, Some(5));
    assert_eq!(ask(&user("x"), "g").await, None);
    assert_eq!(ask(&user("a"), "nowhere").await, None);
}

/// And counts all of them. Only added members get `ConversationChanged`.
pub async fn a_large_group_shows_its_first_members<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    let count = SHOWN_MEMBERS + 20;
    let ids: Vec<String> = (0..count).map(|number| format!("u{number:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    make(store, "g", &ids, History::Joined).await;
    done(store, "g", ids[0], add(&["zoe"])).await;
    done(store, "g", ids[0], name(Some("Large"))).await;
    let seen = seen(store, ids[1], "g").await.expect("a member");
    assert_eq!(seen.members.len(), SHOWN_MEMBERS);
    assert_eq!(seen.members[0].id.as_str(), ids[0]);
    let group = seen.group.expect("a group");
    assert_eq!(group.member_count, count as u64 + 1);
    let listed = store.conversations(&user(ids[1]), None, None, 10).await;
    assert_eq!(
        listed.expect("a page").items[0].members.len(),
        SHOWN_MEMBERS
    );
    subject.events.exactly(3).await;
    let events = subject.events.events();
    let changed = events.iter().filter_map(|event| match event {
        Event::ConversationChanged { to, .. } => Some(to.to_vec()),
        _ => None,
    });
    let changed: Vec<_> = changed.skip(1).collect();
    assert_eq!(changed, [users(&["zoe"])]);
}

/// Details and changes of messages do not.
pub async fn only_messages_and_members_move_the_list<S: Messages + Groups>(subject: Subject<S>) {
    let store = &*subject.store;
    make(store, "one", &["a", "b"], History::Joined).await;
    make(store, "two", &["a", "b"], History::Joined).await;
    let first = async || {
        let page = store.conversations(&user("b"), None, None, 10).await;
        page.expect("a page").items[0].id.as_str().to_owned()
    };
    assert_eq!(first().await, "two");
    done(store, "one", "a", name(Some("N"))).await;
    assert_eq!(first().await, "two");
    done(store, "one", "a", add(&["c"])).await;
    assert_eq!(first().await, "one");
    send(store, "two", "a", "hello").await;
    assert_eq!(first().await, "two");
    let seen = seen(store, "b", "one").await.expect("a member");
    assert_eq!((seen.head_seq, seen.unread, seen.read_seq), (3, 0, 1));
}

/// However many are added at once.
pub async fn m9_a_group_never_grows_past_its_limit<S: Messages + Groups>(subject: Subject<S>) {
    let store = &subject.store;
    make(&**store, "g", &["a", "b"], History::Joined).await;
    let adding = (0..12).map(|number| {
        let store = store.clone();
        let write = GroupWrite {
            limit: 6,
            ..write("g", "a", add(&[&format!("n{number}")]))
        };
        tokio::spawn(async move { store.change_group(write, None).await })
    });
    let outcomes = join_all(adding).await;
    let mut added = 0;
    for outcome in outcomes {
        match outcome.expect("a task") {
            Ok(_) => added += 1,
            Err(GroupError::Refused(GroupRefused::TooManyMembers)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(added, 4);
    let group = seen(&**store, "a", "g").await.expect("a member").group;
    assert_eq!(group.map(|group| group.member_count), Some(6));
    let entries = log(&**store, "a", "g").await.expect("a member");
    let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}
