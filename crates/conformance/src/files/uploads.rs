//! Uploads: claims of processes, recorded offsets, and receivers of progress events.

use super::*;

pub async fn m3_an_upload_moves_only_from_where_it_is<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    create(&*store, "f", "a", "c").await;
    let of = id("f");
    let received = async || {
        let found = store.file(&user("a"), &of).await.expect("an answer");
        found.map(|found| (found.received, found.changed_at))
    };
    assert!(!advance(&*store, "f", 3, 4, 1).await);
    assert!(advance(&*store, "f", 0, 4, 2).await);
    assert_eq!(received().await, Some((4, at(2))));
    assert!(!advance(&*store, "f", 0, 5, 3).await);
    assert!(!advance(&*store, "f", 4, 11, 3).await);
    assert!(
        !store
            .examined(&of, picture(), at(3))
            .await
            .expect("an answer")
    );
    assert!(advance(&*store, "f", 4, 10, 4).await);
    assert!(
        store
            .examined(&of, picture(), at(5))
            .await
            .expect("an answer")
    );
    assert!(
        !store
            .examined(&of, picture(), at(6))
            .await
            .expect("an answer")
    );
    assert!(!advance(&*store, "f", 10, 10, 6).await);
    let found = store.file(&user("a"), &of).await.expect("an answer");
    let found = found.expect("a file");
    assert_eq!(found.state, FileState::Ready);
    assert!(found.is_for(&user("a")) && !found.is_for(&user("b")));
    assert_eq!(
        found.file,
        Attachment {
            id: of.clone(),
            name: "a \u{1}name\".png".into(),
            media_type: "image/webp".into(),
            size: 10,
            dimensions: Some(Dimensions {
                width: 30,
                height: 20,
            }),
            has_thumbnail: true,
            blur_hash: picture().blur_hash,
            duration_ms: picture().duration_ms,
        }
    );
}

pub async fn m3_a_process_that_lost_an_upload_notes_nothing<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    create(&*store, "f", "a", "c").await;
    let is_claimed = async || {
        let found = store.file(&user("a"), &id("f")).await.expect("an answer");
        found.expect("a file").is_claimed
    };
    assert!(!is_claimed().await);
    assert_eq!(claim(&*store, "f", "one", false).await, claim_of(1, 0, ""));
    assert!(is_claimed().await);
    assert!(noted(&*store, "f", (1, 0, 3, "1:0"), 5).await);
    // The same process continues with its claim.
    assert_eq!(
        claim(&*store, "f", "one", false).await,
        claim_of(1, 3, "1:0")
    );
    assert_eq!(claim(&*store, "f", "two", false).await, Claim::Held);
    store.release(&id("f"), 1).await.expect("released");
    assert!(!is_claimed().await);
    assert_eq!(
        claim(&*store, "f", "two", false).await,
        claim_of(2, 3, "1:0")
    );
    assert!(!noted(&*store, "f", (1, 3, 4, "1:0"), 6).await);
    store.release(&id("f"), 1).await.expect("an answer");
    assert!(is_claimed().await, "what another process claimed");
    assert!(noted(&*store, "f", (2, 3, 4, "1:0,2:3"), 7).await);
    // A dead process does not release its claim.
    assert_eq!(claim(&*store, "f", "one", false).await, Claim::Held);
    assert_eq!(
        claim(&*store, "f", "one", true).await,
        claim_of(3, 4, "1:0,2:3")
    );
    assert!(!noted(&*store, "f", (2, 4, 5, "1:0,2:3"), 8).await);
    assert!(noted(&*store, "f", (3, 4, 10, "1:0,2:3,3:4"), 9).await);
    let found = store.file(&user("a"), &id("f")).await.expect("an answer");
    let found = found.expect("a file");
    assert_eq!(
        (found.received, found.generation, &*found.place),
        (10, 3, "1:0,2:3,3:4")
    );
    let examined = store.examined(&id("f"), picture(), at(10)).await;
    assert!(examined.expect("an answer"));
    for file in ["f", "unknown"] {
        assert_eq!(claim(&*store, file, "one", true).await, Claim::Ended);
    }
    assert!(store.discard(&id("f"), at(11)).await.expect("an answer"));
    let deleted = store.deleted(10).await.expect("a list");
    assert_eq!(
        (deleted[0].generation, &*deleted[0].place),
        (3, "1:0,2:3,3:4")
    );
}

pub async fn m3_of_processes_that_claim_an_upload_at_once_one_gets_it<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    for round in 0..10 {
        let file = format!("f{round}");
        create(&*store, &file, "a", "c").await;
        let claims = (0..4).map(|run| {
            let (store, file) = (Arc::clone(&store), file.clone());
            tokio::spawn(async move { claim(&*store, &file, &format!("{run}"), false).await })
        });
        let mut taken = 0;
        for claim in claims.collect::<Vec<_>>() {
            taken += usize::from(claim.await.expect("no panic") != Claim::Held);
        }
        assert_eq!(taken, 1);
    }
}

pub async fn upload_events_reach_other_members_unless_blocked<
    S: Messages + Files + Groups + Blocks,
>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "two", &["a", "b"]).await;
    put(&*store, "three", &["a", "b", "c"]).await;
    for (file, place) in [("f1", "two"), ("f2", "three"), ("f3", "three")] {
        create(&*store, file, "a", place).await;
    }
    claim(&*store, "f2", "one", false).await;
    let audiences = async |files: &[&str]| {
        let ids: Vec<FileId> = files.iter().map(|file| id(file)).collect();
        let found = store.audiences(&ids).await.expect("an answer");
        let mut rows: Vec<_> = found
            .into_iter()
            .map(|one| {
                let mut others: Vec<String> = one.others.iter().map(ToString::to_string).collect();
                others.sort();
                let writer = one.writer.as_deref().map(str::to_owned);
                (one.id.to_string(), others.join(" "), one.state, writer)
            })
            .collect();
        rows.sort_by(|one, other| one.0.cmp(&other.0));
        rows
    };
    let row = |file: &str, others: &str, writer: Option<&str>| {
        let writer = writer.map(str::to_owned);
        (
            file.to_owned(),
            others.to_owned(),
            FileState::Uploading,
            writer,
        )
    };
    assert_eq!(audiences(&[]).await, []);
    assert_eq!(
        audiences(&["f2", "unknown", "f1", "f3"]).await,
        [
            row("f1", "b", None),
            row("f2", "b c", Some("one")),
            row("f3", "b c", None)
        ]
    );
    // Of two people only: in groups the server hides nothing.
    store
        .block(&user("b"), &user("a"), 10, at(5))
        .await
        .expect("blocked");
    assert_eq!(
        audiences(&["f1", "f2"]).await,
        [row("f1", "", None), row("f2", "b c", Some("one"))]
    );
    store
        .unblock(&user("b"), &user("a"))
        .await
        .expect("unblocked");
    store
        .block(&user("a"), &user("b"), 10, at(6))
        .await
        .expect("blocked");
    assert_eq!(audiences(&["f1"]).await, [row("f1", "", None)]);
    // A group that has shrunk to two is a group.
    put(&*store, "three", &["a", "b"]).await;
    assert_eq!(audiences(&["f3"]).await, [row("f3", "b", None)]);
    // Uploads of a former member have no receivers.
    put(&*store, "three", &["b", "c"]).await;
    assert_eq!(audiences(&["f2"]).await, [row("f2", "", Some("one"))]);
    assert!(store.discard(&id("f3"), at(7)).await.expect("discarded"));
    let ended = audiences(&["f3"]).await;
    assert_eq!(ended[0].2, FileState::Deleted);
}

pub async fn an_abandoned_upload_is_found_once<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    for file in ["f1", "f2", "f3", "f4"] {
        create(&*store, file, "a", "c").await;
    }
    let watch = async |files: &[&str], lease| {
        let ids: Vec<FileId> = files.iter().map(|file| id(file)).collect();
        store.watch_uploads(&ids, lease).await.expect("watched");
    };
    let lost = async |limit| {
        let lost = store.lost_uploads(limit).await.expect("a list");
        let mut lost: Vec<FileId> = lost.into_iter().map(|file| file.file.id).collect();
        lost.sort();
        lost
    };
    let (long, over) = (Some(Duration::from_secs(300)), Some(Duration::ZERO));
    assert!(lost(9).await.is_empty(), "none of them was announced");
    watch(&["f1", "f2", "f3", "unknown"], long).await;
    watch(&[], long).await;
    assert!(lost(9).await.is_empty());
    watch(&["f3", "f2"], over).await;
    watch(&["f2"], None).await;
    assert!(advance(&*store, "f3", 0, 4, 1).await);
    let found = store.lost_uploads(9).await.expect("a list");
    assert_eq!(found.len(), 1);
    let file = &found[0];
    assert_eq!((&file.file.id, file.received), (&id("f3"), 4));
    assert_eq!(
        (&file.owner, &file.conversation, file.state),
        (&user("a"), &conversation("c"), FileState::Uploading)
    );
    assert!(lost(9).await.is_empty(), "once");
    // Several processes look at once.
    watch(&["f1", "f2", "f3"], over).await;
    let (one, other) = tokio::join!(lost(2), lost(2));
    let mut all = [one, other, lost(9).await].concat();
    all.sort();
    assert_eq!(all, ["f1", "f2", "f3"].map(id));
    // The process that records the end of these announces it.
    watch(&["f1", "f2", "f4"], over).await;
    assert!(advance(&*store, "f1", 0, 10, 2).await);
    let examined = store.examined(&id("f1"), picture(), at(3)).await;
    assert!(examined.expect("an answer"));
    assert!(store.discard(&id("f2"), at(4)).await.expect("discarded"));
    assert_eq!(lost(9).await, [id("f4")]);
    watch(&["f1", "f2"], over).await;
    assert!(lost(9).await.is_empty());
}
