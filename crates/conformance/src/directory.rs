//! The suite for `Directory`.

use crate::{Subject, at, named, user};
use futures_util::future::join_all;
use lamplight_domain::identity::Profile;
use lamplight_domain::presence::{
    ManualStatus, Privacy, PrivacyChange, SavedStatus, StatusOverride,
};
use lamplight_usecases::ports::{Directory, ProfileSource, ProfileWrite};

/// Joins the suite: `directory_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! directory_suite {
    ($factory:path) => {
        $crate::suite!(
            directory,
            $factory,
            [
                a_bare_profile_is_made_once_and_replaces_nothing,
                a_weaker_source_does_not_overwrite_a_profile,
                only_a_profile_that_differs_is_a_change,
                a_profile_created_concurrently_is_created_once,
                a_status_is_stored_and_survives_profile_writes,
                p13_last_seen_never_decreases,
                p11_hiding_last_seen_is_stored_and_erases_the_time,
                f18_a_search_finds_names_in_any_normal_form,
                a_search_ignores_case_and_takes_the_query_literally,
                the_directory_pages_by_name,
                unknown_users_are_found_among_many,
            ]
        );
    };
}

/// A bare profile, for a user of whom only the id is known.
pub async fn a_bare_profile_is_made_once_and_replaces_nothing<S: Directory>(subject: Subject<S>) {
    let store = &subject.store;
    assert!(store.person(&user("a")).await.expect("an answer").is_none());
    let (person, _) = store
        .upsert_profile(Profile::bare(user("a")), ProfileSource::Nobody, at(0))
        .await
        .expect("a person");
    assert_eq!(
        (person.profile, person.status, person.last_seen),
        (named("a", "a"), SavedStatus::default(), None)
    );
    let (_, changed) = store
        .upsert_profile(Profile::bare(user("a")), ProfileSource::Nobody, at(1))
        .await
        .expect("a person");
    assert_eq!(changed, ProfileWrite::Unchanged);
    store
        .upsert_profile(named("a", "Ada"), ProfileSource::Claims, at(2))
        .await
        .expect("a person");
    let (person, changed) = store
        .upsert_profile(Profile::bare(user("a")), ProfileSource::Nobody, at(3))
        .await
        .expect("a person");
    assert_eq!(
        (person.profile, changed),
        (named("a", "Ada"), ProfileWrite::Unchanged)
    );
}

/// The host application beats a token's claims, whichever comes first.
pub async fn a_weaker_source_does_not_overwrite_a_profile<S: Directory>(subject: Subject<S>) {
    let store = &subject.store;
    let steps = [
        ("Ada", ProfileSource::Claims, "Ada", ProfileWrite::Made),
        (
            "Ada L.",
            ProfileSource::Claims,
            "Ada L.",
            ProfileWrite::Changed,
        ),
        (
            "Augusta Ada",
            ProfileSource::Host,
            "Augusta Ada",
            ProfileWrite::Changed,
        ),
        (
            "Ada",
            ProfileSource::Claims,
            "Augusta Ada",
            ProfileWrite::Unchanged,
        ),
        (
            "Countess of Lovelace",
            ProfileSource::Host,
            "Countess of Lovelace",
            ProfileWrite::Changed,
        ),
    ];
    for (name, source, expected, changed) in steps {
        let (person, has_changed) = store
            .upsert_profile(named("a", name), source, at(0))
            .await
            .expect("a person");
        assert_eq!(
            (&*person.profile.name, has_changed),
            (expected, changed),
            "{name} by {source:?}"
        );
        let person = store
            .person(&user("a"))
            .await
            .expect("an answer")
            .expect("a person");
        assert_eq!(&*person.profile.name, expected);
    }
    // The host's profile outranks others even if it repeats the known one.
    store
        .upsert_profile(named("b", "Berta"), ProfileSource::Claims, at(0))
        .await
        .expect("a person");
    let (_, changed) = store
        .upsert_profile(named("b", "Berta"), ProfileSource::Host, at(0))
        .await
        .expect("a person");
    assert_eq!(changed, ProfileWrite::Unchanged);
    let (person, changed) = store
        .upsert_profile(named("b", "B."), ProfileSource::Claims, at(0))
        .await
        .expect("a person");
    assert_eq!(
        (&*person.profile.name, changed),
        ("Berta", ProfileWrite::Unchanged)
    );
}

/// So that unchanged writes cause no event.
pub async fn only_a_profile_that_differs_is_a_change<S: Directory>(subject: Subject<S>) {
    let store = &subject.store;
    let mut profile = named("a", "Ada");
    for (avatar, changed) in [
        (None, ProfileWrite::Made),
        (None, ProfileWrite::Unchanged),
        (Some("/a.png"), ProfileWrite::Changed),
        (Some("/a.png"), ProfileWrite::Unchanged),
        (None, ProfileWrite::Changed),
    ] {
        profile.avatar_url = avatar.map(Into::into);
        let (person, has_changed) = store
            .upsert_profile(profile.clone(), ProfileSource::Claims, at(0))
            .await
            .expect("a person");
        assert_eq!(
            (person.profile, has_changed),
            (profile.clone(), changed),
            "{avatar:?}"
        );
    }
}

/// Three tabs join at the same moment.
pub async fn a_profile_created_concurrently_is_created_once<S: Directory>(subject: Subject<S>) {
    let meetings = (0..20).map(|_| {
        let store = subject.store.clone();
        tokio::spawn(async move {
            store
                .upsert_profile(named("a", "Ada"), ProfileSource::Claims, at(0))
                .await
        })
    });
    let changes = join_all(meetings)
        .await
        .into_iter()
        .filter(|met| {
            met.as_ref().expect("a task").as_ref().expect("a person").1 == ProfileWrite::Made
        })
        .count();
    assert_eq!(changes, 1);
    assert_eq!(
        subject
            .store
            .search("", None, 10)
            .await
            .expect("a page")
            .items,
        [named("a", "Ada")]
    );
}

/// A profile and a status are written apart. Each status has a higher revision than all before,
/// whatever the clock shows, so that two nodes agree on the latest.
pub async fn a_status_is_stored_and_survives_profile_writes<S: Directory>(subject: Subject<S>) {
    let store = &subject.store;
    let found = async || {
        let person = store.person(&user("a")).await.expect("an answer");
        person.expect("a person").status
    };
    store
        .upsert_profile(named("a", "Ada"), ProfileSource::Claims, at(0))
        .await
        .expect("a person");
    assert_eq!(found().await, SavedStatus::default());
    let hour = 3_600_000;
    let statuses = [
        (ManualStatus::Away, 0),
        (ManualStatus::Busy, 0),
        (ManualStatus::Invisible, -hour),
        (ManualStatus::Online, hour),
        (ManualStatus::Busy, 0),
    ];
    let mut revision = 0;
    for (status, now) in statuses {
        let chosen = StatusOverride {
            status,
            text: Some("in a train".into()),
            until: Some(at(5)),
        };
        let (saved, _) = store
            .set_status(&user("a"), chosen.clone(), at(now))
            .await
            .expect("saved");
        assert_eq!(saved.chosen, chosen);
        assert!(saved.revision > revision && saved.revision < 1 << 53);
        revision = saved.revision;
        assert_eq!(found().await, saved);
        let (person, _) = store
            .upsert_profile(named("a", "Ada L."), ProfileSource::Claims, at(0))
            .await
            .expect("a person");
        assert_eq!(person.status, saved);
    }
    let (saved, _) = store
        .set_status(&user("a"), StatusOverride::default(), at(0))
        .await
        .expect("saved");
    assert_eq!(saved.chosen, StatusOverride::default());
    assert_eq!(found().await, saved);
}

/// Under a revision that presence can compare. Nothing is left of the time to be shown by mistake.
pub async fn p11_hiding_last_seen_is_stored_and_erases_the_time<S: Directory>(subject: Subject<S>) {
    let store = &subject.store;
    for id in ["a", "b"] {
        let made = store.upsert_profile(Profile::bare(user(id)), ProfileSource::Nobody, at(0));
        made.await.expect("a person");
        store.seen(vec![(user(id), at(5))]).await.expect("seen");
    }
    let (a, users) = (user("a"), [user("a"), user("b"), user("stranger")]);
    let of = async || store.privacy_of(&users).await.expect("an answer");
    assert!(of().await.iter().all(|one| *one == Default::default()));
    let hides = PrivacyChange {
        hides_last_seen: Some(true),
        hides_reads: None,
    };
    let saved = store.set_privacy(&a, hides, at(10)).await.expect("saved");
    let hidden = Privacy {
        hides_last_seen: true,
        hides_reads: false,
    };
    assert_eq!(saved.privacy, hidden);
    assert_eq!(of().await[0], (hidden, saved.revision));
    assert_eq!(of().await[1].0, Privacy::default());
    let again = store.set_privacy(&a, hides, at(11)).await.expect("saved");
    assert_eq!(again, saved, "it changes nothing");
    store.seen(vec![(a.clone(), at(12))]).await.expect("seen");
    let times = store.last_seen(&users).await.expect("times");
    assert_eq!(times, [None, Some(at(5)), None]);
    // A status leaves it as it is, and it leaves the status as it is.
    let busy = StatusOverride {
        status: ManualStatus::Busy,
        text: Some("busy".into()),
        until: None,
    };
    let (status, _) = store
        .set_status(&a, busy.clone(), at(13))
        .await
        .expect("saved");
    assert!(status.privacy == hidden && status.revision > saved.revision);
    let reads = PrivacyChange {
        hides_last_seen: Some(false),
        hides_reads: Some(true),
    };
    let later = store.set_privacy(&a, reads, at(14)).await.expect("saved");
    assert!(later.revision > status.revision && later.chosen == busy);
    let shown = Privacy {
        hides_last_seen: false,
        hides_reads: true,
    };
    let person = store
        .person(&a)
        .await
        .expect("an answer")
        .expect("a person");
    assert_eq!((person.status.privacy, person.last_seen), (shown, None));
    store.seen(vec![(a.clone(), at(15))]).await.expect("seen");
    assert_eq!(store.last_seen(&[a]).await.expect("times"), [Some(at(15))]);
    let nobody = store.set_privacy(&user("stranger"), hides, at(16)).await;
    assert!(nobody.is_err());
}

/// In any order of the writes.
pub async fn p13_last_seen_never_decreases<S: Directory>(subject: Subject<S>) {
    let store = &subject.store;
    for id in ["a", "b"] {
        store
            .upsert_profile(Profile::bare(user(id)), ProfileSource::Nobody, at(0))
            .await
            .expect("a person");
    }
    store
        .seen(vec![
            (user("a"), at(5)),
            (user("a"), at(3)),
            (user("stranger"), at(5)),
        ])
        .await
        .expect("seen");
    store.seen(vec![(user("a"), at(4))]).await.expect("seen");
    store.seen(Vec::new()).await.expect("seen");
    // A time from a clock that was a month ahead is replaced once the clock is right again.
    store
        .seen(vec![(user("b"), at(31 * 86_400_000))])
        .await
        .expect("seen");
    store.seen(vec![(user("b"), at(7))]).await.expect("seen");
    assert_eq!(
        store.last_seen(&[user("b")]).await.expect("times"),
        [Some(at(7))]
    );
    let seen = store
        .last_seen(&[user("b"), user("a"), user("stranger"), user("a")])
        .await
        .expect("times");
    assert_eq!(seen, [Some(at(7)), Some(at(5)), None, Some(at(5))]);
    assert_eq!(
        store
            .person(&user("a"))
            .await
            .expect("an answer")
            .expect("a person")
            .last_seen,
        Some(at(5))
    );
}

/// In every script, and with no magic characters.
pub async fn a_search_ignores_case_and_takes_the_query_literally<S: Directory>(
    subject: Subject<S>,
) {
    let store = &subject.store;
    let people = [
        ("1", "Zoë Żak"),
        ("2", "100%"),
        ("3", "under_score"),
        ("4", "ОЛЬГА"),
        ("5", "back\\slash"),
        ("Id-6", "nameless"),
    ];
    for (id, name) in people {
        store
            .upsert_profile(named(id, name), ProfileSource::Claims, at(0))
            .await
            .expect("a person");
    }
    let expected: [(&str, &[&str]); 12] = [
        ("ZOË", &["1"]),
        ("zoë", &["1"]),
        ("żAK", &["1"]),
        ("%", &["2"]),
        ("_", &["3"]),
        ("ольга", &["4"]),
        ("\\", &["5"]),
        ("id-6", &["Id-6"]),
        ("' OR 1=1", &[]),
        ("nobody", &[]),
        ("e_s", &[]),
        ("r_s", &["3"]),
    ];
    for (query, ids) in expected {
        let found = store.search(query, None, 10).await.expect("a page");
        assert_eq!(
            found
                .items
                .iter()
                .map(|found| found.id.as_str())
                .collect::<Vec<_>>(),
            ids,
            "{query}"
        );
        assert_eq!(found.next, None);
    }
}

/// With other spaces, other forms of letters, and without marks.
pub async fn f18_a_search_finds_names_in_any_normal_form<S: Directory>(subject: Subject<S>) {
    let store = &subject.store;
    let people = [
        ("1", "İnci Şen"),
        ("2", "Jose\u{301}"),
        ("3", "Ada\u{a0}Lovelace"),
        ("4", "\u{200b}Ａｄａ"),
        ("5", "Άννα"),
        ("i\u{307}D", "がき"),
    ];
    for (id, name) in people {
        store
            .upsert_profile(named(id, name), ProfileSource::Claims, at(0))
            .await
            .expect("a person");
    }
    let expected: [(&str, &[&str]); 11] = [
        ("inci", &["1"]),
        ("İNCİ\u{a0}s", &["1"]),
        ("sen", &["1"]),
        ("josé", &["2"]),
        ("jose", &["2"]),
        (" ada lovelace ", &["3"]),
        ("ada", &["4", "3"]),
        ("αννα", &["5"]),
        ("かき", &[]),
        ("がき", &["i\u{307}D"]),
        ("ID", &["i\u{307}D"]),
    ];
    for (query, ids) in expected {
        let found = store.search(query, None, 10).await.expect("a page");
        assert_eq!(
            found
                .items
                .iter()
                .map(|found| found.id.as_str())
                .collect::<Vec<_>>(),
            ids,
            "{query:?}"
        );
    }
    let everyone = store
        .search("\u{a0}\u{200b}", None, 10)
        .await
        .expect("a page");
    assert_eq!(
        everyone.items.len(),
        people.len(),
        "a query with nothing in it"
    );
    assert_eq!(
        &*store
            .person(&user("3"))
            .await
            .expect("an answer")
            .expect("a person")
            .profile
            .name,
        "Ada\u{a0}Lovelace",
        "kept as typed"
    );
}

/// Each once, in the order of their names, case left aside.
pub async fn the_directory_pages_by_name<S: Directory>(subject: Subject<S>) {
    let store = &subject.store;
    for (id, name) in [
        ("5", "bert"),
        ("4", "Anna"),
        ("3", "anna"),
        ("2", "Carl"),
        ("1", "ANNA"),
        ("6", "Dora"),
        ("7", "dörte"),
    ] {
        store
            .upsert_profile(named(id, name), ProfileSource::Claims, at(0))
            .await
            .expect("a person");
    }
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = store
            .search("", cursor.as_deref(), 2)
            .await
            .expect("a page");
        found.extend(page.items.iter().map(|found| found.id.as_str().to_owned()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, ["1", "3", "4", "5", "2", "6", "7"]);
    let page = store.search("ann", None, 3).await.expect("a page");
    assert_eq!(
        (page.items.len(), page.next),
        (3, None),
        "a full last page has no next"
    );
}

/// In one look, in the order asked.
pub async fn unknown_users_are_found_among_many<S: Directory>(subject: Subject<S>) {
    let store = &subject.store;
    for id in ["a", "b"] {
        store
            .upsert_profile(Profile::bare(user(id)), ProfileSource::Nobody, at(0))
            .await
            .expect("a person");
    }
    let asked = ["z", "a", "A", "b", "y"].map(user);
    assert_eq!(
        store.unknown(&asked).await.expect("an answer"),
        ["z", "A", "y"].map(user)
    );
    assert!(
        store
            .unknown(&asked[1..2])
            .await
            .expect("an answer")
            .is_empty()
    );
    assert!(store.unknown(&[]).await.expect("an answer").is_empty());
    let many: Vec<_> = (0..1_000).map(|number| user(&number.to_string())).collect();
    assert_eq!(store.unknown(&many).await.expect("an answer"), many);
}
