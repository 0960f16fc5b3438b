//! A simulated node: what the server, its use cases and its adapters do with the domain's rules.

mod delivery;
mod presence;
mod sending;

use crate::bug::Bug;
use crate::entry::{Entry, GroupChange};
use crate::groups::Receivers;
use crate::messages::{
    BusEvent, ConnectionNumber, DatabaseCall, DatabaseReply, Position, RedisCommand, RedisReply,
    Reply, Request, Timer, ToClient, ToNode,
};
use crate::names::Names;
use crate::world::{Event, World};
use lamplight_domain::announcements::{self, Announcements};
use lamplight_domain::group::Readers;
use lamplight_domain::ordering::{EntryOrder, Gap, Limits};
use lamplight_domain::presence::{BucketFeed, NodeIndex, SavedStatus};
use lamplight_domain::roster_feed::{Mode, RosterFeed};
use lamplight_domain::time::Moment;
use presence::{Closing, Operation, OperationKind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// How long users who are missing in an emptied Redis stay.
const HOLD: Duration = Duration::from_secs(10);
/// How long a node waits for Redis and for the database.
const REDIS_DEADLINE: u64 = 2_000;
const DATABASE_DEADLINE: u64 = 4_000;

/// A connection as its node sees it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) client: usize,
    pub(crate) user: usize,
    /// Its user joined: it receives events.
    pub(crate) is_joined: bool,
    /// The subscriber's channel is in force, and the join was answered.
    join_request: Option<u64>,
}

/// An entry on its way to connections.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    entry: Entry,
    receivers: Receivers,
    except: Option<ConnectionNumber>,
}

/// The receiver of the answer to a request.
#[derive(Clone, Copy, Debug)]
struct Asker {
    client: usize,
    connection: Option<ConnectionNumber>,
    number: u64,
}

/// A call that was not answered yet.
#[derive(Debug)]
enum Pending {
    Append(Asker),
    Mark(Asker),
    Sync(Asker),
    Status(Asker, usize),
    /// The person of a session that joins, or is announced again.
    Person(ConnectionNumber),
    Member,
    Block,
    Subscribe(ConnectionNumber),
    /// The operation at the head of the user's queue.
    Operation(usize),
    Poll(usize, Option<Position>, NodeIndex),
    Snapshot(usize),
    Acquire,
    Renew(NodeIndex),
    Sweep,
    Refuse(NodeIndex),
    Elect,
    Follow,
    /// The last of a node's subscriptions after it lost them.
    Resubscribed,
    /// Entries lost by the bus, read from the log.
    Repair,
    /// Entries that the bus did not deliver in time.
    Gap(Gap),
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) process: u64,
    pub(crate) is_alive: bool,
    pub(crate) is_paused: bool,
    pub(crate) deferred: VecDeque<ToNode>,
    pub(crate) held: BTreeMap<ConnectionNumber, Held>,
    pending: BTreeMap<u64, Pending>,
    last_token: u64,
    /// The sessions of this node that the presence store is to have.
    register: BTreeMap<ConnectionNumber, usize>,
    /// Sessions that differed from the register at the last look.
    suspects: BTreeSet<ConnectionNumber>,
    /// Statuses that the directory has and Redis perhaps not.
    statuses: BTreeMap<usize, SavedStatus>,
    /// Operations on users, one at a time for each.
    operations: BTreeMap<usize, VecDeque<Operation>>,
    closing: BTreeMap<u32, Closing>,
    pub(crate) index: NodeIndex,
    is_acquiring: bool,
    feed: BucketFeed<u64>,
    /// The state of each bucket in Redis at the last poll.
    seen: Vec<Option<Position>>,
    roster: RosterFeed<ConnectionNumber>,
    flush_at: u64,
    order: EntryOrder<Outgoing>,
    announcements: Announcements<Outgoing>,
    is_republisher: bool,
    /// Since when the bus may have lost entries that were not read from the log yet.
    lost_since: Option<u64>,
    /// The members of each conversation in a repair.
    readers: BTreeMap<usize, Rc<Readers>>,
    /// Events that wait for Redis in the queue of the bus.
    pub(crate) unpublished: Vec<Rc<BusEvent>>,
    read_to: Option<usize>,
    /// Positions to confirm once nothing before them waits.
    to_confirm: VecDeque<(u64, usize)>,
    /// For [`Bug::DedupeInMemory`], [`Bug::MembersCached`], [`Bug::BlocksCached`] and
    /// [`Bug::OldStatusAnnounced`].
    sent: BTreeSet<(usize, crate::entry::ClientMessageId)>,
    members: BTreeMap<usize, Rc<[usize]>>,
    blocks: BTreeSet<(usize, usize)>,
    people: BTreeMap<ConnectionNumber, crate::database::Person>,
}

impl Node {
    pub(crate) fn new(number: usize, process: u64, names: &Names, now: u64) -> Self {
        Self {
            process,
            is_alive: true,
            is_paused: false,
            deferred: VecDeque::new(),
            held: BTreeMap::new(),
            pending: BTreeMap::new(),
            // Tokens of two processes differ.
            last_token: process * 1_000_000_000 + number as u64,
            register: BTreeMap::new(),
            suspects: BTreeSet::new(),
            statuses: BTreeMap::new(),
            operations: BTreeMap::new(),
            closing: BTreeMap::new(),
            index: NodeIndex::default(),
            is_acquiring: false,
            feed: BucketFeed::new(names.buckets, HOLD),
            seen: vec![None; names.buckets],
            roster: RosterFeed::new(0),
            flush_at: u64::MAX,
            order: EntryOrder::new(Limits::default(), Moment(now)),
            announcements: Announcements::new(announcements::Limits::default()),
            is_republisher: false,
            lost_since: None,
            readers: BTreeMap::new(),
            unpublished: Vec::new(),
            read_to: None,
            to_confirm: VecDeque::new(),
            sent: BTreeSet::new(),
            members: BTreeMap::new(),
            blocks: BTreeSet::new(),
            people: BTreeMap::new(),
        }
    }
}

impl World {
    /// Begins the work of a node's process.
    pub(crate) fn start_node(&mut self, n: usize) {
        if self.has(Bug::NoHold) {
            self.nodes[n].feed = BucketFeed::new(self.names.buckets, Duration::ZERO);
        }
        self.acquire_lease(n);
        self.load_stale(n);
        for bucket in 0..self.names.buckets {
            let delay = self.rng.range(300, 1_300);
            self.timer(n, delay, Timer::Poll(bucket));
        }
        for (low, high, timer) in [
            (4_000, 5_000, Timer::Renew),
            (500, 1_500, Timer::Sweep),
            (100, 300, Timer::PassTime),
            (300, 1_000, Timer::Follow),
        ] {
            let delay = self.rng.range(low, high);
            self.timer(n, delay, timer);
        }
    }

    fn timer(&mut self, n: usize, delay: u64, timer: Timer) {
        let process = self.nodes[n].process;
        self.after(
            delay,
            Event::Node {
                node: n,
                process,
                input: ToNode::Timer(timer),
            },
        );
    }

    fn wait_for(&mut self, n: usize, pending: Pending, deadline: u64) -> u64 {
        let node = &mut self.nodes[n];
        node.last_token += 8;
        let token = node.last_token;
        node.pending.insert(token, pending);
        self.timer(n, deadline, Timer::Deadline(token));
        token
    }

    fn ask_redis(&mut self, n: usize, pending: Pending, command: RedisCommand) {
        let token = self.wait_for(n, pending, REDIS_DEADLINE);
        self.call_redis(n, token, command);
    }

    fn ask_database(&mut self, n: usize, pending: Pending, call: DatabaseCall) {
        let token = self.wait_for(n, pending, DATABASE_DEADLINE);
        self.call_database(n, token, call);
    }

    fn answer(&mut self, asker: Asker, reply: Reply) {
        self.node_sends(
            asker.client,
            asker.connection,
            ToClient::Reply(asker.number, reply),
        );
    }

    pub(crate) fn at_node(&mut self, n: usize, input: ToNode) {
        match input {
            ToNode::Request {
                client,
                connection,
                number,
                request,
            } => {
                let asker = Asker {
                    client,
                    connection,
                    number,
                };
                self.request(n, asker, request);
            }
            ToNode::Opened { client, connection } => {
                let user = self.clients[client].user;
                let is_open = self
                    .connections
                    .get(&connection)
                    .is_some_and(|held| held.open_at_node);
                if is_open {
                    let held = Held {
                        client,
                        user,
                        is_joined: false,
                        join_request: None,
                    };
                    self.nodes[n].held.insert(connection, held);
                }
            }
            ToNode::Closed(connection) => self.closed(n, connection),
            ToNode::FromRedis(token, reply) => {
                if let Some(pending) = self.nodes[n].pending.remove(&token) {
                    self.redis_answered(n, pending, reply);
                }
            }
            ToNode::FromDatabase(token, reply) => {
                if let Some(pending) = self.nodes[n].pending.remove(&token) {
                    self.database_answered(n, pending, reply);
                }
            }
            ToNode::Bus(event) => self.take_event(n, &event),
            ToNode::Presence(message) => self.presence_changed(n, *message),
            ToNode::Timer(timer) => self.on_timer(n, timer),
            ToNode::RedisBack { lost_at } => self.redis_back(n, lost_at),
        }
    }

    fn request(&mut self, n: usize, asker: Asker, request: Request) {
        let user = self.clients[asker.client].user;
        match request {
            Request::Join => {
                let Some(connection) = asker.connection else {
                    return;
                };
                if let Some(held) = self.nodes[n].held.get_mut(&connection) {
                    held.join_request = Some(asker.number);
                    let call = DatabaseCall::Person(user);
                    self.ask_database(n, Pending::Person(connection), call);
                }
            }
            Request::Sync(have) => {
                self.ask_database(n, Pending::Sync(asker), DatabaseCall::Sync { user, have });
            }
            Request::Send {
                conversation,
                key,
                kind,
            } => self.send(n, asker, user, conversation, (key, kind)),
            Request::MarkRead { conversation, seq } => {
                let call = DatabaseCall::MarkRead {
                    user,
                    conversation,
                    seq,
                };
                self.ask_database(n, Pending::Mark(asker), call);
            }
            Request::SetStatus(status) => {
                let call = DatabaseCall::SetStatus { user, status };
                self.ask_database(n, Pending::Status(asker, user), call);
            }
            Request::SignOut => {
                let Some(connection) = asker.connection else {
                    return;
                };
                if self.nodes[n].register.remove(&connection).is_some() {
                    self.operate(n, user, OperationKind::SignOut(connection), None);
                }
                self.answer(asker, Reply::Done);
            }
        }
    }

    /// The host application adds or removes a member.
    pub(crate) fn put_member(&mut self, n: usize, user: usize, is_member: bool) {
        let change = if is_member {
            GroupChange::Add(user)
        } else {
            GroupChange::Remove(user)
        };
        let call = DatabaseCall::ChangeGroup(change);
        self.ask_database(n, Pending::Member, call);
    }

    /// A user blocks another one, or no longer.
    pub(crate) fn put_block(&mut self, n: usize, by: usize, of: usize, is_blocked: bool) {
        let blocks = &mut self.nodes[n].blocks;
        if is_blocked {
            blocks.insert((by, of));
        } else {
            blocks.remove(&(by, of));
        }
        let call = DatabaseCall::SetBlock { by, of, is_blocked };
        self.ask_database(n, Pending::Block, call);
    }

    fn database_answered(&mut self, n: usize, pending: Pending, reply: DatabaseReply) {
        match (pending, reply) {
            (Pending::Append(asker), DatabaseReply::Appended(appended)) => {
                self.appended(n, asker, &appended);
            }
            (Pending::Mark(asker), DatabaseReply::Marked(receipt)) => {
                self.publish_event(n, BusEvent::Receipt(receipt));
                self.answer(asker, Reply::Done);
            }
            (Pending::Sync(asker), DatabaseReply::Synced(pages)) => {
                self.answer(asker, Reply::Synced(pages));
            }
            (Pending::Status(asker, user), DatabaseReply::Status(status, receipts)) => {
                for receipt in receipts {
                    self.publish_event(n, BusEvent::Receipt(receipt));
                }
                self.operate(n, user, OperationKind::SetStatus(status), Some(asker));
            }
            (Pending::Person(connection), DatabaseReply::Person(person)) => {
                self.announce(n, connection, person);
            }
            (Pending::Person(connection), _) => {
                if let Some(held) = self.nodes[n].held.get_mut(&connection)
                    && !held.is_joined
                    && let Some(number) = held.join_request.take()
                {
                    let client = held.client;
                    let asker = Asker {
                        client,
                        connection: Some(connection),
                        number,
                    };
                    self.answer(asker, Reply::Unavailable);
                }
            }
            (Pending::Member, DatabaseReply::Appended(appended)) => {
                self.announce_entry(n, &appended, None);
            }
            (Pending::Follow, DatabaseReply::Log(entries, position)) => {
                self.followed(n, entries, position);
            }
            (Pending::Repair, DatabaseReply::Log(entries, to)) => self.repaired(n, entries, to),
            (Pending::Repair, _) => self.repair(n),
            (Pending::Gap(gap), DatabaseReply::Log(entries, _)) => {
                self.gap_read(n, &gap, entries);
            }
            (
                Pending::Append(asker) | Pending::Mark(asker) | Pending::Sync(asker),
                DatabaseReply::NotFound,
            ) => self.answer(asker, Reply::NotFound),
            (
                Pending::Append(asker)
                | Pending::Mark(asker)
                | Pending::Sync(asker)
                | Pending::Status(asker, _),
                _,
            ) => self.answer(asker, Reply::Unavailable),
            _ => {}
        }
    }

    fn redis_answered(&mut self, n: usize, pending: Pending, reply: RedisReply) {
        match (pending, reply) {
            (Pending::Operation(user), RedisReply::Read(read)) => {
                self.operation_read(n, user, read.map(|read| *read));
            }
            (Pending::Operation(user), RedisReply::Committed(committed)) => {
                self.operation_committed(n, user, *committed);
            }
            (Pending::Poll(bucket, asked, index), RedisReply::Poll(poll)) => {
                self.polled(n, bucket, asked, index, &poll);
            }
            (Pending::Snapshot(bucket), RedisReply::Snapshot(loaded)) => {
                self.loaded(n, bucket, loaded);
            }
            (Pending::Acquire, RedisReply::Acquired(index, ended)) => {
                self.acquired(n, index, ended);
            }
            (Pending::Renew(index), RedisReply::Renewed(false)) => self.fenced(n, index),
            (Pending::Sweep, RedisReply::Swept(ended)) => {
                for ended in ended {
                    self.close_left(n, ended);
                }
            }
            (Pending::Refuse(index), RedisReply::Users(users)) => {
                self.refused(n, index, users);
            }
            (Pending::Elect, RedisReply::Elected(is_elected)) => {
                self.elected(n, is_elected);
            }
            (Pending::Subscribe(connection), _) => self.subscribed(n, connection),
            // Only now: an entry that is published from now on reaches this node.
            (Pending::Resubscribed, _) => self.repair(n),
            _ => {}
        }
    }

    fn on_timer(&mut self, n: usize, timer: Timer) {
        match timer {
            Timer::Poll(bucket) => {
                let (index, asked) = {
                    let node = &self.nodes[n];
                    (node.index, node.feed.position(bucket))
                };
                let command = RedisCommand::Poll(bucket, index);
                self.ask_redis(n, Pending::Poll(bucket, asked, index), command);
                let delay = self.rng.range(900, 1_300);
                self.timer(n, delay, timer);
            }
            Timer::Renew => {
                let index = self.nodes[n].index;
                self.ask_redis(n, Pending::Renew(index), RedisCommand::Renew(index));
                let delay = self.rng.range(4_500, 5_000);
                self.timer(n, delay, timer);
            }
            Timer::Sweep => {
                self.ask_redis(n, Pending::Sweep, RedisCommand::Sweep);
                let delay = self.rng.range(900, 1_300);
                self.timer(n, delay, timer);
            }
            Timer::Flush => self.flush(n),
            Timer::PassTime => self.pass_time(n),
            Timer::Follow => {
                self.ask_redis(n, Pending::Elect, RedisCommand::Elect);
                let delay = self.rng.range(900, 1_300);
                self.timer(n, delay, timer);
            }
            Timer::Acquire => self.acquire_lease(n),
            Timer::Subscribe(user) => self.call_redis(n, 0, RedisCommand::Subscribe(user)),
            Timer::Deadline(token) => {
                if let Some(pending) = self.nodes[n].pending.remove(&token) {
                    self.unanswered(n, pending);
                }
            }
        }
    }

    /// A call that was not answered in time: its outcome is unknown.
    fn unanswered(&mut self, n: usize, pending: Pending) {
        match pending {
            Pending::Operation(user) => self.operation_failed(n, user),
            Pending::Acquire => {
                self.nodes[n].is_acquiring = false;
                self.timer(n, 500, Timer::Acquire);
            }
            // Redis is unreachable: the copy may be outdated, and users that Redis lost do not
            // leave.
            Pending::Poll(bucket, ..) => self.reload(n, bucket),
            // Loaded again when time has passed.
            Pending::Snapshot(bucket) => self.nodes[n].feed.fail_load(bucket),
            Pending::Elect => self.nodes[n].is_republisher = false,
            // Degraded: the subscription follows when Redis is back.
            Pending::Subscribe(connection) => self.subscribed(n, connection),
            Pending::Resubscribed if self.nodes[n].lost_since.is_some() => {
                self.redis_back(n, self.now);
            }
            Pending::Resubscribed | Pending::Renew(_) | Pending::Sweep | Pending::Refuse(_) => {}
            database => self.database_answered(n, database, DatabaseReply::Failed),
        }
    }

    /// A connection is closed, or its client was lost.
    fn closed(&mut self, n: usize, connection: ConnectionNumber) {
        if let Some(held) = self.connections.get_mut(&connection) {
            held.open_at_node = false;
        }
        let node = &mut self.nodes[n];
        let Some(held) = node.held.remove(&connection) else {
            return;
        };
        node.roster.unfollow(&connection);
        node.people.remove(&connection);
        if node.register.remove(&connection).is_some() {
            self.operate(n, held.user, OperationKind::Close(connection), None);
        }
        let node = &self.nodes[n];
        if !node.held.values().any(|other| other.user == held.user) {
            self.call_redis(n, 0, RedisCommand::Unsubscribe(held.user));
        }
    }

    /// The session's person was read: it joins, or is announced again.
    fn announce(
        &mut self,
        n: usize,
        connection: ConnectionNumber,
        person: crate::database::Person,
    ) {
        let keeps_old = self.has(Bug::OldStatusAnnounced);
        let node = &mut self.nodes[n];
        let Some(held) = node.held.get_mut(&connection) else {
            return;
        };
        let (user, client) = (held.user, held.client);
        let is_new = !held.is_joined;
        held.is_joined = true;
        let person = if keeps_old {
            node.people.entry(connection).or_insert(person).clone()
        } else {
            person
        };
        if !is_new && !node.register.contains_key(&connection) {
            return; // It signed out.
        }
        node.register.insert(connection, user);
        self.operate(n, user, OperationKind::Join(connection, person), None);
        if !is_new {
            return;
        }
        if client % 3 == 2 {
            self.watch_everyone(n, connection);
        } else {
            self.nodes[n].roster.follow(connection, Mode::Diff);
            self.plan_flush(n);
        }
        if self.has(Bug::JoinBeforeSubscription) {
            self.subscribed(n, connection);
            return self.timer(n, 500, Timer::Subscribe(user));
        }
        let command = RedisCommand::Subscribe(user);
        self.ask_redis(n, Pending::Subscribe(connection), command);
    }

    fn subscribed(&mut self, n: usize, connection: ConnectionNumber) {
        let Some(held) = self.nodes[n].held.get_mut(&connection) else {
            return;
        };
        let client = held.client;
        if let Some(number) = held.join_request.take() {
            let asker = Asker {
                client,
                connection: Some(connection),
                number,
            };
            self.answer(asker, Reply::Done);
        }
    }

    /// Redis is reachable again: messages published meanwhile are lost.
    fn redis_back(&mut self, n: usize, lost_at: u64) {
        self.trace(|| format!("n{n} reaches Redis again"));
        let node = &mut self.nodes[n];
        node.lost_since = Some(node.lost_since.map_or(lost_at, |held| held.min(lost_at)));
        let users: BTreeSet<usize> = node.held.values().map(|held| held.user).collect();
        let unpublished = std::mem::take(&mut node.unpublished);
        for user in &users {
            self.call_redis(n, 0, RedisCommand::Subscribe(*user));
        }
        for event in unpublished {
            self.call_redis(n, 0, RedisCommand::Publish(event));
        }
        for bucket in 0..self.names.buckets {
            self.reload(n, bucket);
        }
        if let Some(user) = users.first() {
            self.ask_redis(n, Pending::Resubscribed, RedisCommand::Subscribe(*user));
        }
    }
}
