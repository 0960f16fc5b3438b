//! The client's logs: contiguous, and synced over gaps.

use super::ClientLog;
use crate::acting::seen_from;
use crate::bug::Bug;
use crate::entry::{Change, ClientMessageId, Entry, Kind};
use crate::messages::Request;
use crate::world::World;

impl World {
    pub(super) fn acknowledged(
        &mut self,
        c: usize,
        conversation: usize,
        (key, kind): (ClientMessageId, Kind),
        entry: Entry,
    ) {
        let has_kind = match kind {
            Kind::Asked(_) => matches!(entry.kind, Kind::Members(_)),
            _ => entry.kind == kind,
        };
        let is_own = entry.key == key && has_kind;
        if !is_own && !makes(self.clients[c].user, kind, &entry)
            || entry.conversation != conversation
            || !self.database.has(&entry)
        {
            self.violate("M3", || {
                format!("client {c} got an acknowledgement of {key:?} without a commit: {entry:?}")
            });
        }
        let client = &mut self.clients[c];
        client.outbox.retain(|unsent| unsent.key != key);
        if is_own {
            client.acknowledged.push(entry);
        } else {
            client.refused.insert(key);
        }
        self.take_entry(c, entry);
        self.send_outbox(c);
    }

    pub(super) fn take_page(
        &mut self,
        c: usize,
        conversation: usize,
        page: Option<crate::database::SyncPage>,
    ) {
        let Some(page) = page else {
            self.clients[c].logs[conversation] = ClientLog::default();
            return;
        };
        let newest = page.entries.last().map(|entry| entry.seq);
        let log = &mut self.clients[c].logs[conversation];
        if page.reset {
            *log = ClientLog::default();
        }
        if log.entries.is_empty() {
            log.first = page.first_seq;
        }
        for entry in page.entries {
            self.take_entry(c, entry);
        }
        let have = self.clients[c].logs[conversation].last_seq();
        let pushed = &mut self.clients[c].pushed[conversation];
        pushed.from.get_or_insert(newest.unwrap_or(have));
        let log = &mut self.clients[c].logs[conversation];
        log.read = log.read.max(page.read);
        for (user, read) in page.receipts {
            let held = log.receipts.entry(user).or_default();
            *held = read.max(*held);
        }
    }

    pub(super) fn pushed(&mut self, c: usize, entry: Entry) {
        let pushed = &mut self.clients[c].pushed[entry.conversation];
        if !pushed.all.insert(entry.seq) {
            self.violate("M11", || format!("client {c} was pushed {entry:?} twice"));
        }
        self.take_entry(c, entry);
    }

    fn take_entry(&mut self, c: usize, entry: Entry) {
        let user = self.clients[c].user;
        let held = &self.database.conversations[entry.conversation];
        let first_seq = held.first_seq_at(user, entry.seq);
        let log = &held.log;
        let place = usize::try_from(entry.seq).unwrap_or(0).saturating_sub(1);
        match (first_seq, log.get(place)) {
            (None, _) => self.violate("M15", || {
                format!("client {c} got {entry:?}, at which u{user} is no member")
            }),
            (Some(first_seq), Some(there)) if there.id == entry.id => {
                let expected = seen_from(there, first_seq);
                if entry != expected {
                    self.violate("M15", || {
                        format!("client {c} of u{user} got {entry:?}, and not {expected:?}")
                    });
                }
            }
            _ => {}
        }
        if !self.database.has(&entry) {
            self.violate("M10", || {
                format!("client {c} got {entry:?}, which is not committed")
            });
        }
        let ignores_gaps = self.has(Bug::GapsIgnored);
        let log = &mut self.clients[c].logs[entry.conversation];
        if entry.sender == user && entry.kind == Kind::Message {
            log.read = log.read.max(entry.seq);
        }
        let next = match log.entries.last() {
            Some(last) => last.seq + 1,
            None => log.first.max(1),
        };
        if entry.seq < next {
            let known = log
                .entries
                .iter()
                .rev()
                .find(|known| known.seq == entry.seq);
            if known.is_some_and(|known| known.id != entry.id) {
                self.violate("M4", || {
                    format!("client {c} got another entry at its place: {entry:?}")
                });
            }
            return;
        }
        if entry.seq > next && !ignores_gaps {
            log.ahead.insert(entry.seq, entry);
            return self.sync(c);
        }
        log.entries.push(entry);
        while let Some(first) = log.ahead.first_entry()
            && let Some(last) = log.entries.last()
            && *first.key() <= last.seq + 1
        {
            let next = last.seq + 1;
            let entry = first.remove();
            if entry.seq == next {
                log.entries.push(entry);
            }
        }
        let removes = |entry: &Entry| matches!(entry.kind, Kind::Members(change) if change.removed == Some(user));
        if log.entries.iter().any(removes) {
            // A running sync may still return earlier entries.
            *log = ClientLog::default();
            self.sync(c);
        }
    }

    /// Requests missing entries of all conversations.
    pub(crate) fn sync(&mut self, c: usize) {
        let client = &mut self.clients[c];
        if !client.is_joined {
            return;
        }
        if client.syncing.is_some() {
            client.syncs_again = true;
            return;
        }
        let have = client
            .logs
            .iter()
            .enumerate()
            .map(|(conversation, log)| (conversation, log.last_seq()));
        let request = Request::Sync(have.collect());
        let number = self.ask(c, request, true);
        self.clients[c].syncing = Some(number);
    }
}

/// Whether an entry, which another write appended, makes the state that a write is about.
fn makes(user: usize, kind: Kind, entry: &Entry) -> bool {
    let (of, change) = match kind {
        Kind::Change { of, change } => (of, change),
        // Somebody else had done it.
        Kind::Asked(_) => return matches!(entry.kind, Kind::Members(_)),
        _ => return false,
    };
    match change {
        // It was never there.
        Change::React { added: false, .. } if entry.seq == of => true,
        Change::React { .. } => entry.kind == kind && entry.sender == user,
        Change::Edit { .. } | Change::Delete => entry.kind == kind,
    }
}
