//! The suite for `Presence`.
//!
//! What the rules mean to the millisecond is tested where they are, in the domain. This suite holds
//! an adapter to them through its own face, with room for one whose time is real: nothing here is
//! closer than half a grace period.

mod together;

pub use together::*;

use crate::{Recorder, user};
use futures_util::future::BoxFuture;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, Profile};
use lamplight_domain::presence::{
    Activity, Change, ManualStatus, OfflineReason, Rules, Status, StatusOverride,
};
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_usecases::ports::{Clock, Person, PresenceStore};
use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// The rules that the adapter is to have.
pub const RULES: Rules = Rules {
    grace: Duration::from_millis(1_000),
    time_to_live: Duration::from_millis(12_000),
    away_after: Duration::from_millis(6_000),
    update_every: Duration::ZERO,
};

const HALF_A_GRACE: Duration = Duration::from_millis(500);
const PAST_THE_GRACE: Duration = Duration::from_millis(2_000);

/// An adapter under test: nobody is in.
pub struct PresenceSubject<P> {
    /// The adapter.
    pub presence: Arc<P>,
    /// What the adapter was given as its fan-out.
    pub events: Arc<Recorder>,
    /// Lets so much time pass, and the adapter do what is due meanwhile.
    pub pass: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    /// The same node begins anew, with nobody in, and the same fan-out.
    pub again: Box<dyn Fn() -> BoxFuture<'static, Arc<P>> + Send + Sync>,
    /// What has to live as long.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Joins the suite: `presence_suite!(factory)`, the factory an `async fn` that makes a
/// [`PresenceSubject`].
#[macro_export]
macro_rules! presence_suite {
    ($factory:path) => {
        $crate::suite!(
            $factory,
            $crate::presence,
            [
                who_comes_is_seen_and_who_closes_is_out_after_the_grace_period,
                p8_three_tabs_in_any_order_of_closing_are_online_until_the_last_is_gone,
                p4_a_reload_is_no_event,
                p3_expiry_is_one_timeout_and_the_next_activity_revives,
                p3_a_session_that_is_refreshed_does_not_expire,
                signing_out_is_told_at_once_unless_another_device_is_in,
                what_is_shown_follows_status_activity_and_profile,
                away_without_activity_and_back_with_it,
                p11_going_invisible_looks_like_closing,
                p11_who_comes_invisible_was_never_there,
                what_nobody_knows_of_is_no_event,
                p5_versions_grow_over_restarts,
                the_list_pages_in_the_order_in_which_they_came,
                p8_many_sessions_at_once_are_one_coming_and_one_going,
                p6_a_stale_snapshot_and_the_events_are_a_fresh_one,
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
        chosen: chosen(status),
        last_seen: None,
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

    /// Every change so far, in words.
    pub(crate) fn told(&self) -> Vec<String> {
        let words = |change: &Change| match change {
            Change::Online(shown) => format!("{} in {:?}", shown.profile.id, shown.status),
            Change::Updated(shown) => format!("{} now {:?}", shown.profile.id, shown.status),
            Change::Offline(absence) => format!("{} out {:?}", absence.user, absence.reason),
        };
        self.changes().iter().map(words).collect()
    }

    pub(crate) async fn join(&self, who: &str, session: &str) {
        self.presence
            .join(&tab(session), person(who, ManualStatus::Online))
            .await
            .expect("joined");
    }

    pub(crate) async fn close(&self, session: &str) {
        self.presence
            .close(&tab(session), OfflineReason::Closed)
            .await
            .expect("closed");
    }

    async fn is_shown(&self, who: &str) -> bool {
        self.presence
            .get(&user(who))
            .await
            .expect("an answer")
            .is_some()
    }
}

/// The life of a visit.
pub async fn who_comes_is_seen_and_who_closes_is_out_after_the_grace_period<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let presence = &subject.presence;
    assert!(!subject.is_shown("a").await);
    subject.join("a", "a1").await;
    let shown = presence
        .get(&user("a"))
        .await
        .expect("an answer")
        .expect("in");
    assert_eq!(
        (shown.profile.clone(), shown.status),
        (Profile::bare(user("a")), Status::Online)
    );
    assert_eq!(presence.count().await.expect("a count"), 1);
    assert_eq!(
        presence.list(0, 10).await.expect("a list"),
        [Arc::clone(&shown)]
    );
    assert!(!presence.is_degraded());

    subject.close("a1").await;
    (subject.pass)(HALF_A_GRACE).await;
    assert_eq!(subject.told(), ["a in Online"]);
    assert!(subject.is_shown("a").await);
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.told(), ["a in Online", "a out Closed"]);
    assert!(!subject.is_shown("a").await);
    assert_eq!(presence.count().await.expect("a count"), 0);
    let changes = subject.changes();
    let Change::Offline(absence) = &changes[1] else {
        panic!("a leave")
    };
    assert!(absence.version > shown.version);
    assert!(absence.last_seen_at >= Some(shown.last_active_at));
}

/// P8, with each end told twice.
pub async fn p8_three_tabs_in_any_order_of_closing_are_online_until_the_last_is_gone<
    P: PresenceStore,
>(
    subject: PresenceSubject<P>,
) {
    for (round, order) in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ]
    .into_iter()
    .enumerate()
    {
        let who = format!("u{round}");
        let id = |n: usize| format!("{who}-{n}");
        for n in 0..3 {
            subject.join(&who, &id(n)).await;
        }
        for n in order {
            assert!(subject.is_shown(&who).await);
            (subject.pass)(PAST_THE_GRACE).await;
            assert!(subject.is_shown(&who).await, "{order:?}");
            subject.close(&id(n)).await;
            subject.close(&id(n)).await;
        }
        (subject.pass)(PAST_THE_GRACE).await;
        assert!(!subject.is_shown(&who).await);
        let about = subject
            .told()
            .into_iter()
            .filter(|told| told.starts_with(&who))
            .collect::<Vec<_>>();
        assert_eq!(
            about,
            [format!("{who} in Online"), format!("{who} out Closed")],
            "{order:?}"
        );
    }
}

/// P4, by a new session and by the same one.
pub async fn p4_a_reload_is_no_event<P: PresenceStore>(subject: PresenceSubject<P>) {
    subject.join("a", "a1").await;
    for next in ["a2", "a2", "a3"] {
        for held in ["a1", "a2", "a3"] {
            subject.close(held).await;
        }
        (subject.pass)(HALF_A_GRACE).await;
        subject.join("a", next).await;
        (subject.pass)(PAST_THE_GRACE).await;
    }
    assert_eq!(subject.told(), ["a in Online"]);
}

/// P3.
pub async fn p3_expiry_is_one_timeout_and_the_next_activity_revives<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    subject.join("a", "a1").await;
    (subject.pass)(RULES.time_to_live + PAST_THE_GRACE).await;
    let expired = ["a in Online", "a now Away", "a out Timeout"];
    assert_eq!(subject.told(), expired);
    (subject.pass)(RULES.time_to_live).await;
    assert_eq!(subject.told(), expired);
    subject
        .presence
        .activity(&tab("a1"), true)
        .await
        .expect("active");
    assert_eq!(subject.told()[3..], ["a in Online"]);
    assert!(subject.is_shown("a").await);
}

/// P3: a heartbeat of any kind keeps a session.
pub async fn p3_a_session_that_is_refreshed_does_not_expire<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    subject.join("a", "a1").await;
    for beat in 0..8 {
        (subject.pass)(RULES.time_to_live / 4).await;
        subject
            .presence
            .activity(&tab("a1"), beat % 2 == 0)
            .await
            .expect("active");
    }
    assert!(subject.is_shown("a").await);
    assert!(subject.told().iter().all(|told| !told.contains("out")));
}

/// Signing out has no grace period.
pub async fn signing_out_is_told_at_once_unless_another_device_is_in<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    subject.join("a", "a1").await;
    subject.join("a", "a2").await;
    subject
        .presence
        .sign_out(&tab("a1"))
        .await
        .expect("signed out");
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.told(), ["a in Online"]);
    subject
        .presence
        .sign_out(&tab("a2"))
        .await
        .expect("signed out");
    assert_eq!(subject.told(), ["a in Online", "a out SignedOut"]);
    assert!(!subject.is_shown("a").await);
}

/// Updates, and none where nothing changes.
pub async fn what_is_shown_follows_status_activity_and_profile<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let presence = &subject.presence;
    subject.join("a", "a1").await;
    subject.join("a", "a2").await;
    let busy = StatusOverride {
        status: ManualStatus::Busy,
        text: Some("in a talk".into()),
        until: None,
    };
    let call = Activity {
        kind: "in_call".into(),
        label: Some("with b".into()),
        conversation: None,
    };
    let profile = Profile {
        name: "Ada".into(),
        ..Profile::bare(user("a"))
    };
    for _ in 0..2 {
        presence
            .set_status(&user("a"), busy.clone())
            .await
            .expect("set");
        presence
            .set_activity(&tab("a1"), Some(call.clone()))
            .await
            .expect("set");
        presence.set_profile(profile.clone()).await.expect("set");
    }
    assert_eq!(
        subject.told(),
        ["a in Online", "a now Busy", "a now Busy", "a now Busy"]
    );
    let shown = presence
        .get(&user("a"))
        .await
        .expect("an answer")
        .expect("in");
    assert_eq!(
        (&shown.profile, shown.text.as_deref(), &shown.activities[..]),
        (&profile, Some("in a talk"), &[call][..])
    );
    subject.close("a1").await;
    (subject.pass)(PAST_THE_GRACE).await;
    let shown = presence
        .get(&user("a"))
        .await
        .expect("an answer")
        .expect("in");
    assert!(
        shown.activities.is_empty(),
        "held by the session, and gone with it"
    );
}

/// On all devices.
pub async fn away_without_activity_and_back_with_it<P: PresenceStore>(subject: PresenceSubject<P>) {
    subject.join("a", "a1").await;
    subject.join("a", "a2").await;
    subject
        .presence
        .activity(&tab("a2"), false)
        .await
        .expect("idle");
    assert_eq!(
        subject.told(),
        ["a in Online"],
        "an idle device does not override an active one"
    );
    (subject.pass)(RULES.away_after + PAST_THE_GRACE).await;
    assert_eq!(subject.told(), ["a in Online", "a now Away"]);
    subject
        .presence
        .activity(&tab("a2"), true)
        .await
        .expect("active");
    assert_eq!(subject.told()[2..], ["a now Online"]);
}

/// P11.
pub async fn p11_going_invisible_looks_like_closing<P: PresenceStore>(subject: PresenceSubject<P>) {
    let presence = &subject.presence;
    for who in ["a", "b"] {
        subject.join(who, who).await;
    }
    presence
        .set_status(&user("a"), chosen(ManualStatus::Invisible))
        .await
        .expect("set");
    subject.close("b").await;
    assert!(presence.is_invisible(&user("a")).await.expect("an answer"));
    (subject.pass)(HALF_A_GRACE).await;
    assert!(subject.is_shown("a").await == subject.is_shown("b").await);
    (subject.pass)(PAST_THE_GRACE).await;
    let leaves: Vec<_> = subject
        .changes()
        .into_iter()
        .filter(|change| matches!(change, Change::Offline(_)))
        .collect();
    let [Change::Offline(one), Change::Offline(other)] = &leaves[..] else {
        panic!("two leaves: {leaves:?}")
    };
    assert_eq!(one.reason, other.reason);
    let apart = one
        .last_seen_at
        .expect("seen")
        .0
        .abs_diff(other.last_seen_at.expect("seen").0);
    assert!(apart < 500, "both were last seen when they went");
    assert_eq!(
        (
            presence.count().await.expect("a count"),
            presence.list(0, 9).await.expect("a list").len()
        ),
        (0, 0)
    );

    // A further life is nobody's business.
    let told = subject.told().len();
    subject
        .presence
        .join(&tab("a2"), person("a", ManualStatus::Online))
        .await
        .expect("joined");
    presence.activity(&tab("a"), true).await.expect("active");
    presence
        .set_profile(Profile {
            name: "Ada".into(),
            ..Profile::bare(user("a"))
        })
        .await
        .expect("set");
    subject.close("a2").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(
        subject.told().len(),
        told,
        "a device that asked the store before the status was set changes nothing either"
    );
    presence
        .set_status(&user("a"), chosen(ManualStatus::Online))
        .await
        .expect("set");
    assert_eq!(subject.told()[told..], ["a in Online"]);
}

/// P11: kept over restarts.
pub async fn p11_who_comes_invisible_was_never_there<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    subject
        .presence
        .join(&tab("a1"), person("a", ManualStatus::Invisible))
        .await
        .expect("joined");
    assert!(!subject.is_shown("a").await);
    subject.close("a1").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.told(), [""; 0]);
}

/// Late words of sockets that are gone, and news of people who are out.
pub async fn what_nobody_knows_of_is_no_event<P: PresenceStore>(subject: PresenceSubject<P>) {
    let presence = &subject.presence;
    let ghost = tab("ghost");
    presence.activity(&ghost, true).await.expect("nothing");
    presence
        .close(&ghost, OfflineReason::Timeout)
        .await
        .expect("nothing");
    presence.sign_out(&ghost).await.expect("nothing");
    presence.set_activity(&ghost, None).await.expect("nothing");
    presence
        .set_status(&user("nobody"), chosen(ManualStatus::Busy))
        .await
        .expect("nothing");
    presence
        .set_profile(Profile::bare(user("nobody")))
        .await
        .expect("nothing");
    assert!(
        !presence
            .is_invisible(&user("nobody"))
            .await
            .expect("an answer")
    );
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.told(), [""; 0]);
}

/// P5.
pub async fn p5_versions_grow_over_restarts<P: PresenceStore>(mut subject: PresenceSubject<P>) {
    for _ in 0..3 {
        subject.join("a", "a1").await;
        subject
            .presence
            .sign_out(&tab("a1"))
            .await
            .expect("signed out");
        subject.presence = (subject.again)().await;
        assert_eq!(subject.presence.count().await.expect("a count"), 0);
    }
    let versions: Vec<_> = subject.changes().iter().map(Change::version).collect();
    assert!(
        versions.len() >= 6 && versions.is_sorted_by(|one, next| one < next),
        "{versions:?}"
    );
    assert!(
        versions.iter().all(|version| *version < 1 << 53),
        "a number that JavaScript keeps"
    );
}

/// Pages neither skip nor repeat anyone, though people change meanwhile.
pub async fn the_list_pages_in_the_order_in_which_they_came<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    for n in 0..5 {
        subject.join(&format!("u{n}"), &format!("t{n}")).await;
    }
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let page = subject.presence.list(after, 2).await.expect("a page");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = last.since;
        seen.extend(page.iter().map(|shown| shown.profile.id.to_string()));
        subject
            .presence
            .set_profile(Profile {
                name: format!("{}", seen.len()).into(),
                ..Profile::bare(user("u0"))
            })
            .await
            .expect("set");
    }
    assert_eq!(seen, ["u0", "u1", "u2", "u3", "u4"]);
}
