//! The lists of the files of conversations.

use super::*;
use lamplight_domain::file::FileKind;
use lamplight_usecases::ports::{SentFiles, StoreError};

const ALL: &[FileKind] = &FileKind::ALL;
const MEDIA: &[FileKind] = &[FileKind::Media];

/// A file of a type, ready to be sent.
async fn of_type<S: Files>(store: &S, file: &str, owner: &str, place: &str, media_type: &str) {
    create(store, file, owner, place).await;
    assert!(advance(store, file, 0, 10, 1).await);
    let found = Examined {
        media_type: media_type.into(),
        ..picture()
    };
    let examined = store.examined(&id(file), found, at(2)).await;
    assert!(examined.expect("examined"));
}

async fn list<S: Files>(
    store: &S,
    who: &str,
    place: &str,
    kinds: &[FileKind],
    (cursor, limit): (Option<&str>, usize),
) -> Option<SentFiles> {
    let (who, place) = (user(who), conversation(place));
    let part = store.sent_files(&who, &place, kinds, cursor, limit);
    part.await.expect("an answer")
}

fn ids(part: &SentFiles) -> Vec<&str> {
    part.files.iter().map(|one| one.file.id.as_str()).collect()
}

/// The ids of the files that a user sees, in one part.
async fn seen<S: Files>(store: &S, who: &str, place: &str) -> Option<Vec<String>> {
    let part = list(store, who, place, ALL, (None, 100)).await?;
    assert_eq!(part.next, None, "all in one part");
    Some(ids(&part).into_iter().map(str::to_owned).collect())
}

/// Walks through a list by its cursors.
async fn walk<S: Files>(store: &S, kinds: &[FileKind], limit: usize) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let part = list(store, "b", "c", kinds, (cursor.as_deref(), limit)).await;
        let part = part.expect("a list");
        assert!(part.files.len() <= limit, "{part:?}");
        all.extend(ids(&part).into_iter().map(str::to_owned));
        match part.next {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}

pub async fn files_of_a_conversation_are_listed_by_kind_the_newest_first<S: Messages + Files>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    put(&*store, "other", &["a", "b"]).await;
    let empty = list(&*store, "a", "c", ALL, (None, 10)).await;
    let empty = empty.expect("a list");
    assert_eq!(
        (empty.files.len(), empty.next, empty.as_of_seq),
        (0, None, 0)
    );
    for (file, owner, place, media_type) in [
        ("picture", "a", "c", "image/png"),
        ("z video", "a", "c", "video/mp4"),
        ("voice", "b", "c", "audio/webm"),
        ("paper", "a", "c", "application/pdf"),
        ("a song", "a", "c", "audio/mpeg"),
        ("text", "a", "c", "text/plain"),
        ("imagery", "a", "c", "imagery/png"),
        ("later", "b", "c", "image/webp"),
        ("elsewhere", "a", "other", "image/webp"),
        ("not sent", "a", "c", "image/webp"),
    ] {
        of_type(&*store, file, owner, place, media_type).await;
    }
    create(&*store, "unfinished", "a", "c").await;
    // In an order that neither their ids nor their times have.
    let first = send(&*store, "c", "a", &["z video", "paper", "picture"]).await;
    let first = first.expect("sent").entry;
    send(&*store, "other", "a", &["elsewhere"])
        .await
        .expect("sent");
    send(&*store, "c", "b", &["voice"]).await.expect("sent");
    store
        .append(message("c", "a", "text"), None)
        .await
        .expect("sent");
    let mixed = ["text", "a song", "imagery"];
    send(&*store, "c", "a", &mixed).await.expect("sent");
    let last = send(&*store, "c", "b", &["later"]).await.expect("sent");

    let all = [
        "later", "text", "a song", "imagery", "voice", "z video", "paper", "picture",
    ];
    for (kinds, expected) in [
        (ALL, &all[..]),
        (MEDIA, &["later", "z video", "picture"]),
        (&[FileKind::Audio], &["a song", "voice"]),
        (&[FileKind::Document], &["text", "imagery", "paper"]),
        (
            &[FileKind::Document, FileKind::Audio],
            &["text", "a song", "imagery", "voice", "paper"],
        ),
        (&[], &[]),
    ] {
        for limit in [1, 2, 3, 100] {
            assert_eq!(
                walk(&*store, kinds, limit).await,
                expected,
                "{kinds:?} {limit}"
            );
        }
    }
    let part = list(&*store, "b", "c", MEDIA, (None, 100))
        .await
        .expect("a list");
    assert_eq!(part.as_of_seq, last.entry.seq);
    let video = &part.files[1];
    assert_eq!(
        video.file,
        files_of(&first.kind)[0],
        "as the message has it"
    );
    assert_eq!((&video.message, video.seq), (&first.id, first.seq));
    assert_eq!(
        (&video.sender, video.sent_at),
        (&user("a"), first.created_at)
    );
    assert_eq!(part.users, [], "members are known to clients");

    // Reactions and edits are no files, and move nothing.
    let action = MessageAction::Pin { pinned: true };
    act(&*store, "c", "a", &first.id, action).await;
    let part = list(&*store, "b", "c", ALL, (None, 100))
        .await
        .expect("a list");
    assert_eq!(
        (ids(&part), part.as_of_seq),
        (all.to_vec(), last.entry.seq + 1)
    );

    let (who, place) = (user("a"), conversation("c"));
    for cursor in ["", "no cursor", "bTQy", "Zjk6MDoA"] {
        let refused = store.sent_files(&who, &place, ALL, Some(cursor), 10);
        let refused = refused.await;
        assert!(
            matches!(refused, Err(StoreError::BadCursor)),
            "{cursor}: {refused:?}"
        );
    }
}

pub async fn m15_a_list_of_files_has_the_files_that_the_member_may_see<S>(
    Subject { store, .. }: Subject<S>,
) where
    S: Messages + Files + Groups + Directory,
{
    let made = NewGroup {
        conversation: conversation("g"),
        entry: MessageId::trusted("made"),
        owner: user("a"),
        members: vec![user("a"), user("b"), user("d")],
        name: None,
        avatar_url: None,
        history: History::Joined,
        client_id: None,
        created_at: at(0),
    };
    store.make_group(made).await.expect("an answer");
    for (file, owner) in [
        ("before", "a"),
        ("deleted", "a"),
        ("ds", "d"),
        ("later", "a"),
    ] {
        ready(&*store, file, owner, "g").await;
    }
    send(&*store, "g", "a", &["before"]).await.expect("sent");
    let deleted = send(&*store, "g", "a", &["deleted"]).await.expect("sent");
    send(&*store, "g", "d", &["ds"]).await.expect("sent");
    let change = async |name: &str, action: GroupAction| {
        let change = GroupWrite {
            id: MessageId::trusted(name),
            conversation: conversation("g"),
            sender: user("a"),
            action,
            key: None,
            created_at: at(1),
            limit: 1_000,
        };
        store.change_group(change, None).await.expect("a change");
    };
    change("c comes", GroupAction::Add(vec![user("c")])).await;
    send(&*store, "g", "a", &["later"]).await.expect("sent");
    let some = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    assert_eq!(
        seen(&*store, "b", "g").await,
        some(&["later", "ds", "deleted", "before"])
    );
    assert_eq!(
        seen(&*store, "c", "g").await,
        some(&["later"]),
        "joined later"
    );
    for (who, place) in [("e", "g"), ("nobody", "g"), ("a", "nowhere")] {
        assert_eq!(seen(&*store, who, place).await, None, "{who} in {place}");
    }
    act(&*store, "g", "a", &deleted.entry.id, MessageAction::Delete).await;
    assert_eq!(
        seen(&*store, "b", "g").await,
        some(&["later", "ds", "before"])
    );
    // The files of a former member stay, with the member's profile.
    let profile = crate::named("d", "Dana");
    let written = store.upsert_profile(profile.clone(), ProfileSource::Host, at(0));
    written.await.expect("a profile");
    change("d leaves", GroupAction::Remove(user("d"))).await;
    let part = list(&*store, "b", "g", ALL, (None, 10))
        .await
        .expect("a list");
    assert_eq!(ids(&part), ["later", "ds", "before"]);
    assert_eq!(part.users, [profile]);
    assert_eq!(seen(&*store, "d", "g").await, None, "was removed");
    // The list of a returning member starts again.
    change("d comes", GroupAction::Add(vec![user("d")])).await;
    assert_eq!(seen(&*store, "d", "g").await, some(&[]));
}

pub async fn m15_a_list_of_files_omits_files_withheld_by_a_block<S: Messages + Files + Blocks>(
    Subject { store, .. }: Subject<S>,
) {
    put(&*store, "c", &["a", "b"]).await;
    put(&*store, "g", &["a", "b", "d"]).await;
    for number in 1..=3 {
        for (owner, place) in [("a", "c"), ("b", "c"), ("a", "g")] {
            let file = format!("{owner}{number}{place}");
            ready(&*store, &file, owner, place).await;
            send(&*store, place, owner, &[&file]).await.expect("sent");
        }
    }
    let all = ["b3c", "a3c", "b2c", "a2c", "b1c", "a1c"]
        .map(str::to_owned)
        .to_vec();
    let of_b = ["b3c", "b2c", "b1c"].map(str::to_owned).to_vec();
    let in_group = ["a3g", "a2g", "a1g"].map(str::to_owned).to_vec();
    assert_eq!(seen(&*store, "b", "c").await, Some(all.clone()));
    let blocked = store.block(&user("a"), &user("b"), 10, at(1)).await;
    blocked.expect("a block");
    for limit in [1, 2, 100] {
        assert_eq!(
            walk(&*store, ALL, limit).await,
            of_b,
            "{limit}: only one's own"
        );
    }
    assert_eq!(
        seen(&*store, "a", "c").await,
        Some(all.clone()),
        "who blocks keeps them"
    );
    assert_eq!(seen(&*store, "b", "g").await, Some(in_group), "in a group");
    store.unblock(&user("a"), &user("b")).await.expect("none");
    assert_eq!(seen(&*store, "b", "c").await, Some(all));
}
