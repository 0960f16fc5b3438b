//! The networks between nodes, Redis and the database.

use super::{Event, World};
use crate::database::Conversation;
use crate::entry::Entry;
use crate::messages::{DatabaseCall, DatabaseReply, LogEntry, RedisCommand, RedisReply, ToNode};
use crate::names::NODES;
use lamplight_domain::presence::{FeedBody, FeedMessage};
use std::rc::Rc;

/// Entries in one read of the log.
pub(crate) const AT_ONCE: usize = 8;

fn log_entry(held: &Conversation, entry: &Entry) -> LogEntry {
    LogEntry {
        entry: *entry,
        receivers: held.receivers(entry),
        readers: Rc::clone(&held.readers),
    }
}

impl World {
    /// Sends a node's command to Redis, in the order of calls. The answer goes to `token`; 0 for none.
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

    pub(super) fn at_redis(
        &mut self,
        node: usize,
        process: u64,
        token: u64,
        command: RedisCommand,
    ) {
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

    /// Passes messages of Redis to the subscribed nodes: sometimes late, and twice.
    pub(super) fn hear(&mut self, node: usize, input: impl Fn() -> ToNode) {
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

    pub(super) fn publish(&mut self, from: usize, event: &Rc<crate::messages::BusEvent>) {
        use crate::messages::BusEvent;
        let to: &[usize] = match &**event {
            BusEvent::Appended { receivers, .. } => &receivers.to,
            BusEvent::Changed(to) => to,
            BusEvent::Receipt(receipt) => &receipt.to,
            BusEvent::Summary { .. } => &[],
        };
        for node in 0..NODES {
            let subscribed = &self.redis.subscriptions[node];
            // The publisher receives its own announcement too: this proves that Redis had it.
            let is_for_all = matches!(&**event, BusEvent::Summary { .. });
            if is_for_all || node != from && to.iter().any(|user| subscribed.contains(user)) {
                self.hear(node, || ToNode::Bus(Rc::clone(event)));
            }
        }
    }

    pub(super) fn publish_presence(&mut self, message: &FeedMessage<u64>) {
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
        // The time limit of a statement ends other writes; an append may finish late.
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

    pub(super) fn at_database(&mut self, call: DatabaseCall) -> DatabaseReply {
        let wall = self.wall();
        let database = &mut self.database;
        match call {
            DatabaseCall::Append {
                sender,
                conversation,
                key,
                kind,
                keyed,
            } => database
                .append(sender, conversation, key, kind, keyed)
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
            DatabaseCall::ChangeGroup(change) => database
                .change_group(crate::names::CHANGING, None, change)
                .map_or(DatabaseReply::NotFound, DatabaseReply::Appended),
            DatabaseCall::SetBlock { by, of, is_blocked } => {
                database.set_block(by, of, is_blocked);
                DatabaseReply::Done
            }
            DatabaseCall::ReadLog(after) => {
                let after = after.unwrap_or(database.republished);
                let entries = database.commits.iter().skip(after).take(AT_ONCE);
                let entries: Vec<_> = entries
                    .map(|(conversation, place)| {
                        let held = &database.conversations[*conversation];
                        log_entry(held, &held.log[*place])
                    })
                    .collect();
                let position = after + entries.len();
                DatabaseReply::Log(entries, position)
            }
            DatabaseCall::ReadGap(conversation, seqs) => {
                let held = &database.conversations[conversation];
                let entries = held.log.iter();
                let entries = entries
                    .filter(|entry| seqs.contains(&entry.seq))
                    .map(|entry| log_entry(held, entry))
                    .collect();
                DatabaseReply::Log(entries, 0)
            }
            DatabaseCall::Confirm(position) => {
                database.republished = database.republished.max(position);
                DatabaseReply::Done
            }
        }
    }
}
