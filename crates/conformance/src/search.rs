//! The suite for `MessageSearch`, on a store that is `Messages` too.

use crate::setup::{put, send};
use crate::{Subject, at, conversation, message, user};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::MessageId;
use lamplight_domain::message::Content;
use lamplight_domain::search_terms::{finds, query_terms};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{
    CommitPosition, IndexProgress, MessageSearch, Messages, Page, Range, Search, StoreError,
};

/// Joins the suite: `search_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! search_suite {
    ($factory:path) => {
        $crate::suite!(
            search,
            $factory,
            [
                words_are_found_by_their_beginnings_newest_first,
                scripts_without_spaces_are_found_by_any_part,
                m15_only_conversations_of_a_member_are_searched,
                an_edited_message_is_found_by_its_new_text_only,
                a_deleted_message_is_not_found,
                filters_narrow_a_search,
                pages_of_a_search_repeat_nothing_while_messages_come,
                a_page_of_a_search_is_bounded_in_bytes,
                messages_are_found_in_their_current_form,
                a_rebuilt_index_answers_the_same,
                entries_that_are_indexed_twice_change_nothing,
                a_search_finds_what_a_scan_of_the_logs_finds,
            ]
        );
    };
}

async fn act<S: Messages>(
    store: &S,
    id: &str,
    sender: &str,
    on: &MessageId,
    action: MessageAction,
) {
    let write = Write::Change {
        message: on.clone(),
        action,
    };
    let entry = NewEntry {
        write,
        ..message(id, sender, "")
    };
    store.append(entry, None).await.expect("an append");
}

fn edit(content: &str) -> MessageAction {
    MessageAction::Edit {
        content: Content::trusted(content),
        mentions: Vec::new(),
    }
}

/// Lets the index follow to the end of the log, in steps of `limit`.
async fn index<S: MessageSearch>(store: &S, limit: usize) -> CommitPosition {
    let mut before = CommitPosition::default();
    loop {
        let IndexProgress {
            position,
            is_behind,
            ..
        } = store.advance(limit).await.expect("a step");
        assert!(position >= before, "a position never decreases");
        before = position;
        if !is_behind {
            return position;
        }
    }
}

fn asked(query: &str) -> Search {
    Search {
        terms: query_terms(query),
        ..Search::default()
    }
}

async fn page<S: MessageSearch>(
    store: &S,
    caller: &str,
    search: &Search,
    cursor: Option<&str>,
    limit: usize,
) -> Page<Message> {
    let page = store.search(&user(caller), search, cursor, limit).await;
    page.expect("an answer").expect("a page")
}

/// All that is found, in pages of `limit`.
async fn all<S: MessageSearch>(
    store: &S,
    caller: &str,
    search: &Search,
    limit: usize,
) -> Vec<Message> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let Page { items, next } = page(store, caller, search, cursor.as_deref(), limit).await;
        assert!(items.len() <= limit);
        found.extend(items);
        match next {
            Some(next) => cursor = Some(next),
            None => return found,
        }
    }
}

fn contents(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(Message::content).collect()
}

async fn found<S: MessageSearch>(store: &S, caller: &str, query: &str) -> Vec<String> {
    let found = all(store, caller, &asked(query), 50).await;
    found
        .iter()
        .map(|message| message.content().to_owned())
        .collect()
}

/// Over all conversations, whatever case and marks; all words must be there.
pub async fn words_are_found_by_their_beginnings_newest_first<S: Messages + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    put(store, "d", &["a", "b"]).await;
    for (place, content) in [
        ("c", "Lunch in Zürich?"),
        ("d", "zurich is far"),
        ("c", "LUNCHTIME, at ⑴ 10"),
        ("d", "it's o'clock"),
        ("c", "100% of x_y and 'quotes' \\ \" * AND"),
        ("c", "👍 !"),
    ] {
        send(store, place, "a", content).await;
    }
    index(store, 50).await;
    let finds = async |query: &str| found(store, "b", query).await;
    assert_eq!(finds("zur").await, ["zurich is far", "Lunch in Zürich?"]);
    assert_eq!(
        finds("lunch").await,
        ["LUNCHTIME, at ⑴ 10", "Lunch in Zürich?"]
    );
    assert_eq!(finds("ZÜRICH lun").await, ["Lunch in Zürich?"]);
    assert_eq!(finds("⑴").await, ["LUNCHTIME, at ⑴ 10"]);
    assert_eq!(finds("clock").await, ["it's o'clock"]);
    for query in ["\"quotes", "x_y", "\\ quot", "and*", "100 of"] {
        assert_eq!(finds(query).await.len(), 1, "{query}");
    }
    for query in ["unch", "zurich tokyo", "👍", "", "\"", "x OR lunch"] {
        assert_eq!(finds(query).await, [""; 0], "{query}");
    }
}

pub async fn scripts_without_spaces_are_found_by_any_part<S: Messages + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    send(store, "c", "a", "今日は東京都に行く").await;
    send(store, "c", "a", "คุณสวัสดีครับ").await;
    index(store, 50).await;
    for query in ["東", "京都", "東京都", "く", "สวัสดี"] {
        assert_eq!(found(store, "a", query).await.len(), 1, "{query}");
    }
    assert_eq!(found(store, "a", "東都").await.len(), 0);
}

/// A removed member finds nothing more, and an added member finds earlier messages.
pub async fn m15_only_conversations_of_a_member_are_searched<S: Messages + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b", "x"]).await;
    put(store, "d", &["a", "x"]).await;
    send(store, "c", "a", "hello c").await;
    send(store, "d", "a", "hello d").await;
    index(store, 50).await;
    assert_eq!(found(store, "a", "hello").await, ["hello d", "hello c"]);
    assert_eq!(found(store, "b", "hello").await, ["hello c"]);
    assert_eq!(found(store, "nobody", "hello").await, [""; 0]);
    let within = |place: &str| Search {
        conversation: Some(conversation(place)),
        ..asked("hello")
    };
    for (caller, place) in [("b", "d"), ("nobody", "c"), ("b", "missing")] {
        let outcome = store.search(&user(caller), &within(place), None, 10).await;
        assert!(outcome.expect("an answer").is_none(), "{caller} in {place}");
    }
    put(store, "c", &["a", "x"]).await;
    put(store, "d", &["a", "b", "x"]).await;
    assert_eq!(found(store, "b", "hello").await, ["hello d"]);
    let outcome = store.search(&user("b"), &within("c"), None, 10).await;
    assert!(outcome.expect("an answer").is_none());
}

/// Also while the index has not followed the edit.
pub async fn an_edited_message_is_found_by_its_new_text_only<S: Messages + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let id = send(store, "c", "a", "apple pie").await;
    index(store, 50).await;
    act(store, "c", "a", &id, edit("pear pie")).await;
    assert_eq!(found(store, "b", "apple").await, [""; 0]);
    assert_eq!(found(store, "b", "pie").await, ["pear pie"]);
    index(store, 50).await;
    assert_eq!(found(store, "b", "apple").await, [""; 0]);
    assert_eq!(found(store, "b", "pear").await, ["pear pie"]);
    act(store, "c", "a", &id, edit("👍")).await;
    index(store, 50).await;
    assert_eq!(found(store, "b", "pie").await, [""; 0]);
    act(store, "c", "a", &id, edit("apple again")).await;
    index(store, 50).await;
    assert_eq!(found(store, "b", "apple").await, ["apple again"]);
}

/// Also while the index has not followed the deletion, and where it sees both at once.
pub async fn a_deleted_message_is_not_found<S: Messages + MessageSearch>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let first = send(store, "c", "a", "hello one").await;
    let edited = send(store, "c", "a", "hello two").await;
    send(store, "c", "a", "hello three").await;
    act(store, "c", "a", &edited, edit("hello 2")).await;
    index(store, 50).await;
    act(store, "c", "a", &first, MessageAction::Delete).await;
    act(store, "c", "a", &edited, MessageAction::Delete).await;
    assert_eq!(found(store, "b", "hello").await, ["hello three"]);
    let at_once = send(store, "c", "a", "hello four").await;
    act(store, "c", "a", &at_once, MessageAction::Delete).await;
    index(store, 50).await;
    assert_eq!(found(store, "b", "hello").await, ["hello three"]);
}

/// By sender, conversation and time, and by all of them.
pub async fn filters_narrow_a_search<S: Messages + MessageSearch>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    put(store, "d", &["a", "b"]).await;
    let mut time = 1_000_000_000;
    for (place, sender, content) in [
        ("c", "a", "hello 1"),
        ("d", "b", "hello 2"),
        ("c", "b", "hello 3"),
        ("d", "a", "hello 4"),
        ("c", "a", "hello 5"),
    ] {
        time += 1_000;
        let entry = NewEntry {
            created_at: at(time),
            ..message(place, sender, content)
        };
        store.append(entry, None).await.expect("an append");
    }
    index(store, 2).await;
    let time = |number: i64| Some(at(1_000_000_000 + number * 1_000));
    let check = async |search: Search, numbers: &[u32]| {
        let found = all(store, "a", &search, 2).await;
        let expected: Vec<String> = numbers.iter().map(|n| format!("hello {n}")).collect();
        assert_eq!(contents(&found), expected, "{search:?}");
    };
    let hello = || asked("hello");
    let (a, b) = (Some(user("a")), Some(user("b")));
    let c = Some(conversation("c"));
    let sender = |sender: &Option<_>| Search {
        sender: sender.clone(),
        ..hello()
    };
    check(sender(&a), &[5, 4, 1]).await;
    check(sender(&b), &[3, 2]).await;
    check(sender(&Some(user("unknown"))), &[]).await;
    let within = Search {
        conversation: c.clone(),
        ..hello()
    };
    check(within, &[5, 3, 1]).await;
    let between = |after, before| Search {
        before,
        after,
        ..hello()
    };
    check(between(None, time(3)), &[2, 1]).await;
    check(between(time(3), None), &[5, 4]).await;
    check(between(time(1), time(5)), &[4, 3, 2]).await;
    check(between(time(5), time(1)), &[]).await;
    check(between(Some(Timestamp(i64::MAX)), None), &[]).await;
    check(between(None, Some(Timestamp(i64::MIN))), &[]).await;
    let all_of_them = Search {
        conversation: c,
        sender: a,
        after: time(1),
        before: time(6),
        ..hello()
    };
    check(all_of_them, &[5]).await;
}

/// And miss nothing that was there at first.
pub async fn pages_of_a_search_repeat_nothing_while_messages_come<S: Messages + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let places = ["c", "d", "e", "f"];
    for place in places {
        put(store, place, &["a", "b"]).await;
    }
    for number in 0..23 {
        let place = places[number * number % places.len()];
        send(store, place, "a", &format!("hello {number}")).await;
        send(store, places[number % 2], "a", "something else").await;
    }
    index(store, 7).await;
    let expected: Vec<String> = (0..23).rev().map(|n| format!("hello {n}")).collect();
    for limit in [1, 2, 3, 7, 22, 23, 24] {
        let found = all(store, "b", &asked("hello"), limit).await;
        assert_eq!(contents(&found), expected, "in pages of {limit}");
    }
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = page(store, "b", &asked("hello"), cursor.as_deref(), 4).await;
        found.extend(page.items);
        for place in places {
            send(store, place, "b", "hello, something new").await;
        }
        index(store, 50).await;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(contents(&found), expected);
    let bad = store
        .search(&user("b"), &asked("hello"), Some("no cursor"), 4)
        .await;
    assert!(matches!(bad, Err(StoreError::BadCursor)));
}

/// The rest follows on the next pages.
pub async fn a_page_of_a_search_is_bounded_in_bytes<S: Messages + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let long = format!("hello {}", "\u{1f4a1}".repeat(7_900));
    for _ in 0..40 {
        send(store, "c", "a", &long).await;
    }
    index(store, 50).await;
    let first = page(store, "b", &asked("hello"), None, 50).await;
    assert!(!first.items.is_empty() && first.items.len() < 40);
    assert!(first.next.is_some());
    assert_eq!(all(store, "b", &asked("hello"), 50).await.len(), 40);
}

/// With edits, and with reactions as the caller sees them.
pub async fn messages_are_found_in_their_current_form<S: Messages + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let id = send(store, "c", "a", "hello").await;
    act(store, "c", "a", &id, edit("hello there")).await;
    let emoji = Emoji::trusted("👍");
    let react = MessageAction::React { emoji, added: true };
    act(store, "c", "b", &id, react).await;
    act(store, "c", "b", &id, MessageAction::Pin { pinned: true }).await;
    index(store, 50).await;
    for caller in ["a", "b"] {
        let now = store
            .messages(&user(caller), &conversation("c"), Range::Newest, 10)
            .await
            .expect("an answer")
            .expect("a member");
        let found = all(store, caller, &asked("there"), 10).await;
        assert_eq!(found, now.messages);
    }
}

pub async fn a_rebuilt_index_answers_the_same<S: Messages + MessageSearch>(subject: Subject<S>) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(send(store, "c", "a", &format!("hello {number}")).await);
    }
    for id in &ids[..10] {
        act(store, "c", "a", id, MessageAction::Delete).await;
    }
    for id in &ids[10..20] {
        act(store, "c", "a", id, edit("hello edited")).await;
    }
    let position = index(store, 50).await;
    let before = all(store, "b", &asked("hello"), 50).await;
    assert_eq!(before.len(), 20);
    store.reindex().await.expect("an empty index");
    assert_eq!(all(store, "b", &asked("hello"), 50).await, []);
    assert_eq!(index(store, 7).await, position);
    assert_eq!(all(store, "b", &asked("hello"), 50).await, before);
    assert_eq!(index(store, 7).await, position, "nothing is left to do");
}

/// As the entries of a message and of its edit are, where the first is indexed with the text of the
/// second.
pub async fn entries_that_are_indexed_twice_change_nothing<S: Messages + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    let id = send(store, "c", "a", "apple").await;
    act(store, "c", "a", &id, edit("pear")).await;
    act(store, "c", "a", &id, edit("pear tree")).await;
    store.advance(1).await.expect("a step");
    assert_eq!(found(store, "b", "tree").await, ["pear tree"]);
    index(store, 1).await;
    assert_eq!(found(store, "b", "tree").await, ["pear tree"]);
    assert_eq!(found(store, "b", "apple").await, [""; 0]);
    act(store, "c", "a", &id, MessageAction::Delete).await;
    index(store, 1).await;
    assert_eq!(found(store, "b", "pear").await, [""; 0]);
}

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }

    fn text(&mut self) -> String {
        const WORDS: &[&str] = &["a", "ab", "abc", "b", "ba", "東京", "東都", "x", "Ä"];
        let words: Vec<&str> = (0..=self.below(4))
            .map(|_| WORDS[self.below(WORDS.len())])
            .collect();
        words.join(" ")
    }
}

/// Random messages, edits and deletions, and random searches.
pub async fn a_search_finds_what_a_scan_of_the_logs_finds<S: Messages + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let places = ["c", "d", "e"];
    let people = ["a", "b"];
    for place in places {
        put(store, place, &people).await;
    }
    let mut numbers = Numbers(7);
    let mut sent: Vec<(MessageId, &str, &str)> = Vec::new();
    for _ in 0..150 {
        let (place, sender) = (places[numbers.below(3)], people[numbers.below(2)]);
        let text = numbers.text();
        match numbers.below(4) {
            0 if !sent.is_empty() => {
                let (id, place, sender) = sent[numbers.below(sent.len())].clone();
                act(store, place, sender, &id, edit(&text)).await;
            }
            1 if !sent.is_empty() => {
                let (id, place, sender) = sent.remove(numbers.below(sent.len()));
                act(store, place, sender, &id, MessageAction::Delete).await;
            }
            _ => sent.push((send(store, place, sender, &text).await, place, sender)),
        }
        if numbers.below(5) == 0 {
            store.advance(3).await.expect("a step");
        }
    }
    index(store, 20).await;
    let mut messages: Vec<Message> = Vec::new();
    for place in places {
        let page = store
            .messages(&user("a"), &conversation(place), Range::Newest, 1_000)
            .await;
        messages.extend(page.expect("an answer").expect("a member").messages);
    }
    // The order of the appends.
    messages.sort_by_key(|message| {
        let id = message.entry.id.as_str().trim_start_matches('m');
        std::cmp::Reverse(id.parse::<u64>().expect("a number"))
    });
    for round in 0..60 {
        let query = numbers.text();
        let search = Search {
            sender: (round % 3 == 0).then(|| user(people[numbers.below(2)])),
            conversation: (round % 4 == 0).then(|| conversation(places[numbers.below(3)])),
            ..asked(&query)
        };
        let is_found = |message: &&Message| {
            let entry = &message.entry;
            finds(&search.terms, message.content())
                && search
                    .sender
                    .as_ref()
                    .is_none_or(|one| *one == entry.sender)
                && search
                    .conversation
                    .as_ref()
                    .is_none_or(|one| *one == entry.conversation)
        };
        let expected: Vec<Message> = messages.iter().filter(is_found).cloned().collect();
        let found = all(store, "a", &search, 1 + numbers.below(30)).await;
        assert_eq!(contents(&found), contents(&expected), "{query}");
        assert_eq!(found, expected, "{query}");
    }
}
