//! Presence: each step reads one user's record, lets the domain's roster of that one user decide,
//! and commits the record by compare-and-set. Leases, the register of sessions, and what a dead
//! node left.

use super::{Asker, Pending};
use crate::bug::Bug;
use crate::database::Person;
use crate::messages::{ConnectionNumber, DatabaseCall, Position, RedisCommand, Reply};
use crate::names::Names;
use crate::redis::{Committed, Ended, Poll, Read, Write};
use crate::world::World;
use lamplight_domain::identity::Profile;
use lamplight_domain::presence::{
    Change, NodeIndex, OfflineReason, Roster, SavedStatus, UserRecord,
};
use lamplight_domain::time::Moment;
use std::collections::BTreeSet;

/// How often a step is tried again when others write the same record.
const TRIES: u32 = 10;

/// For [`Bug::PresenceCounter`]: above every session.
const COUNTED: u64 = 1_000_000_000;

/// A step of one user.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    kind: OperationKind,
    tries: u32,
    asker: Option<Asker>,
    /// The incarnation that it began as.
    index: NodeIndex,
}

#[derive(Clone, Debug)]
pub(super) enum OperationKind {
    Join(ConnectionNumber, Person),
    Close(ConnectionNumber),
    SignOut(ConnectionNumber),
    SetStatus(SavedStatus),
    Tick,
    /// A node died, and this user had sessions of it.
    CloseNode(Ended),
}

/// The sessions of an ended lease while they are being closed.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    ended: Ended,
    /// Buckets and users to go.
    left: usize,
    has_failed: bool,
}

impl OperationKind {
    fn session(&self) -> Option<ConnectionNumber> {
        match self {
            Self::Join(session, _) | Self::Close(session) | Self::SignOut(session) => {
                Some(*session)
            }
            _ => None,
        }
    }
}

impl World {
    /// Queues a step of a user; the steps of one user on one node do not overlap.
    pub(super) fn operate(
        &mut self,
        n: usize,
        user: usize,
        kind: OperationKind,
        asker: Option<Asker>,
    ) {
        let node = &mut self.nodes[n];
        let operation = Operation {
            kind,
            tries: 0,
            asker,
            index: node.index,
        };
        let queue = node.operations.entry(user).or_default();
        queue.push_back(operation);
        if queue.len() == 1 {
            self.begin(n, user);
        }
    }

    fn begin(&mut self, n: usize, user: usize) {
        let now_index = self.nodes[n].index;
        let lies = self.has(Bug::NoFencing);
        let Some(operation) = self.head(n, user) else {
            return;
        };
        if !lies {
            operation.index = now_index;
        }
        let index = operation.index;
        self.ask_redis(n, Pending::Operation(user), RedisCommand::Read(user, index));
    }

    fn head(&mut self, n: usize, user: usize) -> Option<&mut Operation> {
        self.nodes[n].operations.get_mut(&user)?.front_mut()
    }

    pub(super) fn operation_read(&mut self, n: usize, user: usize, read: Option<Read>) {
        let Some(read) = read else {
            self.head_fenced(n, user);
            return self.operation_failed(n, user);
        };
        let names = std::rc::Rc::clone(&self.names);
        let bug = self.config.bug;
        let node = &mut self.nodes[n];
        let floor = node.feed.version(names.bucket(user));
        let Some(operation) = node
            .operations
            .get_mut(&user)
            .and_then(|queue| queue.front_mut())
        else {
            return;
        };
        let index = operation.index;
        let (record, due, change) = step(&names, user, index, &operation.kind, &read, bug);
        if record == read.record.user && change.is_none() {
            return self.finish(n, user, true);
        }
        let write = Box::new(Write {
            user,
            read: (read.record.revision, read.now.moment),
            floor,
            record,
            due,
            change,
        });
        let command = RedisCommand::Commit(write, index);
        self.ask_redis(n, Pending::Operation(user), command);
    }

    pub(super) fn operation_committed(&mut self, n: usize, user: usize, committed: Committed) {
        match committed {
            Committed::Ok { change, .. } => {
                if let Some(Change::Offline(offline)) = &change
                    && let Some(at) = offline.last_seen_at
                {
                    self.database.seen(user, at);
                }
                self.finish(n, user, true);
            }
            Committed::Fenced => {
                self.head_fenced(n, user);
                self.operation_failed(n, user);
            }
            Committed::Stale(read) => {
                let Some(operation) = self.head(n, user) else {
                    return;
                };
                operation.tries += 1;
                if operation.tries > TRIES {
                    self.operation_failed(n, user);
                } else {
                    self.operation_read(n, user, Some(read));
                }
            }
        }
    }

    /// The outcome is unknown. The next poll of the bucket repeats the state of the register.
    pub(super) fn operation_failed(&mut self, n: usize, user: usize) {
        self.finish(n, user, false);
    }

    fn finish(&mut self, n: usize, user: usize, is_done: bool) {
        let Some(queue) = self.nodes[n].operations.get_mut(&user) else {
            return;
        };
        let Some(operation) = queue.pop_front() else {
            return;
        };
        let has_more = !queue.is_empty();
        let what = if is_done { "did" } else { "failed to do" };
        self.trace(|| format!("n{n} {what} {:?} for u{user}", operation.kind));
        if let OperationKind::CloseNode(ended) = &operation.kind {
            self.closed_part(n, ended.index, is_done);
        }
        if is_done {
            let given = match &operation.kind {
                OperationKind::SetStatus(status) => status.revision,
                OperationKind::Join(_, person) => person.status.revision,
                _ => 0,
            };
            let held = &mut self.truth.given_revision[user];
            *held = given.max(*held);
        }
        if let OperationKind::SetStatus(status) = operation.kind
            && !is_done
        {
            let held = self.nodes[n].statuses.entry(user).or_default();
            if held.revision < status.revision {
                *held = status;
            }
        }
        if let Some(asker) = operation.asker {
            let reply = if is_done {
                Reply::Done
            } else {
                Reply::Unavailable
            };
            self.answer(asker, reply);
        }
        if has_more {
            self.begin(n, user);
        }
    }

    fn head_fenced(&mut self, n: usize, user: usize) {
        if let Some(operation) = self.head(n, user) {
            let index = operation.index;
            self.fenced(n, index);
        }
    }

    /// The lease of this incarnation ended: begin another one, unless that has been done since.
    pub(super) fn fenced(&mut self, n: usize, index: NodeIndex) {
        if self.nodes[n].index == index {
            self.acquire_lease(n);
        }
    }

    pub(super) fn acquire_lease(&mut self, n: usize) {
        if !std::mem::replace(&mut self.nodes[n].is_acquiring, true) {
            self.ask_redis(n, Pending::Acquire, RedisCommand::Acquire);
        }
    }

    pub(super) fn acquired(&mut self, n: usize, index: NodeIndex, earlier: Option<Ended>) {
        self.trace(|| format!("n{n} acquires the lease {}", index.0));
        let node = &mut self.nodes[n];
        node.is_acquiring = false;
        node.index = index;
        node.suspects.clear();
        for bucket in 0..self.names.buckets {
            self.call_redis(n, 0, RedisCommand::Allow(bucket, index));
        }
        if let Some(ended) = earlier {
            self.close_left(n, ended);
        }
        if !self.has(Bug::NotAnnouncedAgain) {
            for bucket in 0..self.names.buckets {
                self.announce_bucket(n, bucket);
            }
        }
    }

    /// Announces the sessions of a bucket's users again, with the status that the directory has now.
    pub(super) fn announce_bucket(&mut self, n: usize, bucket: usize) {
        for (session, user) in self.nodes[n].register.clone() {
            if self.names.bucket(user) == bucket {
                self.ask_database(n, Pending::Person(session), DatabaseCall::Person(user));
            }
        }
    }

    /// Closes what an ended lease left, bucket by bucket.
    pub(super) fn close_left(&mut self, n: usize, ended: Ended) {
        self.trace(|| format!("n{n} closes what {} of n{} left", ended.index.0, ended.node));
        let index = ended.index;
        let closing = Closing {
            left: self.names.buckets,
            has_failed: false,
            ended,
        };
        let node = closing.ended.node;
        self.nodes[n].closing.insert(index.0, closing);
        for bucket in 0..self.names.buckets {
            let command = RedisCommand::Refuse(bucket, node, index);
            self.ask_redis(n, Pending::Refuse(index), command);
        }
    }

    pub(super) fn refused(&mut self, n: usize, index: NodeIndex, users: Vec<usize>) {
        let Some(closing) = self.nodes[n].closing.get_mut(&index.0) else {
            return;
        };
        closing.left += users.len();
        let ended = closing.ended.clone();
        for user in users {
            self.operate(n, user, OperationKind::CloseNode(ended.clone()), None);
        }
        self.closed_part(n, index, true);
    }

    fn closed_part(&mut self, n: usize, index: NodeIndex, is_done: bool) {
        let Some(closing) = self.nodes[n].closing.get_mut(&index.0) else {
            return;
        };
        closing.left = closing.left.saturating_sub(1);
        closing.has_failed |= !is_done;
        if closing.left == 0 {
            let has_failed = closing.has_failed;
            self.nodes[n].closing.remove(&index.0);
            if !has_failed {
                self.call_redis(n, 0, RedisCommand::Closed(index));
            }
        }
    }

    /// A regular look at a bucket: its position, what is due, and whether it has this node's
    /// sessions.
    pub(super) fn polled(
        &mut self,
        n: usize,
        bucket: usize,
        asked: Option<Position>,
        index: NodeIndex,
        poll: &Poll,
    ) {
        if poll.fenced {
            self.fenced(n, index);
        }
        if !self.has(Bug::NoComparison) {
            let now = Moment(self.now);
            let node = &mut self.nodes[n];
            let earlier = node.seen[bucket].replace(poll.position);
            let (before, earlier) = (asked.as_ref(), earlier.as_ref());
            node.feed
                .compare(now, bucket, before, &poll.position, earlier);
            self.load_stale(n);
        }
        if poll.fenced || index != self.nodes[n].index {
            return;
        }
        for user in &poll.due {
            if !self.nodes[n].operations.contains_key(user)
                || self.nodes[n].operations[user].is_empty()
            {
                self.operate(n, *user, OperationKind::Tick, None);
            }
        }
        for user in 0..self.names.users.len() {
            if self.names.bucket(user) == bucket
                && let Some(status) = self.nodes[n].statuses.remove(&user)
            {
                self.operate(n, user, OperationKind::SetStatus(status), None);
            }
        }
        if !self.has(Bug::NotAnnouncedAgain) {
            self.reconcile(n, bucket, &poll.sessions);
        }
    }

    /// Compares this node's sessions in the store with the register. A session that differs twice
    /// without a running step is announced or closed.
    fn reconcile(&mut self, n: usize, bucket: usize, sessions: &BTreeSet<u64>) {
        let names = std::rc::Rc::clone(&self.names);
        let node = &mut self.nodes[n];
        let busy: BTreeSet<u64> = node
            .operations
            .values()
            .flatten()
            .filter_map(|operation| operation.kind.session())
            .collect();
        let registered = node.register.iter();
        let of_bucket = registered.filter(|(_, user)| names.bucket(**user) == bucket);
        let missing = of_bucket
            .filter(|(session, _)| !sessions.contains(session))
            .map(|(session, user)| (*session, *user, true));
        let extra = sessions
            .iter()
            .filter(|session| !node.register.contains_key(session))
            .filter_map(|session| {
                let client = self.connections.get(session)?.client;
                Some((*session, crate::names::CLIENTS[client], false))
            });
        let different: Vec<_> = missing
            .chain(extra)
            .filter(|(session, _, _)| !busy.contains(session))
            .collect();
        let mut suspects: BTreeSet<u64> = node
            .suspects
            .iter()
            .filter(|session| {
                let user = self.connections.get(session).map(|held| held.client);
                user.is_some_and(|client| names.bucket(crate::names::CLIENTS[client]) != bucket)
            })
            .copied()
            .collect();
        for (session, user, is_missing) in different {
            if !self.nodes[n].suspects.contains(&session) {
                suspects.insert(session);
            } else if is_missing {
                self.ask_database(n, Pending::Person(session), DatabaseCall::Person(user));
            } else {
                self.operate(n, user, OperationKind::Close(session), None);
            }
        }
        self.nodes[n].suspects = suspects;
    }
}

type Stepped = (
    Option<UserRecord>,
    Option<lamplight_domain::time::Moment>,
    Option<Change>,
);

/// One step of one user by the domain's rules: the new record, when its timer is due, and the change.
fn step(
    names: &Names,
    user: usize,
    index: NodeIndex,
    kind: &OperationKind,
    read: &Read,
    bug: Option<Bug>,
) -> Stepped {
    let (id, now) = (&names.users[user], read.now);
    let mut roster = Roster::new(names.rules, 0);
    if let Some(record) = &read.record.user {
        roster.import(id, record.clone());
    }
    let newest = |status: &SavedStatus| SavedStatus {
        // As if it were the newest.
        revision: if bug == Some(Bug::RevisionsIgnored) {
            held_revision(&read.record.user).max(status.revision) + 1
        } else {
            status.revision
        },
        chosen: status.chosen.clone(),
        privacy: status.privacy,
    };
    let changes = match kind {
        OperationKind::Join(session, person) => {
            // A counter counts a session that is announced again as another one.
            let is_counted = bug == Some(Bug::PresenceCounter)
                && roster.user_of(&Names::session(*session)).is_some();
            let session = if is_counted {
                COUNTED + *session
            } else {
                *session
            };
            roster.join(
                now,
                index,
                Names::session(session),
                Profile::bare(id.clone()),
                newest(&person.status),
                person.last_seen,
            )
        }
        OperationKind::Close(session) => {
            roster.close(now, index, &Names::session(*session), OfflineReason::Closed)
        }
        OperationKind::SignOut(session) => roster.sign_out(now, index, &Names::session(*session)),
        OperationKind::SetStatus(status) => roster.set_status(now, id, newest(status)),
        OperationKind::Tick => roster.tick_user(now, id),
        OperationKind::CloseNode(ended) => {
            let end = now.moment.plus(ended.end_in);
            let mut changes = Vec::new();
            let mut nodes = vec![ended.index];
            if bug == Some(Bug::SweepByUser) {
                nodes = owners(&read.record.user);
            }
            for node in nodes {
                let reason = OfflineReason::NodeLost;
                changes.extend(roster.close_node(now, node, end, reason, ended.seen));
            }
            changes
        }
    };
    (
        roster.export(id),
        roster.next_wake(),
        changes.into_iter().next_back(),
    )
}

fn held_revision(record: &Option<UserRecord>) -> u64 {
    match record {
        Some(UserRecord::Attached(state)) => state.status.revision,
        Some(UserRecord::Unattached { status, .. }) => status.revision,
        None => 0,
    }
}

fn owners(record: &Option<UserRecord>) -> Vec<NodeIndex> {
    match record {
        Some(UserRecord::Attached(state)) => state.sessions.iter().map(|held| held.node).collect(),
        _ => Vec::new(),
    }
}
