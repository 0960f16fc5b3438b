//! The checks once all faults have ended and all work is done.

use crate::Report;
use crate::acting::messages;
use crate::entry::{Change, HOST, Kind};
use crate::names::{CHANGING, CLIENTS, CONVERSATIONS, NODES};
use crate::world::World;
use lamplight_domain::permission::Role;
use lamplight_domain::presence::{ManualStatus, Status};
use std::collections::{BTreeMap, BTreeSet};

/// Until every client is connected again and every outbox is empty.
const RECOVERY: u64 = 45_000;
/// Until marks are known everywhere.
const MARKS: u64 = 6_000;
/// P1: a dead node's sessions leave every view within the lease and 2 s; and what leads from there
/// to a client takes a moment.
const LEASE_AND_A_LITTLE: u64 = 18_500;

impl World {
    /// Heals everything, lets clients mark what they read, perhaps kills a node for good, and checks
    /// after a time of quiet.
    pub(crate) fn settle(&mut self) {
        if self.violation.is_some() {
            return;
        }
        self.heal();
        self.run_until(self.now + RECOVERY);
        self.check_messages();
        for c in 0..CLIENTS.len() {
            if self.clients[c].is_joined {
                for (conversation, members) in CONVERSATIONS.iter().enumerate() {
                    let all = self.clients[c].logs[conversation].last_seq();
                    if members.contains(&CLIENTS[c]) && all > 0 {
                        // All of it, or some.
                        let some = self.rng.range(0, all + 1);
                        let seq = if self.rng.one_in(2) { all } else { some };
                        self.mark_read(c, conversation, seq);
                    }
                }
            }
        }
        self.run_until(self.now + MARKS);
        self.check_marks();
        if self.config.seed.is_multiple_of(2) {
            let node = self.rng.below(NODES);
            self.crash(node);
        }
        // By then, users who close a tab now have left too.
        let c = self.rng.below(CLIENTS.len());
        self.set_open(c, false);
        self.run_until(self.now + LEASE_AND_A_LITTLE);
        self.check_presence();
    }

    fn check_messages(&mut self) {
        for conversation in 0..CONVERSATIONS.len() {
            self.check_log(conversation);
            self.check_changes(conversation);
        }
        self.check_owners();
        self.check_blocks();
        for c in 0..CLIENTS.len() {
            for entry in self.clients[c].acknowledged.clone() {
                if !self.database.has(&entry) {
                    self.violate("M3", || format!("{entry:?} was acknowledged and is lost"));
                }
            }
            if self.clients[c].is_open && !self.clients[c].is_joined {
                self.violate("C4", || format!("client {c} cannot join"));
            }
            if self.clients[c].is_open && self.clients[c].unsent() > 0 {
                self.violate("M1", || format!("client {c} cannot send"));
            }
            if self.clients[c].is_joined {
                self.check_view(c);
            }
        }
    }

    /// M1, M4 and M5 in the store.
    fn check_log(&mut self, conversation: usize) {
        let log = self.database.conversations[conversation].log.clone();
        let mut keys = BTreeSet::new();
        let mut newest: BTreeMap<usize, u64> = BTreeMap::new();
        for (place, entry) in log.iter().enumerate() {
            if entry.seq != place as u64 + 1 {
                self.violate("M4", || {
                    format!("c{conversation} has {entry:?} at place {place}")
                });
            }
            if !keys.insert(entry.key) {
                self.violate("M1", || {
                    format!("c{conversation} has {:?} twice", entry.key)
                });
            }
            let (client, count) = entry.key;
            if client == HOST {
                continue;
            }
            if self.clients[client].refused.contains(&entry.key) {
                continue;
            }
            let before = newest.insert(client, count).unwrap_or(0);
            if before > count {
                self.violate("M5", || {
                    format!("c{conversation} has message {count} of client {client} after {before}")
                });
            }
        }
    }

    /// A deleted message has no further changes, and additions and removals of each reaction
    /// alternate.
    fn check_changes(&mut self, conversation: usize) {
        let log = self.database.conversations[conversation].log.clone();
        let mut deleted = BTreeSet::new();
        let mut reactions = BTreeSet::new();
        for entry in &log {
            let Kind::Change { of, change } = entry.kind else {
                continue;
            };
            let is_new = match change {
                Change::Edit { .. } => true,
                Change::Delete => !deleted.contains(&of),
                Change::React { emoji, added: true } => reactions.insert((of, emoji, entry.sender)),
                Change::React { emoji, .. } => reactions.remove(&(of, emoji, entry.sender)),
            };
            if !is_new || deleted.contains(&of) {
                self.violate("acting", || format!("{entry:?} changes nothing"));
            }
            if change == Change::Delete {
                deleted.insert(of);
            }
        }
    }

    /// A group that has an owner and members keeps having one.
    fn check_owners(&mut self) {
        let held = &self.database.conversations[CHANGING];
        let first = CONVERSATIONS[CHANGING].iter();
        let mut roles: BTreeMap<usize, Role> = first.map(|user| (*user, Role::Member)).collect();
        roles.insert(CONVERSATIONS[CHANGING][0], Role::Owner);
        let mut wrong = None;
        for entry in &held.log {
            let Kind::Members(change) = entry.kind else {
                continue;
            };
            let has_owner =
                |roles: &BTreeMap<usize, Role>| roles.values().any(|role| *role == Role::Owner);
            let had_one = has_owner(&roles);
            if let Some(gone) = change.removed {
                roles.remove(&gone);
            }
            if let Some(new) = change.added {
                roles.insert(new, Role::Member);
            }
            if let Some((of, role)) = change.role {
                roles.insert(of, role);
            }
            if had_one && !roles.is_empty() && !has_owner(&roles) {
                wrong.get_or_insert(*entry);
            }
        }
        let standing = held.standing.iter();
        let in_store: BTreeMap<usize, Role> = standing.map(|(user, of)| (*user, of.role)).collect();
        if let Some(entry) = wrong {
            self.violate("groups", || {
                format!("nobody owns the group after {entry:?}")
            });
        } else if in_store != roles {
            self.violate("groups", || {
                format!("the log makes the members {roles:?}, and the store has {in_store:?}")
            });
        }
    }

    /// With a block between two users, only deletions of own messages are written.
    fn check_blocks(&mut self) {
        let mut blocks = BTreeSet::new();
        let mut changes = self.database.block_log.iter().peekable();
        let mut wrong = None;
        for (position, (conversation, place)) in self.database.commits.iter().enumerate() {
            while let Some((_, pair, is_blocked)) = changes.next_if(|(at, ..)| *at <= position) {
                if *is_blocked {
                    blocks.insert(*pair);
                } else {
                    blocks.remove(pair);
                }
            }
            let held = &self.database.conversations[*conversation];
            let entry = held.log[*place];
            let between = |pair: &(usize, usize)| {
                held.members.contains_key(&pair.0) && held.members.contains_key(&pair.1)
            };
            if held.is_direct()
                && blocks.iter().any(between)
                && !held.deletes_own(entry.sender, entry.kind)
            {
                wrong.get_or_insert(entry);
            }
        }
        if let Some(entry) = wrong {
            self.violate("blocks", || format!("{entry:?} passed a block"));
        }
    }

    /// M6, M10 and M11: a joined client shows all of each log, once and in order.
    fn check_view(&mut self, c: usize) {
        for conversation in 0..CONVERSATIONS.len() {
            let held = &self.database.conversations[conversation];
            let user = CLIENTS[c];
            let shown = &self.clients[c].logs[conversation].entries;
            if !held.members.contains_key(&user) {
                if !shown.is_empty() {
                    self.violate("M15", || {
                        format!("client {c} still shows c{conversation}, u{user} was removed")
                    });
                }
                continue;
            }
            let view = held.view(user);
            if *shown != view {
                let (shown, there) = (shown.len(), view.len());
                self.violate("M6", || {
                    format!("client {c} shows {shown} of {there} entries of c{conversation}")
                });
            }
            self.check_pushed(c, conversation);
        }
    }

    /// M10: a client that reads events only has every entry since it caught up, but what it sent.
    fn check_pushed(&mut self, c: usize, conversation: usize) {
        let pushed = &self.clients[c].pushed[conversation];
        let Some(from) = pushed.from else {
            return;
        };
        let held = &self.database.conversations[conversation];
        let first_seq = held.first_seq(CLIENTS[c]);
        let missing = held.log.iter().find(|entry| {
            entry.seq > from
                && entry.seq >= first_seq
                && entry.key.0 != c
                && !pushed.all.contains(&entry.seq)
        });
        if let Some(missing) = missing.copied() {
            self.violate("M10", || {
                format!("client {c}, which caught up at {from}, was not pushed {missing:?}")
            });
        }
    }

    /// M9: every device agrees with the store on what is read and unread.
    fn check_marks(&mut self) {
        for c in 0..CLIENTS.len() {
            if !self.clients[c].is_joined {
                continue;
            }
            let user = CLIENTS[c];
            for conversation in 0..CHANGING {
                if !CONVERSATIONS[conversation].contains(&user) {
                    continue;
                }
                let held = &self.database.conversations[conversation];
                let marks = held.members[&user];
                let log = &self.clients[c].logs[conversation];
                let unread = |read: u64, entries: &[crate::entry::Entry]| {
                    messages(entries, user)
                        .iter()
                        .filter(|message| {
                            message.entry.seq > read
                                && message.entry.sender != self.names.users[user]
                                && message.deleted_at.is_none()
                        })
                        .count() as u64
                };
                let in_store = held.unread(marks.read);
                let counted = unread(marks.read, &held.log);
                let shown = unread(log.read, &log.entries);
                let own = (marks.read, log.read);
                let receipts = held
                    .members
                    .iter()
                    .filter(|(other, marks)| {
                        // A crash may lose a receipt; the next one of the same member mends it.
                        **other != user
                            && (0..CLIENTS.len())
                                .any(|c| CLIENTS[c] == **other && self.clients[c].is_joined)
                            && log.receipts.get(other).copied().unwrap_or(0) != marks.visible_read
                    })
                    .map(|(other, _)| *other)
                    .next();
                let folded = messages(&held.log, user);
                let last = folded.iter().rfind(|message| message.deleted_at.is_none());
                let last = (
                    last.map_or(0, |message| message.entry.seq),
                    held.head.last_message_seq,
                );
                let is_wrong =
                    last.0 != last.1 || own.0 != own.1 || in_store != counted || shown != counted;
                if is_wrong {
                    self.violate("M9", || {
                        format!("u{user} read c{conversation} up to {own:?}; unread: {in_store} in the store, {counted} counted, {shown} at client {c}; last: {last:?}")
                    });
                }
                if let Some(other) = receipts {
                    self.violate("M9", || {
                        format!("client {c} has another receipt of u{other} in c{conversation}")
                    });
                }
            }
        }
    }

    /// P1, P5, P7, P8, P11 and P12: every watcher sees the truth.
    fn check_presence(&mut self) {
        for user in 0..self.names.users.len() {
            if self.truth.given_revision[user] < self.database.people[user].status.revision {
                continue;
            }
            let is_connected =
                (0..CLIENTS.len()).any(|c| CLIENTS[c] == user && self.clients[c].is_joined);
            let truth = match self.database.people[user].status.chosen.status {
                _ if !is_connected => None,
                ManualStatus::Invisible => None,
                ManualStatus::Online => Some(Status::Online),
                ManualStatus::Away => Some(Status::Away),
                ManualStatus::Busy => Some(Status::Busy),
            };
            for c in 0..CLIENTS.len() {
                if !self.clients[c].is_joined {
                    continue;
                }
                let seen = self.clients[c]
                    .view
                    .get(&user)
                    .and_then(|(_, status)| *status);
                if seen != truth {
                    let invariant = match (truth, seen) {
                        (None, Some(_)) if is_connected => "P11",
                        (None, Some(_)) => "P1",
                        (Some(_), None) => "P8",
                        _ => "P5",
                    };
                    self.violate(invariant, || {
                        format!("client {c} sees u{user} as {seen:?}, the truth is {truth:?}")
                    });
                }
            }
        }
    }

    pub(crate) fn report(self) -> Report {
        let mut digest = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |value: u64| digest = (digest ^ value).wrapping_mul(0x0100_0000_01b3);
        add(self.now);
        add(self.events);
        for (conversation, place) in &self.database.commits {
            add((conversation * 1_000_000 + place) as u64);
        }
        for client in &self.clients {
            for (user, (version, _)) in &client.view {
                add(*user as u64 ^ version);
            }
        }
        Report {
            events: self.events,
            entries: self.database.commits.len(),
            acknowledged: self
                .clients
                .iter()
                .map(|client| client.acknowledged.len())
                .sum(),
            digest,
            violation: self.violation,
        }
    }
}
