//! Nodes die, Redis goes away and comes back, empty or not: no user who stayed is shown offline, and
//! soon everyone agrees.

mod nodes;
#[path = "../presence_support/mod.rs"]
mod presence_support;
mod redis;

use std::time::Duration;

/// Slack for late events.
const HEALED: Duration = Duration::from_secs(2);

async fn nothing() {}

mod nodes_suite {
    lamplight_conformance::parallel_suite!(
        crate::nothing,
        crate::nodes,
        [
            p1_c1_c2_a_killed_node_is_swept_and_returning_users_do_not_flicker,
            c3_a_node_that_stops_hands_its_users_over,
            c5_a_stalled_node_is_fenced_and_announces_its_users_again,
            p7_c12_c4_a_node_cut_off_from_redis_agrees_with_the_others_after_it_heals,
            p12_a_lost_bus_message_is_repaired_within_seconds,
        ]
    );
}

mod redis_suite {
    lamplight_conformance::parallel_suite!(
        crate::nothing,
        crate::redis,
        [
            c17_redis_restarted_empty,
            c17_redis_restarted_with_its_data,
            p7_redis_restarted_with_an_old_snapshot,
            p7_flushall_shows_nobody_as_offline,
            p9_redis_stalls_for_longer_than_the_lease,
            p9_the_clock_of_redis_jumps_by_an_hour,
            c18_redis_disconnects_the_subscribers,
            c17_redis_pauses_all_clients,
            redis_is_out_of_memory,
            redis_is_read_only,
            redis_comes_late,
            statuses_and_profiles_set_while_redis_was_away_apply_afterwards,
        ]
    );
}
