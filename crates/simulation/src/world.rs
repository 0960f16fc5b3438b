//! The simulated world: its time, its queue of events, and the networks between its parts.

use crate::bug::Bug;
use crate::client::Client;
use crate::database::Database;
use crate::faults::Profile;
use crate::messages::{
    ConnectionNumber, DatabaseCall, DatabaseReply, RedisCommand, RedisReply, ToClient, ToNode,
};
use crate::names::{CLIENTS, CONVERSATIONS, NODES, Names};
use crate::node::Node;
use crate::redis::{Redis, Saved};
use crate::rng::Rng;
use crate::truth::Truth;
use crate::{Config, Violation};
use lamplight_domain::presence::{FeedBody, FeedMessage};
use lamplight_domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The most messages for a client that does not read, until the node gives it up.
const UNREAD_AT_MOST: usize = 6;
/// How long both ends take to notice that a connection is dead.
pub(crate) const DEAD_AFTER: u64 = 8_000;

#[derive(Debug)]
pub(crate) enum Event {
    /// The environment does something.
    Step,
    Node {
        node: usize,
        process: u64,
        input: ToNode,
    },
    Redis {
        node: usize,
        process: u64,
        link: u64,
        token: u64,
        command: RedisCommand,
    },
    /// An answer of Redis, lost if the link was cut since.
    RedisReply {
        node: usize,
        process: u64,
        link: u64,
        token: u64,
        reply: RedisReply,
    },
    Database {
        node: usize,
        process: u64,
        token: u64,
        call: DatabaseCall,
        /// The transaction fails, or its answer is lost.
        fails: bool,
        loses_reply: bool,
    },
    Client {
        client: usize,
        /// `None` over HTTP.
        connection: Option<ConnectionNumber>,
        message: ToClient,
    },
    /// A client's request was not answered in time.
    RequestTimeout {
        client: usize,
        number: u64,
    },
    /// A client connects, or tries its outbox again.
    ClientWake {
        client: usize,
        connects: bool,
    },
    /// A client or a node notices that a connection is dead.
    Noticed {
        connection: ConnectionNumber,
        by_client: bool,
    },
    Fault(crate::faults::End),
}

/// A connection between a client and a process of a node.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: usize,
    pub(crate) node: usize,
    pub(crate) process: u64,
    /// Each end's view of it.
    pub(crate) open_at_client: bool,
    pub(crate) open_at_node: bool,
    /// Nothing passes any more, and nobody knows yet.
    pub(crate) is_cut: bool,
    /// The node answers in time, as far as the network goes.
    pub(crate) is_healthy: bool,
    to_client_at: u64,
    to_node_at: u64,
    /// What a client has not read that stands still.
    pub(crate) unread: VecDeque<ToClient>,
}

impl Connection {
    pub(crate) fn new(client: usize, node: usize, process: u64, is_healthy: bool) -> Self {
        Self {
            client,
            node,
            process,
            open_at_client: true,
            open_at_node: true,
            is_cut: false,
            is_healthy,
            to_client_at: 0,
            to_node_at: 0,
            unread: VecDeque::new(),
        }
    }
}

/// The link of a node to Redis.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    /// Another one after each cut: what was on its way is lost.
    pub(crate) number: u64,
    pub(crate) is_cut: bool,
    /// What the bus publishes does not arrive, and the node will notice.
    pub(crate) is_deaf: bool,
    pub(crate) lost_at: u64,
    to_redis_at: u64,
    from_redis_at: u64,
}

pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) names: Rc<Names>,
    pub(crate) profile: Profile,
    pub(crate) database: Database,
    pub(crate) redis: Redis,
    pub(crate) saved: Option<Saved>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<Client>,
    pub(crate) connections: BTreeMap<ConnectionNumber, Connection>,
    pub(crate) links: Vec<Link>,
    pub(crate) is_redis_up: bool,
    pub(crate) database_cut: Vec<bool>,
    database_writes_at: Vec<u64>,
    pub(crate) truth: Truth,
    pub(crate) violation: Option<Violation>,
    pub(crate) steps_left: usize,
    pub(crate) last_connection: ConnectionNumber,
    queue: BTreeMap<(u64, u64), Event>,
    last_event: u64,
    pub(crate) events: u64,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        let mut rng = Rng::new(config.seed);
        let names = Rc::new(Names::new());
        let users = names.users.len();
        let mut world = Self {
            profile: Profile::draw(&mut rng),
            rng,
            now: 1_000,
            database: Database::new(&CONVERSATIONS, users, config.bug),
            redis: Redis::new(NODES, Rc::clone(&names), config.bug),
            saved: None,
            nodes: Vec::new(),
            clients: CLIENTS.iter().map(|user| Client::new(*user)).collect(),
            connections: BTreeMap::new(),
            links: vec![Link::default(); NODES],
            is_redis_up: true,
            database_cut: vec![false; NODES],
            database_writes_at: vec![0; NODES],
            truth: Truth::new(users, NODES, CLIENTS.len()),
            violation: None,
            steps_left: config.steps,
            last_connection: 0,
            queue: BTreeMap::new(),
            last_event: 0,
            events: 0,
            names,
            config,
        };
        for node in 0..NODES {
            world
                .nodes
                .push(Node::new(node, 0, &world.names, world.now));
            world.start_node(node);
        }
        for client in 0..CLIENTS.len() {
            let at = world.rng.range(100, 3_000);
            world.after(
                at,
                Event::ClientWake {
                    client,
                    connects: true,
                },
            );
        }
        world.after(500, Event::Step);
        world
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.config.bug == Some(bug)
    }

    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + i64::try_from(self.now).unwrap_or(0))
    }

    /// Notes what must not be, with the first such thing of a run as its outcome.
    pub(crate) fn violate(&mut self, invariant: &'static str, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.trace(|| format!("VIOLATION {invariant}: {what}"));
            self.violation = Some(Violation {
                invariant,
                what,
                at_ms: self.now,
            });
        }
    }

    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if self.config.is_traced {
            println!("{:>8} {}", self.now, line());
        }
    }

    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    fn at(&mut self, at: u64, event: Event) {
        self.last_event += 1;
        self.queue.insert((at, self.last_event), event);
    }

    /// Handles events until a time, or until something is wrong.
    pub(crate) fn run_until(&mut self, until: u64) {
        while self.violation.is_none()
            && let Some(first) = self.queue.first_entry()
            && first.key().0 <= until
        {
            let ((at, _), event) = first.remove_entry();
            self.now = at;
            self.events += 1;
            self.handle(event);
        }
        self.now = self.now.max(until);
    }

    /// Handles events until the steps are done.
    pub(crate) fn run_steps(&mut self) {
        while self.violation.is_none()
            && self.steps_left > 0
            && let Some(((at, _), event)) = self.queue.pop_first()
        {
            self.now = at;
            self.events += 1;
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Step => self.step(),
            Event::Node {
                node,
                process,
                input,
            } => self.reach_node(node, process, input),
            Event::Redis {
                node,
                process,
                link,
                token,
                command,
            } => {
                if self.is_linked(node, link) {
                    self.at_redis(node, process, token, command);
                } else if matches!(command, RedisCommand::Publish(_))
                    && self.nodes[node].process == process
                {
                    // The bus sends again what failed.
                    self.call_redis(node, token, command);
                }
            }
            Event::RedisReply {
                node,
                process,
                link,
                token,
                reply,
            } => {
                if self.is_linked(node, link) {
                    self.reach_node(node, process, ToNode::FromRedis(token, reply));
                }
            }
            Event::Database {
                node,
                process,
                token,
                call,
                fails,
                loses_reply,
            } => {
                let reply = if fails {
                    if let DatabaseCall::Append { conversation, .. } = call {
                        self.database.roll_back(conversation);
                    }
                    DatabaseReply::Failed
                } else {
                    self.at_database(call)
                };
                if !loses_reply && !self.database_cut[node] {
                    let delay = self.rng.delay();
                    let input = ToNode::FromDatabase(token, reply);
                    self.after(
                        delay,
                        Event::Node {
                            node,
                            process,
                            input,
                        },
                    );
                }
            }
            Event::Client {
                client,
                connection,
                message,
            } => self.reach_client(client, connection, message),
            Event::RequestTimeout { client, number } => self.request_timed_out(client, number),
            Event::ClientWake { client, connects } => self.wake_client(client, connects),
            Event::Noticed {
                connection,
                by_client,
            } => self.notice(connection, by_client),
            Event::Fault(end) => self.end_fault(end),
        }
    }

    fn is_linked(&self, node: usize, link: u64) -> bool {
        self.is_redis_up && self.links[node].number == link && !self.links[node].is_cut
    }

    fn reach_node(&mut self, node: usize, process: u64, input: ToNode) {
        let held = &mut self.nodes[node];
        if held.process != process || !held.is_alive {
            return;
        }
        if held.is_paused {
            held.deferred.push_back(input);
        } else {
            self.at_node(node, input);
        }
    }

    /// Sends a node's command to Redis, in the order of calls. Answers come to `token`; 0 for none.
    pub(crate) fn call_redis(&mut self, node: usize, token: u64, command: RedisCommand) {
        let delay = self.rng.delay();
        let (now, process) = (self.now, self.nodes[node].process);
        let link = &mut self.links[node];
        link.to_redis_at = link.to_redis_at.max(now + delay);
        let (at, number) = (link.to_redis_at, link.number);
        if link.is_cut || !self.is_redis_up {
            if let RedisCommand::Publish(event) = command {
                self.nodes[node].unpublished.push(event);
            }
            return;
        }
        self.at(
            at,
            Event::Redis {
                node,
                process,
                link: number,
                token,
                command,
            },
        );
    }

    fn at_redis(&mut self, node: usize, process: u64, token: u64, command: RedisCommand) {
        let now = self.now;
        let redis = &mut self.redis;
        let reply = match command {
            RedisCommand::Read(user, index) => {
                RedisReply::Read(redis.read(now, node, index, user).map(Box::new))
            }
            RedisCommand::Commit(write, index) => {
                let committed = redis.commit(now, node, index, *write);
                if let crate::redis::Committed::Ok {
                    message: Some(message),
                    ..
                } = &committed
                {
                    let message = message.clone();
                    let user = self.names.user(&message.user);
                    self.trace(|| format!("Redis publishes {message:?}"));
                    if let FeedBody::Gone(offline) = &message.body
                        && !self.profile.redis_losses
                        && !self.profile.clock_jumps
                        && offline.last_seen_at < self.database.people[user].last_seen
                    {
                        self.violate("P13", || {
                            format!(
                                "u{user} was last seen at {:?}, and later before that",
                                offline.last_seen_at
                            )
                        });
                    }
                    self.publish_presence(&message);
                }
                RedisReply::Committed(Box::new(committed))
            }
            RedisCommand::Allow(bucket, index) => {
                redis.allow(bucket, node, index);
                RedisReply::Done
            }
            RedisCommand::Refuse(bucket, of, index) => {
                RedisReply::Users(redis.refuse(bucket, of, index))
            }
            RedisCommand::Poll(bucket, index) => {
                RedisReply::Poll(redis.poll(now, bucket, node, index))
            }
            RedisCommand::Snapshot(bucket) => RedisReply::Snapshot(redis.snapshot(now, bucket)),
            RedisCommand::Acquire => {
                let (index, ended) = redis.acquire(now, node);
                RedisReply::Acquired(index, ended)
            }
            RedisCommand::Renew(index) => RedisReply::Renewed(redis.renew(now, index)),
            RedisCommand::Sweep => RedisReply::Swept(redis.sweep(now)),
            RedisCommand::Closed(index) => {
                redis.closed(index);
                RedisReply::Done
            }
            RedisCommand::Elect => RedisReply::Elected(redis.elect(now, node)),
            RedisCommand::Subscribe(user) => {
                redis.subscriptions[node].insert(user);
                RedisReply::Done
            }
            RedisCommand::Unsubscribe(user) => {
                redis.subscriptions[node].remove(&user);
                RedisReply::Done
            }
            RedisCommand::Publish(event) => {
                self.publish(node, &event);
                RedisReply::Done
            }
        };
        if token == 0 {
            return;
        }
        let delay = self.rng.delay();
        let link = &mut self.links[node];
        link.from_redis_at = link.from_redis_at.max(now + delay);
        let (at, number) = (link.from_redis_at, link.number);
        self.at(
            at,
            Event::RedisReply {
                node,
                process,
                link: number,
                token,
                reply,
            },
        );
    }

    /// Passes what Redis publishes to the nodes that hear it: late now and then, and twice.
    fn hear(&mut self, node: usize, input: impl Fn() -> ToNode) {
        let link = self.links[node];
        if link.is_cut || link.is_deaf {
            return;
        }
        let times = if self.profile.repeats && self.rng.one_in(30) {
            2
        } else {
            1
        };
        for _ in 0..times {
            let delay = self.rng.delay();
            let process = self.nodes[node].process;
            let input = input();
            self.after(
                delay,
                Event::Node {
                    node,
                    process,
                    input,
                },
            );
        }
    }

    fn publish(&mut self, from: usize, event: &Rc<crate::messages::BusEvent>) {
        use crate::messages::BusEvent;
        let to: &[usize] = match &**event {
            BusEvent::Appended { to, .. } | BusEvent::Changed(to) => to,
            BusEvent::Receipt(receipt) => &receipt.to,
            BusEvent::Summary { .. } => &[],
        };
        for node in 0..NODES {
            let subscribed = &self.redis.subscriptions[node];
            // The publisher hears of its own announcement too: only then did Redis have it.
            let is_for_all = matches!(&**event, BusEvent::Summary { .. });
            if is_for_all || node != from && to.iter().any(|user| subscribed.contains(user)) {
                self.hear(node, || ToNode::Bus(Rc::clone(event)));
            }
        }
    }

    fn publish_presence(&mut self, message: &FeedMessage<u64>) {
        for node in 0..NODES {
            if self.profile.loses && self.rng.one_in(25) {
                continue;
            }
            self.hear(node, || ToNode::Presence(Box::new(message.clone())));
        }
    }

    /// Sends a node's call to the database; writes in the order of calls.
    pub(crate) fn call_database(&mut self, node: usize, token: u64, call: DatabaseCall) {
        if self.database_cut[node] {
            return;
        }
        let is_faulty = self.profile.database;
        let fails = is_faulty && self.rng.one_in(40);
        let loses_reply = is_faulty && self.rng.one_in(40);
        let mut delay = self.rng.delay();
        // The time limit of a statement ends the others; an append may come late.
        if is_faulty && self.rng.one_in(80) && matches!(call, DatabaseCall::Append { .. }) {
            delay += 5_000;
        }
        let mut at = self.now + delay;
        if matches!(call, DatabaseCall::Append { .. }) {
            at = at.max(self.database_writes_at[node]).min(self.now + 9_000);
            self.database_writes_at[node] = at;
        }
        let process = self.nodes[node].process;
        self.at(
            at,
            Event::Database {
                node,
                process,
                token,
                call,
                fails,
                loses_reply,
            },
        );
    }

    fn at_database(&mut self, call: DatabaseCall) -> DatabaseReply {
        let wall = self.wall();
        let database = &mut self.database;
        match call {
            DatabaseCall::Append {
                sender,
                conversation,
                key,
                keyed,
            } => database
                .append(sender, conversation, key, keyed)
                .map_or(DatabaseReply::NotFound, DatabaseReply::Appended),
            DatabaseCall::MarkRead {
                user,
                conversation,
                seq,
            } => {
                let before = database.conversations[conversation]
                    .members
                    .get(&user)
                    .copied();
                let Some(receipt) = database.mark_read(user, conversation, seq) else {
                    return DatabaseReply::NotFound;
                };
                if before.is_some_and(|before| before.read > receipt.read) {
                    self.violate("M9", || {
                        format!("the read mark of u{user} in c{conversation} went back")
                    });
                }
                DatabaseReply::Marked(receipt)
            }
            DatabaseCall::Sync { user, have } => DatabaseReply::Synced(
                have.iter()
                    .map(|(conversation, seq)| {
                        (*conversation, database.sync(user, *conversation, *seq))
                    })
                    .collect(),
            ),
            DatabaseCall::SetStatus { user, status } => {
                let (saved, receipts) = database.set_status(user, status, wall);
                self.truth.status_set(user, status, self.now);
                DatabaseReply::Status(saved, receipts)
            }
            DatabaseCall::Person(user) => DatabaseReply::Person(database.people[user].clone()),
            DatabaseCall::SetMember { user, is_member } => {
                let conversation = crate::names::CHANGING;
                let mut members = database.members(conversation).to_vec();
                database.set_member(conversation, user, is_member);
                if is_member {
                    members.push(user);
                    members.dedup();
                }
                DatabaseReply::Members(members.into())
            }
            DatabaseCall::ReadLog(after) => {
                let after = after.unwrap_or(database.republished);
                let entries = database.commits.iter().skip(after).take(2_000);
                let entries: Vec<_> = entries
                    .map(|(conversation, place)| {
                        let entry = database.conversations[*conversation].log[*place];
                        (entry, database.members(*conversation))
                    })
                    .collect();
                let position = after + entries.len();
                DatabaseReply::Log(entries, position)
            }
            DatabaseCall::ReadGap(conversation, seqs) => {
                let log = database.conversations[conversation].log.iter();
                let to = database.members(conversation);
                let entries = log
                    .filter(|entry| seqs.contains(&entry.seq))
                    .map(|entry| (*entry, Rc::clone(&to)))
                    .collect();
                DatabaseReply::Log(entries, 0)
            }
            DatabaseCall::Confirm(position) => {
                database.republished = database.republished.max(position);
                DatabaseReply::Done
            }
        }
    }

    /// Sends a message over a connection, or over HTTP, to a node.
    pub(crate) fn client_sends(
        &mut self,
        node: usize,
        connection: Option<ConnectionNumber>,
        input: ToNode,
    ) {
        let mut at = self.now + self.rng.delay();
        let mut process = self.nodes[node].process;
        if let Some(number) = connection {
            let Some(held) = self.connections.get_mut(&number) else {
                return;
            };
            if held.is_cut {
                return;
            }
            at = at.max(held.to_node_at);
            held.to_node_at = at;
            process = held.process;
        }
        self.at(
            at,
            Event::Node {
                node,
                process,
                input,
            },
        );
    }

    /// Sends a message of a node to a client.
    pub(crate) fn node_sends(
        &mut self,
        client: usize,
        connection: Option<ConnectionNumber>,
        message: ToClient,
    ) {
        let mut at = self.now + self.rng.delay();
        if let Some(number) = connection {
            let skips = self.has(Bug::SlowReadersSkipped);
            let is_stalled = self.clients[client].is_stalled;
            let Some(held) = self.connections.get_mut(&number) else {
                return;
            };
            if !held.open_at_node || held.is_cut {
                return;
            }
            if is_stalled {
                if held.unread.len() < UNREAD_AT_MOST {
                    held.unread.push_back(message);
                } else if !skips {
                    self.trace(|| format!("s{number} of client {client} reads too slowly"));
                    self.node_closes(number);
                }
                return;
            }
            at = at.max(held.to_client_at);
            held.to_client_at = at;
        }
        self.at(
            at,
            Event::Client {
                client,
                connection,
                message,
            },
        );
    }

    /// A node closes a connection; the client learns it after what was sent before.
    fn node_closes(&mut self, number: ConnectionNumber) {
        let Some(held) = self.connections.get_mut(&number) else {
            return;
        };
        held.open_at_node = false;
        held.unread.push_back(ToClient::Closed);
        let (node, process) = (held.node, held.process);
        self.truth.joined[held.client] = None;
        self.after(
            1,
            Event::Node {
                node,
                process,
                input: ToNode::Closed(number),
            },
        );
    }

    /// A client that stood still reads again.
    pub(crate) fn unstall(&mut self, client: usize) {
        self.clients[client].is_stalled = false;
        let Some(number) = self.clients[client].connection else {
            return;
        };
        let Some(held) = self.connections.get_mut(&number) else {
            return;
        };
        let unread = std::mem::take(&mut held.unread);
        for message in unread {
            self.after(
                1,
                Event::Client {
                    client,
                    connection: Some(number),
                    message,
                },
            );
        }
        let held = self.connections.get_mut(&number);
        if let Some(held) = held {
            held.to_client_at = held.to_client_at.max(self.now + 1);
        }
    }

    /// One end of a connection sees that it is dead.
    fn notice(&mut self, number: ConnectionNumber, by_client: bool) {
        let Some(held) = self.connections.get(&number) else {
            return;
        };
        let (client, node, process) = (held.client, held.node, held.process);
        if by_client {
            if held.open_at_client {
                self.reach_client(client, Some(number), ToClient::Closed);
            }
        } else if held.open_at_node {
            if let Some(held) = self.connections.get_mut(&number) {
                held.open_at_node = false;
            }
            self.reach_node(node, process, ToNode::Closed(number));
        }
    }

    /// Nothing passes over this connection any more; both ends notice after a while.
    pub(crate) fn cut(&mut self, number: ConnectionNumber) {
        let Some(held) = self.connections.get_mut(&number) else {
            return;
        };
        held.is_cut = true;
        held.is_healthy = false;
        if held.open_at_client {
            self.truth.joined[held.client] = None;
        }
        for by_client in [true, false] {
            let delay = self.rng.range(DEAD_AFTER / 2, DEAD_AFTER);
            self.after(
                delay,
                Event::Noticed {
                    connection: number,
                    by_client,
                },
            );
        }
    }
}
