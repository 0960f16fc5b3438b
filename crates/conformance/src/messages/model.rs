//! Random operations against a model simple enough to be believed.

use crate::{Subject, at, conversation, message, run, user};
use futures_util::future::BoxFuture;
use lamplight_domain::conversation::direct_key;
use lamplight_domain::identity::UserId;
use lamplight_domain::message::SendKey;
use lamplight_usecases::ports::{AppendError, Messages, Range};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const USERS: [&str; 4] = ["a", "b", "c", "d"];
const PLACES: [&str; 3] = ["x", "y", "z"];

#[derive(Clone, Debug)]
enum Step {
    Put(usize, Vec<usize>),
    Direct(usize, usize),
    /// Where, who, what, and under which key: none, a client message id, a temporary id.
    Send(usize, usize, u8, Option<(bool, u8)>),
    Read(usize, usize, u64),
    Delivered(usize, usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0..PLACES.len() + 2;
    let who = 0..USERS.len();
    prop_oneof![
        1 => (0..PLACES.len(), proptest::collection::vec(who.clone(), 1..5)).prop_map(|(place, members)| Step::Put(place, members)),
        1 => (who.clone(), who.clone()).prop_map(|(one, other)| Step::Direct(one, other)),
        6 => (place.clone(), who.clone(), 0..3_u8, proptest::option::of((any::<bool>(), 0..3_u8)))
            .prop_map(|(place, who, what, key)| Step::Send(place, who, what, key)),
        2 => (place.clone(), who.clone(), 0..12_u64).prop_map(|(place, who, seq)| Step::Read(place, who, seq)),
        2 => (place, who, 0..12_u64).prop_map(|(place, who, seq)| Step::Delivered(place, who, seq)),
    ]
}

#[derive(Default)]
struct Log {
    /// Delivered and read, by member.
    members: BTreeMap<UserId, (u64, u64)>,
    /// Sender, content and key.
    entries: Vec<(UserId, String, Option<SendKey>)>,
}

#[derive(Default)]
struct Model {
    logs: HashMap<String, Log>,
    direct: HashMap<String, String>,
    made: usize,
    published: usize,
}

impl Model {
    /// Named places first, then whatever conversations of two were made.
    fn place(&self, number: usize) -> String {
        PLACES.get(number).map_or_else(|| format!("direct-{}", number - PLACES.len()), |place| (*place).to_owned())
    }

    fn put(&mut self, place: &str, members: BTreeSet<UserId>) -> bool {
        if let Some(log) = self.logs.get_mut(place) {
            if log.members.keys().eq(members.iter()) {
                return false;
            }
            let head = log.entries.len() as u64;
            log.members.retain(|member, _| members.contains(member));
            for member in members {
                log.members.entry(member).or_insert((head, head));
            }
            self.direct.retain(|_, id| id != place);
            return true;
        }
        let two: Vec<&UserId> = members.iter().collect();
        if let [one, other] = two[..]
            && let Some(key) = direct_key(one, other)
        {
            self.direct.entry(key).or_insert_with(|| place.to_owned());
        }
        let members = members.into_iter().map(|member| (member, (0, 0))).collect();
        self.logs.insert(place.to_owned(), Log { members, entries: Vec::new() });
        true
    }
}

async fn apply<S: Messages>(store: &S, model: &mut Model, step: Step) {
    match step {
        Step::Put(place, members) => {
            let place = model.place(place);
            let members: Vec<UserId> = members.iter().map(|member| user(USERS[*member])).collect();
            let (_, changed) = store.put_conversation(&conversation(&place), &members, at(0)).await.expect("put");
            assert_eq!(changed, model.put(&place, members.into_iter().collect()));
        }
        Step::Direct(one, other) => {
            let (one, other) = (user(USERS[one]), user(USERS[other]));
            let Some(key) = direct_key(&one, &other) else { return };
            let new = format!("direct-{}", model.made);
            let (found, created) = store.ensure_direct(&one, &other, conversation(&new), at(0)).await.expect("direct");
            assert_eq!(created, !model.direct.contains_key(&key));
            if created {
                model.made += 1;
                model.put(&new, [one, other].into());
            }
            assert_eq!(found.id.as_str(), model.direct[&key]);
        }
        Step::Send(place, who, what, key) => {
            let mut sent = message(&model.place(place), USERS[who], &format!("text {what}"));
            sent.key = key.map(|(is_client, key)| {
                let text = format!("key-{key}").into();
                if is_client { SendKey::ClientMessageId(text) } else { SendKey::TempId(text) }
            });
            let (sender, content, key) = (sent.sender.clone(), sent.content.as_str().to_owned(), sent.key.clone());
            let place = model.place(place);
            let outcome = store.append(sent, None).await;
            let Some(log) = model.logs.get_mut(&place).filter(|log| log.members.contains_key(&sender)) else {
                assert!(matches!(outcome, Err(AppendError::NotFound)));
                return;
            };
            let same_key = |entry: &&(UserId, String, Option<SendKey>)| {
                let is_same_content = entry.1 == content || matches!(key, Some(SendKey::ClientMessageId(_)));
                entry.0 == sender && key.is_some() && entry.2 == key && is_same_content
            };
            if let Some(there) = log.entries.iter().find(same_key) {
                if there.1 == content {
                    assert!(outcome.expect("a repetition").duplicate);
                } else {
                    assert!(matches!(outcome, Err(AppendError::Conflict)));
                }
                return;
            }
            log.entries.push((sender.clone(), content, key));
            let head = log.entries.len() as u64;
            log.members.insert(sender, (head, head));
            model.published += 1;
            let appended = outcome.expect("an append");
            assert_eq!((appended.duplicate, appended.message.seq), (false, head));
        }
        Step::Read(place, who, seq) => {
            let (place, who) = (model.place(place), user(USERS[who]));
            let marked = store.mark_read(&who, &conversation(&place), seq).await.expect("a mark");
            let log = model.logs.get_mut(&place);
            let Some((log, marked)) = log.filter(|log| log.members.contains_key(&who)).zip(marked.clone()) else {
                assert!(marked.is_none());
                return;
            };
            let seq = seq.min(log.entries.len() as u64);
            let marks = log.members.entry(who).or_default();
            assert_eq!(marked.moved, seq > marks.1);
            *marks = (marks.0.max(seq), marks.1.max(seq));
            assert_eq!((marked.receipt.delivered_seq, marked.receipt.read_seq), *marks);
        }
        Step::Delivered(place, who, seq) => {
            let (place, who) = (model.place(place), user(USERS[who]));
            let moved = store.mark_delivered(vec![(conversation(&place), who.clone(), seq)]).await.expect("marks");
            let Some(log) = model.logs.get_mut(&place).filter(|log| log.members.contains_key(&who)) else {
                assert!(moved.is_empty());
                return;
            };
            let seq = seq.min(log.entries.len() as u64);
            let marks = log.members.entry(who).or_default();
            assert_eq!(moved.len(), usize::from(seq > marks.0));
            marks.0 = marks.0.max(seq);
        }
    }
}

/// What everyone sees is what the model says they should.
async fn compare<S: Messages>(store: &S, model: &Model) {
    for name in USERS {
        let viewer = user(name);
        let mine = model.logs.iter().filter(|(_, log)| log.members.contains_key(&viewer)).map(|(place, _)| place.clone());
        let mine: BTreeSet<String> = mine.collect();
        let listed = store.conversations(&viewer, None, 100).await.expect("a page").items;
        assert_eq!(listed.iter().map(|seen| seen.id.as_str().to_owned()).collect::<BTreeSet<_>>(), mine);
        for (place, log) in &model.logs {
            let id = conversation(place);
            let seen = store.conversation(&viewer, &id).await.expect("a view");
            let Some(&(_, read)) = log.members.get(&viewer) else {
                assert!(seen.is_none());
                continue;
            };
            let seen = seen.expect("a member");
            let head = log.entries.len() as u64;
            assert_eq!((seen.head_seq, seen.read_seq, seen.unread), (head, read, head - read), "{name} in {place}");
            assert_eq!(seen.last_message.map(|last| last.seq), (head > 0).then_some(head));
            let history = store.history(&viewer, &id, Range::After(0), 1_000).await.expect("a log").expect("a member");
            let entries: Vec<_> = history.entries.iter().map(|entry| (entry.sender.clone(), entry.content.as_str().to_owned())).collect();
            assert_eq!(entries, log.entries.iter().map(|entry| (entry.0.clone(), entry.1.clone())).collect::<Vec<_>>());
            assert!((1..).zip(&history.entries).all(|(seq, entry)| entry.seq == seq));
            let page = store.sync(&viewer, &[(id, 0)], 1_000).await.expect("pages").remove(0).expect("a member");
            let marks: Vec<_> = page.receipts.into_iter().map(|mark| (mark.user, (mark.delivered_seq, mark.read_seq))).collect();
            assert_eq!(marks, log.members.clone().into_iter().collect::<Vec<_>>());
        }
    }
}

/// Runs the property; each case begins with an empty store.
///
/// # Panics
/// When an adapter and the model disagree, with the shortest steps that lead there.
pub fn model<S: Messages>(factory: impl Fn() -> BoxFuture<'static, Subject<S>>) {
    let config = Config { cases: 24, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let steps = proptest::collection::vec(step(), 1..60);
    let outcome = runner.run(&steps, |steps| {
        run(async {
            let subject = factory().await;
            let mut model = Model::default();
            for step in steps {
                apply(&*subject.store, &mut model, step).await;
            }
            compare(&*subject.store, &model).await;
            subject.events.exactly(model.published).await;
        });
        Ok(())
    });
    outcome.expect("the adapter does what the model does");
}
