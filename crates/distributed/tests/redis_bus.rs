//! The event bus through a real Redis.

#[path = "redis_bus/proxy.rs"]
mod proxy;

use lamplight_conformance::bus::{BusSubject, appended};
use lamplight_conformance::servers::{RedisConfig, RedisServer, start_cluster, unique_prefix};
use lamplight_distributed::bus::RedisEventBus;
use lamplight_distributed::redis::{Received, RedisOptions, RedisSubscriber};
use lamplight_domain::conversation::Members;
use lamplight_domain::entry::{Entry, EntryKind};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Attachment, BusMessage, EventBus, Subscription};
use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than any test, so that channels stay subscribed.
const LINGER: Duration = Duration::from_secs(600);

async fn start(url: &str, prefix: &str, node: &str) -> RedisEventBus {
    let options = RedisOptions::parse(url).expect("a URL");
    let options = options.with_prefix(prefix).expect("a prefix");
    let bus = RedisEventBus::start_with(options, node, LINGER);
    assert!(bus.connected(PATIENCE).await);
    bus
}

async fn attach(bus: &RedisEventBus, id: &str) -> Attachment {
    let attachment = bus.attach(&UserId::trusted(id));
    if let Some(ready) = attachment.ready() {
        timeout(PATIENCE, ready).await.expect("in time");
    }
    attachment
}

/// Two nodes, each with a connection of both users of the suite.
async fn two_nodes(url: &str) -> BusSubject {
    let prefix = unique_prefix();
    let (one, two) = tokio::join!(start(url, &prefix, "one"), start(url, &prefix, "two"));
    let mut attachments = Vec::new();
    for bus in [&one, &two] {
        for id in ["a", "b"] {
            attachments.push(attach(bus, id).await);
        }
    }
    BusSubject {
        one: Arc::new(one),
        two: Arc::new(two),
        keep: Box::new(attachments),
    }
}

async fn on_one_server() -> BusSubject {
    two_nodes(&RedisServer::shared().url()).await
}

mod redis {
    use super::on_one_server;

    lamplight_conformance::bus_suite!(on_one_server);
}

mod redis_cluster {
    use super::{BusSubject, OnceLock, RedisServer, start_cluster, two_nodes};

    async fn on_a_cluster() -> BusSubject {
        static CLUSTER: OnceLock<Vec<RedisServer>> = OnceLock::new();
        let servers = CLUSTER.get_or_init(|| start_cluster(3));
        let hosts: Vec<_> = servers
            .iter()
            .map(|server| format!("127.0.0.1:{}", server.port()))
            .collect();
        two_nodes(&format!("redis+cluster://{}", hosts.join(","))).await
    }

    lamplight_conformance::bus_suite!(on_a_cluster);
}

/// What a subscriber received, as texts.
struct Inbox {
    texts: UnboundedReceiver<String>,
    _subscription: Subscription,
}

impl Inbox {
    fn new(bus: &RedisEventBus) -> Self {
        let (sender, texts) = unbounded_channel();
        let subscription = bus.subscribe(Box::new(move |message| {
            let _ = sender.send(text(&message));
        }));
        Self {
            texts,
            _subscription: subscription,
        }
    }

    async fn next(&mut self) -> String {
        let next = timeout(PATIENCE, self.texts.recv()).await;
        next.expect("in time").expect("a bus")
    }

    /// The messages up to and with `last`.
    async fn until(&mut self, last: &str) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.last().is_none_or(|text| text != last) {
            texts.push(self.next().await);
        }
        texts
    }

    /// Publishes an event until it comes, and returns what came before it. A subscription may be
    /// interrupted again while it is restored, most of all on a slow machine; then the event may
    /// be lost, and the bus has to say so.
    async fn until_delivered(
        &mut self,
        from: &RedisEventBus,
        conversation: &str,
        to: &[&str],
    ) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        loop {
            from.publish(changed(conversation, to));
            loop {
                texts.push(self.next().await);
                match texts.last().map(String::as_str) {
                    Some("lagged") => break,
                    Some(text) if text == conversation => return texts,
                    _ => {}
                }
            }
        }
    }
}

fn text(message: &BusMessage) -> String {
    match message {
        BusMessage::Event(Event::Appended { entry, .. }) => {
            format!("{} {}", entry.conversation, entry.seq)
        }
        BusMessage::Event(Event::ConversationChanged { conversation, .. }) => {
            conversation.to_string()
        }
        BusMessage::Event(Event::SignedOut { credential, .. }) => credential.to_string(),
        BusMessage::Event(Event::Typing { .. }) => "typing".to_owned(),
        BusMessage::Event(_) => "other".to_owned(),
        BusMessage::Lagged => "lagged".to_owned(),
    }
}

fn members(ids: &[&str]) -> Members {
    ids.iter().map(|id| UserId::trusted(*id)).collect()
}

fn changed(conversation: &str, to: &[&str]) -> Event {
    Event::ConversationChanged {
        conversation: ConversationId::trusted(conversation),
        to: members(to),
    }
}

fn large(seq: u64, bytes: usize) -> Event {
    Event::Appended {
        entry: Arc::new(Entry {
            id: MessageId::trusted(format!("m{seq}")),
            conversation: ConversationId::trusted("large"),
            seq,
            sender: UserId::trusted("a"),
            client_message_id: None,
            kind: EntryKind::message(Content::trusted("x".repeat(bytes))),
            created_at: Timestamp(0),
        }),
        to: members(&["b"]),
        newcomers: [].into(),
        except: None,
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "no {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c21_an_event_reaches_only_the_nodes_that_hold_a_receiver() {
    let server = RedisServer::start(RedisConfig::default());
    let url = server.url();
    let one = start(&url, "p", "one").await;
    let two = start(&url, "p", "two").await;
    let three = start(&url, "p", "three").await;
    let _a = attach(&one, "a").await;
    let _b = attach(&two, "b").await;
    let _c = attach(&three, "c").await;
    let mut at_two = Inbox::new(&two);
    let mut at_three = Inbox::new(&three);
    for seq in 1..=100 {
        one.publish(appended("c1", seq));
    }
    one.publish(changed("end", &["b", "c"]));
    assert_eq!(at_two.until("end").await.len(), 101);
    assert_eq!(at_three.until("end").await, ["end"]);
    assert_eq!((two.stats().received, three.stats().received), (101, 1));
    let sockets = server.cli(&["PUBSUB", "NUMSUB", "p:u:a", "p:u:b", "p:u:c", "p:u:d"]);
    assert_eq!(sockets, "p:u:a\n1\np:u:b\n1\np:u:c\n1\np:u:d\n0");

    // An event for many users is published once, and comes once to a node that holds several.
    let _more = [attach(&two, "u1").await, attach(&two, "u2").await];
    let many: Vec<String> = (0..17).map(|n| format!("u{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    one.publish(changed("few", &many[..16]));
    one.publish(changed("many", &many));
    one.publish(changed("end", &["b", "c"]));
    assert_eq!(at_two.until("end").await, ["few", "many", "end"]);
    assert_eq!(at_three.until("end").await, ["many", "end"]);
    assert_eq!(two.stats().repeated, 1, "few, on the channels of u1 and u2");
}

/// Publishes events for `a`, who is on this node only, until the bus knows that no other node
/// listens. Returns how many came back from Redis, and how many were left out.
async fn until_quiet(bus: &RedisEventBus) -> (u64, u64) {
    for published in 1.. {
        bus.publish(changed("quiet", &["a"]));
        let counts = || (bus.stats().own, bus.stats().unheard);
        until("answer", || counts().0 + counts().1 == published).await;
        if counts().1 > 0 {
            return counts();
        }
        assert!(published < 100, "everything is published");
    }
    unreachable!("the loop has no end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c21_events_without_a_listening_node_are_not_published() {
    let (url, prefix) = (RedisServer::shared().url(), unique_prefix());
    let one = start(&url, &prefix, "one").await;
    let two = start(&url, &prefix, "two").await;
    let (_a, _b) = (attach(&one, "a").await, attach(&two, "b").await);
    let mut inbox = Inbox::new(&two);
    let (own, unheard) = until_quiet(&one).await;
    for seq in 1..=50 {
        one.publish(large(seq, 10));
        one.publish(changed("quiet", &["a"]));
    }
    one.publish(changed("end", &["a", "b"]));
    let texts: Vec<String> = (1..=50).map(|seq| format!("large {seq}")).collect();
    assert_eq!(
        inbox.until("end").await,
        [&texts[..], &["end".to_owned()]].concat()
    );
    until("counts", || one.stats().unheard >= unheard + 50).await;
    assert!(
        one.settle().await,
        "what was published would have come back"
    );
    let stats = one.stats();
    assert_eq!((stats.own, stats.unheard), (own, unheard + 50));

    // A node that listens from now on gets everything from now on, in order.
    let _second = attach(&two, "a").await;
    for n in 1..=50 {
        one.publish(changed(&format!("a {n}"), &["a"]));
        one.publish(changed(&format!("b {n}"), &["b"]));
    }
    let texts: Vec<String> = (1..=50)
        .flat_map(|n| [format!("a {n}"), format!("b {n}")])
        .collect();
    assert_eq!(inbox.until("b 50").await, texts);
    assert_eq!(two.stats().unknown, 0);
}

/// What the script for batches answers.
fn ask(server: &RedisServer, without: &str, mark: &str, channel: &str) -> String {
    ask_in(server, "1", without, mark, channel)
}

/// The same, of a message in form 1 or 2.
fn ask_in(server: &RedisServer, form: &str, without: &str, mark: &str, channel: &str) -> String {
    let script = include_str!("../src/bus/publish.lua");
    let message = ["hello", "1 "];
    let arguments = [
        "EVAL",
        script,
        "0",
        without,
        "0",
        form,
        mark,
        "p:all",
        "p:all:2",
        channel,
        "p:u:other",
    ];
    server.cli(&[&arguments[..], &message].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c4_a_node_does_not_mistake_another_subscriber_for_its_own() {
    let server = RedisServer::start(RedisConfig::default());
    let one = start(&server.url(), "p", "one").await;
    let here = attach(&one, "a").await;
    let subscribed = server.cli(&["PUBSUB", "CHANNELS", "p:probe:*:*"]);
    let mark = subscribed.trim().to_owned();
    until("SUBSCRIBE", || {
        server.cli(&["PUBSUB", "NUMSUB", "p:u:a"]) == "p:u:a\n1"
    })
    .await;
    assert_eq!(ask(&server, "1", &mark, "p:u:a"), "sent 2 1");
    assert_eq!(ask(&server, "0", &mark, "p:u:a"), "heard 1");
    assert_eq!(ask(&server, "0", &mark, "p:u:b"), "sent 2 1");
    let two = start(&server.url(), "p", "two").await;
    let _second = attach(&two, "a").await;
    until("SUBSCRIBE", || {
        server.cli(&["PUBSUB", "NUMSUB", "p:u:a"]) == "p:u:a\n2"
    })
    .await;
    assert_eq!(ask(&server, "1", &mark, "p:u:a"), "heard 1");
    // The first node's subscription ends; the other's is the only one now.
    drop((here, one));
    until("end of the subscription", || {
        server.cli(&["PUBSUB", "NUMSUB", "p:u:a"]) == "p:u:a\n1"
    })
    .await;
    assert_eq!(ask(&server, "1", &mark, "p:u:a"), "unknown");
}

/// A connection that is subscribed to these channels, and the payloads that come.
async fn listen(url: &str, channels: &[&str]) -> (RedisSubscriber, UnboundedReceiver<Vec<u8>>) {
    let (sender, payloads) = unbounded_channel();
    let options = RedisOptions::parse(url).expect("a URL");
    let channels = channels.iter().map(|name| Arc::from(*name));
    let subscriber = RedisSubscriber::start(options, channels, move |received| {
        if let Received::Message { payload, .. } = received {
            let _ = sender.send(payload.to_vec());
        }
    });
    let mut is_up = subscriber.watch();
    let up = timeout(PATIENCE, is_up.wait_for(|is_up| *is_up)).await;
    up.expect("in time").expect("a subscriber");
    (subscriber, payloads)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c15_version_1_is_written_while_a_node_listens_that_reads_only_it() {
    let server = RedisServer::start(RedisConfig::default());
    let url = server.url();
    let one = start(&url, "p", "one").await;
    let two = start(&url, "p", "two").await;
    let _here = [attach(&one, "a").await, attach(&two, "b").await];
    let mut inbox = Inbox::new(&two);
    let (_raw, mut payloads) = listen(&url, &["p:u:b"]).await;
    let (_leader, mut summaries) = listen(&url, &["p:announced"]).await;
    let mut seq = 0;
    // The version in which the next event and its summary are written.
    let mut written = async || {
        seq += 1;
        one.publish(large(seq, 10));
        assert_eq!(inbox.next().await, format!("large {seq}"));
        let next = async |payloads: &mut UnboundedReceiver<Vec<u8>>| {
            let payload = timeout(PATIENCE, payloads.recv()).await;
            let payload = payload.expect("in time").expect("a payload");
            match payload.starts_with(b"{\"v\":1,") {
                true => 1,
                false => payload[0],
            }
        };
        (next(&mut payloads).await, next(&mut summaries).await)
    };
    for _ in 0..3 {
        assert_eq!(written().await, (2, 2));
    }
    // A node of the version before: a roll-out, or its end taken back.
    let (old, mut heard) = listen(&url, &["p:all", "p:u:c"]).await;
    for _ in 0..3 {
        assert_eq!(written().await, (1, 1));
    }
    one.publish(changed("for c", &["c"]));
    let payload = timeout(PATIENCE, heard.recv()).await.expect("in time");
    assert!(payload.expect("a payload").starts_with(b"{\"v\":1,"));
    // It leaves. The publisher finds out by a batch, of a probe perhaps, that it still writes for it.
    drop(old);
    until("end of the subscription", || {
        server.cli(&["PUBSUB", "NUMSUB", "p:all"]) == "p:all\n2"
    })
    .await;
    let first = written().await;
    assert!(first == (1, 1) || first == (2, 2), "{first:?}");
    for _ in 0..3 {
        assert_eq!(written().await, (2, 2));
    }
    assert_eq!((two.stats().unknown, two.stats().repeated), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c15_events_are_published_in_a_form_that_all_listening_nodes_read() {
    let server = RedisServer::start(RedisConfig::default());
    let one = start(&server.url(), "p", "one").await;
    let _here = attach(&one, "a").await;
    let subscribed = server.cli(&["PUBSUB", "CHANNELS", "p:probe:*:*"]);
    let mark = subscribed.trim().to_owned();
    let (_old, mut heard) = listen(&server.url(), &["p:all", "p:u:other"]).await;
    assert_eq!(ask_in(&server, "2", "0", &mark, "p:u:b"), "older");
    assert!(ask_in(&server, "1", "0", &mark, "p:u:b").starts_with("sent 1 "));
    let payload = timeout(PATIENCE, heard.recv()).await.expect("in time");
    assert_eq!(payload.as_deref(), Some(&b"hello"[..]));
    assert!(heard.try_recv().is_err(), "it came once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_user_without_pubsub_commands_publishes_everything() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let (keys, channels) = (format!("~{prefix}:*"), format!("&{prefix}:*"));
    let rules = [
        "ACL", "SETUSER", &prefix, "reset", "on", ">word", &keys, &channels,
    ];
    let rules = [&rules[..], &["+@all", "-pubsub"]].concat();
    assert_eq!(server.cli(&rules), "OK");
    let url = format!("redis://{prefix}:word@127.0.0.1:{}", server.port());
    let one = start(&url, &prefix, "one").await;
    let two = start(&url, &prefix, "two").await;
    let _b = attach(&two, "b").await;
    let mut inbox = Inbox::new(&two);
    for n in 1..=10 {
        one.publish(changed(&n.to_string(), &["a", "b"]));
        assert_eq!(inbox.next().await, n.to_string());
    }
    assert_eq!(one.stats().unheard, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_reaches_every_node_and_typing_the_nodes_of_its_receivers() {
    let (url, prefix) = (RedisServer::shared().url(), unique_prefix());
    let one = start(&url, &prefix, "one").await;
    let two = start(&url, &prefix, "two").await;
    let three = start(&url, &prefix, "three").await;
    let _b = attach(&two, "b").await;
    let (mut inbox, mut without_b) = (Inbox::new(&two), Inbox::new(&three));
    one.publish(Event::SignedOut {
        user: UserId::trusted("b"),
        credential: "session".into(),
        is_stored: true,
    });
    one.publish(Event::Typing {
        conversation: ConversationId::trusted("c"),
        user: UserId::trusted("a"),
        is_typing: true,
        expires_at: Timestamp(0),
        to: members(&["b"]),
    });
    assert_eq!(inbox.next().await, "session");
    assert_eq!(inbox.next().await, "typing");
    // A socket of b may be connecting there.
    assert_eq!(without_b.next().await, "session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attachment_ends_some_time_after_the_last_connection() {
    let server = RedisServer::start(RedisConfig::default());
    let options = RedisOptions::parse(&server.url()).expect("a URL");
    let bus = RedisEventBus::start_with(options, "one", Duration::from_millis(1_500));
    assert!(bus.connected(PATIENCE).await);
    let numsub = || server.cli(&["PUBSUB", "NUMSUB", "lamplight:u:a"]);
    let (first, second) = (attach(&bus, "a").await, attach(&bus, "a").await);
    drop(first);
    drop(second);
    // A page that reloads.
    let third = attach(&bus, "a").await;
    until("housekeeping", || bus.stats().attached == 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(numsub(), "lamplight:u:a\n1");
    drop(third);
    until("end of the attachment", || bus.stats().attached == 0).await;
    until("UNSUBSCRIBE", || numsub() == "lamplight:u:a\n0").await;
    // On a slow machine the attachment gives up waiting; the subscription comes all the same.
    let _fourth = attach(&bus, "a").await;
    until("SUBSCRIBE", || numsub() == "lamplight:u:a\n1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c15_envelopes_of_another_version_are_skipped() {
    let (server, prefix) = (RedisServer::shared(), unique_prefix());
    let one = start(&server.url(), &prefix, "one").await;
    let two = start(&server.url(), &prefix, "two").await;
    let _b = attach(&two, "b").await;
    let mut inbox = Inbox::new(&two);
    let channel = format!("{prefix}:u:b");
    let head = r#""run":"00c0ffee00000001","node":"x""#;
    for payload in [
        format!(r#"{{"v":2,{head},"n":1,"kind":"appended"}}"#),
        format!(r#"{{"v":1,"n":2,{head},"kind":"reaction","to":["b"]}}"#),
        "not JSON".to_owned(),
        format!(r#"{{"v":1,"n":3,{head},"kind":"appended","to":["b"]}}"#),
        format!(
            r#"{{"v":1,"n":4,{head},"new":[{{}}],"kind":"conversation","conversation":"newer","to":["b"]}}"#
        ),
    ] {
        server.cli(&["PUBLISH", &channel, &payload]);
    }
    assert_eq!(inbox.next().await, "newer");
    one.publish(changed("same", &["b"]));
    assert_eq!(inbox.next().await, "same");
    assert_eq!(two.stats().unknown, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_applications_with_other_prefixes_share_nothing() {
    let (url, prefix) = (RedisServer::shared().url(), unique_prefix());
    let ours = start(&url, &prefix, "ours").await;
    let again = start(&url, &prefix, "again").await;
    let theirs = start(&url, &format!("{prefix}.other"), "theirs").await;
    let mut attachments = Vec::new();
    for bus in [&ours, &again, &theirs] {
        attachments.push(attach(bus, "b").await);
    }
    let (mut at_again, mut at_theirs) = (Inbox::new(&again), Inbox::new(&theirs));
    ours.publish(changed("ours", &["b"]));
    assert_eq!(at_again.next().await, "ours");
    theirs.publish(changed("theirs", &["b"]));
    assert_eq!(at_theirs.next().await, "theirs");
    assert_eq!(theirs.stats().received, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_delivery_continues_after_a_restart_of_redis() {
    let server = RedisServer::start(RedisConfig::default());
    let url = server.url();
    let one = start(&url, "p", "one").await;
    let two = start(&url, "p", "two").await;
    let _b = attach(&two, "b").await;
    let mut inbox = Inbox::new(&two);
    one.publish(changed("before", &["b"]));
    assert_eq!(inbox.next().await, "before");
    until("round trip", || two.is_healthy()).await;

    server.kill();
    until("interruption", || !two.is_healthy()).await;
    // Published while Redis is away: it waits, and keeps its order.
    for seq in 1..=500 {
        one.publish(appended("c", seq));
    }
    // Joins do not wait for Redis.
    let began = Instant::now();
    let _c = attach(&two, "c").await;
    assert!(began.elapsed() < Duration::from_secs(4));

    let restarted = Instant::now();
    server.restart_empty();
    let after = inbox.until("lagged").await;
    assert!(restarted.elapsed() < Duration::from_secs(10));
    let end = inbox.until_delivered(&one, "end", &["b"]).await;
    let mut after: Vec<String> = after.into_iter().chain(end).collect();
    after.retain(|text| text.starts_with("c "));
    // The subscriber may be back later than the publisher: what it missed then is read from the
    // log. Nothing comes twice.
    let distinct: HashSet<&String> = after.iter().collect();
    assert_eq!(distinct.len(), after.len(), "{after:?}");
    until("round trip", || one.is_healthy() && two.is_healthy()).await;
    inbox.until_delivered(&one, "to c", &["c"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c17_a_killed_subscription_is_detected_and_renewed() {
    let server = RedisServer::start(RedisConfig::default());
    let one = start(&server.url(), "p", "one").await;
    let two = start(&server.url(), "p", "two").await;
    let _b = attach(&two, "b").await;
    let mut inbox = Inbox::new(&two);
    let began = Instant::now();
    server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert_eq!(inbox.next().await, "lagged");
    assert!(began.elapsed() < Duration::from_secs(3));
    inbox.until_delivered(&one, "after", &["b"]).await;
    assert!(two.stats().interruptions >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c18_a_subscriber_that_redis_disconnected_reports_the_loss() {
    let server = RedisServer::start(RedisConfig {
        extra: vec![(
            "client-output-buffer-limit".to_owned(),
            "pubsub 1mb 1mb 1".to_owned(),
        )],
        ..RedisConfig::default()
    });
    let one = start(&server.url(), "p", "one").await;
    let two = start(&server.url(), "p", "two").await;
    let _b = attach(&two, "b").await;
    // A subscriber that is slower than the publisher.
    let (sender, mut texts) = unbounded_channel();
    let _subscription = two.subscribe(Box::new(move |message| {
        std::thread::sleep(Duration::from_millis(10));
        let _ = sender.send(text(&message));
    }));
    // More than the buffers of the kernel and of Redis hold.
    for seq in 1..=400 {
        one.publish(large(seq, 60_000));
    }
    let mut received = Vec::new();
    while received.last().is_none_or(|text| text != "lagged") {
        let next = timeout(PATIENCE, texts.recv()).await;
        received.push(next.expect("lagged").expect("a bus"));
    }
    assert!(two.stats().interruptions > 0);
    // Later events are lost or delivered, and the bus reports which.
    let mut last = "lagged".to_owned();
    while last != "after" {
        if last == "lagged" {
            one.publish(changed("after", &["b"]));
        }
        let next = timeout(PATIENCE, texts.recv()).await;
        last = next.expect("in time").expect("a bus");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c4_a_silent_subscription_is_replaced() {
    let server = RedisServer::start(RedisConfig::default());
    let proxy = proxy::Proxy::start(server.port()).await;
    let one = start(&server.url(), "p", "one").await;
    let two = start(&format!("redis://127.0.0.1:{}", proxy.port), "p", "two").await;
    let _b = attach(&two, "b").await;
    let mut inbox = Inbox::new(&two);
    one.publish(changed("before", &["b"]));
    assert_eq!(inbox.next().await, "before");
    until("round trip", || two.is_healthy()).await;

    // Connections stay open and pings are answered, but no message comes through those that exist.
    let began = Instant::now();
    proxy.swallow_messages();
    one.publish(changed("lost", &["b"]));
    until("sick bus", || !two.is_healthy()).await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(inbox.next().await, "lagged");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    inbox.until_delivered(&one, "after", &["b"]).await;
    until("round trip", || two.is_healthy()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_events_that_a_publisher_dropped_are_announced_as_lost() {
    let server = RedisServer::start(RedisConfig::default());
    let one = start(&server.url(), "p", "one").await;
    let two = start(&server.url(), "p", "two").await;
    let _b = attach(&two, "b").await;
    let mut inbox = Inbox::new(&two);
    server.pause();
    for seq in 1..=1_200 {
        one.publish(large(seq, 60_000));
    }
    assert!(one.stats().lost > 0);
    assert!(one.stats().queued < 1_200, "the queue is bounded");
    server.resume();
    let received = inbox.until("lagged").await;
    assert!(received.len() < 1_200);
    inbox.until_delivered(&one, "after", &["b"]).await;
}

/// What a connection that moves between nodes relies on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c14_a_node_that_settles_has_every_event_that_reached_another() {
    let server = RedisServer::start(RedisConfig::default());
    let url = server.url();
    let (one, two) = tokio::join!(start(&url, "p", "one"), start(&url, "p", "two"));
    let _here = (attach(&one, "a").await, attach(&two, "a").await);
    let mut inbox = Inbox::new(&two);
    until("health", || one.is_healthy() && two.is_healthy()).await;
    for round in 0..20_u64 {
        for seq in 1..=50 {
            one.publish(appended("c1", round * 50 + seq));
        }
        assert!(one.settle().await, "other nodes can receive them");
        assert!(two.settle().await);
        for seq in 1..=50 {
            let come = inbox.texts.try_recv().expect("has come");
            assert_eq!(come, format!("c1 {}", round * 50 + seq));
        }
    }
    drop(server);
    until("the loss", || !two.is_healthy()).await;
    assert!(!two.settle().await);
}
