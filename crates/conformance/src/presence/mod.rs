//! The suite for `PresenceStore`.
//!
//! The domain's tests check the rules to the millisecond. This suite checks an adapter through its
//! port, and allows for one that runs in real time: no deadline here is closer than half a grace
//! period.

mod concurrent;
mod lifetime;
mod nodes;
mod reading;
mod resync;
mod revisions;
mod statuses;

pub use concurrent::*;
pub use lifetime::*;
pub use nodes::*;
pub use reading::*;
pub use resync::*;
pub use revisions::*;
pub use statuses::*;

use crate::{Recorder, user};
use futures_util::future::BoxFuture;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, Profile};
use lamplight_domain::presence::{
    Change, ManualStatus, OfflineReason, Presence, Rules, SavedStatus, StatusOverride,
};
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_usecases::ports::{Clock, Person, PresenceStore};
use parking_lot::Mutex;
use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The rules that a factory gives to its adapter.
pub const RULES: Rules = Rules {
    grace: Duration::from_millis(1_000),
    lease: Duration::from_millis(3_000),
    time_to_live: Duration::from_millis(12_000),
    away_after: Duration::from_millis(6_000),
    update_every: Duration::ZERO,
};

const HALF_A_GRACE: Duration = Duration::from_millis(500);
const PAST_THE_GRACE: Duration = Duration::from_millis(2_000);

/// Makes a node of a store, by its id.
pub type MakeNode<P> = Box<dyn Fn(&str) -> Arc<P> + Send + Sync>;

/// An adapter under test, without any session.
pub struct PresenceSubject<P> {
    /// A node with a lease that lasts through the test.
    pub presence: Arc<P>,
    /// Another node of the same store by its id, without a lease. The same id again is the same node
    /// started again.
    pub node: MakeNode<P>,
    /// The event bus that the adapter publishes to.
    pub events: Arc<Recorder>,
    /// Lets time pass, while the adapter runs due work.
    pub pass: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    /// Starts the store again, without any session, on the same event bus.
    pub again: Box<dyn Fn() -> BoxFuture<'static, Arc<P>> + Send + Sync>,
    /// Whatever must outlive the adapter.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Joins the suite: `presence_suite!(factory)`, the factory an `async fn` that makes a
/// [`PresenceSubject`]; `presence_suite!(factory, in_real_time)` for an adapter whose time is real.
#[macro_export]
macro_rules! presence_suite {
    ($factory:path) => {
        $crate::presence_suite!(@suite, $factory);
    };
    ($factory:path, in_real_time) => {
        $crate::presence_suite!(@parallel_suite, $factory);
    };
    (@$suite:ident, $factory:path) => {
        $crate::$suite!(
            presence,
            $factory,
            [
                a_user_is_online_while_connected_and_offline_after_the_grace_period,
                p8_three_tabs_in_any_order_of_closing_are_online_until_the_last_is_gone,
                p4_a_reload_causes_no_event,
                p3_expiry_is_one_timeout_and_the_next_activity_revives,
                p3_a_session_that_is_refreshed_does_not_expire,
                signing_out_is_published_at_once_unless_another_device_is_connected,
                the_visible_state_follows_status_activity_and_profile,
                away_without_activity_and_back_with_it,
                p11_going_invisible_looks_like_closing,
                p11_a_user_who_connects_invisible_is_never_shown,
                calls_for_unknown_connections_and_users_publish_nothing,
                p5_versions_grow_over_restarts,
                p13_each_leave_is_queued_for_the_directory_by_one_node,
                the_list_pages_in_the_order_of_arrival,
                activity_at_a_device_is_known_for_any_status,
                the_list_is_the_same_as_if_users_left_out_were_offline,
                a_cursor_of_no_page_is_refused,
                an_uploading_user_has_the_activity_sharing_file,
                statuses_of_two_nodes_end_at_the_newest_in_either_order,
                p11_a_session_that_read_an_older_status_does_not_undo_a_newer_one,
                a_session_brings_a_status_that_the_store_missed,
                two_nodes_show_one_roster,
                p8_a_user_on_two_nodes_is_online_until_the_last_session_ends,
                p1_sessions_of_a_dead_node_are_swept_exactly_once,
                p1_many_sweepers_close_a_dead_node_once,
                p2_a_restarted_node_purges_its_old_sessions_and_fences_late_writes,
                p2_users_who_return_to_a_restarted_node_cause_no_event,
                c5_a_node_that_missed_its_renewals_is_fenced_and_starts_again,
                c8_a_node_that_renews_its_lease_is_never_swept,
                c16_a_session_that_moved_to_another_node_ignores_the_first,
                c3_a_node_that_stops_hands_its_users_over_without_an_event,
                a_node_without_a_lease_writes_nothing,
                p12_a_feed_that_missed_events_is_mended_by_a_snapshot,
                p6_events_around_a_snapshot_are_neither_lost_nor_undone,
                p5_a_state_is_newer_than_every_change_before_it_and_older_than_every_later_one,
                p8_many_connections_at_once_publish_one_online_and_one_offline,
                p6_a_stale_list_and_the_events_equal_a_fresh_list,
            ]
        );
    };
}

/// A clock that tests move by hand.
#[derive(Debug)]
pub struct ManualClock(Mutex<Now>);

impl Default for ManualClock {
    fn default() -> Self {
        Self(Mutex::new(Now {
            moment: Moment(1_000_000),
            wall: Timestamp(1_700_000_000_000),
        }))
    }
}

impl ManualClock {
    /// Moves both clocks on.
    pub fn pass(&self, by: Duration) {
        let mut now = self.0.lock();
        now.moment = now.moment.plus(by);
        now.wall.0 += i64::try_from(by.as_millis()).unwrap_or(0);
    }

    /// Lets the wall clock jump, and it alone.
    pub fn jump(&self, by_millis: i64) {
        self.0.lock().wall.0 += by_millis;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        *self.0.lock()
    }
}

pub(crate) fn tab(id: &str) -> ConnectionId {
    ConnectionId::trusted(id)
}

pub(crate) fn person(id: &str, status: ManualStatus) -> Person {
    Person {
        profile: Profile::bare(user(id)),
        status: SavedStatus {
            chosen: chosen(status),
            revision: 0,
            ..SavedStatus::default()
        },
        last_seen: None,
    }
}

/// A status as the directory saves it, with a revision higher than all before.
pub(crate) fn saved(chosen: StatusOverride) -> SavedStatus {
    static REVISION: AtomicU64 = AtomicU64::new(1);
    SavedStatus {
        chosen,
        revision: REVISION.fetch_add(1, Ordering::Relaxed),
        ..SavedStatus::default()
    }
}

fn chosen(status: ManualStatus) -> StatusOverride {
    StatusOverride {
        status,
        text: None,
        until: None,
    }
}

impl<P: PresenceStore> PresenceSubject<P> {
    pub(crate) fn changes(&self) -> Vec<Change> {
        let changes = self
            .events
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Presence(change) => Some(change),
                _ => None,
            });
        changes.collect()
    }

    /// Every change published so far, in words.
    pub(crate) fn log(&self) -> Vec<String> {
        let words = |change: &Change| match change {
            Change::Online(shown) => format!("{} joined {:?}", shown.profile.id, shown.status),
            Change::Updated(shown) => format!("{} updated {:?}", shown.profile.id, shown.status),
            Change::Offline(absence) => format!("{} left {:?}", absence.user, absence.reason),
        };
        self.changes().iter().map(words).collect()
    }

    pub(crate) async fn join(&self, who: &str, session: &str) {
        self.presence
            .join(&tab(session), person(who, ManualStatus::Online))
            .await
            .expect("joined");
    }

    /// Sets a status as if the directory had just saved it.
    pub(crate) async fn set_status(&self, who: &str, chosen: StatusOverride) {
        let status = saved(chosen);
        self.presence
            .set_status(&user(who), status)
            .await
            .expect("set");
    }

    pub(crate) async fn close(&self, session: &str) {
        self.presence
            .close(&tab(session), OfflineReason::Closed)
            .await
            .expect("closed");
    }

    /// Everyone who is shown, read page by page.
    pub(crate) async fn everyone(&self) -> Vec<Arc<Presence>> {
        let (mut everyone, mut cursor) = (Vec::new(), None);
        loop {
            let page = self
                .presence
                .list(cursor.as_deref(), usize::MAX, &HashSet::new())
                .await;
            let page = page.expect("a page");
            everyone.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return everyone;
            }
        }
    }

    async fn is_shown(&self, who: &str) -> bool {
        self.presence
            .get(&user(who))
            .await
            .expect("an answer")
            .is_some()
    }
}
