//! What a node sends to its clients while many users are online on other nodes: as much as the
//! clients watch, and as changes.

use futures_util::stream::{self, StreamExt as _};
use futures_util::{SinkExt as _, TryStreamExt as _};
use lamplight_conformance::Recorder;
use lamplight_conformance::servers::{RedisConfig, RedisServer};
use lamplight_distributed::presence::{Feed, RedisPresence};
use lamplight_distributed::redis::{RedisClient, RedisOptions};
use lamplight_domain::identity::{ConnectionId, NodeId, Profile, UserId};
use lamplight_domain::presence::{ManualStatus, Rules, SavedStatus, StatusOverride};
use lamplight_domain::time::{Moment, Now, Timestamp};
use lamplight_usecases::ports::{Clock, Person, PresenceStore as _};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PREFIX: &str = "bytes";
const PATIENCE: Duration = Duration::from_secs(60);
const AT_ONCE: usize = 256;

struct WallClock;

impl Clock for WallClock {
    #[allow(clippy::disallowed_methods, reason = "the clock of the test")]
    fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        Now {
            moment: Moment(u64::try_from(millis).unwrap_or(u64::MAX)),
            wall: Timestamp(i64::try_from(millis).unwrap_or(i64::MAX)),
        }
    }
}

/// Another node, whose sessions are put in through the port.
struct Crowd {
    presence: Arc<RedisPresence>,
    task: JoinHandle<()>,
}

impl Crowd {
    async fn start(server: &RedisServer) -> Self {
        let options = RedisOptions::parse(&server.url()).expect("a URL");
        let client = RedisClient::start(options.with_prefix(PREFIX).expect("a prefix"));
        let feed = Feed::new(client, Rules::default(), Arc::new(Recorder::default()));
        let node = NodeId::trusted("crowd");
        let clock = Arc::new(WallClock);
        let presence = RedisPresence::new(Arc::clone(&feed), node, Rules::default(), clock);
        let presence = Arc::new(presence);
        let runs = Arc::clone(&presence);
        let task = tokio::spawn(async move { runs.run().await });
        assert!(feed.wait_until_whole(PATIENCE).await);
        Self { presence, task }
    }

    async fn join(&self, users: usize) {
        stream::iter(0..users)
            .for_each_concurrent(AT_ONCE, |n| async move {
                let session = ConnectionId::trusted(format!("tab-{n}"));
                let person = Person {
                    profile: Profile::bare(UserId::trusted(name(n))),
                    status: SavedStatus::default(),
                    last_seen: None,
                };
                self.presence.join(&session, person).await.expect("joined");
            })
            .await;
    }

    async fn be_busy(&self, users: impl Iterator<Item = usize>) {
        stream::iter(users)
            .for_each_concurrent(AT_ONCE, |n| async move {
                let status = SavedStatus {
                    chosen: StatusOverride {
                        status: ManualStatus::Busy,
                        ..StatusOverride::default()
                    },
                    revision: 1,
                    ..SavedStatus::default()
                };
                let user = UserId::trusted(name(n));
                let set = self.presence.set_status(&user, status).await;
                set.expect("a status");
            })
            .await;
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn name(n: usize) -> String {
    format!("user-{n:06}")
}

/// A process of the binary.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(redis: &RedisServer, home: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamplight"));
        command
            .arg("serve")
            .current_dir(home)
            .env_clear()
            .env("DATA_DIR", home)
            .env("LISTEN", "127.0.0.1:0")
            .env("AUTH", "open")
            .env("ROSTER_LIMIT", "1000000")
            .env("REDIS_URL", redis.url())
            .env("REDIS_PREFIX", PREFIX)
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut lines = output.lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, address) = line.split_once("http://")?;
            let end = address.find(['/', ' ']).unwrap_or(address.len());
            Some(address[..end].to_owned())
        });
        // Read to the end, so that it can go on writing.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address: address.expect("an address"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Socket.IO client that counts the bytes of events.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Bytes of events.
    bytes: usize,
    events: usize,
    /// The users in events so far.
    seen: HashSet<String>,
}

impl Client {
    async fn join(address: &str, user: &str, roster: &str) -> Self {
        let url = format!("ws://{address}/api/socketio/?EIO=4&transport=websocket");
        let (socket, _) = connect_async(url).await.expect("a WebSocket");
        let mut client = Self {
            socket,
            bytes: 0,
            events: 0,
            seen: HashSet::new(),
        };
        client.send("40".to_owned()).await;
        client.until(|text| text.starts_with("40")).await;
        let join = json!({ "userId": user, "roster": roster });
        let answer = client.ask("join_user", &join).await;
        assert_eq!(answer["success"], true, "{answer}");
        client
    }

    async fn send(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    async fn ask(&mut self, name: &str, payload: &Value) -> Value {
        self.send(format!("420{}", json!([name, payload]))).await;
        let text = self.until(|text| text.starts_with("430")).await;
        let answer: Value = serde_json::from_str(&text[3..]).expect("JSON");
        answer[0].clone()
    }

    /// Reads until a packet matches, and counts events.
    async fn until(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let read = async {
            loop {
                let message = self.socket.try_next().await.expect("a message");
                let text = match message.expect("an open WebSocket") {
                    Message::Text(text) => text,
                    _ => continue,
                };
                if text.as_str() == "2" {
                    self.send("3".to_owned()).await;
                } else if let Some(event) = text.strip_prefix("42") {
                    self.count(event);
                }
                if is_it(&text) {
                    return text.to_string();
                }
            }
        };
        timeout(PATIENCE, read).await.expect("a packet in time")
    }

    fn count(&mut self, event: &str) {
        self.bytes += event.len();
        self.events += 1;
        let event: Value = serde_json::from_str(event).expect("JSON");
        let user_of = |change: &Value| change["userId"].as_str().map(str::to_owned);
        let changes = event[1]["changes"].as_array().into_iter().flatten();
        self.seen.extend(changes.filter_map(user_of));
        self.seen.extend(user_of(&event[1]));
    }

    /// Reads until an event has this user, and resets the counts.
    async fn until_seen(&mut self, user: &str) -> (usize, HashSet<String>) {
        while !self.seen.contains(user) {
            self.until(|text| text.starts_with("42")).await;
        }
        self.events = 0;
        let seen = std::mem::take(&mut self.seen);
        (std::mem::take(&mut self.bytes), seen)
    }
}

async fn bytes_grow_with_what_is_watched(users: usize) {
    let redis = RedisServer::start(RedisConfig::default());
    let home = tempfile::tempdir().expect("a directory");
    let node = Server::start(&redis, home.path());
    let address = node.address.as_str();
    let crowd = Crowd::start(&redis).await;
    crowd.join(users).await;

    let mut watching = Client::join(address, "watching", "watch").await;
    // Ten that will change, nine that will not, and one each that marks the begin and the end.
    let changing = users / 20;
    let (first, last) = (users - 2, users - 1);
    let watched: Vec<usize> = (0..10)
        .chain(changing..changing + 8)
        .chain([first, last])
        .collect();
    let ids: Vec<String> = watched.iter().copied().map(name).collect();
    // The node follows the crowd: it knows the last ones soon.
    loop {
        let answer = watching
            .ask("watch_presence", &json!({ "userIds": ids }))
            .await;
        let shown = answer["users"].as_array().expect("users");
        if shown.iter().all(|user| user["status"] == "online") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut none = Client::join(address, "none", "none").await;
    let mut diff = Client::join(address, "diff", "diff").await;
    diff.until(|text| text.starts_with("42[\"online_users\""))
        .await;
    crowd.be_busy([first].into_iter()).await;
    watching.until_seen(&name(first)).await;
    diff.until_seen(&name(first)).await;

    crowd.be_busy(0..changing).await;
    crowd.be_busy([last].into_iter()).await;
    let (bytes, seen) = watching.until_seen(&name(last)).await;
    println!("of {changing} changes among {users} users online:");
    println!("a client that watches 20 users, of whom 11 change: {bytes} bytes");
    let expected: HashSet<String> = (0..10).chain([last]).map(name).collect();
    assert_eq!(seen, expected, "only watched users who changed");
    assert!(bytes < 11 * 500, "{bytes}");

    let (bytes, seen) = diff.until_seen(&name(last)).await;
    let each = bytes / (changing + 1);
    println!("a client in diff mode: {bytes} bytes, {each} for each change");
    let expected: HashSet<String> = (0..changing).chain([last]).map(name).collect();
    assert_eq!(seen, expected, "only users who changed");
    assert!(each < 400, "{each}");

    // An answer comes after every event before it.
    none.ask("watch_presence", &json!({ "userIds": [] })).await;
    assert_eq!((none.bytes, none.events), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c21_with_ten_thousand_online_bytes_grow_with_watches_and_changes_only() {
    bytes_grow_with_what_is_watched(10_000).await;
}

/// `cargo test --release -p lamplight --test roster_bytes -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute in a debug build"]
async fn c21_with_a_hundred_thousand_online_bytes_grow_with_watches_and_changes_only() {
    bytes_grow_with_what_is_watched(100_000).await;
}
