//! PostgreSQL away, restarted, silent, read only, full, and failed over.

mod support;

use lamplight_conformance::run;
use lamplight_conformance::servers::{PostgresConfig, PostgresServer};
use lamplight_distributed::postgres::{OpenError, PostgresOptions, PostgresStore};
use lamplight_domain::identity::{ConversationId, MessageId, Profile, UserId};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{AppendError, Directory, Messages as _, ProfileSource, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{open, open_with, options};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::NoTls;

const PING: Duration = Duration::from_secs(4);
/// The deadline of the store and some time for a loaded machine.
const BOUND: Duration = Duration::from_secs(6);

fn server() -> PostgresServer {
    PostgresServer::start(&PostgresConfig::default())
}

async fn write(store: &PostgresStore, id: &str) -> Result<(), StoreError> {
    let profile = Profile::bare(UserId::trusted(id));
    let written = store.upsert_profile(profile, ProfileSource::Claims, Timestamp(0));
    written.await.map(drop)
}

async fn has(store: &PostgresStore, id: &str) -> bool {
    let person = store.person(&UserId::trusted(id)).await;
    person.expect("an answer").is_some()
}

fn is_unavailable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

/// Polls until the store is well again.
async fn recovers(store: &PostgresStore) {
    let well = async {
        while store.ping(PING).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), well)
        .await
        .expect("it recovers by itself");
}

#[test]
fn m13_a_server_that_is_away_at_the_start_is_named() {
    run(async {
        let server = server();
        let url = server.fresh_database();
        server.stop();
        let error = open(&url).await.err().expect("an error");
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .contains(&format!("127.0.0.1:{}", server.port()))
        );
        // A start that may wait succeeds once the server is there.
        let options = PostgresOptions {
            start_deadline: Duration::from_secs(30),
            ..options(&url)
        };
        let opening = tokio::spawn(open_with(options));
        sleep(Duration::from_millis(100)).await;
        server.start_again();
        opening.await.expect("a task").expect("a store");
    });
}

#[test]
fn m13_writes_without_a_server_are_refused_at_once_until_it_returns() {
    run(async {
        let server = server();
        let (store, _) = open(&server.fresh_database()).await.expect("a store");
        write(&store, "before").await.expect("written");
        server.crash();
        let began = Instant::now();
        for n in 0..20 {
            assert!(is_unavailable(&write(&store, &format!("lost{n}")).await));
            assert!(is_unavailable(
                &store.person(&UserId::trusted("before")).await
            ));
        }
        assert!(began.elapsed() < BOUND, "no refusal waits for a deadline");
        assert!(is_unavailable(&store.ping(PING).await));
        server.start_again();
        recovers(&store).await;
        write(&store, "after").await.expect("written");
        assert!(has(&store, "before").await && has(&store, "after").await);
    });
}

/// Half-open connections: nothing answers, and nothing is closed.
#[test]
fn m13_a_silent_server_is_abandoned_within_the_deadline() {
    run(async {
        let server = server();
        let (store, _) = open(&server.fresh_database()).await.expect("a store");
        write(&store, "before").await.expect("written");
        server.pause();
        let began = Instant::now();
        let requests = (0..40).map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let id = format!("silent{n}");
                if n % 2 == 0 {
                    write(&store, &id).await
                } else {
                    store.person(&UserId::trusted(&*id)).await.map(drop)
                }
            })
        });
        for request in requests.collect::<Vec<_>>() {
            assert!(is_unavailable(&request.await.expect("a task")));
        }
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
        server.resume();
        recovers(&store).await;
        write(&store, "after").await.expect("written");
    });
}

/// All acknowledged messages are stored.
#[test]
fn m3_no_acknowledged_write_is_lost_when_the_server_restarts_under_load() {
    run(async {
        let server = PostgresServer::start(&PostgresConfig {
            durable: true,
            ..PostgresConfig::default()
        });
        let (store, _) = open(&server.fresh_database()).await.expect("a store");
        let is_over = Arc::new(AtomicBool::new(false));
        let writers = (0..6).map(|writer| {
            let (store, is_over) = (Arc::clone(&store), Arc::clone(&is_over));
            tokio::spawn(async move {
                let (mut acknowledged, mut refused) = (Vec::new(), 0);
                for n in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = format!("w{writer}-{n}");
                    match write(&store, &id).await {
                        Ok(()) => acknowledged.push(id),
                        Err(StoreError::Unavailable(_)) => {
                            refused += 1;
                            sleep(Duration::from_millis(5)).await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                (acknowledged, refused)
            })
        });
        let writers: Vec<_> = writers.collect();
        for _ in 0..3 {
            sleep(Duration::from_millis(300)).await;
            server.restart();
            recovers(&store).await;
        }
        is_over.store(true, Ordering::Relaxed);
        let (mut acknowledged, mut refused) = (Vec::new(), 0);
        for writer in writers {
            let (ids, count) = writer.await.expect("a task");
            acknowledged.extend(ids.into_iter().map(UserId::trusted));
            refused += count;
        }
        assert!(
            refused > 0 && acknowledged.len() > 50,
            "{refused} {}",
            acknowledged.len()
        );
        let lost = store.unknown(&acknowledged).await.expect("an answer");
        assert!(lost.is_empty(), "{lost:?}");
    });
}

#[test]
fn m13_a_read_only_server_answers_reads_and_refuses_writes() {
    run(async {
        let server = server();
        let url = server.fresh_database();
        let (store, _) = open(&url).await.expect("a store");
        write(&store, "before").await.expect("written");
        server.set(&[("default_transaction_read_only", "on")]);
        let refused = async {
            let mut number = 0;
            while !is_unavailable(&write(&store, &format!("n{number}")).await) {
                number += 1;
            }
        };
        timeout(BOUND, refused)
            .await
            .expect("the setting takes effect");
        assert!(has(&store, "before").await);
        assert!(is_unavailable(&store.ping(PING).await));
        let error = open(&url).await.err().expect("an error");
        assert!(matches!(error, OpenError::ReadOnly { .. }), "{error:?}");
        server.sql(
            "postgres",
            "ALTER SYSTEM RESET default_transaction_read_only",
        );
        server.sql("postgres", "SELECT pg_reload_conf()");
        recovers(&store).await;
        write(&store, "after").await.expect("written");
    });
}

/// As a migration of other software does, or an operator. A statement that a connection has not
/// prepared yet waits for the lock when it is prepared, not when it runs.
#[test]
fn m13_a_locked_table_is_unavailable_and_not_a_fault() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let (store, _) = open(&url).await.expect("a store");
        let members = ["a", "b"].map(UserId::trusted);
        let place = ConversationId::trusted("c");
        let put = store.put_conversation(&place, &members, Timestamp(0));
        put.await.expect("a conversation");
        let (locker, connection) = tokio_postgres::connect(&url, NoTls)
            .await
            .expect("a client");
        tokio::spawn(connection);
        let message = |id: &str| NewEntry {
            id: MessageId::trusted(id),
            conversation: place.clone(),
            sender: members[0].clone(),
            write: Content::trusted("hi").into(),
            key: Some(SendKey::ClientMessageId(id.into())),
            created_at: Timestamp(0),
            editable_since: None,
        };
        let lock = "BEGIN; LOCK TABLE entries, members IN EXCLUSIVE MODE";
        locker.batch_execute(lock).await.expect("a lock");
        let (fresh, _) = open_with(PostgresOptions {
            deadline: Duration::from_secs(1),
            ..options(&url)
        })
        .await
        .expect("a store");
        let appended = fresh.append(message("m"), None).await;
        assert!(
            matches!(
                appended,
                Err(AppendError::Store(StoreError::Unavailable(_)))
            ),
            "{appended:?}"
        );
        let marked = fresh.mark_read(&members[0], &place, 1, Timestamp(0)).await;
        assert!(is_unavailable(&marked), "{marked:?}");
        locker.batch_execute("COMMIT").await.expect("released");
        recovers(&store).await;
        let appended = store.append(message("m"), None).await;
        assert!(appended.is_ok(), "{appended:?}");
    });
}

#[test]
fn m13_a_full_disk_refuses_writes_until_there_is_space() {
    run(async {
        let server = server();
        let Some((disk, url)) = server.small_disk(64) else {
            eprintln!("not run: this process may not mount a disk");
            return;
        };
        let (store, _) = open(&url).await.expect("a store");
        write(&store, "before").await.expect("written");
        disk.fill();
        // Until the pages that are there already are full.
        let mut refused = None;
        for n in 0..2_000 {
            let answer = write(&store, &format!("{n}-{}", "x".repeat(110))).await;
            if answer.is_err() {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.expect("a disk gets full");
        assert!(is_unavailable(&refused), "{refused:?}");
        assert!(has(&store, "before").await);
        assert!(
            is_unavailable(&store.ping(PING).await),
            "health is not green"
        );
        disk.free();
        recovers(&store).await;
        write(&store, "after").await.expect("written");
    });
}

/// With a synchronous standby nothing acknowledged is lost, the store's generation is another one,
/// and every node has it.
#[test]
fn c10_a_promoted_standby_has_all_acknowledged_writes_and_another_generation() {
    run(async {
        let primary = server();
        primary.sql("postgres", "CREATE DATABASE chat");
        let standby = primary.standby(&PostgresConfig::default());
        primary.set(&[("synchronous_standby_names", "*")]);
        let alone = open(&standby.url("chat")).await.err().expect("an error");
        assert!(matches!(alone, OpenError::ReadOnly { .. }), "{alone:?}");
        let url = format!(
            "postgres://lamplight@127.0.0.1:{},127.0.0.1:{}/chat?target_session_attrs=read-write",
            standby.port(),
            primary.port()
        );
        let (one, _) = open(&url).await.expect("a store");
        let (two, _) = open(&url).await.expect("a store");
        let generation = one.generations().borrow().clone();
        assert_eq!(*two.generations().borrow(), generation);
        let mut acknowledged = Vec::new();
        for n in 0..100 {
            let id = format!("u{n}");
            write(&one, &id).await.expect("written");
            acknowledged.push(UserId::trusted(id));
        }
        primary.crash();
        assert!(is_unavailable(&write(&one, "nowhere").await));
        standby.promote();
        recovers(&one).await;
        recovers(&two).await;
        let after = one.generations().borrow().clone();
        assert_ne!(after, generation);
        assert_eq!(*two.generations().borrow(), after, "the nodes agree");
        assert_eq!(two.unknown(&acknowledged).await.expect("an answer"), []);
        write(&two, "after").await.expect("written");
        assert!(has(&one, "after").await);
        assert_eq!(*one.generations().borrow(), after, "it changes once");
    });
}
