//! Requests by which a later member could learn of entries before their log.

use super::joining::{act, append, reply};
use super::{add, done, make, remove, role, send};
use crate::{Subject, at, conversation, user};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::group::History;
use lamplight_domain::identity::UserId;
use lamplight_domain::permission::Role;
use lamplight_domain::search_terms::query_terms;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Groups, MessageSearch, Messages, Search};

/// A change without effect returns the entry that made the state, if the member may see it.
pub async fn m15_an_unchanged_answer_reveals_nothing_before_the_log<S: Messages + Groups>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    let secret = send(store, "g", "a", "secret").await;
    done(store, "g", "a", add(&["n"])).await;
    done(store, "g", "a", role("n", Role::Admin)).await;
    let answer = append(store, reply("a", "an answer", &secret)).await;
    let own = append(store, reply("n", "mine", &answer)).await;
    let excerpts = async |sender: &str| {
        let mut excerpts = Vec::new();
        for action in [
            MessageAction::React {
                emoji: Emoji::trusted("👍"),
                added: false,
            },
            MessageAction::Pin { pinned: false },
        ] {
            for on in [&answer, &own] {
                let again = store.append(act(sender, on, action.clone()), None).await;
                let again = again.expect("an answer");
                assert!(again.duplicate);
                assert!(again.message.is_none());
                let extras = again.entry.extras().expect("it is an answer");
                let quote = extras.reply_to.as_ref().expect("a quote");
                excerpts.push(quote.excerpt.to_string());
            }
        }
        excerpts
    };
    assert_eq!(excerpts("n").await, ["", "an answer", "", "an answer"]);
    let whole = ["secret", "an answer", "secret", "an answer"];
    assert_eq!(excerpts("a").await, whole);
    // The same content again, by the author who was removed meanwhile and added again.
    done(store, "g", "a", remove("n")).await;
    done(store, "g", "a", add(&["n"])).await;
    let late = append(store, reply("a", "late", &own)).await;
    let again = act(
        "n",
        &late,
        MessageAction::React {
            emoji: Emoji::trusted("👍"),
            added: false,
        },
    );
    let again = store.append(again, None).await.expect("an answer");
    let extras = again.entry.extras().expect("it is an answer");
    let quote = extras.reply_to.as_ref().expect("a quote");
    assert_eq!(&*quote.excerpt, "");
}

/// A page of a search ends as if earlier entries did not exist, so that `next` reveals nothing
/// about them.
pub async fn m15_pages_of_a_search_end_where_a_log_begins<S: Messages + Groups + MessageSearch>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    make(store, "g", &["a", "b"], History::Joined).await;
    make(store, "all", &["a", "b"], History::All).await;
    for place in ["g", "g", "all"] {
        send(store, place, "a", "secret plan").await;
    }
    for place in ["g", "all"] {
        done(store, place, "a", add(&["n"])).await;
    }
    send(store, "g", "n", "sec one").await;
    while store.advance(100).await.expect("a step").is_behind {}
    let pages = async |only: Option<&str>, after: Option<Timestamp>, from: Option<UserId>| {
        let search = Search {
            terms: query_terms("sec"),
            conversation: only.map(conversation),
            sender: from,
            after,
            ..Search::default()
        };
        let (mut seqs, mut next) = (Vec::new(), None::<String>);
        loop {
            let page = store.search(&user("n"), &search, next.as_deref(), 1).await;
            let page = page.expect("an answer").expect("a member");
            let found = page.items.iter();
            let found = found.map(|one| (one.entry.conversation.clone(), one.entry.seq));
            seqs.push(found.collect::<Vec<_>>());
            next = page.next;
            if next.is_none() {
                return seqs;
            }
        }
    };
    let (own, whole) = ((conversation("g"), 5), (conversation("all"), 2));
    for after in [None, Some(at(-1))] {
        assert_eq!(pages(Some("g"), after, None).await, [vec![own.clone()]]);
        let by = |who: &str| pages(Some("g"), after, Some(user(who)));
        assert_eq!(by("a").await, [vec![]]);
        assert_eq!(by("n").await, [vec![own.clone()]]);
        let everywhere = [vec![own.clone()], vec![whole.clone()]];
        assert_eq!(pages(None, after, None).await, everywhere);
    }
}
