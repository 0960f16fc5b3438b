//! The same calls, made to presence in Redis on two nodes and to presence in memory, show the same.

mod presence_support;

use lamplight_conformance::Recorder;
use lamplight_conformance::servers::{RedisServer, unique_prefix};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{NodeId, Profile};
use lamplight_domain::presence::{
    Activity, Change, ManualStatus, OfflineReason, Presence, Rules, SavedStatus, StatusOverride,
};
use lamplight_embedded::presence::EmbeddedPresence;
use lamplight_usecases::ports::PresenceStore;
use presence_support::{Tasks, TestNode, client, person, tab, user, wall_clock};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Deadlines are a quarter of a [`ROUND`] from each other and from all calls, so both stores see them
/// in the same order.
const RULES: Rules = Rules {
    grace: Duration::from_millis(1_250),
    lease: Duration::from_secs(15),
    time_to_live: Duration::from_millis(3_750),
    away_after: Duration::from_millis(2_500),
    update_every: Duration::ZERO,
};
const ROUND: Duration = Duration::from_secs(1);
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

/// What a change says, without times and versions.
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

async fn run(seed: u64) {
    let (tasks, prefix) = (Tasks::default(), unique_prefix());
    let server = RedisServer::shared();
    let nodes = ["a", "b"].map(|id| TestNode::start(client(server, &prefix), id, RULES));
    for node in &nodes {
        node.wait_until_whole().await;
    }
    let events = Arc::new(Recorder::default());
    let memory = Arc::new(EmbeddedPresence::new(
        RULES,
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

    let mut random = Random(seed * 7_919 + 1);
    let mut statuses = vec![SavedStatus::default(); 4];
    let mut log = Vec::new();
    let began = Instant::now();
    for round in 0..ROUNDS {
        tokio::time::sleep_until(began + ROUND * round).await;
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
                    text: has_text.then(|| format!("r{round}").into()),
                    until: None,
                };
            }
            log.push(format!("{round}: {who} {session} on {node}: {op:?}"));
            apply(&*nodes[node].presence, &who, &session, &op, &statuses[n]).await;
            apply(&twins[node], &who, &session, &op, &statuses[n]).await;
        }
    }
    tokio::time::sleep(RULES.time_to_live + Duration::from_secs(2)).await;
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_in_redis_and_in_memory_show_the_same() {
    let runs = (0..SEEDS).map(|seed| tokio::spawn(run(seed)));
    for run in runs.collect::<Vec<_>>() {
        run.await.expect("the same");
    }
}
