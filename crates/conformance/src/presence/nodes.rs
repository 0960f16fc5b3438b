//! Several nodes share one store: leases, fencing, and the sessions of dead nodes.

use super::*;
use futures_util::future::join_all;
use lamplight_usecases::ports::{StoreError, StoreResult};

/// So long that a lease lapses in it.
const PAST_THE_LEASE: Duration = Duration::from_millis(3_500);
const A_RENEWAL: Duration = Duration::from_millis(1_000);

impl<P: PresenceStore> PresenceSubject<P> {
    async fn node_with_lease(&self, id: &str) -> Arc<P> {
        let node = (self.node)(id);
        node.acquire_lease().await.expect("a lease");
        node
    }
}

async fn join<P: PresenceStore>(node: &P, who: &str, session: &str) {
    let session = tab(session);
    let joined = node.join(&session, person(who, ManualStatus::Online));
    joined.await.expect("joined");
}

async fn close<P: PresenceStore>(node: &P, session: &str) {
    let session = tab(session);
    let closed = node.close(&session, OfflineReason::Closed);
    closed.await.expect("closed");
}

/// Every write of a node is refused.
async fn assert_fenced<P: PresenceStore>(node: &P, who: &str, session: &str) {
    let (id, who) = (tab(session), user(who));
    let person = person(who.as_str(), ManualStatus::Online);
    let writes: [(&str, StoreResult<()>); 7] = [
        ("join", node.join(&id, person).await),
        ("activity", node.activity(&id, true).await),
        ("close", node.close(&id, OfflineReason::Closed).await),
        ("sign_out", node.sign_out(&id).await),
        ("set_activity", node.set_activity(&id, None).await),
        (
            "set_status",
            node.set_status(&who, saved(chosen(ManualStatus::Busy)))
                .await,
        ),
        (
            "set_profile",
            node.set_profile(crate::named(who.as_str(), "late")).await,
        ),
    ];
    for (name, write) in writes {
        assert!(
            matches!(write, Err(StoreError::Fenced)),
            "{name}: {write:?}"
        );
    }
    let renewed = node.renew_lease().await;
    assert!(matches!(renewed, Err(StoreError::Fenced)), "{renewed:?}");
}

/// Whatever one node writes, the other reads.
pub async fn two_nodes_show_one_roster<P: PresenceStore>(subject: PresenceSubject<P>) {
    let other = subject.node_with_lease("other").await;
    subject.join("a", "a1").await;
    join(&*other, "b", "b1").await;
    for node in [&subject.presence, &other] {
        assert_eq!(node.count().await.expect("a count"), 2);
        let page = node.list(None, 10, &HashSet::new()).await.expect("a page");
        let ids = page.items.iter().map(|shown| shown.profile.id.to_string());
        assert_eq!(ids.collect::<Vec<_>>(), ["a", "b"]);
    }
    // Any node can set the user's status, wherever the sessions are.
    let busy = saved(chosen(ManualStatus::Busy));
    other.set_status(&user("a"), busy).await.expect("set");
    let shown = subject.presence.get(&user("a")).await.expect("an answer");
    assert_eq!(shown, other.get(&user("a")).await.expect("an answer"));
    assert_eq!(
        subject.log(),
        ["a joined Online", "b joined Online", "a updated Busy"]
    );
}

/// P8 and C6: decided from the sessions of all nodes.
pub async fn p8_a_user_on_two_nodes_is_online_until_the_last_session_ends<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let other = subject.node_with_lease("other").await;
    subject.join("a", "a1").await;
    join(&*other, "a", "a2").await;
    subject.close("a1").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.log(), ["a joined Online"]);
    close(&*other, "a2").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.log(), ["a joined Online", "a left Closed"]);
}

/// P1 and C1: one leave for each user, and none for a user who came back on another node.
pub async fn p1_sessions_of_a_dead_node_are_swept_exactly_once<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let dead = subject.node_with_lease("dead").await;
    for (who, session) in [
        ("gone", "g1"),
        ("gone", "g2"),
        ("back", "b1"),
        ("closed", "c1"),
    ] {
        join(&*dead, who, session).await;
    }
    close(&*dead, "c1").await;
    // Its lease lasts until then, however slow the machine is.
    for _ in 0..4 {
        (subject.pass)(HALF_A_GRACE).await;
        dead.renew_lease().await.expect("a lease");
    }
    subject.join("back", "b2").await;
    assert_eq!(subject.presence.sweep_expired().await.expect("swept"), []);
    assert_eq!(
        subject.log().last().map(String::as_str),
        Some("closed left Closed")
    );
    let before = subject.changes().len();

    (subject.pass)(PAST_THE_LEASE).await;
    let swept = subject.presence.sweep_expired().await.expect("swept");
    let nodes = swept.iter().map(|lease| lease.node.as_str());
    assert_eq!(nodes.collect::<Vec<_>>(), ["dead"]);
    assert_eq!(subject.log()[before..], ["gone left NodeLost"]);
    let Some(Change::Offline(offline)) = subject.changes().pop() else {
        panic!("a leave")
    };
    assert!(offline.last_seen_at.is_some());
    assert_eq!(subject.presence.sweep_expired().await.expect("swept"), []);
    assert_fenced(&*dead, "gone", "g1").await;
    assert_eq!(subject.log().len(), before + 1);
    (subject.pass)(PAST_THE_LEASE).await;
    assert!(subject.is_shown("back").await);
    let log = subject.log().into_iter();
    let left = log.filter(|words| words.contains(" left "));
    assert_eq!(left.count(), 2);
}

/// P1: the first sweep closes the sessions; later ones find nothing.
pub async fn p1_many_sweepers_close_a_dead_node_once<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let dead = subject.node_with_lease("dead").await;
    for n in 0..20 {
        join(&*dead, &format!("u{n}"), &format!("t{n}")).await;
    }
    (subject.pass)(PAST_THE_LEASE).await;
    let sweeps = (0..8).map(|n| {
        let node = (subject.node)(&format!("n{n}"));
        tokio::spawn(async move {
            node.acquire_lease().await.expect("a lease");
            node.sweep_expired().await.expect("swept").len()
        })
    });
    let swept = join_all(sweeps).await.into_iter();
    assert_eq!(swept.map(|swept| swept.expect("done")).sum::<usize>(), 1);
    let left = subject
        .log()
        .into_iter()
        .filter(|words| words.ends_with("left NodeLost"));
    assert_eq!(left.count(), 20);
    assert_eq!(subject.presence.count().await.expect("a count"), 0);
}

/// P2.
pub async fn p2_a_restarted_node_purges_its_old_sessions_and_fences_late_writes<
    P: PresenceStore,
>(
    subject: PresenceSubject<P>,
) {
    let before = subject.node_with_lease("node").await;
    let first = before.renew_lease().await.expect("a lease");
    join(&*before, "a", "a1").await;
    join(&*before, "b", "b1").await;
    let after = (subject.node)("node");
    let second = after.acquire_lease().await.expect("a lease");
    assert_eq!(second.node, first.node);
    assert!(second.incarnation > first.incarnation);
    join(&*after, "b", "b2").await;
    assert_fenced(&*before, "a", "a1").await;
    (subject.pass)(PAST_THE_GRACE).await;
    after.renew_lease().await.expect("a lease");
    let log = subject.log();
    assert_eq!(
        log,
        ["a joined Online", "b joined Online", "a left NodeLost"]
    );
    assert_fenced(&*before, "b", "b2").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.log(), log);
    assert_eq!(subject.presence.sweep_expired().await.expect("swept"), []);
}

/// P2 and P4: a restart within the grace period.
pub async fn p2_users_who_return_to_a_restarted_node_cause_no_event<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    join(&*subject.node_with_lease("node").await, "a", "a1").await;
    let after = subject.node_with_lease("node").await;
    (subject.pass)(HALF_A_GRACE).await;
    join(&*after, "a", "a2").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.log(), ["a joined Online"]);
}

/// C5: the node stood still for longer than its lease.
pub async fn c5_a_node_that_missed_its_renewals_is_fenced_and_starts_again<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let slow = subject.node_with_lease("slow").await;
    join(&*slow, "a", "a1").await;
    (subject.pass)(PAST_THE_LEASE).await;
    assert_eq!(
        subject.presence.sweep_expired().await.expect("swept").len(),
        1
    );
    assert_fenced(&*slow, "a", "a1").await;
    slow.acquire_lease().await.expect("a lease");
    join(&*slow, "a", "a1").await;
    assert_eq!(
        subject.log(),
        ["a joined Online", "a left NodeLost", "a joined Online"]
    );
}

/// C8: by renewals alone, without any other call. A late renewal counts too, until a sweep.
pub async fn c8_a_node_that_renews_its_lease_is_never_swept<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let quiet = subject.node_with_lease("quiet").await;
    join(&*quiet, "a", "a1").await;
    let mut expires = Moment(0);
    for _ in 0..6 {
        (subject.pass)(A_RENEWAL).await;
        let lease = quiet.renew_lease().await.expect("a lease");
        assert!(lease.expires > expires);
        expires = lease.expires;
        assert_eq!(subject.presence.sweep_expired().await.expect("swept"), []);
    }
    (subject.pass)(PAST_THE_LEASE).await;
    quiet.renew_lease().await.expect("a lease");
    assert_eq!(subject.presence.sweep_expired().await.expect("swept"), []);
    assert!(subject.is_shown("a").await);
    assert!(!subject.log().iter().any(|words| words.contains(" left ")));
}

/// C16: a connection was recovered on another node, and the first one reports its end late.
pub async fn c16_a_session_that_moved_to_another_node_ignores_the_first<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let first = subject.node_with_lease("first").await;
    join(&*first, "a", "a1").await;
    subject.join("a", "a1").await;
    close(&*first, "a1").await;
    first.sign_out(&tab("a1")).await.expect("nothing");
    first.activity(&tab("a1"), false).await.expect("nothing");
    (subject.pass)(PAST_THE_LEASE).await;
    subject.presence.sweep_expired().await.expect("swept");
    assert_eq!(subject.log(), ["a joined Online"]);
    subject.close("a1").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.log(), ["a joined Online", "a left Closed"]);
}

/// C3: a stop is like closing every connection, without waiting for the lease.
pub async fn c3_a_node_that_stops_hands_its_users_over_without_an_event<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let stopping = subject.node_with_lease("stopping").await;
    join(&*stopping, "a", "a1").await;
    join(&*stopping, "b", "b1").await;
    stopping.release_lease().await.expect("released");
    (subject.pass)(HALF_A_GRACE).await;
    subject.join("a", "a2").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(
        subject.log(),
        ["a joined Online", "b joined Online", "b left Closed"]
    );
    assert_fenced(&*stopping, "a", "a1").await;
    (subject.pass)(PAST_THE_LEASE).await;
    assert_eq!(subject.presence.sweep_expired().await.expect("swept"), []);
}

/// A node that has not acquired a lease yet could not be fenced later.
pub async fn a_node_without_a_lease_writes_nothing<P: PresenceStore>(subject: PresenceSubject<P>) {
    let node = (subject.node)("node");
    assert_fenced(&*node, "a", "a1").await;
    node.release_lease().await.expect("nothing");
    assert_eq!(subject.log(), [""; 0]);
    assert_eq!(node.count().await.expect("a count"), 0);
}

/// P13: the store decides when a user was last seen, and the node whose call ended their presence
/// queues it, before the event is published. No other node does.
pub async fn p13_each_leave_is_queued_for_the_directory_by_one_node<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let nodes = [
        Arc::clone(&subject.presence),
        subject.node_with_lease("other").await,
        subject.node_with_lease("dead").await,
    ];
    let [_, other, dead] = &nodes;
    subject.join("signs-out", "s1").await;
    join(&**other, "signs-out-there", "s2").await;
    subject.join("hides", "h1").await;
    join(&**other, "closes", "c1").await;
    join(&**dead, "lost", "l1").await;
    subject.join("stays", "x1").await;
    subject.join("hidden", "i1").await;
    let queued = |who: &str| {
        let times = nodes
            .iter()
            .map(|node| node.last_seen().pending(&user(who)));
        times.collect::<Vec<_>>()
    };
    assert!(nodes.iter().all(|node| node.last_seen().is_empty()));

    subject
        .presence
        .sign_out(&tab("s1"))
        .await
        .expect("signed out");
    other.sign_out(&tab("s2")).await.expect("signed out");
    assert!(queued("signs-out")[0].is_some());
    assert!(queued("signs-out-there")[1].is_some());
    subject
        .set_status("hides", chosen(ManualStatus::Invisible))
        .await;
    close(&**other, "c1").await;
    (subject.pass)(PAST_THE_GRACE).await;
    other.renew_lease().await.expect("a lease");
    (subject.pass)(PAST_THE_GRACE).await;
    other.sweep_expired().await.expect("swept");
    assert!(queued("lost")[1].is_some());
    for change in subject.changes() {
        if let Change::Offline(offline) = change {
            let queued = queued(offline.user.as_str());
            let times: Vec<_> = queued.into_iter().flatten().collect();
            assert_eq!(
                times,
                [offline.last_seen_at.expect("seen")],
                "{}",
                offline.user
            );
        }
    }
    let total: usize = nodes.iter().map(|node| node.last_seen().len()).sum();
    assert_eq!(total, 5);
    // A time as invisible leaves no last-seen time.
    let before = queued("hides");
    join(&**other, "hides", "h2").await;
    close(&**other, "h2").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(queued("hides"), before);
}
