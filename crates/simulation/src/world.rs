//! The simulated world: its parts, its time and its queue of events.

mod stores;
mod wires;

pub(crate) use stores::AT_ONCE;

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
    /// Nothing passes any more, and neither end has noticed yet.
    pub(crate) is_cut: bool,
    /// The network delivers the node's answers in time.
    pub(crate) is_healthy: bool,
    to_client_at: u64,
    to_node_at: u64,
    /// Data that a stalled client has not read.
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
    /// It changes with each cut: messages in transit are lost.
    pub(crate) number: u64,
    pub(crate) is_cut: bool,
    /// Published events do not arrive, and the node will notice.
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
}
