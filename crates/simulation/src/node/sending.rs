//! Messages: from a request to the database, and after the commit to the bus; and the republisher.

use super::{Asker, Outgoing, Pending};
use crate::bug::Bug;
use crate::database::Appended;
use crate::entry::{ClientMessageId, Entry, Kind};
use crate::messages::{BusEvent, DatabaseCall, RedisCommand, Reply};
use crate::world::World;
use lamplight_domain::time::Moment;
use std::rc::Rc;

/// How long before the bus was lost a commit may have been that was not published yet: as long as a
/// publisher can stand still.
const UNPUBLISHED: u64 = 35_000;
/// How long after its announcement was due an entry is known to be published.
const SETTLED: u64 = 3_000;

impl World {
    pub(super) fn send(
        &mut self,
        n: usize,
        asker: Asker,
        sender: usize,
        conversation: usize,
        (key, kind): (ClientMessageId, Kind),
    ) {
        let keyed = match self.config.bug {
            Some(Bug::NoDedupe) => false,
            Some(Bug::DedupeInMemory) => !self.nodes[n].sent.insert((conversation, key)),
            _ => true,
        };
        if self.has(Bug::DeliveredBeforeCommit) || self.has(Bug::AcknowledgedBeforeCommit) {
            let entry = self.expected(sender, conversation, key, kind);
            if self.has(Bug::AcknowledgedBeforeCommit) {
                self.answer(asker, Reply::Acknowledged(entry));
            } else {
                let to = self.database.members(conversation);
                let except = asker.connection;
                self.deliver(n, Outgoing { entry, to, except });
            }
        }
        let call = DatabaseCall::Append {
            sender,
            conversation,
            key,
            kind,
            keyed,
        };
        self.ask_database(n, Pending::Append(asker), call);
    }

    /// What the entry will be, if nothing comes between.
    fn expected(
        &self,
        sender: usize,
        conversation: usize,
        key: ClientMessageId,
        kind: Kind,
    ) -> Entry {
        Entry {
            conversation,
            seq: self.database.conversations[conversation].head.seq + 1,
            id: self.database.commits.len() as u64 + 1,
            sender,
            key,
            kind,
        }
    }

    /// The entry is committed: publish it, then acknowledge it.
    pub(super) fn appended(&mut self, n: usize, asker: Asker, appended: &Appended) {
        if !appended.duplicate {
            let entry = appended.entry;
            let mut to = Rc::clone(&appended.to);
            if self.has(Bug::MembersCached) {
                let members = &mut self.nodes[n].members;
                to = Rc::clone(members.entry(entry.conversation).or_insert(to));
            }
            let except = asker.connection;
            self.publish_event(n, BusEvent::Appended { entry, to, except });
            let summary = BusEvent::Summary {
                conversation: entry.conversation,
                seq: entry.seq,
            };
            self.publish_event(n, summary);
            if let Some(receipt) = &appended.receipt {
                self.publish_event(n, BusEvent::Receipt(receipt.clone()));
            }
        }
        self.answer(asker, Reply::Acknowledged(appended.entry));
    }

    /// Delivers an event here, and passes it to the other nodes.
    pub(super) fn publish_event(&mut self, n: usize, event: BusEvent) {
        let event = Rc::new(event);
        if !matches!(*event, BusEvent::Summary { .. }) {
            self.take_event(n, &event);
        }
        self.call_redis(n, 0, RedisCommand::Publish(event));
    }

    pub(super) fn elected(&mut self, n: usize, is_elected: bool) {
        let node = &mut self.nodes[n];
        if !is_elected || self.config.bug == Some(Bug::NoRepublisher) {
            node.is_republisher = false;
            return;
        }
        if !node.is_republisher {
            // Another node may have been it: begin where it got.
            node.is_republisher = true;
            node.read_to = None;
            node.to_confirm.clear();
        }
        let call = DatabaseCall::ReadLog(node.read_to);
        self.ask_database(n, Pending::Follow, call);
    }

    pub(super) fn followed(&mut self, n: usize, entries: Vec<(Entry, Rc<[usize]>)>, to: usize) {
        let now = self.now;
        let names = Rc::clone(&self.names);
        let node = &mut self.nodes[n];
        for (entry, to) in entries {
            let id = &names.conversations[entry.conversation];
            let outgoing = Outgoing {
                entry,
                to,
                except: None,
            };
            node.announcements
                .read(Moment(now), id, entry.seq, outgoing);
        }
        node.read_to = Some(to);
        node.to_confirm.push_back((now + SETTLED, to));
    }

    /// Publishes what nobody did, and confirms what is settled.
    pub(super) fn republish(&mut self, n: usize) {
        let now = self.now;
        let node = &mut self.nodes[n];
        let due = node.announcements.take_due(Moment(now));
        let mut settled = None;
        while node.to_confirm.front().is_some_and(|(at, _)| *at <= now) {
            settled = node.to_confirm.pop_front().map(|(_, position)| position);
        }
        let is_republisher = node.is_republisher;
        for Outgoing { entry, to, except } in due.into_iter().filter(|_| is_republisher) {
            self.trace(|| format!("n{n} publishes c{} {} again", entry.conversation, entry.seq));
            self.publish_event(n, BusEvent::Appended { entry, to, except });
        }
        if let Some(position) = settled {
            self.call_database(n, 0, DatabaseCall::Confirm(position));
        }
    }

    /// Reads from the log what the bus may have lost.
    pub(super) fn repair(&mut self, n: usize) {
        let Some(since) = self.nodes[n].lost_since else {
            return;
        };
        if self.has(Bug::NoRepairAfterLag) {
            return;
        }
        let from = self.truth.position_at(since.saturating_sub(UNPUBLISHED));
        self.ask_database(n, Pending::Repair, DatabaseCall::ReadLog(Some(from)));
    }
}
