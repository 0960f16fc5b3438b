//! Files that wait for the scanner, and avatars.

use super::*;

/// A file whose bytes are all there, and that waits for the scanner.
async fn scanning<S: Files>(store: &S, file: &str, owner: &str, place: &str) {
    create(store, file, owner, place).await;
    assert!(advance(store, file, 0, 10, 1).await);
    let found = Examined {
        state: FileState::Processing,
        ..picture()
    };
    let examined = store.examined(&id(file), found, at(2)).await;
    assert!(examined.expect("examined"));
}

const LONG: Duration = Duration::from_secs(300);

async fn claimed<S: Files>(store: &S, lease: Duration, limit: usize) -> Vec<(FileId, u32)> {
    let scans = store.claim_scans(lease, limit).await.expect("a list");
    let mut found: Vec<_> = scans
        .into_iter()
        .map(|scan| (scan.file.file.id, scan.failures))
        .collect();
    found.sort();
    found
}

pub async fn a_file_waits_for_the_scanner_and_is_one_nodes_at_a_time<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    ready(&*store, "ready", "a", "c").await;
    create(&*store, "begun", "a", "c").await;
    assert!(claimed(&*store, LONG, 9).await.is_empty());
    scanning(&*store, "f1", "a", "c").await;
    scanning(&*store, "f2", "a", "c").await;
    let refused = send(&*store, "c", "a", &["f1"]).await;
    assert!(matches!(
        refused,
        Err(AppendError::Refused(WriteRefused::UnknownFile))
    ));
    assert!(
        !store
            .examined(&id("f1"), picture(), at(3))
            .await
            .expect("an answer")
    );
    // Two at once share what there is.
    let both = tokio::join!(claimed(&*store, LONG, 1), claimed(&*store, LONG, 1));
    let mut both = [both.0, both.1].concat();
    both.sort();
    assert_eq!(both, [(id("f1"), 0), (id("f2"), 0)]);
    assert!(
        claimed(&*store, LONG, 9).await.is_empty(),
        "both have a lease"
    );
    store.renew_scan(&id("f2"), LONG).await.expect("renewed");
    store
        .renew_scan(&id("f1"), Duration::ZERO)
        .await
        .expect("given back");
    let scans = store.claim_scans(LONG, 9).await.expect("a list");
    assert_eq!(scans.len(), 1);
    let file = &scans[0].file;
    assert_eq!(
        (&file.file.id, file.state),
        (&id("f1"), FileState::Processing)
    );
    assert_eq!(
        (&file.owner, &file.conversation),
        (&user("a"), &conversation("c"))
    );
    assert_eq!((file.received, file.file.size), (10, 10));
    store
        .scan_later(&id("f1"), Duration::ZERO)
        .await
        .expect("noted");
    assert_eq!(claimed(&*store, LONG, 9).await, [(id("f1"), 1)]);
    store.scan_later(&id("f1"), LONG).await.expect("noted");
    assert!(
        claimed(&*store, LONG, 9).await.is_empty(),
        "not before its pause"
    );
    for expected in [true, false] {
        let scanned = store.scanned(&id("f1"), FileState::Ready, at(4)).await;
        assert_eq!(scanned.expect("an answer"), expected);
    }
    store
        .renew_scan(&id("f1"), Duration::ZERO)
        .await
        .expect("nothing");
    assert!(
        claimed(&*store, LONG, 9).await.is_empty(),
        "it waits no more"
    );
    send(&*store, "c", "a", &["f1"]).await.expect("sent");
    assert!(store.discard(&id("f2"), at(5)).await.expect("discarded"));
    store
        .renew_scan(&id("f2"), Duration::ZERO)
        .await
        .expect("nothing");
    assert!(claimed(&*store, LONG, 9).await.is_empty(), "it is deleted");
    let scanned = store.scanned(&id("f2"), FileState::Ready, at(6)).await;
    assert!(!scanned.expect("an answer"));
}

pub async fn the_bytes_of_refused_files_are_deleted<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    scanning(&*store, "f", "a", "c").await;
    assert_eq!(claimed(&*store, LONG, 9).await.len(), 1);
    let scanned = store.scanned(&id("f"), FileState::Blocked, at(3)).await;
    assert!(scanned.expect("an answer"));
    // As after a crash that came before its bytes were deleted.
    store
        .renew_scan(&id("f"), Duration::ZERO)
        .await
        .expect("given back");
    let scans = store.claim_scans(Duration::ZERO, 9).await.expect("a list");
    assert_eq!(scans[0].file.state, FileState::Blocked);
    store.scan_is_over(&id("f")).await.expect("noted");
    assert!(claimed(&*store, LONG, 9).await.is_empty());
    let found = store.file(&user("a"), &id("f")).await.expect("an answer");
    let found = found.expect("its record is there");
    assert_eq!(found.state, FileState::Blocked);
    assert!(!found.is_for(&user("a")));
    let refused = send(&*store, "c", "a", &["f"]).await;
    assert!(matches!(
        refused,
        Err(AppendError::Refused(WriteRefused::UnknownFile))
    ));
    assert_eq!(
        store
            .discard_unsent(at(9), at(10), 9)
            .await
            .expect("a step"),
        1
    );
    assert_eq!(deleted(&*store).await, [id("f")]);
}

pub async fn avatars_are_used_while_their_owner_has_the_address<S>(
    Subject { store, .. }: Subject<S>,
) where
    S: Messages + Files + Groups + Directory,
{
    let profile = async |url: Option<&str>| {
        let profile = Profile {
            avatar_url: url.map(Into::into),
            ..Profile::bare(user("a"))
        };
        let written = store
            .upsert_profile(profile, ProfileSource::Host, at(1))
            .await;
        written.expect("a profile");
    };
    profile(None).await;
    let made = NewGroup {
        conversation: conversation("g"),
        entry: MessageId::trusted("made"),
        owner: user("a"),
        members: vec![user("a"), user("b")],
        name: None,
        avatar_url: Some("/api/avatars/of-group".into()),
        history: History::Joined,
        client_id: None,
        created_at: at(0),
    };
    assert!(store.make_group(made).await.expect("an answer").is_some());
    let group = conversation("g");
    for (name, account, group, millis) in [
        ("of-group", None, Some(&group), 5),
        ("of-nobody", None, Some(&group), 6),
        ("one", Some(&user("a")), None, 7),
        ("other", Some(&user("a")), None, 8),
    ] {
        let added = store
            .add_avatar(&id(name), account, group, at(millis))
            .await;
        added.expect("added");
    }
    let used = async || {
        let all = store.avatars(None, 9).await.expect("a list");
        let all = all
            .into_iter()
            .map(|one| (one.id, one.created_at, one.is_used));
        all.collect::<Vec<_>>()
    };
    let list = |one, other| {
        [
            (id("of-group"), at(5), true),
            (id("of-nobody"), at(6), false),
            (id("one"), at(7), one),
            (id("other"), at(8), other),
        ]
    };
    assert_eq!(used().await, list(false, false));
    profile(Some("/api/avatars/one")).await;
    assert_eq!(used().await, list(true, false));
    profile(Some("/api/avatars/other")).await;
    assert_eq!(used().await, list(false, true));
    profile(Some("https://elsewhere.example/other")).await;
    assert_eq!(used().await, list(false, false));
    let page = store
        .avatars(Some(&id("of-group")), 2)
        .await
        .expect("a list");
    let page: Vec<_> = page.into_iter().map(|one| one.id).collect();
    assert_eq!(page, [id("of-nobody"), id("one")]);
    store
        .forget_avatars(&[id("of-nobody"), id("one")])
        .await
        .expect("gone");
    assert_eq!(used().await.len(), 2);
}
