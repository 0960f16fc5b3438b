//! The visible state of a user: status, activities, profile, and nothing while invisible.

use super::*;
use lamplight_domain::presence::Activity;

/// Beside the user's own activities, while the upload lasts, and not while invisible.
pub async fn an_uploading_user_has_the_activity_sharing_file<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let presence = &subject.presence;
    let shown = async || {
        let found = presence.get(&user("a")).await.expect("an answer");
        found.map(|found| {
            let kinds = found.activities.iter().map(|one| one.kind.to_string());
            kinds.collect::<Vec<_>>()
        })
    };
    let share = async |is_sharing| {
        let noted = presence.set_sharing(&user("a"), is_sharing).await;
        noted.expect("noted");
    };
    // A user without a session here has no state.
    share(true).await;
    subject.join("a", "a1").await;
    assert_eq!(shown().await, Some(vec![]));
    let call = Activity {
        kind: "in_call".into(),
        label: None,
        conversation: None,
    };
    let set = presence.set_activity(&tab("a1"), Some(call)).await;
    set.expect("set");
    subject.join("a", "a2").await;
    for _ in 0..2 {
        share(true).await;
        (subject.pass)(PAST_THE_GRACE).await;
        let both = ["in_call", "sharing_file"].map(str::to_owned).to_vec();
        assert_eq!(shown().await, Some(both));
    }
    // Any session of the user shows it.
    subject.close("a1").await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(shown().await, Some(vec!["sharing_file".to_owned()]));
    let hidden = StatusOverride {
        status: ManualStatus::Invisible,
        text: None,
        until: None,
    };
    subject.set_status("a", hidden).await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(shown().await, None);
    subject.set_status("a", StatusOverride::default()).await;
    share(false).await;
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(shown().await, Some(vec![]));
}

/// Updates, and none where nothing changes.
pub async fn the_visible_state_follows_status_activity_and_profile<P: PresenceStore>(
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
        subject.set_status("a", busy.clone()).await;
        presence
            .set_activity(&tab("a1"), Some(call.clone()))
            .await
            .expect("set");
        presence.set_profile(profile.clone()).await.expect("set");
    }
    assert_eq!(
        subject.log(),
        [
            "a joined Online",
            "a updated Busy",
            "a updated Busy",
            "a updated Busy"
        ]
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
        "the activity ends with its session"
    );
}

/// Away only when no device is active.
pub async fn away_without_activity_and_back_with_it<P: PresenceStore>(subject: PresenceSubject<P>) {
    subject.join("a", "a1").await;
    subject.join("a", "a2").await;
    subject
        .presence
        .activity(&tab("a2"), false)
        .await
        .expect("idle");
    assert_eq!(
        subject.log(),
        ["a joined Online"],
        "an idle device does not override an active one"
    );
    (subject.pass)(RULES.away_after + PAST_THE_GRACE).await;
    assert_eq!(subject.log(), ["a joined Online", "a updated Away"]);
    subject
        .presence
        .activity(&tab("a2"), true)
        .await
        .expect("active");
    assert_eq!(subject.log()[2..], ["a updated Online"]);
}

/// P11.
pub async fn p11_going_invisible_looks_like_closing<P: PresenceStore>(subject: PresenceSubject<P>) {
    let presence = &subject.presence;
    for who in ["a", "b"] {
        subject.join(who, who).await;
    }
    subject
        .set_status("a", chosen(ManualStatus::Invisible))
        .await;
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
            subject.everyone().await.len()
        ),
        (0, 0)
    );

    // Whatever they do while invisible publishes nothing.
    let before = subject.log().len();
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
        subject.log().len(),
        before,
        "a device that asked the store before the status was set changes nothing either"
    );
    subject.set_status("a", chosen(ManualStatus::Online)).await;
    assert_eq!(subject.log()[before..], ["a joined Online"]);
}

/// P11: a status that the directory kept over a restart.
pub async fn p11_a_user_who_connects_invisible_is_never_shown<P: PresenceStore>(
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
    assert_eq!(subject.log(), [""; 0]);
}
