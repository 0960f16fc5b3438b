use super::*;
use crate::entry::{Change, MessageAction};

fn user(id: &str) -> UserId {
    UserId::trusted(id)
}

fn users(ids: &[&str]) -> Vec<UserId> {
    ids.iter().map(|id| user(id)).collect()
}

/// Members by id, each with the role and the entry that added them.
fn state(members: &[(&str, Role, u64)]) -> GroupState {
    let member = |(id, role, joined_seq): &(&str, Role, u64)| GroupMember {
        user: user(id),
        role: *role,
        joined_seq: *joined_seq,
        role_seq: *joined_seq,
    };
    GroupState {
        members: members.iter().map(member).collect(),
        is_recorded: true,
        ..GroupState::default()
    }
}

fn ask(
    state: &GroupState,
    sender: &str,
    action: GroupAction,
) -> Result<GroupVerdict, GroupRefused> {
    state.judge(&GroupWrite {
        id: MessageId::trusted("e"),
        conversation: ConversationId::trusted("c"),
        sender: user(sender),
        action,
        key: None,
        created_at: Timestamp(0),
        limit: 5,
    })
}

fn changed(verdict: Result<GroupVerdict, GroupRefused>) -> MembersChange {
    match verdict {
        Ok(GroupVerdict::Members(change)) => change,
        other => panic!("a change of members, not {other:?}"),
    }
}

use Role::{Admin, Member, Owner};

#[test]
fn admins_add_and_owners_give_roles() {
    let state = state(&[("a", Owner, 1), ("b", Admin, 1), ("c", Member, 1)]);
    let add = || GroupAction::Add(users(&["e", "d", "c", "d"]));
    for by in ["a", "b", ""] {
        assert_eq!(changed(ask(&state, by, add())).added, users(&["d", "e"]));
    }
    assert_eq!(ask(&state, "c", add()), Err(GroupRefused::NotAnAdmin));
    let known = ask(&state, "a", GroupAction::Add(users(&["c"])));
    assert_eq!(known, Ok(GroupVerdict::Unchanged(1)));
    let many = ask(&state, "a", GroupAction::Add(users(&["x", "y", "z"])));
    assert_eq!(many, Err(GroupRefused::TooManyMembers));
    let promote = || GroupAction::SetRole(user("c"), Admin);
    assert_eq!(
        changed(ask(&state, "a", promote())).roles,
        [(user("c"), Admin)]
    );
    for by in ["b", "c"] {
        assert_eq!(ask(&state, by, promote()), Err(GroupRefused::NotAnOwner));
    }
    let same = ask(&state, "a", GroupAction::SetRole(user("b"), Admin));
    assert_eq!(same, Ok(GroupVerdict::Unchanged(1)));
    let nobody = ask(&state, "a", GroupAction::SetRole(user("x"), Admin));
    assert_eq!(nobody, Err(GroupRefused::NoMember));
    let alone = GroupAction::SetRole(user("a"), Member);
    assert_eq!(
        ask(&state, "a", alone.clone()),
        Err(GroupRefused::LastOwner)
    );
    assert!(ask(&state, "", alone).is_ok(), "the host may");
}

#[test]
fn admins_remove_all_but_owners_and_everyone_leaves() {
    let state = state(&[
        ("a", Owner, 1),
        ("b", Admin, 1),
        ("c", Member, 1),
        ("o", Owner, 2),
    ]);
    let remove = |by, of| ask(&state, by, GroupAction::Remove(user(of)));
    assert_eq!(changed(remove("b", "c")).removed, users(&["c"]));
    assert_eq!(remove("b", "a"), Err(GroupRefused::IsAnOwner));
    assert_eq!(remove("c", "b"), Err(GroupRefused::NotAnAdmin));
    assert_eq!(remove("a", "x"), Err(GroupRefused::NoMember));
    for (by, of) in [("a", "o"), ("c", "c"), ("a", "a"), ("", "a")] {
        let change = changed(remove(by, of));
        assert_eq!(
            (change.removed, change.roles),
            (users(&[of]), Vec::new()),
            "there is another owner"
        );
    }
}

#[test]
fn the_last_owner_hands_over_to_the_longest_serving_admin_or_member() {
    let leave = |state: &GroupState| changed(ask(state, "a", GroupAction::Remove(user("a")))).roles;
    let with_admins = state(&[
        ("a", Owner, 1),
        ("b", Member, 1),
        ("c", Admin, 5),
        ("d", Admin, 3),
    ]);
    assert_eq!(leave(&with_admins), [(user("d"), Owner)]);
    let members = state(&[("a", Owner, 1), ("b", Member, 4), ("c", Member, 2)]);
    assert_eq!(leave(&members), [(user("c"), Owner)]);
    assert_eq!(leave(&state(&[("a", Owner, 1)])), []);
    // The host's groups have no owner, and get none.
    let hosted = state(&[("a", Member, 0), ("b", Member, 0), ("c", Member, 0)]);
    assert_eq!(leave(&hosted), []);
}

#[test]
fn a_conversation_of_two_is_changed_by_the_host_alone() {
    let direct = GroupState {
        is_recorded: false,
        ..state(&[("a", Member, 0), ("b", Member, 0)])
    };
    for action in [
        GroupAction::Add(users(&["c"])),
        GroupAction::Remove(user("a")),
        GroupAction::SetDetails(DetailsChange::default()),
        GroupAction::SetRole(user("b"), Admin),
    ] {
        for by in ["a", ""] {
            assert_eq!(
                ask(&direct, by, action.clone()),
                Err(GroupRefused::NotAGroup)
            );
        }
    }
    let replace = |ids: &[&str]| GroupAction::Replace(users(ids));
    let change = changed(ask(&direct, "", replace(&["b", "c"])));
    assert_eq!(
        (change.added.clone(), change.removed.clone()),
        (users(&["c"]), users(&["a"]))
    );
    assert_eq!(direct.after(&change)[..], users(&["b", "c"]));
    assert_eq!(
        direct.before_and_after(&change)[..],
        users(&["a", "b", "c"])
    );
    assert_eq!(
        ask(&direct, "", replace(&["a", "b"])),
        Ok(GroupVerdict::Unchanged(0))
    );
    assert!(is_group(false, 3) && is_group(false, 1) && is_group(true, 2) && !is_group(false, 2));
}

#[test]
fn only_changed_details_are_in_the_entry() {
    let state = GroupState {
        name: Some("old".into()),
        details_seq: 7,
        ..state(&[("a", Admin, 1), ("b", Member, 1)])
    };
    let change = |name: Option<Option<&str>>| {
        GroupAction::SetDetails(DetailsChange {
            name: name.map(|name| name.map(Into::into)),
            avatar_url: Some(None),
        })
    };
    let news = ask(&state, "a", change(Some(Some("new"))));
    let Ok(GroupVerdict::Details(news)) = news else {
        panic!("{news:?}")
    };
    assert_eq!(
        (news.name, news.avatar_url),
        (Some(Some("new".into())), None)
    );
    assert_eq!(
        ask(&state, "a", change(Some(Some("old")))),
        Ok(GroupVerdict::Unchanged(7))
    );
    assert_eq!(
        ask(&state, "b", change(None)),
        Err(GroupRefused::NotAnAdmin)
    );
}

fn entry(seq: u64, kind: EntryKind) -> Entry {
    Entry {
        id: MessageId::trusted("e"),
        conversation: ConversationId::trusted("c"),
        seq,
        sender: user("a"),
        client_message_id: None,
        kind,
        created_at: Timestamp(0),
    }
}

#[test]
fn m15_an_entry_is_sent_to_members_whose_log_has_it_and_to_removed_ones() {
    let readers = Readers::new(vec![(user("a"), 1), (user("d"), 0), (user("n"), 8)]);
    let change = |message_seq| {
        EntryKind::Change(Box::new(Change {
            message: MessageId::trusted("m"),
            message_seq,
            action: MessageAction::Delete,
        }))
    };
    let of = |seq, kind| {
        let Receivers { to, newcomers } = readers.receivers(&entry(seq, kind));
        (to.to_vec(), newcomers.to_vec())
    };
    assert_eq!(of(7, change(2)), (users(&["a", "d"]), vec![]));
    assert_eq!(of(9, change(2)), (users(&["a", "d", "n"]), users(&["n"])));
    assert_eq!(of(9, change(8)), (users(&["a", "d", "n"]), vec![]));
    let removal = |id: &str| {
        EntryKind::Members(Box::new(MembersChange {
            removed: users(&[id]),
            ..MembersChange::default()
        }))
    };
    assert_eq!(of(9, removal("c")).0, users(&["a", "c", "d", "n"]));
    let whole = Readers::new(vec![(user("a"), 1), (user("d"), 0)]);
    assert!(whole.first_seqs.is_empty());
    let hidden = entry(9, change(2)).seen_from(8);
    assert_eq!(hidden.kind, EntryKind::Hidden);
    assert_ne!(entry(9, change(8)).seen_from(8).kind, EntryKind::Hidden);
}
