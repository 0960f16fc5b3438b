//! Messages: from a request to the database, and after the commit to the bus; and the republisher.

use super::{Asker, Outgoing, Pending};
use crate::bug::Bug;
use crate::database::Appended;
use crate::entry::{ClientMessageId, Entry, Kind};
use crate::groups::{self, Receivers};
use crate::messages::{BusEvent, ConnectionNumber, DatabaseCall, LogEntry, RedisCommand, Reply};
use crate::world::{AT_ONCE, World};
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
                let outgoing = Outgoing {
                    entry,
                    receivers: Receivers {
                        to: self.database.members(conversation),
                        newcomers: Rc::from([]),
                    },
                    except: asker.connection,
                };
                self.deliver(n, outgoing);
            }
        }
        if self.has(Bug::BlocksCached) && self.is_blocked_here(n, sender, conversation, kind) {
            return self.answer(asker, Reply::NotFound);
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

    /// The entry to append, unless another write commits first.
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
        self.announce_entry(n, appended, asker.connection);
        self.answer(asker, Reply::Acknowledged(appended.entry));
    }

    /// Publishes an entry that is new.
    pub(super) fn announce_entry(
        &mut self,
        n: usize,
        appended: &Appended,
        except: Option<ConnectionNumber>,
    ) {
        if appended.duplicate {
            return;
        }
        let entry = appended.entry;
        let mut receivers = appended.receivers.clone();
        if self.has(Bug::MembersCached) {
            let members = &mut self.nodes[n].members;
            let to = members.entry(entry.conversation).or_insert(receivers.to);
            receivers.to = Rc::clone(to);
        }
        let event = BusEvent::Appended {
            entry,
            receivers,
            except,
        };
        self.publish_event(n, event);
        let summary = BusEvent::Summary {
            conversation: entry.conversation,
            seq: entry.seq,
        };
        self.publish_event(n, summary);
        if let Some(receipt) = &appended.receipt {
            self.publish_event(n, BusEvent::Receipt(receipt.clone()));
        }
        if let Some(to) = &appended.changed {
            self.publish_event(n, BusEvent::Changed(Rc::clone(to)));
        }
    }

    /// For a planted bug: whether a block was announced to this node.
    fn is_blocked_here(&self, n: usize, sender: usize, conversation: usize, kind: Kind) -> bool {
        let held = &self.database.conversations[conversation];
        let other = held.members.keys().find(|other| **other != sender);
        let blocks = &self.nodes[n].blocks;
        other.is_some_and(|other| {
            held.is_direct()
                && !held.deletes_own(sender, kind)
                && (blocks.contains(&(sender, *other)) || blocks.contains(&(*other, sender)))
        })
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

    pub(super) fn followed(&mut self, n: usize, entries: Vec<LogEntry>, to: usize) {
        let now = self.now;
        let names = Rc::clone(&self.names);
        let node = &mut self.nodes[n];
        for read in entries {
            let entry = read.entry;
            let id = &names.conversations[entry.conversation];
            let outgoing = Outgoing {
                entry,
                receivers: read.receivers,
                except: None,
            };
            node.announcements
                .read(Moment(now), id, entry.seq, outgoing);
        }
        node.read_to = Some(to);
        node.to_confirm.push_back((now + SETTLED, to));
    }

    /// Publishes unannounced entries, and confirms the settled position.
    pub(super) fn republish(&mut self, n: usize) {
        let now = self.now;
        let node = &mut self.nodes[n];
        let due = node.announcements.take_due(Moment(now));
        let mut settled = None;
        while node.to_confirm.front().is_some_and(|(at, _)| *at <= now) {
            settled = node.to_confirm.pop_front().map(|(_, position)| position);
        }
        let is_republisher = node.is_republisher;
        for outgoing in due.into_iter().filter(|_| is_republisher) {
            let Outgoing {
                entry,
                receivers,
                except,
            } = outgoing;
            self.trace(|| format!("n{n} publishes c{} {} again", entry.conversation, entry.seq));
            let event = BusEvent::Appended {
                entry,
                receivers,
                except,
            };
            self.publish_event(n, event);
        }
        if let Some(position) = settled {
            self.call_database(n, 0, DatabaseCall::Confirm(position));
        }
    }

    /// Reads entries from the log that the bus may have lost.
    pub(super) fn repair(&mut self, n: usize) {
        let Some(since) = self.nodes[n].lost_since else {
            return;
        };
        if self.has(Bug::NoRepairAfterLag) {
            return;
        }
        let from = self.truth.position_at(since.saturating_sub(UNPUBLISHED));
        self.nodes[n].readers.clear();
        self.ask_database(n, Pending::Repair, DatabaseCall::ReadLog(Some(from)));
    }

    /// Delivers a page of a repair, and reads the next one.
    pub(super) fn repaired(&mut self, n: usize, entries: Vec<LogEntry>, to: usize) {
        let is_last = entries.len() < AT_ONCE;
        for read in entries {
            let entry = read.entry;
            let readers = &mut self.nodes[n].readers;
            // Removed members get no later entries.
            if matches!(entry.kind, Kind::Members(_)) {
                readers.remove(&entry.conversation);
            }
            let of = readers
                .entry(entry.conversation)
                .or_insert_with(|| Rc::clone(&read.readers));
            let receivers = if Rc::ptr_eq(of, &read.readers) {
                read.receivers
            } else {
                groups::receivers(of, &entry)
            };
            let outgoing = Outgoing {
                entry,
                receivers,
                except: None,
            };
            self.deliver(n, outgoing);
        }
        if is_last {
            self.nodes[n].lost_since = None;
        } else {
            self.ask_database(n, Pending::Repair, DatabaseCall::ReadLog(Some(to)));
        }
    }
}
