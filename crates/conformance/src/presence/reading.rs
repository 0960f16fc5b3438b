//! Versions, pages, and the state of single users.

use super::*;
use lamplight_domain::identity::UserId;
use lamplight_usecases::ports::StoreError;

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

/// No page skips or repeats anyone, though users change meanwhile.
pub async fn the_list_pages_in_the_order_of_arrival<P: PresenceStore>(subject: PresenceSubject<P>) {
    for n in 0..5 {
        subject.join(&format!("u{n}"), &format!("t{n}")).await;
    }
    for (except, expected) in [
        (vec![], vec!["u0", "u1", "u2", "u3", "u4"]),
        (vec!["nobody"], vec!["u0", "u1", "u2", "u3", "u4"]),
        (vec!["u2"], vec!["u0", "u1", "u3", "u4"]),
        (vec!["u0", "u2", "u3"], vec!["u1", "u4"]),
        (vec!["u3", "u4"], vec!["u0", "u1", "u2"]),
    ] {
        let except: HashSet<UserId> = except.into_iter().map(user).collect();
        let (mut listed, mut cursor) = (Vec::new(), None);
        loop {
            let page = subject.presence.list(cursor.as_deref(), 2, &except).await;
            let page = page.expect("a page");
            assert!((1..=2).contains(&page.items.len()));
            let ids = page.items.iter().map(|shown| shown.profile.id.to_string());
            listed.extend(ids);
            let name = format!("{except:?} {}", listed.len()).into();
            subject
                .presence
                .set_profile(Profile {
                    name,
                    ..Profile::bare(user("u0"))
                })
                .await
                .expect("set");
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected);
    }
}

/// A page does not reveal the users that it leaves out: others fill their places, an empty page has
/// no cursor, and no cursor is derived from them.
pub async fn the_list_is_the_same_as_if_users_left_out_were_offline<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    for n in 0..4 {
        subject.join(&format!("u{n}"), &format!("t{n}")).await;
    }
    let pages = async |except: &[&str]| {
        let except: HashSet<UserId> = except.iter().map(|id| user(id)).collect();
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            let page = subject.presence.list(cursor.as_deref(), 1, &except).await;
            let page = page.expect("a page");
            let ids: Vec<_> = page
                .items
                .iter()
                .map(|one| one.profile.id.clone())
                .collect();
            cursor.clone_from(&page.next);
            pages.push((ids, page.next));
            if cursor.is_none() {
                return pages;
            }
        }
    };
    let hidden = pages(&["u1", "u3"]).await;
    let all_hidden = pages(&["u0", "u1", "u2", "u3"]).await;
    for session in ["t1", "t3"] {
        let session = tab(session);
        subject.presence.sign_out(&session).await.expect("out");
    }
    let offline = pages(&[]).await;
    assert_eq!(hidden, offline);
    let listed: Vec<_> = offline.into_iter().flat_map(|(ids, _)| ids).collect();
    assert_eq!(listed, [user("u0"), user("u2")]);
    assert_eq!(all_hidden, [(Vec::new(), None)]);
}

/// Activity at a device is known for any status; idle and closed sessions do not count.
pub async fn activity_at_a_device_is_known_for_any_status<P: PresenceStore>(
    subject: PresenceSubject<P>,
) {
    let last_active = async |id: &str| {
        let active = subject.presence.last_active(&user(id)).await;
        active.expect("an answer")
    };
    assert_eq!(last_active("a").await, None);
    subject.join("a", "a1").await;
    subject.join("a", "a2").await;
    let at_once = last_active("a").await.expect("active");
    assert!(at_once < Duration::from_secs(20), "{at_once:?}");
    subject
        .set_status("a", chosen(ManualStatus::Invisible))
        .await;
    assert!(last_active("a").await.is_some());
    let beat = async |tab_id: &str, active: bool| {
        let beat = subject.presence.activity(&tab(tab_id), active).await;
        beat.expect("a heartbeat");
    };
    beat("a1", false).await;
    assert!(last_active("a").await.is_some(), "at the other one");
    beat("a2", false).await;
    assert_eq!(last_active("a").await, None);
    beat("a2", true).await;
    assert!(last_active("a").await.is_some());
    let tab = tab("a2");
    let closed = subject.presence.close(&tab, OfflineReason::Closed);
    closed.await.expect("closed");
    assert_eq!(
        last_active("a").await,
        None,
        "the grace period does not count"
    );
}

/// A cursor is opaque, and one that no page gave out is not read as some position.
pub async fn a_cursor_of_no_page_is_refused<P: PresenceStore>(subject: PresenceSubject<P>) {
    subject.join("a", "a1").await;
    for bad in ["", "!", "-1", "\u{0}", "zzzzzzzzzzzzzzzzzzzzzzzzzzzz"] {
        let page = subject.presence.list(Some(bad), 10, &HashSet::new()).await;
        assert!(matches!(page, Err(StoreError::BadCursor)), "{bad:?}");
    }
}

/// P5, for the states that a watcher is answered with: a watcher who keeps the newer of a state and
/// the changes ends with the true state, though the user was long offline, or never online.
pub async fn p5_a_state_is_newer_than_every_change_before_it_and_older_than_every_later_one<
    P: PresenceStore,
>(
    mut subject: PresenceSubject<P>,
) {
    let users = [user("a"), user("b"), user("never")];
    let mut floors = [0; 3];
    for round in 0..6 {
        let states = subject.presence.states(&users).await.expect("states");
        for ((user, state), floor) in users.iter().zip(&states).zip(&mut floors) {
            let changes = subject.changes();
            let published = changes.iter().filter(|change| change.user() == user);
            assert!(
                published
                    .map(Change::version)
                    .all(|version| version <= state.version),
                "{user}: {state:?}"
            );
            assert_eq!(
                state.shown,
                subject.presence.get(user).await.expect("an answer")
            );
            if let Some(shown) = &state.shown {
                assert_eq!(shown.version, state.version);
            }
            *floor = state.version;
        }
        let before = subject.changes().len();
        match round {
            0 | 3 => subject.join("a", "a1").await,
            1 => subject.join("b", "b1").await,
            2 => subject
                .presence
                .sign_out(&tab("a1"))
                .await
                .expect("signed out"),
            4 => {
                let busy = chosen(ManualStatus::Busy);
                subject.set_status("b", busy).await;
            }
            _ => {
                subject.presence = (subject.again)().await;
                subject.join("a", "a1").await;
            }
        }
        for change in &subject.changes()[before..] {
            let index = users.iter().position(|user| user == change.user());
            assert!(
                change.version() > floors[index.expect("one of these")],
                "{change:?}"
            );
        }
    }
}
