//! Statuses are compared by their revision: two nodes end with the same one without a shared lock.

use super::*;

async fn join_with<P: PresenceStore>(
    subject: &PresenceSubject<P>,
    session: &str,
    status: SavedStatus,
) {
    let person = Person {
        status,
        ..person("a", ManualStatus::Online)
    };
    let joined = subject.presence.join(&tab(session), person).await;
    joined.expect("joined");
}

/// The directory saved two statuses one after the other; the nodes that asked for it report them to
/// the store in either order, or one of them twice.
pub async fn statuses_of_two_nodes_end_at_the_newest_in_either_order<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    subject.join("a", "a1").await;
    for (round, order) in [[0, 1, 1], [1, 0, 0], [0, 1, 0], [1, 0, 1]]
        .iter()
        .enumerate()
    {
        let text = |which: &str| StatusOverride {
            text: Some(format!("{which} {round}").into()),
            ..chosen(ManualStatus::Busy)
        };
        let statuses = [saved(text("older")), saved(text("newer"))];
        let before = subject.changes().len();
        for which in order {
            let status = statuses[*which].clone();
            let set = subject.presence.set_status(&user("a"), status).await;
            set.expect("set");
        }
        let shown = subject.presence.get(&user("a")).await.expect("an answer");
        let shown = shown.expect("online");
        assert_eq!(shown.text, statuses[1].chosen.text, "{order:?}");
        let published = subject.changes().len() - before;
        assert_eq!(published, if order[0] == 0 { 2 } else { 1 }, "{order:?}");
    }
}

/// P11: a session reads its user, another device goes invisible, and the session joins: whether the
/// user has other sessions, none, or lost the last one meanwhile.
pub async fn p11_a_session_that_read_an_older_status_does_not_undo_a_newer_one<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let read = saved(chosen(ManualStatus::Online));
    // No session yet.
    subject
        .set_status("a", chosen(ManualStatus::Invisible))
        .await;
    join_with(&subject, "a1", read.clone()).await;
    assert!(!subject.is_shown("a").await);
    // The last session ends before the join.
    subject
        .presence
        .sign_out(&tab("a1"))
        .await
        .expect("signed out");
    join_with(&subject, "a2", read.clone()).await;
    assert!(!subject.is_shown("a").await);
    // Another session.
    join_with(&subject, "a3", read).await;
    assert!(!subject.is_shown("a").await);
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.log(), [""; 0]);
    assert!(
        subject
            .presence
            .is_invisible(&user("a"))
            .await
            .expect("an answer")
    );
    // A status that is read afterwards counts, however long the user was away.
    for session in ["a1", "a2", "a3"] {
        subject
            .presence
            .sign_out(&tab(session))
            .await
            .expect("signed out");
    }
    (subject.pass)(Duration::from_secs(11)).await;
    join_with(&subject, "a4", saved(chosen(ManualStatus::Busy))).await;
    assert_eq!(subject.log(), ["a joined Busy"]);
}

/// A node saved a status and died before it reported it: the next session of the user applies it.
pub async fn a_session_brings_a_status_that_the_store_missed<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    subject.join("a", "a1").await;
    join_with(&subject, "a2", saved(chosen(ManualStatus::Busy))).await;
    assert_eq!(subject.log(), ["a joined Online", "a updated Busy"]);
}
