//! The suite for `PushSubscriptions`, on a store that is `Messages`, `Directory` and `Accounts` too.

use crate::setup::put;
use crate::{Subject, at, conversation, message, named, user};
use futures_util::future::join_all;
use lamplight_domain::member_settings::SettingsChange;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    Account, Accounts, Directory, Messages, NewSession, NewSubscription, ProfileSource, PushJob,
    PushKey, PushSubscriptions, PushTarget, PushThen, SubscribeOutcome,
};
use std::time::Duration;

/// Joins the suite: `push_suite!(factory)`, the factory an `async fn` that makes an empty
/// [`crate::Subject`].
#[macro_export]
macro_rules! push_suite {
    ($factory:path) => {
        $crate::suite!(
            push,
            $factory,
            [
                the_first_push_key_wins_and_a_new_one_leaves_earlier_subscriptions,
                messages_are_queued_for_members_with_unread_messages,
                entries_before_a_subscription_are_not_queued,
                a_claim_excludes_other_nodes_until_it_lapses,
                further_messages_extend_a_waiting_job,
                a_failure_holds_up_everything_of_a_subscription,
                a_subscription_ends_with_its_session,
                a_subscription_ends_with_the_tokens_of_its_user,
                an_endpoint_belongs_to_its_latest_subscriber,
                m2_a_step_that_several_make_at_once_queues_once,
            ]
        );
    };
}

/// Later than any test runs.
const FAR: Timestamp = Timestamp(4_000_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn key(name: &str) -> PushKey {
    PushKey {
        public: format!("public {name}").into(),
        private: format!("private {name}").into(),
    }
}

fn subscription(who: &str, endpoint: &str) -> NewSubscription {
    NewSubscription {
        user: user(who),
        session: None,
        target: PushTarget {
            endpoint: endpoint.into(),
            p256dh: "p".into(),
            auth: "a".into(),
        },
        content: true,
        key: None,
    }
}

async fn subscribe<S: PushSubscriptions>(store: &S, new: NewSubscription) -> SubscribeOutcome {
    let outcome = store.subscribe(new, 3, at(0)).await;
    outcome.expect("an answer")
}

/// Members of conversations, subscribed at `https://push.example/` and their names.
async fn subscribed<S: PushSubscriptions>(store: &S, members: &[&str]) {
    store.push_key(&key("one"), at(0)).await.expect("a key");
    for who in members {
        let new = subscription(who, &format!("https://push.example/{who}"));
        assert_eq!(subscribe(store, new).await, SubscribeOutcome::Subscribed);
    }
}

async fn send<S: Messages>(store: &S, place: &str, sender: &str) {
    let sent = store.append(message(place, sender, "hello"), None).await;
    sent.expect("a message");
}

/// Queues everything, due at once.
async fn queue<S: PushSubscriptions>(store: &S) {
    loop {
        let step = store.queue_pushes(Duration::ZERO, 2).await;
        let step = step.expect("a step");
        if step.position >= step.newest && !step.is_full {
            return;
        }
    }
}

async fn claim<S: PushSubscriptions>(store: &S, lease: Duration) -> Vec<PushJob> {
    let mut jobs = store.claim_pushes(lease, 100).await.expect("jobs");
    jobs.sort_by(|one, other| {
        let of = |job: &PushJob| (job.subscription.user.clone(), job.conversation.clone());
        of(one).cmp(&of(other))
    });
    jobs
}

fn shown(jobs: &[PushJob]) -> Vec<String> {
    let one = |job: &PushJob| {
        let (who, seqs) = (&job.subscription.user, &job.seqs);
        format!("{who} {} {seqs:?}", job.conversation)
    };
    jobs.iter().map(one).collect()
}

async fn moves<S: PushSubscriptions>(store: &S, job: &PushJob, next: u64, then: PushThen) -> bool {
    store.move_push(job, next, then).await.expect("an answer")
}

pub async fn the_first_push_key_wins_and_a_new_one_leaves_earlier_subscriptions<
    S: Messages + PushSubscriptions,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let keys = ["one", "two", "three"].map(key);
    let made = join_all(keys.iter().map(|key| store.push_key(key, at(0)))).await;
    let first = made[0].clone().expect("a key");
    assert!(keys.contains(&first));
    for key in made {
        assert_eq!(key.expect("a key"), first);
    }
    put(store, "c", &["a", "b", "c", "x"]).await;
    assert_eq!(
        subscribe(store, subscription("a", "https://push.example/a")).await,
        SubscribeOutcome::Subscribed
    );
    let next = key("next");
    let replaced = store.replace_push_key(&next, at(1)).await;
    replaced.expect("replaced");
    let present = store.push_key(&keys[0], at(2)).await.expect("a key");
    assert_eq!(present, next);
    for (who, of, outcome) in [
        ("b", Some(&first), SubscribeOutcome::Subscribed),
        ("c", None, SubscribeOutcome::Subscribed),
        ("c", Some(&key("none")), SubscribeOutcome::OtherKey),
    ] {
        let new = NewSubscription {
            key: of.map(|key| key.public.clone()),
            ..subscription(who, &format!("https://push.example/{who}"))
        };
        assert_eq!(subscribe(store, new).await, outcome, "{who}");
    }
    send(store, "c", "x").await;
    queue(store).await;
    let jobs = claim(store, HOUR).await;
    let keys: Vec<&PushKey> = jobs.iter().map(|job| &job.subscription.key).collect();
    assert_eq!(keys, [&first, &first, &next]);
    let target = &jobs[0].subscription.target;
    assert_eq!(*target, subscription("a", "https://push.example/a").target);
}

pub async fn messages_are_queued_for_members_with_unread_messages<
    S: Messages + Directory + PushSubscriptions,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b", "m", "r"]).await;
    subscribed(store, &["a", "b", "m", "r"]).await;
    // Once more: a user is sent to at each place.
    let second = subscribe(store, subscription("b", "https://push.example/b2")).await;
    assert_eq!(second, SubscribeOutcome::Subscribed);
    put(store, "other", &["a", "b"]).await;
    let mute = SettingsChange {
        muted_until: Some(Some(FAR)),
        ..SettingsChange::default()
    };
    let muted = store
        .set_settings(&user("m"), &conversation("c"), mute)
        .await;
    assert!(muted.expect("an answer"));
    for _ in 0..3 {
        send(store, "c", "a").await;
    }
    let read = store
        .mark_read(&user("r"), &conversation("c"), 3, at(1))
        .await;
    assert!(read.expect("an answer").is_some());
    queue(store).await;
    assert_eq!(
        shown(&claim(store, HOUR).await),
        ["b c 1..=3", "b c 1..=3"],
        "not for the sender, nor where it is muted or read"
    );
    let counts = store.push_counts().await.expect("counts");
    assert_eq!((counts.subscriptions, counts.waiting), (5, 2));
    send(store, "other", "b").await;
    queue(store).await;
    assert_eq!(shown(&claim(store, HOUR).await), ["a other 1..=1"]);
}

pub async fn entries_before_a_subscription_are_not_queued<S: Messages + PushSubscriptions>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    send(store, "c", "a").await;
    queue(store).await;
    subscribed(store, &["b"]).await;
    queue(store).await;
    assert!(claim(store, HOUR).await.is_empty());
    send(store, "c", "a").await;
    // Made later than the message, as messages of an outage are.
    let late = subscription("b", "https://push.example/late");
    let late = store.subscribe(late, 3, FAR).await.expect("an answer");
    assert_eq!(late, SubscribeOutcome::Subscribed);
    queue(store).await;
    let jobs = claim(store, HOUR).await;
    assert_eq!(shown(&jobs), ["b c 2..=2"]);
    let endpoint = &*jobs[0].subscription.target.endpoint;
    assert_eq!(endpoint, "https://push.example/b");
}

pub async fn a_claim_excludes_other_nodes_until_it_lapses<S: Messages + PushSubscriptions>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    subscribed(store, &["b"]).await;
    send(store, "c", "a").await;
    send(store, "c", "a").await;
    queue(store).await;
    let lapsed = claim(store, Duration::ZERO).await;
    assert_eq!(shown(&lapsed), ["b c 1..=2"]);
    let held = claim(store, HOUR).await;
    assert_eq!(shown(&held), ["b c 1..=2"]);
    assert!(claim(store, HOUR).await.is_empty());
    for then in [
        PushThen::Done,
        PushThen::Later(HOUR),
        PushThen::Failed(HOUR),
    ] {
        assert!(!moves(store, &lapsed[0], 3, then).await, "{then:?}");
    }
    let go_on = PushThen::Continue(Duration::ZERO);
    assert!(moves(store, &held[0], 2, go_on).await);
    let rest = claim(store, HOUR).await;
    assert_eq!(
        shown(&rest),
        ["b c 2..=2"],
        "what was sent is not claimed again"
    );
    assert!(moves(store, &rest[0], 3, PushThen::Done).await);
    assert!(
        !moves(store, &rest[0], 3, PushThen::Done).await,
        "it is over"
    );
    assert!(claim(store, HOUR).await.is_empty());
    assert_eq!(store.push_counts().await.expect("counts").waiting, 0);
}

pub async fn further_messages_extend_a_waiting_job<S: Messages + PushSubscriptions>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    subscribed(store, &["b"]).await;
    send(store, "c", "a").await;
    queue(store).await;
    let held = claim(store, HOUR).await;
    assert_eq!(shown(&held), ["b c 1..=1"]);
    send(store, "c", "a").await;
    send(store, "c", "a").await;
    queue(store).await;
    assert!(claim(store, HOUR).await.is_empty(), "it is claimed");
    assert!(moves(store, &held[0], 2, PushThen::Done).await);
    let rest = claim(store, HOUR).await;
    assert_eq!(shown(&rest), ["b c 2..=3"]);
    assert!(moves(store, &rest[0], 2, PushThen::Later(Duration::ZERO)).await);
    assert_eq!(shown(&claim(store, HOUR).await), ["b c 2..=3"]);
}

pub async fn a_failure_holds_up_everything_of_a_subscription<S: Messages + PushSubscriptions>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    for place in ["one", "two", "three"] {
        put(store, place, &["a", "b"]).await;
    }
    subscribed(store, &["b"]).await;
    send(store, "one", "a").await;
    queue(store).await;
    let jobs = claim(store, HOUR).await;
    assert_eq!(jobs[0].subscription.failures, 0);
    send(store, "two", "a").await;
    queue(store).await;
    assert!(moves(store, &jobs[0], 1, PushThen::Failed(HOUR)).await);
    send(store, "three", "a").await;
    queue(store).await;
    assert!(claim(store, HOUR).await.is_empty(), "all of it waits");
    // A new subscription waits for nothing.
    let other = subscribe(store, subscription("b", "https://push.example/other")).await;
    assert_eq!(other, SubscribeOutcome::Subscribed);
    send(store, "one", "a").await;
    queue(store).await;
    let jobs = claim(store, HOUR).await;
    assert_eq!(shown(&jobs), ["b one 2..=2"]);
    assert!(moves(store, &jobs[0], 2, PushThen::Failed(Duration::ZERO)).await);
    let again = claim(store, HOUR).await;
    assert_eq!(again[0].subscription.failures, 1);
    assert!(moves(store, &again[0], 3, PushThen::Done).await);
    send(store, "one", "a").await;
    queue(store).await;
    let recovered = claim(store, HOUR).await;
    assert_eq!(recovered[0].subscription.failures, 0);
}

async fn session<S: Accounts>(store: &S, digest: &str, expires: Timestamp) {
    let opened = store.open_session(NewSession {
        digest: digest.into(),
        user: user("b"),
        at: at(0),
        expires,
        network: None,
        most: 0,
        password_hash: None,
    });
    opened.await.expect("opened").expect("a session");
}

/// And with what waits for it; those of others stay.
pub async fn a_subscription_ends_with_the_tokens_of_its_user<
    S: Messages + Directory + Accounts + PushSubscriptions,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b", "d"]).await;
    subscribed(store, &["b", "d"]).await;
    send(store, "c", "a").await;
    queue(store).await;
    let counts = async || {
        let counts = store.push_counts().await.expect("counts");
        (counts.subscriptions, counts.waiting)
    };
    assert_eq!(counts().await, (2, 2));
    assert!(
        store
            .end_tokens(&user("b"), at(1))
            .await
            .expect("an answer")
    );
    assert_eq!(counts().await, (1, 1));
    let jobs = claim(store, Duration::ZERO).await;
    assert_eq!(
        &*jobs[0].subscription.target.endpoint,
        "https://push.example/d"
    );
}

pub async fn a_subscription_ends_with_its_session<
    S: Messages + Directory + Accounts + PushSubscriptions,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let account = Account {
        user: user("b"),
        password_hash: "hash".into(),
    };
    let made = store.create("ben", account, named("b", "Ben"), at(0)).await;
    assert!(made.expect("an answer"));
    store.push_key(&key("one"), at(0)).await.expect("a key");
    put(store, "c", &["a", "b"]).await;
    let of = |digest: &str| NewSubscription {
        session: Some(digest.into()),
        ..subscription("b", &format!("https://push.example/{digest}"))
    };
    assert_eq!(
        subscribe(store, of("s0")).await,
        SubscribeOutcome::NoSession
    );
    for digest in ["s1", "s2", "s3"] {
        session(store, digest, FAR).await;
        assert_eq!(
            subscribe(store, of(digest)).await,
            SubscribeOutcome::Subscribed
        );
    }
    // Another user's session is none of theirs.
    let foreign = NewSubscription {
        user: user("a"),
        ..of("s1")
    };
    assert_eq!(subscribe(store, foreign).await, SubscribeOutcome::NoSession);
    send(store, "c", "a").await;
    queue(store).await;
    let subscriptions = async || store.push_counts().await.expect("counts");
    assert_eq!(subscriptions().await.waiting, 3);
    let ended = store.end_session("s1").await.expect("an answer");
    assert_eq!(ended, Some(user("b")));
    let counts = subscriptions().await;
    assert_eq!((counts.subscriptions, counts.waiting), (2, 2));
    let changed = store
        .set_password(&user("b"), "hash", "other", Some("s3"))
        .await;
    assert!(changed.expect("an answer").is_some());
    assert_eq!(subscriptions().await.subscriptions, 1);
    let jobs = claim(store, Duration::ZERO).await;
    assert_eq!(
        &*jobs[0].subscription.target.endpoint,
        "https://push.example/s3"
    );
    assert!(!jobs[0].is_expired);
    // A session that is over and was not deleted yet.
    session(store, "past", at(1)).await;
    assert_eq!(
        subscribe(store, of("past")).await,
        SubscribeOutcome::Subscribed
    );
    send(store, "c", "a").await;
    queue(store).await;
    let jobs = claim(store, Duration::ZERO).await;
    let past = jobs
        .iter()
        .find(|job| &*job.subscription.target.endpoint == "https://push.example/past");
    let past = past.expect("a job");
    assert!(past.is_expired);
    let ended = store.end_subscription(past.subscription.id, "https://push.example/past");
    ended.await.expect("ended");
    assert_eq!(subscriptions().await.subscriptions, 1);
    let ended = store.end_sessions(&user("b"), None).await.expect("ended");
    assert_eq!(ended.len(), 2);
    let counts = subscriptions().await;
    assert_eq!((counts.subscriptions, counts.waiting), (0, 0));
}

pub async fn an_endpoint_belongs_to_its_latest_subscriber<
    S: Messages + Directory + PushSubscriptions,
>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    let shared = "https://push.example/shared";
    store.push_key(&key("one"), at(0)).await.expect("a key");
    put(store, "c", &["a", "b"]).await;
    for who in ["a", "b"] {
        let bare = store.upsert_profile(named(who, who), ProfileSource::Nobody, at(0));
        bare.await.expect("a profile");
    }
    put(store, "d", &["x", "a", "b"]).await;
    subscribe(store, subscription("a", shared)).await;
    send(store, "d", "x").await;
    queue(store).await;
    subscribe(store, subscription("b", shared)).await;
    let counts = store.push_counts().await.expect("counts");
    assert_eq!(
        (counts.subscriptions, counts.waiting),
        (1, 0),
        "the waiting messages of the other one are deleted"
    );
    send(store, "d", "x").await;
    queue(store).await;
    let jobs = claim(store, HOUR).await;
    assert_eq!(shown(&jobs), ["b d 2..=2"]);
    // Subscribing again keeps waiting jobs, and the last options apply.
    let again = NewSubscription {
        content: false,
        ..subscription("b", shared)
    };
    subscribe(store, again).await;
    assert!(moves(store, &jobs[0], 2, PushThen::Later(Duration::ZERO)).await);
    let jobs = claim(store, Duration::ZERO).await;
    assert_eq!(shown(&jobs), ["b d 2..=2"]);
    assert!(!jobs[0].subscription.content);
    // Another user or another endpoint does not end it.
    store.unsubscribe(&user("a"), shared).await.expect("done");
    let id = jobs[0].subscription.id;
    let other = store.end_subscription(id, "https://push.example/other");
    other.await.expect("done");
    assert_eq!(store.push_counts().await.expect("counts").subscriptions, 1);
    // The oldest end past three.
    for (n, endpoint) in ["1", "2", "3"].into_iter().enumerate() {
        let later = at(i64::try_from(n).unwrap_or(0) + 1);
        let new = subscription("b", &format!("https://push.example/{endpoint}"));
        store.subscribe(new, 3, later).await.expect("an answer");
    }
    assert_eq!(store.push_counts().await.expect("counts").subscriptions, 3);
    assert!(
        !moves(store, &jobs[0], 2, PushThen::Done).await,
        "it has ended"
    );
    for endpoint in ["1", "2", "3"] {
        let endpoint = format!("https://push.example/{endpoint}");
        store
            .unsubscribe(&user("b"), &endpoint)
            .await
            .expect("done");
        store
            .unsubscribe(&user("b"), &endpoint)
            .await
            .expect("done");
    }
    assert_eq!(store.push_counts().await.expect("counts").subscriptions, 0);
}

pub async fn m2_a_step_that_several_make_at_once_queues_once<S: Messages + PushSubscriptions>(
    subject: Subject<S>,
) {
    let store = &*subject.store;
    put(store, "c", &["a", "b"]).await;
    subscribed(store, &["b"]).await;
    for _ in 0..20 {
        send(store, "c", "a").await;
    }
    let all = (0..4).map(|_| queue(store));
    join_all(all).await;
    let claims = (0..4).map(|_| claim(store, HOUR));
    let jobs: Vec<PushJob> = join_all(claims).await.into_iter().flatten().collect();
    assert_eq!(shown(&jobs), ["b c 1..=20"]);
}
