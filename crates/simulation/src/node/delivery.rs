//! From the bus to the connections: entries in order and once, and the roster.

use super::{Outgoing, Pending};
use crate::acting::without_past;
use crate::bug::Bug;
use crate::groups::Receivers;
use crate::messages::{
    BusEvent, ConnectionNumber, DatabaseCall, LogEntry, RedisCommand, Shown, Timer, ToClient,
};
use crate::world::World;
use lamplight_domain::identity::UserId;
use lamplight_domain::ordering::{Gap, Outcome, Step};
use lamplight_domain::presence::{
    BucketFeed, Change, FeedBody, FeedMessage, LoadedBucket, Presence,
};
use lamplight_domain::roster_feed::Delivery;
use lamplight_domain::time::Moment;
use std::sync::Arc;
use std::time::Duration;

/// How long a change of presence may be missing, as in production.
const GAP_PATIENCE: Duration = Duration::from_millis(300);

impl World {
    pub(super) fn take_event(&mut self, n: usize, event: &BusEvent) {
        match event {
            BusEvent::Appended {
                entry,
                receivers,
                except,
            } => {
                let outgoing = Outgoing {
                    entry: *entry,
                    receivers: receivers.clone(),
                    except: *except,
                };
                self.deliver(n, outgoing);
            }
            BusEvent::Receipt(receipt) => {
                let (conversation, user) = (receipt.conversation, receipt.user);
                for (connection, client, to) in self.joined(n) {
                    if to == user {
                        let read = receipt.read;
                        let message = ToClient::OwnMark { conversation, read };
                        self.node_sends(client, Some(connection), message);
                    } else if receipt.to.contains(&to) {
                        let read = receipt.visible_read;
                        let message = ToClient::Receipt {
                            conversation,
                            user,
                            read,
                        };
                        self.node_sends(client, Some(connection), message);
                    }
                }
            }
            BusEvent::Changed(to) => {
                for (connection, client, user) in self.joined(n) {
                    if to.contains(&user) {
                        self.node_sends(client, Some(connection), ToClient::Changed);
                    }
                }
            }
            BusEvent::Summary { conversation, seq } => {
                let id = &self.names.conversations[*conversation];
                let announcements = &mut self.nodes[n].announcements;
                announcements.announce(Moment(self.now), id, *seq);
            }
        }
    }

    /// The connections that receive events, each with its client and user.
    fn joined(&self, n: usize) -> Vec<(ConnectionNumber, usize, usize)> {
        let held = self.nodes[n].held.iter();
        held.filter(|(_, held)| held.is_joined)
            .map(|(connection, held)| (*connection, held.client, held.user))
            .collect()
    }

    /// Puts an entry in order, and sends the next ones.
    pub(super) fn deliver(&mut self, n: usize, outgoing: Outgoing) {
        let names = std::rc::Rc::clone(&self.names);
        let entry = outgoing.entry;
        let id = &names.conversations[entry.conversation];
        let order = &mut self.nodes[n].order;
        match order.push(Moment(self.now), id, entry.seq, outgoing) {
            Outcome::Late(_) if self.has(Bug::LateDropped) => {}
            Outcome::Deliver(outgoing) | Outcome::Late(outgoing) => {
                self.send_entry(n, &outgoing);
            }
            Outcome::Steps(steps) => self.take_steps(n, steps),
            Outcome::Repeated | Outcome::Held => {}
        }
    }

    fn take_steps(&mut self, n: usize, steps: Vec<Step<Outgoing>>) {
        for step in steps {
            match step {
                Step::Deliver(outgoing) => self.send_entry(n, &outgoing),
                Step::Missing(gap) => {
                    let mut known = self.names.conversations.iter();
                    if let Some(number) = known.position(|id| *id == gap.conversation) {
                        let call = DatabaseCall::ReadGap(number, gap.after + 1..gap.before);
                        self.ask_database(n, Pending::Gap(gap), call);
                    }
                }
                Step::Gap(_) => {}
            }
        }
    }

    pub(super) fn gap_read(&mut self, n: usize, gap: &Gap, entries: Vec<LogEntry>) {
        for read in entries {
            let outgoing = Outgoing {
                entry: read.entry,
                receivers: read.receivers,
                except: None,
            };
            self.deliver(n, outgoing);
        }
        let steps = self.nodes[n].order.give_up(gap);
        self.take_steps(n, steps);
    }

    fn send_entry(&mut self, n: usize, outgoing: &Outgoing) {
        for (connection, client, user) in self.joined(n) {
            let Receivers { to, newcomers } = &outgoing.receivers;
            if to.contains(&user) && outgoing.except != Some(connection) {
                let entry = if newcomers.contains(&user) && !self.has(Bug::PastNotHidden) {
                    without_past(&outgoing.entry)
                } else {
                    outgoing.entry
                };
                self.node_sends(client, Some(connection), ToClient::Entry(entry));
            }
        }
    }

    pub(super) fn pass_time(&mut self, n: usize) {
        let now = Moment(self.now);
        let steps = self.nodes[n].order.pass_time(now);
        self.take_steps(n, steps);
        let changes = self.with_feed(n, |feed, is_own| feed.pass_time(now, GAP_PATIENCE, is_own));
        self.push_changes(n, changes);
        self.load_stale(n);
        self.republish(n);
        let delay = self.rng.range(150, 250);
        self.timer(n, delay, Timer::PassTime);
    }

    pub(super) fn presence_changed(&mut self, n: usize, message: FeedMessage<u64>) {
        if self.has(Bug::LeavesLostOnHeal) {
            let change = match message.body {
                FeedBody::Shown(shown) => Change::Online(shown),
                FeedBody::Gone(offline) => Change::Offline(offline),
                FeedBody::Same => return,
            };
            return self.push_changes(n, vec![change]);
        }
        let now = Moment(self.now);
        let changes = self.with_feed(n, |feed, is_own| feed.apply(now, message, is_own));
        self.push_changes(n, changes);
        self.load_stale(n);
    }

    /// The feed of a node, and whether a user has a session on that node.
    fn with_feed(
        &mut self,
        n: usize,
        work: impl FnOnce(&mut BucketFeed<u64>, &dyn Fn(&UserId) -> bool) -> Vec<Change>,
    ) -> Vec<Change> {
        let node = &mut self.nodes[n];
        let (names, register) = (&self.names, &node.register);
        let is_own = |user: &UserId| {
            let mut held = register.values();
            held.any(|held| names.users[*held] == *user)
        };
        work(&mut node.feed, &is_own)
    }

    /// The bus may have lost changes of a bucket.
    pub(super) fn reload(&mut self, n: usize, bucket: usize) {
        self.nodes[n].feed.mark_stale(bucket);
        self.load_stale(n);
    }

    /// Loads the buckets that are stale.
    pub(super) fn load_stale(&mut self, n: usize) {
        while let Some(bucket) = self.nodes[n].feed.begin_load() {
            let command = RedisCommand::Snapshot(bucket);
            self.ask_redis(n, Pending::Snapshot(bucket), command);
        }
    }

    pub(super) fn loaded(&mut self, n: usize, bucket: usize, loaded: LoadedBucket<u64>) {
        let now = Moment(self.now);
        let losses = self.nodes[n].feed.losses(bucket);
        let mut changes = self.with_feed(n, |feed, is_own| {
            feed.finish_load(now, bucket, loaded, is_own)
        });
        if self.has(Bug::LeavesLostOnHeal) {
            changes.retain(|change| !matches!(change, Change::Offline(_)));
        }
        self.push_changes(n, changes);
        let is_lost = self.nodes[n].feed.losses(bucket) != losses;
        if is_lost && !self.has(Bug::NotAnnouncedAgain) {
            self.announce_bucket(n, bucket);
        }
        self.load_stale(n);
    }

    fn push_changes(&mut self, n: usize, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        for change in changes {
            self.nodes[n].roster.push(change);
        }
        self.plan_flush(n);
    }

    /// Sets the timer of the next flush.
    pub(super) fn plan_flush(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        if let Some(at) = node.roster.next_flush() {
            let at = at.0.max(self.now);
            if at < node.flush_at {
                node.flush_at = at;
                self.timer(n, at - self.now, Timer::Flush);
            }
        }
    }

    pub(super) fn flush(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        if node.flush_at > self.now {
            return;
        }
        node.flush_at = u64::MAX;
        let deliveries = node.roster.flush(Moment(self.now));
        let mut messages: Vec<(ConnectionNumber, ToClient)> = Vec::new();
        for delivery in deliveries {
            let (keys, message) = match delivery {
                Delivery::Snapshot(keys) => {
                    let listed = node.roster.listed();
                    let listed = listed.map(|shown| self.names.shown(shown)).collect();
                    (keys, ToClient::Snapshot(listed))
                }
                Delivery::Events(keys, changes) | Delivery::Changes(keys, changes) => {
                    let changes = changes.iter().map(|change| self.names.change(change));
                    (keys, ToClient::Changes(changes.collect()))
                }
            };
            messages.extend(keys.into_iter().map(|key| (key, message.clone())));
        }
        // The feed's tables have no order of their own.
        messages.sort_by_key(|(connection, _)| *connection);
        for (connection, message) in messages {
            if let Some(held) = self.nodes[n].held.get(&connection) {
                let client = held.client;
                self.node_sends(client, Some(connection), message);
            }
        }
        self.plan_flush(n);
    }

    pub(super) fn watch_everyone(&mut self, n: usize, connection: ConnectionNumber) {
        let names = std::rc::Rc::clone(&self.names);
        let node = &mut self.nodes[n];
        let states = names.users.iter().enumerate().map(|(user, id)| {
            let bucket = names.bucket(user);
            let shown: Option<&Arc<Presence>> = node.roster.get(id.as_str());
            shown.map_or_else(
                || {
                    let known = node.feed.get(id).map(|shown| shown.version);
                    (user, known.unwrap_or(node.feed.version(bucket)), None)
                },
                |shown| names.shown(shown),
            )
        });
        let states: Vec<Shown> = states.collect();
        node.roster.watch(&connection, names.users.iter().cloned());
        if let Some(held) = node.held.get(&connection) {
            let client = held.client;
            self.node_sends(client, Some(connection), ToClient::Watched(states));
        }
    }
}
