//! A member's settings of a conversation: muted, archived, pinned.

use super::{fresh, put};
use crate::{Recorder, Subject, at, conversation, message, user};
use lamplight_domain::event::Event;
use lamplight_domain::identity::UserId;
use lamplight_domain::member_settings::{MemberSettings, SettingsChange};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{ListFilter, Messages};

const ARCHIVE: SettingsChange = SettingsChange {
    muted_until: None,
    archived: Some(true),
    pinned: None,
};

fn muted(until: Option<Timestamp>) -> SettingsChange {
    SettingsChange {
        muted_until: Some(until),
        ..SettingsChange::default()
    }
}

async fn set<S: Messages>(store: &S, who: &str, place: &str, change: SettingsChange) {
    let is_there = store
        .set_settings(&user(who), &conversation(place), change)
        .await;
    assert!(is_there.expect("an answer"), "{who} in {place}");
}

/// As the conversation, its summary and the list have them.
async fn settings<S: Messages>(store: &S, who: &str, place: &str) -> MemberSettings {
    let (caller, id) = (user(who), conversation(place));
    let one = store.conversation(&caller, &id).await.expect("an answer");
    let one = one.expect("a conversation").settings;
    let summary = store.summary(&caller, &id).await.expect("an answer");
    assert_eq!(summary.expect("a conversation").settings, one);
    let list = store.conversations(&caller, None, None, 100).await;
    let list = list.expect("a page").items;
    let listed = list.iter().find(|listed| listed.id == id);
    assert_eq!(listed.expect("it is listed").settings, one);
    one
}

fn sent_at(place: &str, sender: &str, time: i64) -> NewEntry {
    NewEntry {
        created_at: at(time),
        ..message(place, sender, "hello")
    }
}

/// The ids on all pages of a list.
async fn listed<S: Messages>(store: &S, who: &str, filter: Option<ListFilter>) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = store
            .conversations(&user(who), filter, cursor.as_deref(), 2)
            .await
            .expect("a page");
        ids.extend(page.items.iter().map(|one| one.id.as_str().to_owned()));
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

/// The receivers of the changes of a conversation that were published after its entry at `seq`, once
/// there is one.
async fn changed_after(events: &Recorder, seq: u64) -> Vec<Vec<UserId>> {
    let mut found = Vec::new();
    for _ in 0..2_000 {
        let events = events.events();
        let after = events.iter().skip_while(
            |event| !matches!(event, Event::Appended { entry, .. } if entry.seq == seq),
        );
        found = after
            .filter_map(|event| match event {
                Event::ConversationChanged { to, .. } => Some(to.to_vec()),
                _ => None,
            })
            .collect();
        if !found.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    found
}

pub async fn settings_belong_to_a_member_and_omitted_ones_stay<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    assert_eq!(settings(store, "a", "c").await, MemberSettings::default());
    set(store, "a", "c", muted(Some(at(50)))).await;
    set(store, "a", "c", ARCHIVE).await;
    let pinned = SettingsChange {
        pinned: Some(true),
        ..SettingsChange::default()
    };
    set(store, "a", "c", pinned).await;
    let all = MemberSettings {
        muted_until: Some(at(50)),
        archived: true,
        pinned: true,
    };
    assert_eq!(settings(store, "a", "c").await, all);
    assert_eq!(settings(store, "b", "c").await, MemberSettings::default());
    set(store, "a", "c", SettingsChange::default()).await;
    assert_eq!(settings(store, "a", "c").await, all);
    let none = SettingsChange {
        muted_until: Some(None),
        archived: Some(false),
        pinned: Some(false),
    };
    set(store, "a", "c", none).await;
    assert_eq!(settings(store, "a", "c").await, MemberSettings::default());
    for (who, place) in [("x", "c"), ("a", "nowhere")] {
        let there = store
            .set_settings(&user(who), &conversation(place), ARCHIVE)
            .await;
        assert!(!there.expect("an answer"), "{who} in {place}");
    }
}

pub async fn lists_filter_by_archived<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    for number in 0..7 {
        let id = format!("c{number}");
        put(store, &id, &["a", "b"]).await;
        fresh(store.append(sent_at(&id, "b", number), None).await);
        if number % 3 == 0 {
            set(store, "a", &id, ARCHIVE).await;
        }
    }
    assert_eq!(
        listed(store, "a", Some(ListFilter::Archived)).await,
        ["c6", "c3", "c0"]
    );
    assert_eq!(
        listed(store, "a", Some(ListFilter::NotArchived)).await,
        ["c5", "c4", "c2", "c1"]
    );
    assert_eq!(listed(store, "a", None).await.len(), 7);
    assert_eq!(
        listed(store, "b", Some(ListFilter::NotArchived))
            .await
            .len(),
        7
    );
    assert!(
        listed(store, "b", Some(ListFilter::Archived))
            .await
            .is_empty()
    );
    assert!(
        listed(store, "nobody", Some(ListFilter::Archived))
            .await
            .is_empty()
    );
    let pin = SettingsChange {
        pinned: Some(true),
        ..SettingsChange::default()
    };
    for place in ["c1", "c3", "c5"] {
        set(store, "a", place, pin).await;
    }
    let pinned = listed(store, "a", Some(ListFilter::Pinned)).await;
    assert_eq!(pinned, ["c5", "c3", "c1"], "archived ones too");
    assert!(
        listed(store, "b", Some(ListFilter::Pinned))
            .await
            .is_empty()
    );
}

/// In the transaction that appends the message, for each member who has not muted it then.
pub async fn m10_a_message_unarchives_for_members_without_a_mute<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b", "d"]).await;
    fresh(store.append(sent_at("c", "b", 1), None).await);
    for who in ["a", "b", "d"] {
        set(store, who, "c", ARCHIVE).await;
    }
    set(store, "d", "c", muted(Some(at(50)))).await;
    let is_archived = async |who: &'static str| settings(store, who, "c").await.archived;
    fresh(store.append(sent_at("c", "b", 2), None).await);
    assert!(!is_archived("a").await, "a new message");
    assert!(!is_archived("b").await, "one's own as well");
    assert!(is_archived("d").await, "muted");
    assert_eq!(
        changed_after(&subject.events, 2).await,
        [[user("a"), user("b")]]
    );
    fresh(store.append(sent_at("c", "b", 49), None).await);
    assert!(is_archived("d").await, "still muted");
    fresh(store.append(sent_at("c", "b", 50), None).await);
    assert!(!is_archived("d").await, "the mute is over");
    assert_eq!(changed_after(&subject.events, 4).await, [[user("d")]]);
    assert_eq!(settings(store, "d", "c").await.muted_until, Some(at(50)));
    // After the last member has unarchived it, a member archives it again.
    fresh(store.append(sent_at("c", "b", 51), None).await);
    set(store, "a", "c", ARCHIVE).await;
    fresh(store.append(sent_at("c", "b", 52), None).await);
    assert!(!is_archived("a").await);
    assert_eq!(changed_after(&subject.events, 6).await, [[user("a")]]);
    // Archiving again without a new message stays.
    set(store, "a", "c", ARCHIVE).await;
    assert!(is_archived("a").await);
}

/// Over all pages, whatever the log has; the sum of what the list says of each conversation.
pub async fn m9_the_total_excludes_muted_and_archived_conversations<S: Messages>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for (number, id) in (1..=4).zip(["c1", "c2", "c3", "c4"]) {
        put(store, id, &["a", "b"]).await;
        for _ in 0..number {
            fresh(store.append(message(id, "b", "hello"), None).await);
        }
    }
    let total = async |time| {
        let total = store.total_unread(&user("a"), at(time)).await;
        total.expect("a total")
    };
    assert_eq!(total(0).await, 10);
    store
        .mark_read(&user("a"), &conversation("c4"), 3, at(0))
        .await
        .expect("a mark");
    assert_eq!(total(0).await, 7);
    set(store, "a", "c2", ARCHIVE).await;
    assert_eq!(total(0).await, 5);
    set(store, "a", "c3", muted(Some(at(50)))).await;
    assert_eq!((total(49).await, total(50).await), (2, 5));
    let list = store
        .conversations(&user("a"), Some(ListFilter::NotArchived), None, 100)
        .await;
    let sum: u64 = list
        .expect("a page")
        .items
        .iter()
        .map(|one| one.unread)
        .sum();
    assert_eq!(sum, 5);
    for who in ["b", "nobody"] {
        let total = store.total_unread(&user(who), at(0)).await;
        assert_eq!(total.expect("a total"), 0, "{who}");
    }
}

pub async fn m15_settings_go_with_the_membership<S: Messages>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b", "d"]).await;
    set(store, "d", "c", ARCHIVE).await;
    set(store, "a", "c", ARCHIVE).await;
    put(store, "c", &["a", "b"]).await;
    assert!(
        listed(store, "d", Some(ListFilter::Archived))
            .await
            .is_empty()
    );
    // The sender has read the entry that removes a member, so their own send changes nothing for them.
    store
        .mark_read(&user("b"), &conversation("c"), 1, at(0))
        .await
        .expect("a mark");
    fresh(store.append(message("c", "b", "hello"), None).await);
    assert_eq!(changed_after(&subject.events, 2).await, [[user("a")]]);
    put(store, "c", &["a", "b", "d"]).await;
    assert_eq!(settings(store, "d", "c").await, MemberSettings::default());
}
