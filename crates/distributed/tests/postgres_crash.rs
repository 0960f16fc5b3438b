//! The server stops, or is killed, while 200 clients send. Each client repeats what was not
//! acknowledged, as clients do.

mod support;

use lamplight_conformance::run;
use lamplight_conformance::servers::{PostgresConfig, PostgresServer};
use lamplight_distributed::postgres::PostgresStore;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{AppendError, Messages as _, Range, StoreError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use support::open;
use tokio::time::{Instant, sleep, timeout};

const CLIENTS: usize = 200;
const PLACES: usize = 20;

/// The client, its number of the message, and where it was stored.
type Acknowledged = (usize, u64, u64, MessageId);

static NEXT: AtomicU64 = AtomicU64::new(0);

fn message(client: usize, number: u64, with_key: bool) -> NewEntry {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    NewEntry {
        id: MessageId::trusted(format!("m{id}")),
        conversation: ConversationId::trusted((client % PLACES).to_string()),
        sender: UserId::trusted(format!("u{client}")),
        write: Content::trusted(format!("{client} {number}")).into(),
        key: with_key.then(|| SendKey::ClientMessageId(format!("{client}-{number}").into())),
        created_at: Timestamp(0),
        editable_since: None,
    }
}

/// Sends until `stop` is set. Returns the acknowledged messages and the number of failed attempts.
async fn client(
    store: Arc<PostgresStore>,
    client: usize,
    stop: Arc<AtomicBool>,
) -> (Vec<Acknowledged>, usize) {
    let (mut acknowledged, mut failed) = (Vec::new(), 0);
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        loop {
            let began = Instant::now();
            let sent = store.append(message(client, number, true), None).await;
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "an answer in time"
            );
            match sent {
                Ok(sent) => {
                    let entry = &sent.entry;
                    acknowledged.push((client, number, entry.seq, entry.id.clone()));
                    break;
                }
                Err(AppendError::Store(StoreError::Unavailable(_))) => failed += 1,
                Err(error) => panic!("{error}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
        number += 1;
    }
    (acknowledged, failed)
}

async fn survive(end: fn(&PostgresServer), away: Duration, rounds: usize) -> usize {
    let server = PostgresServer::start(&PostgresConfig::default());
    let url = server.fresh_database();
    let (store, events) = open(&url).await.expect("a store");
    for place in 0..PLACES {
        let members: Vec<UserId> = (0..CLIENTS)
            .filter(|client| client % PLACES == place)
            .map(|client| UserId::trusted(format!("u{client}")))
            .collect();
        let place = ConversationId::trusted(place.to_string());
        store
            .put_conversation(&place, &members, Timestamp(0))
            .await
            .expect("a conversation");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(store.clone(), number, stop.clone())))
        .collect();
    for _ in 0..rounds {
        sleep(Duration::from_millis(400)).await;
        tokio::task::block_in_place(|| end(&server));
        sleep(away).await;
        tokio::task::block_in_place(|| server.start_again());
    }
    sleep(Duration::from_millis(400)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut acknowledged, mut failed) = (Vec::new(), 0);
    for client in clients {
        let ended = timeout(Duration::from_secs(30), client).await;
        let (more, failures) = ended.expect("it recovers").expect("a client");
        acknowledged.extend(more);
        failed += failures;
    }
    check(&store, &acknowledged).await;
    store.close().await;
    let published = events.appended();
    let distinct: HashSet<&str> = published
        .iter()
        .map(|(entry, ..)| entry.id.as_str())
        .collect();
    assert_eq!(
        distinct.len(),
        published.len(),
        "nothing is published twice"
    );
    assert!(acknowledged.len() > CLIENTS, "the clients did send");
    failed
}

/// Every message that was acknowledged is in its log, once, where the acknowledgement says, and the
/// messages of each client are in their order.
async fn check(store: &PostgresStore, acknowledged: &[Acknowledged]) {
    let mut logs: HashMap<String, (u64, MessageId)> = HashMap::new();
    let mut last: HashMap<UserId, u64> = HashMap::new();
    for place in 0..PLACES {
        let (id, caller) = (
            ConversationId::trusted(place.to_string()),
            UserId::trusted(format!("u{place}")),
        );
        let mut after = 0;
        loop {
            let page = store
                .history(&caller, &id, Range::After(after), 1_000)
                .await
                .expect("an answer")
                .expect("a log");
            for entry in page.entries {
                after += 1;
                assert_eq!(entry.seq, after, "no gap");
                let content = entry.content().expect("a message").as_str().to_owned();
                let number = content.split(' ').nth(1).expect("a number");
                let number: u64 = number.parse().expect("a number");
                let next = last.entry(entry.sender.clone()).or_default();
                assert_eq!(number, *next, "in the client's order");
                *next += 1;
                let before = logs.insert(content, (entry.seq, entry.id));
                assert_eq!(before, None, "once");
            }
            if !page.has_more {
                break;
            }
        }
    }
    for (client, number, seq, id) in acknowledged {
        let stored = logs.get(&format!("{client} {number}"));
        assert_eq!(stored, Some(&(*seq, id.clone())), "{client} {number}");
    }
}

#[test]
fn m3_m13_a_server_that_is_killed_under_two_hundred_senders_loses_and_doubles_nothing() {
    run(async {
        survive(PostgresServer::crash, Duration::from_millis(100), 3).await;
    });
}

#[test]
fn m3_m13_a_server_that_is_stopped_under_two_hundred_senders_loses_and_doubles_nothing() {
    run(async {
        survive(PostgresServer::stop, Duration::from_millis(100), 2).await;
    });
}

#[test]
fn m13_sends_in_an_outage_fail_by_the_deadline_and_work_after_it() {
    run(async {
        let failed = survive(PostgresServer::crash, Duration::from_millis(4_500), 1).await;
        assert!(failed > 0, "the deadline passed for some");
    });
}

/// Without a key a client cannot repeat a send: the store finds out by itself what became of it.
#[test]
fn m1_a_send_without_a_key_over_a_crash_is_stored_once_or_fails() {
    run(async {
        let server = PostgresServer::start(&PostgresConfig::default());
        let url = server.fresh_database();
        let (store, events) = open(&url).await.expect("a store");
        for place in 0..PLACES {
            let place_id = ConversationId::trusted(place.to_string());
            let member = [UserId::trusted(format!("u{place}"))];
            let put = store.put_conversation(&place_id, &member, Timestamp(0));
            put.await.expect("a conversation");
        }
        let mut sends = Vec::new();
        for round in 0..40_u64 {
            for client in 0..PLACES {
                let sent = store.append(message(client, round, false), None);
                sends.push(tokio::spawn(async move { (client, round, sent.await) }));
            }
            sleep(Duration::from_millis(5)).await;
            if round == 20 {
                tokio::task::block_in_place(|| server.restart());
            }
        }
        let mut acknowledged = Vec::new();
        for sent in sends {
            let (client, round, sent) = sent.await.expect("a task");
            let sent = sent.expect("a crash is shorter than the deadline");
            acknowledged.push((client, round, sent.entry.seq, sent.entry.id.clone()));
        }
        assert_eq!(acknowledged.len(), 40 * PLACES);
        check(&store, &acknowledged).await;
        store.close().await;
        assert_eq!(
            events.appended().len(),
            40 * PLACES,
            "each is published once"
        );
    });
}
