//! Presence in memory passes the suite of every presence store, and its driver keeps time.

use lamplight_conformance::Recorder;
use lamplight_conformance::presence::{ManualClock, PresenceSubject, RULES};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConnectionId, NodeId, Profile, UserId};
use lamplight_domain::presence::{Change, OfflineReason, SavedStatus};
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_embedded::presence::EmbeddedPresence;
use lamplight_usecases::ports::{Clock, EventBus, Person, PresenceStore, Subscriber, Subscription};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

async fn fresh() -> PresenceSubject<EmbeddedPresence> {
    let (events, clock) = (
        Arc::new(Recorder::default()),
        Arc::new(ManualClock::default()),
    );
    let presence = Arc::new(EmbeddedPresence::new(
        RULES,
        1,
        clock.clone(),
        events.clone(),
    ));
    let current = Arc::new(Mutex::new(Arc::clone(&presence)));
    let ticked = Arc::clone(&current);
    let ticks = Arc::clone(&clock);
    let pass = move |by: Duration| {
        for _ in 0..by.as_millis() / 10 {
            ticks.pass(Duration::from_millis(10));
            ticked.lock().tick();
        }
        futures_util::FutureExt::boxed(std::future::ready(()))
    };
    let nodes = Arc::clone(&current);
    let node = move |id: &str| Arc::new(nodes.lock().another_node(NodeId::trusted(id)));
    let bus = Arc::clone(&events);
    let again = move || {
        let mut current = current.lock();
        let reached = current.version();
        *current = Arc::new(EmbeddedPresence::new(
            RULES,
            reached,
            clock.clone(),
            bus.clone(),
        ));
        futures_util::FutureExt::boxed(std::future::ready(Arc::clone(&current)))
    };
    PresenceSubject {
        presence,
        node: Box::new(node),
        events,
        pass: Box::new(pass),
        again: Box::new(again),
        keep: Box::new(()),
    }
}

mod memory {
    use super::fresh;

    lamplight_conformance::presence_suite!(fresh);
}

/// The time of tokio, which the test pauses.
struct Paused(tokio::time::Instant);

impl Clock for Paused {
    fn now(&self) -> Now {
        Now {
            moment: Moment(self.0.elapsed().as_millis().try_into().unwrap_or(u64::MAX)),
            wall: Timestamp(0),
        }
    }
}

/// The driver sleeps while nothing is due, and wakes in time for a call that makes something due
/// earlier.
#[tokio::test(start_paused = true)]
async fn p3_p4_the_driver_ticks_when_something_is_due() {
    let (events, start) = (Arc::new(Recorder::default()), tokio::time::Instant::now());
    let presence = Arc::new(EmbeddedPresence::new(
        RULES,
        1,
        Arc::new(Paused(start)),
        events.clone(),
    ));
    let driven = Arc::clone(&presence);
    let driver = tokio::spawn(async move { driven.run().await });
    let gone = || {
        events
            .events()
            .into_iter()
            .find(|event| matches!(event, Event::Presence(Change::Offline(_))))
    };
    // It sleeps with no user; then it waits for the time to live; then a close is due earlier.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let session = ConnectionId::trusted("a1");
    let person = Person {
        profile: Profile::bare(UserId::trusted("a")),
        status: SavedStatus::default(),
        last_seen: None,
    };
    presence.join(&session, person).await.expect("joined");
    tokio::time::sleep(Duration::from_secs(2)).await;
    presence
        .close(&session, OfflineReason::Closed)
        .await
        .expect("closed");
    let closed = start.elapsed();
    while gone().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(
            start.elapsed() - closed < Duration::from_secs(10),
            "the driver did not tick"
        );
    }
    let took = start.elapsed() - closed;
    assert!(
        took > RULES.grace && took <= RULES.grace + Duration::from_millis(10),
        "{took:?}"
    );
    assert_eq!(presence.session_count(), 0);
    driver.abort();
}

/// Slow, so that a publisher that does not hold the lock is overtaken.
#[derive(Default)]
struct Slow(Recorder);

impl EventBus for Slow {
    fn publish(&self, event: Event) {
        for _ in 0..20 {
            std::thread::yield_now();
        }
        self.0.publish(event);
    }

    fn subscribe(&self, subscriber: Subscriber) -> Subscription {
        self.0.subscribe(subscriber)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p5_changes_are_published_in_the_order_of_their_versions() {
    let events = Arc::new(Slow::default());
    let presence = Arc::new(EmbeddedPresence::new(
        RULES,
        1,
        Arc::new(ManualClock::default()),
        events.clone(),
    ));
    let user = UserId::trusted("a");
    let person = Person {
        profile: Profile::bare(user.clone()),
        status: SavedStatus::default(),
        last_seen: None,
    };
    presence
        .join(&ConnectionId::trusted("a1"), person)
        .await
        .expect("joined");
    let movers = (0..4).map(|mover| {
        let (presence, user) = (Arc::clone(&presence), user.clone());
        tokio::spawn(async move {
            for step in 0..100 {
                let profile = Profile {
                    name: format!("{mover}-{step}").into(),
                    ..Profile::bare(user.clone())
                };
                presence.set_profile(profile).await.expect("set");
            }
        })
    });
    for mover in movers.collect::<Vec<_>>() {
        mover.await.expect("done");
    }
    let versions: Vec<_> = events
        .0
        .events()
        .iter()
        .filter_map(|event| {
            if let Event::Presence(change) = event {
                Some(change.version())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(versions.len(), 401);
    assert!(versions.is_sorted());
}

/// A clock that the test sets.
struct Set(Arc<std::sync::atomic::AtomicI64>);

impl Clock for Set {
    fn now(&self) -> Now {
        Now {
            moment: Moment(1_000),
            wall: Timestamp(self.0.load(std::sync::atomic::Ordering::Relaxed)),
        }
    }
}

/// Versions grow after a crash and after a stop, at any time of the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_versions_grow_over_a_restart_with_a_clock_an_hour_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let wall = Arc::new(std::sync::atomic::AtomicI64::new(1_800_000_000_000));
    let mut newest = 0;
    for crashes in [true, false, true] {
        let events = Arc::new(Recorder::default());
        let options =
            lamplight_embedded::messages::SqliteOptions::new(directory.path().join("lamplight.db"));
        let store = lamplight_embedded::messages::SqliteStore::open(options, events.clone())
            .expect("a store");
        let presence = Arc::new(EmbeddedPresence::new(
            RULES,
            store.presence_version(),
            Arc::new(Set(wall.clone())),
            events.clone(),
        ));
        let (reserving, kept) = (Arc::clone(&presence), Arc::clone(&store));
        let reserving = tokio::spawn(async move { reserving.reserve_versions(&*kept).await });
        let reserved = || {
            std::fs::metadata(directory.path().join("lamplight.db-wal")).map_or(0, |log| log.len())
        };
        let before = reserved();
        tokio::time::timeout(Duration::from_secs(10), async {
            while reserved() == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("versions are reserved");
        let session = ConnectionId::trusted("a1");
        let person = Person {
            profile: Profile::bare(UserId::trusted("a")),
            status: SavedStatus::default(),
            last_seen: None,
        };
        presence.join(&session, person).await.expect("joined");
        presence.sign_out(&session).await.expect("signed out");
        let versions: Vec<u64> = events
            .events()
            .into_iter()
            .filter_map(|event| {
                if let Event::Presence(change) = event {
                    Some(change.version())
                } else {
                    None
                }
            })
            .collect();
        assert!(
            versions.len() == 2 && versions[0] > newest && versions[1] > versions[0],
            "{newest} and then {versions:?}"
        );
        newest = versions[1];
        if !crashes {
            store
                .keep_presence_version(presence.version())
                .await
                .expect("kept");
        }
        reserving.abort();
        store.close().await;
        wall.fetch_sub(3_600_000, std::sync::atomic::Ordering::Relaxed);
    }
}
