//! The suite for `Messages`.

mod acting;
mod appending;
mod marks;
mod membership;
mod model;
mod other_kinds;
mod reading;
mod settings;

pub use acting::*;
pub use appending::*;
pub use marks::*;
pub use membership::*;
pub use model::model;
pub use other_kinds::other_kinds;
pub use reading::*;
pub use settings::*;

use crate::setup::put;
use lamplight_domain::entry::Entry;
use lamplight_usecases::ports::{AppendError, Appended};

/// Joins the suite: `messages_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! messages_suite {
    ($factory:path) => {
        $crate::suite!(
            messages,
            $factory,
            [
                m1_a_client_message_id_is_stored_once_and_answered_the_same_each_time,
                m1_the_same_client_message_id_with_other_content_is_a_conflict,
                m1_client_message_ids_are_the_senders_own_in_each_conversation,
                m1_a_temp_id_stands_for_its_content_only,
                m1_and_m10_concurrent_duplicates_are_stored_and_published_once,
                m2_a_repetition_is_recognised_after_many_other_messages,
                m4_two_hundred_at_once_are_numbered_without_a_gap_and_published_in_order,
                m4_conversations_are_numbered_each_on_its_own,
                m5_the_call_and_not_the_poll_settles_the_order,
                m5_an_append_whose_future_is_dropped_still_happens,
                m9_a_senders_own_message_is_read_and_delivered,
                m10_a_refused_append_is_not_published_and_leaves_no_trace,
                m10_an_event_names_every_member_and_the_socket_to_leave_out,
                m14_refused_items_among_many_fail_alone,
                content_round_trips,
                history_pages_in_both_directions,
                history_is_private,
                a_time_has_a_place_in_the_log,
                m7_sync_returns_missed_entries_and_where_the_log_begins,
                f14_sync_resets_a_client_whose_log_differs,
                f14_the_generation_stays_while_the_store_does,
                sync_answers_in_the_order_asked,
                sync_returns_conversations_that_the_client_did_not_name,
                conversations_come_newest_entry_first_and_page_stably,
                f16_a_clock_set_back_does_not_change_the_order,
                a_cursor_of_no_page_is_refused,
                a_conversation_looks_different_to_each_member,
                members_are_read_without_authorization,
                two_people_have_one_conversation_from_both_sides,
                concurrent_requests_of_two_people_create_one_conversation,
                the_host_creates_a_conversation_and_changes_its_members,
                a_hosted_conversation_of_two_is_their_direct_conversation,
                a_direct_conversation_that_grew_is_no_longer_found_as_direct,
                m15_a_removed_member_has_no_access,
                an_added_member_has_read_everything,
                users_who_share_a_conversation_are_found,
                m9_read_marks_only_grow_and_stop_at_the_head,
                m9_concurrent_marks_end_at_the_highest,
                delivered_marks_only_grow_and_tell_those_that_moved,
                a_read_mark_advances_the_delivered_mark,
                m9_unread_counts_messages_of_others_past_the_mark,
                p11_marks_of_invisible_users_move_hidden_and_catch_up,
                p11_marks_are_visible_again_once_the_status_ends,
                p11_a_send_makes_the_senders_marks_visible,
                p11_a_user_who_hides_read_marks_does_not_see_those_of_others,
                p11_racing_marks_and_statuses_end_visible,
                m9_a_send_past_unread_entries_publishes_the_senders_marks,
                p11_a_send_of_an_invisible_user_publishes_their_own_marks,
                receipts_of_large_conversations_go_to_the_authors_alone,
                an_edited_message_has_its_last_content_and_the_log_has_all,
                m10_refused_changes_leave_no_trace,
                a_deleted_message_is_in_no_answer,
                replies_quote_the_current_text,
                reactions_are_sets_of_users_by_emoji,
                reactions_have_limits,
                pins_have_a_limit_and_deletions_free_them,
                pinned_messages_are_listed_in_their_current_form,
                m1_and_m2_repetitions_are_recognised_after_edits_and_deletions,
                m9_deletions_change_unread_and_the_last_message,
                m9_only_messages_move_marks_and_the_list,
                m10_a_deletion_sends_conversation_changed_to_every_member,
                m7_pages_of_messages_cover_the_log_without_a_hole,
                messages_with_many_reactions_are_the_fold_of_the_log,
                m1_concurrent_changes_end_in_one_state,
                settings_belong_to_a_member_and_omitted_ones_stay,
                lists_filter_by_archived,
                m10_a_message_unarchives_for_members_without_a_mute,
                m9_the_total_excludes_muted_and_archived_conversations,
                m15_settings_go_with_the_membership,
            ]
            /// Random operations agree with a simple model in memory.
            #[test]
            fn m4_and_m9_random_operations_agree_with_a_simple_model() {
                $crate::messages::model(|| Box::pin($factory()));
            }
        );
    };
}

fn fresh(appended: Result<Appended, AppendError>) -> u64 {
    let appended = appended.expect("an append");
    assert!(!appended.duplicate, "a new message is no duplicate");
    appended.entry.seq
}

fn text(entry: &Entry) -> &str {
    entry.content().expect("a message").as_str()
}
