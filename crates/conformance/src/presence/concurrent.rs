//! Many calls at once.

use super::{PAST_THE_GRACE, PresenceSubject, tab};
use futures_util::future::join_all;
use lamplight_domain::identity::UserId;
use lamplight_domain::presence::{Change, ManualStatus, Presence, StatusOverride};
use lamplight_usecases::ports::PresenceStore;
use std::collections::HashMap;
use std::sync::Arc;

/// P8: all sessions of one user begin, and all end, at the same moment.
pub async fn p8_many_connections_at_once_publish_one_online_and_one_offline<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let subject = Arc::new(subject);
    for closing in [false, true] {
        let calls = (0..50).map(|n| {
            let subject = Arc::clone(&subject);
            tokio::spawn(async move {
                let session = format!("a{n}");
                if closing {
                    subject.close(&session).await
                } else {
                    subject.join("a", &session).await
                }
            })
        });
        for call in join_all(calls).await {
            call.expect("done");
        }
    }
    (subject.pass)(PAST_THE_GRACE).await;
    assert_eq!(subject.log(), ["a joined Online", "a left Closed"]);
}

type View = HashMap<UserId, (u64, Option<Arc<Presence>>)>;

fn take(view: &mut View, change: &Change) {
    let shown = match change {
        Change::Online(shown) | Change::Updated(shown) => Some(Arc::clone(shown)),
        Change::Offline(_) => None,
    };
    let held = view.entry(change.user().clone()).or_default();
    if held.0 < change.version() {
        *held = (change.version(), shown);
    }
}

fn present(view: &View) -> Vec<Arc<Presence>> {
    let mut present: Vec<_> = view
        .values()
        .filter_map(|(_, shown)| shown.clone())
        .collect();
    present.sort_by_key(|shown| shown.since);
    present
}

/// P6 and P5: a list that was read while users change, and the events from before it was read, fold
/// into the current list.
pub async fn p6_a_stale_list_and_the_events_equal_a_fresh_list<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let subject = Arc::new(subject);
    let movers: Vec<_> = (0..8_u64)
        .map(|n| {
            let subject = Arc::clone(&subject);
            tokio::spawn(async move {
                let (who, session) = (format!("u{}", n % 4), format!("t{n}"));
                for step in 0..40 {
                    match (step * 7 + n * 3) % 5 {
                        0 | 1 => subject.join(&who, &session).await,
                        2 => subject
                            .presence
                            .sign_out(&tab(&session))
                            .await
                            .expect("signed out"),
                        3 => {
                            let status = if (step + n) % 2 == 0 {
                                ManualStatus::Busy
                            } else {
                                ManualStatus::Online
                            };
                            let chosen = StatusOverride {
                                status,
                                text: None,
                                until: None,
                            };
                            subject.set_status(&who, chosen).await;
                        }
                        _ => subject
                            .presence
                            .activity(&tab(&session), step % 2 == 0)
                            .await
                            .expect("active"),
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut stale = Vec::new();
    while !movers.iter().all(tokio::task::JoinHandle::is_finished) {
        let published = subject.changes().len();
        stale.push((published, subject.everyone().await));
        tokio::task::yield_now().await;
    }
    for mover in movers {
        mover.await.expect("done");
    }
    (subject.pass)(PAST_THE_GRACE).await;

    let fresh = subject.everyone().await;
    let changes = subject.changes();
    for (published, list) in stale.into_iter().chain([(0, Vec::new())]) {
        let mut view: View = list
            .into_iter()
            .map(|shown| (shown.profile.id.clone(), (shown.version, Some(shown))))
            .collect();
        changes[published..]
            .iter()
            .for_each(|change| take(&mut view, change));
        assert_eq!(present(&view), fresh);
    }
    let mut newest = HashMap::new();
    for change in &changes {
        let before = newest.insert(change.user().clone(), change.version());
        assert!(
            before < Some(change.version()),
            "one user's versions are published in their order"
        );
    }
}
