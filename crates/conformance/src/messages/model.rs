//! Random operations, compared with a simple model in memory.

use crate::{Subject, at, conversation, message, run, user};
use futures_util::future::BoxFuture;
use lamplight_domain::conversation::direct_key;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::message::SendKey;
use lamplight_domain::presence::{ManualStatus, StatusOverride};
use lamplight_usecases::ports::{AppendError, Directory, Messages, ProfileSource, Range};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const USERS: [&str; 4] = ["a", "b", "c", "d"];
const PLACES: [&str; 3] = ["x", "y", "z"];

#[derive(Clone, Debug)]
enum Step {
    Put(usize, Vec<usize>),
    Direct(usize, usize),
    /// Conversation, sender, content and key: none, a client message id, a temporary id.
    Send(usize, usize, u8, Option<(bool, u8)>),
    Read(usize, usize, u64),
    Delivered(usize, usize, u64),
    /// A user, and for how many steps they are invisible: 0 for none, 9 for no end.
    Hide(usize, u8),
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
        2 => (place, who.clone(), 0..12_u64).prop_map(|(place, who, seq)| Step::Delivered(place, who, seq)),
        2 => (who, 0..10_u8).prop_map(|(who, steps)| Step::Hide(who, steps)),
    ]
}

/// Delivered and read.
type Pair = (u64, u64);

#[derive(Clone, Copy, Default)]
struct Marks {
    own: Pair,
    /// The visible marks.
    visible: Pair,
}

impl Marks {
    fn all(seq: u64) -> Self {
        Self {
            own: (seq, seq),
            visible: (seq, seq),
        }
    }

    /// Moves the marks. Returns whether the visible ones moved.
    fn mark(&mut self, delivered: u64, read: u64, hides: bool) -> bool {
        self.own = (self.own.0.max(delivered), self.own.1.max(read));
        let before = self.visible;
        if !hides {
            self.visible = self.own;
        }
        self.visible != before
    }
}

#[derive(Default)]
struct Log {
    members: BTreeMap<UserId, Marks>,
    /// Sender, content and key. A change of the members has no content.
    entries: Vec<(UserId, Option<String>, Option<SendKey>)>,
}

impl Log {
    /// Messages past a read mark, and the last message.
    fn news(&self, read: u64) -> (u64, Option<u64>) {
        let messages = (1..).zip(&self.entries);
        let messages = messages.filter(|(_, entry)| entry.1.is_some());
        let seqs: Vec<u64> = messages.map(|(seq, _)| seq).collect();
        let unread = seqs.iter().filter(|seq| **seq > read).count() as u64;
        (unread, seqs.last().copied())
    }
}

#[derive(Default)]
struct Model {
    logs: HashMap<String, Log>,
    direct: HashMap<String, String>,
    made: usize,
    published: usize,
    /// Sends that pass entries which were not visibly read.
    receipts: usize,
    /// Steps so far; they serve as the clock.
    now: i64,
    /// The step until which each user is invisible.
    hidden: HashMap<UserId, i64>,
}

impl Model {
    /// The named conversations, then the direct ones.
    fn place(&self, number: usize) -> String {
        PLACES.get(number).map_or_else(
            || format!("direct-{}", number - PLACES.len()),
            |place| (*place).to_owned(),
        )
    }

    fn put(&mut self, place: &str, members: BTreeSet<UserId>) -> bool {
        if let Some(log) = self.logs.get_mut(place) {
            if log.members.keys().eq(members.iter()) {
                return false;
            }
            log.entries.push((UserId::host(), None, None));
            self.published += 1;
            let head = log.entries.len() as u64;
            log.members.retain(|member, _| members.contains(member));
            for member in members {
                log.members.entry(member).or_insert(Marks::all(head));
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
        let members = members
            .into_iter()
            .map(|member| (member, Marks::all(0)))
            .collect();
        self.logs.insert(
            place.to_owned(),
            Log {
                members,
                entries: Vec::new(),
            },
        );
        true
    }
}

async fn apply<S: Messages + Directory>(store: &S, model: &mut Model, step: Step) {
    model.now += 1;
    let now = at(model.now);
    let hides = |model: &Model, who: &UserId| {
        model
            .hidden
            .get(who)
            .is_some_and(|until| *until > model.now)
    };
    match step {
        Step::Put(place, members) => {
            let place = model.place(place);
            let members: Vec<UserId> = members.iter().map(|member| user(USERS[*member])).collect();
            let (_, changed) = store
                .put_conversation(&conversation(&place), &members, at(0))
                .await
                .expect("put");
            assert_eq!(changed, model.put(&place, members.into_iter().collect()));
        }
        Step::Direct(one, other) => {
            let (one, other) = (user(USERS[one]), user(USERS[other]));
            let Some(key) = direct_key(&one, &other) else {
                return;
            };
            let new = format!("direct-{}", model.made);
            let (found, created) = store
                .ensure_direct(&one, &other, conversation(&new), at(0))
                .await
                .expect("an answer")
                .expect("direct");
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
                if is_client {
                    SendKey::ClientMessageId(text)
                } else {
                    SendKey::TempId(text)
                }
            });
            let (sender, content, key) = (
                sent.sender.clone(),
                sent.write
                    .content()
                    .map_or("", |content| content.as_str())
                    .to_owned(),
                sent.key.clone(),
            );
            let place = model.place(place);
            let outcome = store.append(sent, None).await;
            let Some(log) = model
                .logs
                .get_mut(&place)
                .filter(|log| log.members.contains_key(&sender))
            else {
                assert!(matches!(outcome, Err(AppendError::NotFound)));
                return;
            };
            let same_key = |entry: &&(UserId, Option<String>, Option<SendKey>)| {
                let is_same_content = entry.1.as_ref() == Some(&content)
                    || matches!(key, Some(SendKey::ClientMessageId(_)));
                entry.0 == sender && key.is_some() && entry.2 == key && is_same_content
            };
            if let Some(there) = log.entries.iter().find(same_key) {
                if there.1.as_ref() == Some(&content) {
                    assert!(outcome.expect("a repetition").duplicate);
                } else {
                    assert!(matches!(outcome, Err(AppendError::Conflict)));
                }
                return;
            }
            log.entries.push((sender.clone(), Some(content), key));
            let head = log.entries.len() as u64;
            let before = log
                .members
                .insert(sender, Marks::all(head))
                .expect("a member");
            model.receipts += usize::from(before.visible.1 < head - 1);
            model.published += 1;
            let appended = outcome.expect("an append");
            assert_eq!((appended.duplicate, appended.entry.seq), (false, head));
        }
        Step::Read(place, who, seq) => {
            let (place, who) = (model.place(place), user(USERS[who]));
            let hides = hides(model, &who);
            let marked = store
                .mark_read(&who, &conversation(&place), seq, now)
                .await
                .expect("a mark");
            let log = model.logs.get_mut(&place);
            let Some((log, marked)) = log
                .filter(|log| log.members.contains_key(&who))
                .zip(marked.clone())
            else {
                assert!(marked.is_none());
                return;
            };
            let seq = seq.min(log.entries.len() as u64);
            let marks = log.members.entry(who).or_default();
            assert_eq!(marked.moved, seq > marks.own.1);
            assert_eq!(marked.is_visible, marks.mark(seq, seq, hides));
            assert_eq!(
                (marked.receipt.delivered_seq, marked.receipt.read_seq),
                marks.visible
            );
            assert_eq!(marked.read_seq, marks.own.1);
        }
        Step::Delivered(place, who, seq) => {
            let (place, who) = (model.place(place), user(USERS[who]));
            let hides = hides(model, &who);
            let visible = store
                .mark_delivered(vec![(conversation(&place), who.clone(), seq)], now)
                .await
                .expect("marks");
            let Some(log) = model
                .logs
                .get_mut(&place)
                .filter(|log| log.members.contains_key(&who))
            else {
                assert!(visible.is_empty());
                return;
            };
            let seq = seq.min(log.entries.len() as u64);
            let marks = log.members.entry(who).or_default();
            assert_eq!(visible.len(), usize::from(marks.mark(seq, 0, hides)));
        }
        Step::Hide(who, steps) => {
            let who = user(USERS[who]);
            let status = if steps == 0 {
                ManualStatus::Away
            } else {
                ManualStatus::Invisible
            };
            let until = (1..9)
                .contains(&steps)
                .then(|| model.now + i64::from(steps));
            let chosen = StatusOverride {
                status,
                text: None,
                until: until.map(at),
            };
            let (_, visible) = store.set_status(&who, chosen, now).await.expect("kept");
            model.hidden.insert(
                who.clone(),
                if steps == 0 {
                    0
                } else {
                    until.unwrap_or(i64::MAX)
                },
            );
            let mut expected = BTreeMap::new();
            for (place, log) in model.logs.iter_mut().filter(|_| steps == 0) {
                if let Some(marks) = log.members.get_mut(&who)
                    && marks.mark(0, 0, false)
                {
                    expected.insert(place.clone(), marks.visible);
                }
            }
            let visible = visible.into_iter().map(|one| {
                (
                    one.conversation.as_str().to_owned(),
                    (one.receipt.delivered_seq, one.receipt.read_seq),
                )
            });
            assert_eq!(visible.collect::<BTreeMap<_, _>>(), expected);
        }
    }
}

/// Every read of every user agrees with the model.
async fn compare<S: Messages>(store: &S, model: &Model) {
    for name in USERS {
        let viewer = user(name);
        let mine = model
            .logs
            .iter()
            .filter(|(_, log)| log.members.contains_key(&viewer))
            .map(|(place, _)| place.clone());
        let mine: BTreeSet<String> = mine.collect();
        let listed = store
            .conversations(&viewer, None, None, 100)
            .await
            .expect("a page")
            .items;
        assert_eq!(
            listed
                .iter()
                .map(|seen| seen.id.as_str().to_owned())
                .collect::<BTreeSet<_>>(),
            mine
        );
        for (place, log) in &model.logs {
            let id = conversation(place);
            let seen = store.conversation(&viewer, &id).await.expect("a view");
            let Some(&Marks { own: (_, read), .. }) = log.members.get(&viewer) else {
                assert!(seen.is_none());
                continue;
            };
            let seen = seen.expect("a member");
            let head = log.entries.len() as u64;
            let (unread, last) = log.news(read);
            assert_eq!(
                (seen.head_seq, seen.read_seq, seen.unread),
                (head, read, unread),
                "{name} in {place}"
            );
            assert_eq!(seen.last_message.map(|last| last.entry.seq), last);
            let history = store
                .history(&viewer, &id, Range::After(0), 1_000)
                .await
                .expect("a log")
                .expect("a member");
            let entries: Vec<_> = history
                .entries
                .iter()
                .map(|entry| {
                    let content = entry.content().map(|content| content.as_str().to_owned());
                    (entry.sender.clone(), content)
                })
                .collect();
            assert_eq!(
                entries,
                log.entries
                    .iter()
                    .map(|entry| (entry.0.clone(), entry.1.clone()))
                    .collect::<Vec<_>>()
            );
            assert!(
                (1..)
                    .zip(&history.entries)
                    .all(|(seq, entry)| entry.seq == seq)
            );
            let page = store
                .sync(&viewer, &[(id, 0).into()], 1_000)
                .await
                .expect("pages")
                .remove(0)
                .expect("a member");
            let marks: Vec<_> = page
                .receipts
                .into_iter()
                .map(|mark| (mark.user, (mark.delivered_seq, mark.read_seq)))
                .collect();
            assert_eq!(
                marks,
                log.members
                    .iter()
                    .map(|(member, marks)| (member.clone(), marks.visible))
                    .collect::<Vec<_>>()
            );
        }
    }
}

/// Runs the property; each case begins with an empty store.
///
/// # Panics
/// When the store and the model disagree; prints the shortest steps that lead there.
pub fn model<S: Messages + Directory>(factory: impl Fn() -> BoxFuture<'static, Subject<S>>) {
    let config = Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let steps = proptest::collection::vec(step(), 1..60);
    let outcome = runner.run(&steps, |steps| {
        run(async {
            let subject = factory().await;
            for name in USERS {
                subject
                    .store
                    .upsert_profile(Profile::bare(user(name)), ProfileSource::Nobody, at(0))
                    .await
                    .expect("a person");
            }
            let mut model = Model::default();
            for step in steps {
                apply(&*subject.store, &mut model, step).await;
            }
            compare(&*subject.store, &model).await;
            subject.events.exactly(model.published).await;
            let receipts = subject
                .events
                .events()
                .iter()
                .filter(|event| matches!(event, Event::Receipt { .. }))
                .count();
            assert_eq!(receipts, model.receipts);
        });
        Ok(())
    });
    outcome.expect("the adapter does what the model does");
}
