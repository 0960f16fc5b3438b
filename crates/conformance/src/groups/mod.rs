//! The suite for `Groups`, on a store that is `Messages` and `MessageSearch` too.

mod before;
mod blocking;
mod changing;
mod joining;
mod naming;
mod repeats;

pub use before::*;
pub use blocking::*;
pub use changing::*;
pub use joining::*;
pub use naming::*;
pub use repeats::*;

use crate::setup::{send, users};
use crate::{at, client_id, conversation, user};
use lamplight_domain::conversation::Conversation;
use lamplight_domain::entry::{DetailsChange, Entry, MembersChange};
use lamplight_domain::group::{GroupAction, GroupRefused, GroupWrite, History, NewGroup};
use lamplight_domain::identity::MessageId;
use lamplight_domain::permission::Role;
use lamplight_usecases::ports::{GroupChanged, GroupError, Groups, Messages, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Joins the suite: `groups_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! groups_suite {
    ($factory:path) => {
        $crate::suite!(
            groups,
            $factory,
            [
                m1_a_group_is_made_once_under_its_makers_id,
                m1_a_repeated_change_of_a_group_is_a_duplicate,
                m1_another_change_under_a_used_key_is_a_conflict,
                a_refused_change_inserts_no_people,
                m10_a_change_of_members_is_announced_to_current_and_former_members,
                an_unchanged_answer_names_the_entry_that_made_the_state,
                roles_decide_about_changes,
                the_last_owner_hands_over,
                details_are_changed_and_announced,
                admins_of_a_group_delete_and_pin,
                the_host_changes_members_in_its_own_name,
                members_come_in_pages_with_their_roles,
                a_large_group_shows_its_first_members,
                only_messages_and_members_move_the_list,
                m9_a_group_never_grows_past_its_limit,
                m15_the_entry_that_removes_a_member_is_their_last,
                m15_a_joined_log_begins_with_the_entry_that_adds_its_member,
                m15_later_entries_reveal_nothing_before_the_log,
                m15_events_list_newcomers_whose_log_lacks_the_message,
                m15_the_log_of_a_member_added_again_starts_there,
                m15_an_unchanged_answer_reveals_nothing_before_the_log,
                m15_a_search_finds_nothing_before_the_log,
                m15_pages_of_a_search_end_where_a_log_begins,
                m15_entries_read_for_delivery_reach_only_permitted_members,
                a_page_of_a_large_group_includes_profiles_missing_in_its_list,
                a_page_includes_profiles_of_former_members,
                m15_hidden_entries_include_no_profiles,
                m7_a_newcomers_view_equals_the_fold_of_their_log,
                m15_pins_and_times_before_the_log_are_hidden_from_a_newcomer,
                m15_a_block_prevents_an_addition,
                m1_a_repetition_of_an_add_is_recognised_before_a_block_refuses,
                m15_no_blocked_user_is_added_after_the_block_is_acknowledged,
            ]
        );
    };
}

/// An id that no other entry has.
fn entry_id() -> MessageId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    MessageId::trusted(format!("group-{number}"))
}

/// A group of these, the first of them its owner.
fn new_group(id: &str, members: &[&str], history: History) -> NewGroup {
    let mut all = users(members);
    all.sort();
    NewGroup {
        conversation: conversation(id),
        entry: entry_id(),
        owner: user(members[0]),
        members: all,
        name: None,
        avatar_url: None,
        history,
        client_id: None,
        created_at: at(0),
    }
}

async fn make<S: Groups>(store: &S, id: &str, members: &[&str], history: History) {
    let made = store.make_group(new_group(id, members, history)).await;
    let (_, is_new) = made.expect("an answer").expect("its maker is in it");
    assert!(is_new);
}

/// A change by a member, or with no name by the host application.
fn write(id: &str, sender: &str, action: GroupAction) -> GroupWrite {
    GroupWrite {
        id: entry_id(),
        conversation: conversation(id),
        sender: user(sender),
        action,
        key: None,
        created_at: at(1),
        limit: 1_000,
    }
}

fn keyed(key: &str, write: GroupWrite) -> GroupWrite {
    GroupWrite {
        key: client_id(key),
        ..write
    }
}

fn add(ids: &[&str]) -> GroupAction {
    GroupAction::Add(users(ids))
}

fn remove(id: &str) -> GroupAction {
    GroupAction::Remove(user(id))
}

fn role(id: &str, role: Role) -> GroupAction {
    GroupAction::SetRole(user(id), role)
}

fn name(name: Option<&str>) -> GroupAction {
    GroupAction::SetDetails(DetailsChange {
        name: Some(name.map(Into::into)),
        avatar_url: None,
    })
}

async fn change<S: Groups>(
    store: &S,
    id: &str,
    sender: &str,
    action: GroupAction,
) -> Result<GroupChanged, GroupError> {
    store.change_group(write(id, sender, action), None).await
}

/// The entry of a change that was made.
async fn done<S: Groups>(store: &S, id: &str, sender: &str, action: GroupAction) -> Arc<Entry> {
    let changed = change(store, id, sender, action).await.expect("a change");
    assert!(!changed.duplicate, "it is new");
    changed.entry.expect("an entry records it")
}

fn refused(outcome: Result<GroupChanged, GroupError>) -> GroupRefused {
    match outcome {
        Err(GroupError::Refused(refused)) => refused,
        other => panic!("refused by a rule, not {other:?}"),
    }
}

fn members_of(entry: &Entry) -> &MembersChange {
    entry.members_change().expect("a change of members")
}

async fn seen<S: Messages>(store: &S, viewer: &str, id: &str) -> Option<Conversation> {
    let seen = store.conversation(&user(viewer), &conversation(id)).await;
    seen.expect("an answer")
}

async fn log<S: Messages>(store: &S, viewer: &str, id: &str) -> Option<Vec<Entry>> {
    let (viewer, id) = (user(viewer), conversation(id));
    let log = store.history(&viewer, &id, Range::After(0), 1_000).await;
    log.expect("an answer").map(|log| log.entries)
}
