//! Two nodes on one database: the suites, with the calls spread over both, and what only two can do.

#[path = "support/pair.rs"]
mod pair;
#[path = "support/pair_accounts.rs"]
mod pair_accounts;
mod support;

use futures_util::future::join_all;
use lamplight_conformance::servers::PostgresServer;
use lamplight_conformance::{Recorder, Subject, run};
use lamplight_distributed::postgres::PostgresStore;
use lamplight_domain::entry::Entry;
use lamplight_domain::identity::{ConversationId, MessageId, Profile, UserId};
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{
    Account, Accounts as _, AppendError, Blocks as _, CommitPosition, CommittedEntry,
    Directory as _, LogFollower as _, Messages as _, NewDeletion, ProfileSource, ProfileWrite,
    Range, StoreError,
};
use pair::Pair;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use support::{database_of, open, options};
use tokio::time::timeout;
use tokio_postgres::NoTls;

const PATIENCE: Duration = Duration::from_secs(60);

async fn pair() -> Subject<Pair> {
    let url = PostgresServer::shared().fresh_database();
    let events = Arc::new(Recorder::default());
    let node = async || PostgresStore::open(options(&url), events.clone()).await;
    let nodes = [node().await.expect("a node"), node().await.expect("a node")];
    Subject {
        store: Arc::new(Pair {
            nodes,
            asked: AtomicUsize::new(0),
        }),
        events,
        keep: Box::new(()),
    }
}

mod two_nodes {
    use super::pair;

    lamplight_conformance::messages_suite!(pair);
    lamplight_conformance::directory_suite!(pair);
    lamplight_conformance::accounts_suite!(pair);
    lamplight_conformance::deletions_suite!(pair);
    lamplight_conformance::follower_suite!(pair);
    lamplight_conformance::nodes_suite!(pair);
    lamplight_conformance::blocks_suite!(pair);
}

fn user(id: &str) -> UserId {
    UserId::trusted(id)
}

fn conversation(id: &str) -> ConversationId {
    ConversationId::trusted(id)
}

fn message(place: &str, sender: &str, content: &str, id: &str, key: Option<&str>) -> NewEntry {
    NewEntry {
        id: MessageId::trusted(id),
        conversation: conversation(place),
        sender: user(sender),
        write: Content::trusted(content).into(),
        key: key.map(|key| SendKey::ClientMessageId(key.into())),
        created_at: Timestamp(0),
        editable_since: None,
    }
}

async fn put(store: &PostgresStore, place: &str, members: &[&str]) {
    let members: Vec<UserId> = members.iter().map(|member| user(member)).collect();
    store
        .put_conversation(&conversation(place), &members, Timestamp(0))
        .await
        .expect("a conversation");
}

async fn log(store: &PostgresStore, place: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = Range::After(entries.len() as u64);
        let page = store
            .history(&user("a"), &conversation(place), after, 500)
            .await
            .expect("an answer")
            .expect("a log");
        entries.extend(page.entries);
        if !page.has_more {
            assert!(
                entries
                    .iter()
                    .map(|entry| entry.seq)
                    .eq(1..=entries.len() as u64)
            );
            return entries;
        }
    }
}

/// A client that retries over another node while the first send is still under way.
#[test]
fn m1_one_message_sent_over_two_nodes_at_once_is_stored_once() {
    run(async {
        let subject = pair().await;
        let nodes = &subject.store.nodes;
        put(&nodes[0], "c", &["a", "b"]).await;
        for round in 0..60 {
            let key = format!("k{round}");
            let sends = [0, 1, 0, 1].into_iter().enumerate().map(|(number, node)| {
                let id = format!("m{round}-{number}");
                // In every third round the two nodes get different contents.
                let content = if round % 3 == 0 && node == 1 {
                    "other"
                } else {
                    "hi"
                };
                tokio::spawn(nodes[node].append(message("c", "a", content, &id, Some(&key)), None))
            });
            let answers: Vec<_> = join_all(sends.collect::<Vec<_>>())
                .await
                .into_iter()
                .map(|answer| answer.expect("a task"))
                .collect();
            let stored: Vec<_> = answers.iter().flatten().collect();
            assert_eq!(stored.iter().filter(|one| !one.duplicate).count(), 1);
            assert!(stored.iter().all(|one| one.entry == stored[0].entry));
            assert_eq!(stored[0].entry.seq, round + 1);
            let is_conflict = |answer: &&Result<_, _>| matches!(answer, Err(AppendError::Conflict));
            let conflicts = answers.iter().filter(is_conflict).count();
            assert_eq!(conflicts, if round % 3 == 0 { 2 } else { 0 });
        }
        assert_eq!(log(&nodes[1], "c").await.len(), 60);
        subject.events.exactly(60).await;
    });
}

/// Batches of two nodes over the same conversations, in every order: no transaction waits for one that
/// waits for them.
#[test]
fn m4_ten_thousand_appends_of_two_nodes_to_the_same_conversations_do_not_deadlock() {
    const PLACES: usize = 40;
    const EACH: usize = 5_000;
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let nodes = [
            open(&url).await.expect("a node").0,
            open(&url).await.expect("a node").0,
        ];
        for place in 0..PLACES {
            put(&nodes[0], &place.to_string(), &["a", "b", "c", "d"]).await;
        }
        let send = |number: usize| {
            let node = number % 2;
            // The nodes go through the conversations in opposite directions.
            let step = (number / 2) % PLACES;
            let place = if node == 0 { step } else { PLACES - 1 - step };
            let sender = ["a", "b", "c", "d"][number / 7 % 4];
            let id = format!("m{number}");
            nodes[node].append(message(&place.to_string(), sender, "hi", &id, None), None)
        };
        // Marks of the same members meanwhile.
        let marks = (0..100_u64).map(|round| {
            let node = Arc::clone(&nodes[usize::from(round % 2 == 0)]);
            let marks = (0..PLACES).map(|place| {
                let member = ["a", "b", "c", "d"][place % 4];
                (conversation(&place.to_string()), user(member), round)
            });
            let marks: Vec<_> = marks.collect();
            tokio::spawn(async move { node.mark_delivered(marks, Timestamp(0)).await })
        });
        let marks: Vec<_> = marks.collect();
        // In waves, because the queues are bounded.
        for wave in 0..10 {
            let sent = join_all((0..1_000).map(|number| send(wave * 1_000 + number))).await;
            let failed: Vec<_> = sent.iter().filter_map(|sent| sent.as_ref().err()).collect();
            assert!(
                failed.is_empty(),
                "{} failed: {:?}",
                failed.len(),
                failed[0]
            );
        }
        for mark in marks {
            mark.await.expect("a task").expect("marks");
        }
        let mut total = 0;
        for place in 0..PLACES {
            total += log(&nodes[0], &place.to_string()).await.len();
        }
        assert_eq!(total, 2 * EACH);
        let sql = format!(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = '{}'",
            database_of(&url)
        );
        assert_eq!(server.sql("postgres", &sql).trim(), "0");
    });
}

/// With partners who delete theirs too, and messages to archived conversations meanwhile.
#[test]
fn deletions_of_partners_do_not_deadlock() {
    const EACH: usize = 6;
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let nodes = [
            open(&url).await.expect("a node").0,
            open(&url).await.expect("a node").0,
        ];
        let deadlocks = || {
            let sql = format!(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = '{}'",
                database_of(&url)
            );
            server.sql("postgres", &sql).trim().to_owned()
        };
        for round in 0..10 {
            let ids: Vec<String> = (0..EACH).map(|n| format!("u{round}-{n}")).collect();
            for id in &ids {
                let account = Account {
                    user: user(id),
                    password_hash: "$hash".into(),
                };
                let made = nodes[0].create(id, account, Profile::bare(user(id)), Timestamp(0));
                assert!(made.await.expect("an answer"));
            }
            let mut places = Vec::new();
            for (n, one) in ids.iter().enumerate() {
                for other in &ids[n + 1..] {
                    let place = format!("{one}-{other}");
                    put(&nodes[0], &place, &[one, other, "a"]).await;
                    let direct = conversation(&format!("direct-{place}"));
                    let made = nodes[0]
                        .ensure_direct(&user(one), &user(other), direct, Timestamp(0))
                        .await;
                    made.expect("an answer").expect("a conversation");
                    for member in [one, other] {
                        let archived = SettingsChange {
                            archived: Some(true),
                            ..SettingsChange::default()
                        };
                        let set = nodes[0]
                            .set_settings(&user(member), &conversation(&place), archived)
                            .await;
                        assert!(set.expect("an answer"));
                    }
                    // Who never had to do with a block is marked by a deletion only.
                    let blocks = [(one, other), (other, one)];
                    for (by, whom) in blocks.into_iter().filter(|_| round % 2 == 0) {
                        let blocked = nodes[0]
                            .block(&user(by), &user(whom), 100, Timestamp(0))
                            .await;
                        blocked.expect("a block");
                    }
                    places.push(place);
                }
            }
            let sends = places.iter().rev().map(|place| {
                let id = format!("m-{place}");
                nodes[0].append(message(place, "a", "hi", &id, None), None)
            });
            let deletions = ids.iter().enumerate().map(|(n, id)| {
                let node = Arc::clone(&nodes[n % 2]);
                let deletion = NewDeletion {
                    user: user(id),
                    password_hash: "$hash".into(),
                    erases_messages: false,
                    at: Timestamp(0),
                };
                tokio::spawn(async move { node.delete(deletion).await })
            });
            let deletions: Vec<_> = deletions.collect();
            for sent in join_all(sends.collect::<Vec<_>>()).await {
                sent.expect("a message");
            }
            for deleted in join_all(deletions).await {
                let deleted = deleted.expect("a task").expect("no deletion fails");
                assert!(deleted.is_some());
            }
        }
        // A session that ends tells the statistics what it has.
        for node in &nodes {
            node.close().await;
        }
        assert_eq!(deadlocks(), "0");
    });
}

/// Another client of the database that begins a transaction as a node does, and leaves it open.
async fn raw(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a client");
    tokio::spawn(connection);
    client
}

/// Appends an entry in the running transaction.
async fn append_raw(client: &tokio_postgres::Client, place: &str, id: &str) {
    let sql = format!(
        "WITH locked AS (UPDATE conversations SET head_seq = head_seq + 1 WHERE conversation_id = '{place}' RETURNING id, head_seq)
         INSERT INTO entries (conversation, seq, message_id, sender, content, created_at)
         SELECT l.id, l.head_seq, '{id}', p.id, 'hi', 0 FROM locked l, people p WHERE p.user_id = 'a'"
    );
    client.batch_execute(&sql).await.expect("an entry");
}

async fn read_all(store: &PostgresStore, mut after: CommitPosition) -> Vec<CommittedEntry> {
    let mut all = Vec::new();
    loop {
        let page = store.read(after, 100).await.expect("a page");
        let Some(last) = page.last() else { return all };
        after = last.position;
        all.extend(page);
    }
}

#[test]
fn c11_a_follower_does_not_pass_an_entry_whose_lower_id_commits_later() {
    run(async {
        // A server of its own: what others leave open holds every follower up.
        let server = PostgresServer::start(&Default::default());
        let url = server.fresh_database();
        let nodes = [
            open(&url).await.expect("a node").0,
            open(&url).await.expect("a node").0,
        ];
        for place in ["c", "d"] {
            put(&nodes[0], place, &["a", "b"]).await;
        }
        let slow = raw(&url).await;
        slow.batch_execute("BEGIN").await.expect("begun");
        append_raw(&slow, "c", "slow").await;
        for (number, node) in nodes.iter().enumerate() {
            let sent = message("d", "a", "hi", &format!("m{number}"), None);
            node.append(sent, None).await.expect("an append");
        }
        let early = read_all(&nodes[1], CommitPosition::default()).await;
        assert_eq!(early, [], "the entry with the lowest id is not there yet");
        assert!(nodes[0].head().await.is_err(), "nor is the head known");
        slow.batch_execute("COMMIT").await.expect("committed");
        let all = read_all(&nodes[1], CommitPosition::default()).await;
        let ids: Vec<&str> = all.iter().map(|one| one.entry.id.as_str()).collect();
        assert_eq!(ids, ["slow", "m0", "m1"]);
        assert_eq!(nodes[0].head().await.expect("a head"), all[2].position);
        for node in nodes {
            node.close().await;
        }
    });
}

/// Two nodes and a third that rolls most of its transactions back, while a follower reads.
#[test]
fn m4_c11_rollbacks_skip_no_seq_and_a_follower_misses_nothing() {
    const EACH: usize = 60;
    const PLACES: [&str; 4] = ["c", "d", "e", "f"];
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let nodes = [
            open(&url).await.expect("a node").0,
            open(&url).await.expect("a node").0,
        ];
        for place in PLACES {
            put(&nodes[0], place, &["a", "b"]).await;
        }
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let node = Arc::clone(&nodes[writer % 2]);
                tokio::spawn(async move {
                    for number in 0..EACH {
                        let place = PLACES[(writer + number) % PLACES.len()];
                        let sent = message(place, "a", "hi", &format!("w{writer}-{number}"), None);
                        node.append(sent, None).await.expect("an append");
                    }
                })
            })
            .collect();
        let client = raw(&url).await;
        let disturber = tokio::spawn(async move {
            let mut kept = 0;
            for round in 0..60 {
                client.batch_execute("BEGIN").await.expect("begun");
                append_raw(
                    &client,
                    PLACES[round % PLACES.len()],
                    &format!("raw{round}"),
                )
                .await;
                tokio::time::sleep(Duration::from_millis(2)).await;
                let end = if round % 4 == 0 { "COMMIT" } else { "ROLLBACK" };
                client.batch_execute(end).await.expect("ended");
                kept += usize::from(round % 4 == 0);
            }
            kept
        });
        let follow = async {
            let mut seen: Vec<CommittedEntry> = Vec::new();
            while seen.len() < 8 * EACH + 15 {
                let after = seen.last().map(|one| one.position).unwrap_or_default();
                nodes[1].changed(after).await;
                seen.extend(nodes[1].read(after, 50).await.expect("a page"));
            }
            seen
        };
        let seen = timeout(PATIENCE, follow)
            .await
            .expect("every entry is found");
        for writer in writers {
            writer.await.expect("a writer");
        }
        assert_eq!(disturber.await.expect("a task"), 15);
        let mut heads: HashMap<&str, u64> = HashMap::new();
        assert!(seen.is_sorted_by_key(|one| one.position));
        for one in &seen {
            let head = heads.entry(one.entry.conversation.as_str()).or_default();
            *head += 1;
            assert_eq!(one.entry.seq, *head, "no gap, in order");
        }
        for place in PLACES {
            assert_eq!(log(&nodes[0], place).await.len() as u64, heads[place]);
        }
    });
}

/// Both nodes have used the conversation, so both have its members in their caches.
#[test]
fn c7_m15_a_change_of_members_applies_on_other_nodes_at_once() {
    run(async {
        let subject = pair().await;
        let [one, two] = &subject.store.nodes;
        let id = conversation("c");
        put(one, "c", &["a", "b"]).await;
        for round in 0..20 {
            for (number, node) in [one, two].into_iter().enumerate() {
                let sent = message("c", "a", "hi", &format!("m{round}-{number}"), None);
                node.append(sent, None).await.expect("an append");
                node.members(&id)
                    .await
                    .expect("members")
                    .expect("a conversation");
            }
            let newcomer = format!("n{round}");
            put(one, "c", &["a", "b", &newcomer]).await;
            let members = two.members(&id).await.expect("members").expect("there");
            assert_eq!(*members, [user("a"), user("b"), user(&newcomer)]);
            let sent = message("c", &newcomer, "hi", &format!("n{round}"), None);
            two.append(sent, None).await.expect("a member's");
            put(two, "c", &["a", "b"]).await;
            let refused = message("c", &newcomer, "hi", &format!("x{round}"), None);
            let refused = one.append(refused, None).await;
            assert!(matches!(refused, Err(AppendError::NotFound)));
        }
        // 60 messages, and 40 changes of members, each published to all current and former members.
        let published = subject.events.exactly(100).await;
        for (entry, to, _) in published {
            if entry.sender.is_host() {
                assert_eq!(to.len(), 3);
                continue;
            }
            assert!(to.contains(&entry.sender));
            let is_newcomers = entry.sender.as_str().starts_with('n');
            assert_eq!(to.len(), if is_newcomers { 3 } else { 2 });
        }
    });
}

/// From both sides, on two nodes, while hosts change the members.
#[test]
fn concurrent_opens_on_two_nodes_create_one_conversation() {
    run(async {
        let subject = pair().await;
        let nodes = &subject.store.nodes;
        for round in 0..20 {
            let (a, b) = (user(&format!("a{round}")), user(&format!("b{round}")));
            let asks = (0..8).map(|number| {
                let node = Arc::clone(&nodes[number % 2]);
                let (caller, other) = if number < 4 { (&a, &b) } else { (&b, &a) };
                let (caller, other) = (caller.clone(), other.clone());
                let new = conversation(&format!("{round}-{number}"));
                tokio::spawn(async move {
                    if number == 7 {
                        let members = [caller, other];
                        let put = node.put_conversation(&new, &members, Timestamp(0)).await;
                        assert!(put.expect("a conversation").1);
                        return None;
                    }
                    let ensured = node.ensure_direct(&caller, &other, new, Timestamp(0)).await;
                    ensured.expect("an answer")
                })
            });
            let answers = join_all(asks.collect::<Vec<_>>()).await;
            let answers: Vec<_> = answers
                .into_iter()
                .filter_map(|answer| answer.expect("a task"))
                .collect();
            let found = &answers[0].0.id;
            assert!(answers.iter().all(|(one, _)| one.id == *found));
            let made = answers.iter().filter(|(_, made)| *made).count();
            let by_host = found.as_str() == format!("{round}-7");
            assert_eq!(made, usize::from(!by_host));
        }
    });
}

/// A status and marks that are written at the same moment, over two nodes: whichever is later sees
/// the other one, so nothing stays hidden of a user who is visible.
#[test]
fn p11_a_status_and_marks_of_two_nodes_end_visible() {
    use lamplight_domain::presence::{ManualStatus, StatusOverride};
    use lamplight_usecases::ports::Directory as _;
    run(async {
        let subject = pair().await;
        let nodes = &subject.store.nodes;
        put(&nodes[0], "c", &["a", "b"]).await;
        let (b, c) = (user("b"), conversation("c"));
        for round in 1..=60_u64 {
            let sent = message("c", "a", "hi", &format!("m{round}"), None);
            nodes[0].append(sent, None).await.expect("an append");
            let status = |status| StatusOverride {
                status,
                text: None,
                until: None,
            };
            let hidden = nodes[0].set_status(&b, status(ManualStatus::Invisible), Timestamp(0));
            hidden.await.expect("kept");
            let (shown, marked) = tokio::join!(
                nodes[0].set_status(&b, status(ManualStatus::Online), Timestamp(0)),
                nodes[1].mark_read(&b, &c, round, Timestamp(0)),
            );
            let visible = shown.expect("kept").1;
            let marked = marked.expect("marked").expect("a member");
            assert_eq!(
                marked.is_visible,
                visible.is_empty(),
                "it is published once"
            );
            let page = nodes[1].sync(&user("a"), &[(c.clone(), 0).into()], 1).await;
            let page = page.expect("a page").remove(0).expect("a member");
            let receipt = page.receipts.iter().find(|receipt| receipt.user == b);
            assert_eq!(receipt.expect("a receipt").read_seq, round);
        }
    });
}

/// Returns whether the profile is new.
async fn introduce(store: &PostgresStore, id: &str) -> Result<bool, StoreError> {
    let profile = Profile::bare(user(id));
    let written = store.upsert_profile(profile, ProfileSource::Claims, Timestamp(0));
    written.await.map(|(_, done)| done == ProfileWrite::Made)
}

/// A user who joins does not wait for a separate commit.
#[test]
fn p10_concurrent_first_profiles_share_a_commit() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let (store, _) = open(&url).await.expect("a store");
        let writer = raw(&url).await;
        // Reads pass, inserts wait.
        let lock = "BEGIN; LOCK TABLE people IN SHARE MODE";
        writer.batch_execute(lock).await.expect("a lock");
        let joins = (0..64).map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { introduce(&store, &format!("u{n}")).await })
        });
        let joins: Vec<_> = joins.collect();
        let waits =
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'people'::regclass";
        while server.sql(database_of(&url), waits) == "0" {
            tokio::task::yield_now().await;
        }
        // Reads are admitted in their order, so those of all joins began before this one.
        let absent = store.person(&user("u0")).await;
        assert!(absent.expect("an answer").is_none());
        writer.batch_execute("COMMIT").await.expect("released");
        for join in joins {
            assert!(join.await.expect("a task").expect("written"));
        }
        let commits = "SELECT count(DISTINCT xmin::text) FROM people";
        let commits: usize = server
            .sql(database_of(&url), commits)
            .parse()
            .expect("a number");
        assert!(commits <= 16, "{commits} commits for 64 people");
    });
}

#[test]
fn m14_a_first_profile_that_cannot_be_stored_fails_alone() {
    run(async {
        let (store, _) = open(&PostgresServer::shared().fresh_database())
            .await
            .expect("a store");
        // PostgreSQL's text has no U+0000, and no id that came over the wire has one.
        let ids: Vec<String> = (0..40)
            .map(|n| {
                if n == 20 {
                    "\0".to_owned()
                } else {
                    format!("u{n}")
                }
            })
            .collect();
        let written = join_all(ids.iter().map(|id| introduce(&store, id))).await;
        for (id, written) in ids.iter().zip(written) {
            assert_eq!(written.is_ok(), id != "\0", "{id:?} {written:?}");
        }
    });
}

#[test]
fn new_users_on_two_nodes_are_created_once_without_a_deadlock() {
    run(async {
        let subject = pair().await;
        let [one, two] = &subject.store.nodes;
        for round in 0..10 {
            let id = |n: usize| format!("u{round}-{n}");
            let forward = join_all((0..60).map(async |n| introduce(one, &id(n)).await));
            let back = join_all((0..60).rev().map(async |n| introduce(two, &id(n)).await));
            let (forward, back) = tokio::join!(forward, back);
            let made = forward.into_iter().chain(back);
            let made: Vec<bool> = made.map(|answer| answer.expect("written")).collect();
            assert_eq!(made.iter().filter(|is_new| **is_new).count(), 60);
        }
    });
}
