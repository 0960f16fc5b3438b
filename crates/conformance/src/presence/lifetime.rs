//! From the first connection of a user to the end of the last.

use super::*;
use lamplight_domain::presence::Status;

/// One session from join to close.
pub async fn a_user_is_online_while_connected_and_offline_after_the_grace_period<
    P: PresenceStore,
>(
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
    assert_eq!(subject.everyone().await, [Arc::clone(&shown)]);
    assert!(!presence.is_degraded());

    subject.close("a1").await;
    (subject.pass)(HALF_A_GRACE).await;
    assert_eq!(subject.log(), ["a joined Online"]);
    assert!(subject.is_shown("a").await);
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.log(), ["a joined Online", "a left Closed"]);
    assert!(!subject.is_shown("a").await);
    assert_eq!(presence.count().await.expect("a count"), 0);
    let changes = subject.changes();
    let Change::Offline(absence) = &changes[1] else {
        panic!("a leave")
    };
    assert!(absence.version > shown.version);
    assert!(absence.last_seen_at >= Some(shown.last_active_at));
}

/// P8, with each session closed twice.
pub async fn p8_three_tabs_in_any_order_of_closing_are_online_until_the_last_is_gone<
    P: PresenceStore,
>(
    subject: PresenceSubject<P>,
) {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let who = |round: usize| format!("u{round}");
    let id = |round: usize, n: usize| format!("u{round}-{n}");
    for round in 0..orders.len() {
        for n in 0..3 {
            subject.join(&who(round), &id(round, n)).await;
        }
    }
    for closed in 0..3 {
        (subject.pass)(PAST_THE_GRACE).await;
        for (round, order) in orders.iter().enumerate() {
            assert!(subject.is_shown(&who(round)).await, "{order:?}");
            // No session is away when the last tab closes.
            for left in &order[closed..] {
                let left = tab(&id(round, *left));
                let active = subject.presence.activity(&left, true);
                active.await.expect("active");
            }
            subject.close(&id(round, order[closed])).await;
            subject.close(&id(round, order[closed])).await;
        }
    }
    (subject.pass)(PAST_THE_GRACE).await;
    for (round, order) in orders.iter().enumerate() {
        let who = who(round);
        assert!(!subject.is_shown(&who).await);
        let log = subject.log().into_iter();
        let about: Vec<_> = log.filter(|words| words.starts_with(&who)).collect();
        assert_eq!(
            about,
            [format!("{who} joined Online"), format!("{who} left Closed")],
            "{order:?}"
        );
    }
}

/// P4: by a new session and by the same one.
pub async fn p4_a_reload_causes_no_event<P: PresenceStore>(subject: PresenceSubject<P>) {
    subject.join("a", "a1").await;
    for next in ["a2", "a2", "a3"] {
        for held in ["a1", "a2", "a3"] {
            subject.close(held).await;
        }
        (subject.pass)(HALF_A_GRACE).await;
        subject.join("a", next).await;
        (subject.pass)(PAST_THE_GRACE).await;
    }
    assert_eq!(subject.log(), ["a joined Online"]);
}

/// P3: one change, and a heartbeat afterwards shows the user again.
pub async fn p3_expiry_is_one_timeout_and_the_next_activity_revives<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    subject.join("a", "a1").await;
    (subject.pass)(RULES.time_to_live + PAST_THE_GRACE).await;
    let expired = ["a joined Online", "a updated Away", "a left Timeout"];
    assert_eq!(subject.log(), expired);
    (subject.pass)(RULES.time_to_live).await;
    assert_eq!(subject.log(), expired);
    subject
        .presence
        .activity(&tab("a1"), true)
        .await
        .expect("active");
    assert_eq!(subject.log()[3..], ["a joined Online"]);
    assert!(subject.is_shown("a").await);
}

/// P3: active and idle heartbeats both extend a session.
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
    assert!(subject.log().iter().all(|words| !words.contains(" left ")));
}

/// Signing out has no grace period.
pub async fn signing_out_is_published_at_once_unless_another_device_is_connected<
    P: PresenceStore,
>(
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
    assert_eq!(subject.log(), ["a joined Online"]);
    subject
        .presence
        .sign_out(&tab("a2"))
        .await
        .expect("signed out");
    assert_eq!(subject.log(), ["a joined Online", "a left SignedOut"]);
    assert!(!subject.is_shown("a").await);
}

/// Late calls for ended sessions, and changes of offline users.
pub async fn calls_for_unknown_connections_and_users_publish_nothing<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let presence = &subject.presence;
    let ghost = tab("ghost");
    presence.activity(&ghost, true).await.expect("nothing");
    presence
        .close(&ghost, OfflineReason::Timeout)
        .await
        .expect("nothing");
    presence.sign_out(&ghost).await.expect("nothing");
    presence.set_activity(&ghost, None).await.expect("nothing");
    subject
        .set_status("nobody", chosen(ManualStatus::Busy))
        .await;
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
    assert_eq!(subject.log(), [""; 0]);
}
