//! The same calls, made to presence in Redis on two nodes and to presence in memory, show the same.

mod presence_support;

use lamplight_conformance::Recorder;
use lamplight_conformance::servers::{RedisServer, unique_prefix};
use lamplight_distributed::redis::RedisClient;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{NodeId, Profile};
use lamplight_domain::presence::{
    Activity, Change, ManualStatus, OfflineReason, Presence, Rules, SavedStatus, StatusOverride,
};
use lamplight_embedded::presence::EmbeddedPresence;
use lamplight_usecases::ports::PresenceStore;
use presence_support::{PATIENCE, Tasks, TestNode, client, person, tab, user, wall_clock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A time in which each store gets a few calls. Deadlines are a quarter of it from each other and from
/// all calls, so both stores see them in the same order, unless the machine is late.
const ROUND: Duration = Duration::from_secs(1);
/// What is later than this part of a round may have come after a deadline in one store and before it in
/// the other one: then nothing is compared, and the seed is run again with longer rounds.
const LATE: u32 = 10;
/// How many times as long the rounds are, in the order of the attempts.
const ATTEMPTS: [u32; 3] = [1, 3, 8];

fn rules(round: Duration) -> Rules {
    Rules {
        grace: round * 5 / 4,
        lease: Duration::from_secs(15).max(round * 4),
        time_to_live: round * 15 / 4,
        away_after: round * 5 / 2,
        update_every: Duration::ZERO,
    }
}

const ROUNDS: u32 = 18;
const SEEDS: u64 = 6;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[derive(Clone, Debug)]
enum Op {
    Join,
    Activity(bool),
    Close,
    SignOut,
    Status(ManualStatus, bool),
    Doing(Option<u64>),
    Name(u64),
}

fn op(random: &mut Random) -> Op {
    match random.below(12) {
        0..=3 => Op::Join,
        4..=5 => Op::Activity(random.below(2) == 0),
        6..=7 => Op::Close,
        8 => Op::SignOut,
        9 => {
            let status = [
                ManualStatus::Online,
                ManualStatus::Away,
                ManualStatus::Busy,
                ManualStatus::Invisible,
            ];
            let index = usize::try_from(random.below(4)).expect("small");
            Op::Status(status[index], random.below(3) == 0)
        }
        10 => Op::Doing(Some(random.below(3)).filter(|kind| *kind > 0)),
        _ => Op::Name(random.below(3)),
    }
}

async fn apply(store: &dyn PresenceStore, who: &str, session: &str, op: &Op, status: &SavedStatus) {
    let (user, session) = (user(who), tab(session));
    let done = match op {
        Op::Join => {
            let mut person = person(who);
            person.status = status.clone();
            store.join(&session, person).await
        }
        Op::Activity(active) => store.activity(&session, *active).await,
        Op::Close => store.close(&session, OfflineReason::Closed).await,
        Op::SignOut => store.sign_out(&session).await,
        Op::Status(..) => store.set_status(&user, status.clone()).await,
        Op::Doing(kind) => {
            let activity = kind.map(|kind| Activity {
                kind: kind.to_string().into(),
                label: None,
                conversation: None,
            });
            store.set_activity(&session, activity).await
        }
        Op::Name(name) => {
            let profile = Profile {
                name: name.to_string().into(),
                ..Profile::bare(user)
            };
            store.set_profile(profile).await
        }
    };
    done.expect("done");
}

/// A change in words, without times and versions.
fn words(change: &Change) -> String {
    match change {
        Change::Online(shown) => format!("online {}", looks(shown)),
        Change::Updated(shown) => format!("updated {}", looks(shown)),
        Change::Offline(offline) => format!("offline {:?}", offline.reason),
    }
}

fn looks(shown: &Presence) -> String {
    let doing: Vec<_> = shown.activities.iter().map(|one| &*one.kind).collect();
    format!(
        "{:?} {:?} {} {doing:?}",
        shown.status, shown.text, shown.profile.name
    )
}

fn changes_of(events: &Recorder, who: &str) -> Vec<String> {
    let of_user = |event| match event {
        Event::Presence(change) if change.user().as_str() == who => Some(words(&change)),
        _ => None,
    };
    events.events().into_iter().filter_map(of_user).collect()
}

/// How late this process and Redis are at most, measured for as long as it is polled.
async fn watch(redis: RedisClient, latest: Arc<AtomicU64>) {
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        let began = Instant::now();
        tokio::time::sleep(PAUSE).await;
        let ping = redis.query::<String>(&redis::cmd("PING")).await;
        let late = match ping {
            Ok(_) => began.elapsed().saturating_sub(PAUSE),
            Err(_) => ROUND * 1_000,
        };
        let millis = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
        latest.fetch_max(millis, Ordering::Relaxed);
    }
}

/// `false` if the machine was too late for a comparison.
async fn run(seed: u64, round: Duration) -> bool {
    let rules = rules(round);
    let (tasks, prefix) = (Tasks::default(), unique_prefix());
    let server = RedisServer::shared();
    let nodes = ["a", "b"].map(|id| TestNode::start(client(server, &prefix), id, rules));
    for node in &nodes {
        node.wait_until_whole().await;
    }
    let events = Arc::new(Recorder::default());
    let memory = Arc::new(EmbeddedPresence::new(
        rules,
        1,
        wall_clock(),
        Arc::clone(&events) as _,
    ));
    let runs = Arc::clone(&memory);
    tasks.spawn(async move { runs.run().await });
    let twins = ["a", "b"].map(|id| memory.another_node(NodeId::trusted(id)));
    for twin in &twins {
        twin.acquire_lease().await.expect("a lease");
    }

    let latest = Arc::new(AtomicU64::new(0));
    tasks.spawn(watch(
        client_that_is_up(server, &prefix).await,
        Arc::clone(&latest),
    ));
    let mut random = Random(seed * 7_919 + 1);
    let mut statuses = vec![SavedStatus::default(); 4];
    let mut log = Vec::new();
    let began = Instant::now();
    for number in 0..ROUNDS {
        let begin = began + round * number;
        tokio::time::sleep_until(begin).await;
        for _ in 0..3 {
            let (n, node) = (random.below(4), random.below(2));
            let (n, node) = (
                usize::try_from(n).expect("small"),
                usize::try_from(node).expect("small"),
            );
            let who = format!("u{n}");
            // A session stays on its node, or moves to the other.
            let session = format!("{who}-{}", random.below(3));
            let op = op(&mut random);
            if let Op::Status(status, has_text) = op {
                statuses[n].revision += 1;
                statuses[n].chosen = StatusOverride {
                    status,
                    text: has_text.then(|| format!("r{number}").into()),
                    until: None,
                };
            }
            log.push(format!("{number}: {who} {session} on {node}: {op:?}"));
            apply(&*nodes[node].presence, &who, &session, &op, &statuses[n]).await;
            apply(&twins[node], &who, &session, &op, &statuses[n]).await;
        }
        let took = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        latest.fetch_max(took, Ordering::Relaxed);
    }
    tokio::time::sleep(rules.time_to_live + Duration::from_secs(2)).await;
    let late = Duration::from_millis(latest.load(Ordering::Relaxed));
    if late > round / LATE {
        println!("seed {seed}: {late:?} late with rounds of {round:?}");
        return false;
    }
    for n in 0..4 {
        let who = format!("u{n}");
        let expected = changes_of(&events, &who);
        for node in &nodes {
            assert_eq!(
                changes_of(&node.events, &who),
                expected,
                "seed {seed}, {who}:\n{}",
                log.join("\n")
            );
            let ours = node.presence.get(&user(&who)).await.expect("an answer");
            let theirs = memory.get(&user(&who)).await.expect("an answer");
            assert_eq!(ours.map(|one| looks(&one)), theirs.map(|one| looks(&one)));
            assert_eq!(
                node.presence
                    .is_invisible(&user(&who))
                    .await
                    .expect("an answer"),
                memory.is_invisible(&user(&who)).await.expect("an answer"),
                "seed {seed}, {who}:\n{}",
                log.join("\n")
            );
        }
    }
    true
}

async fn client_that_is_up(server: &RedisServer, prefix: &str) -> RedisClient {
    let client = client(server, prefix);
    client.connected(PATIENCE).await.expect("a connection");
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_in_redis_equals_presence_in_memory() {
    let mut seeds: Vec<u64> = (0..SEEDS).collect();
    for times in ATTEMPTS {
        let round = ROUND * times;
        let runs = seeds
            .iter()
            .map(|seed| (*seed, tokio::spawn(run(*seed, round))));
        let mut late = Vec::new();
        for (seed, run) in runs.collect::<Vec<_>>() {
            if !run.await.expect("the same") {
                late.push(seed);
            }
        }
        seeds = late;
        if seeds.is_empty() {
            return;
        }
    }
    println!("not compared, as the machine is too slow: seeds {seeds:?}");
}
