//! The user's actions: writing, reading, choosing a status.

use super::Unsent;
use crate::acting::EMOJIS;
use crate::bug::Bug;
use crate::entry::{Change, Entry, GroupChange, Kind};
use crate::messages::Request;
use crate::names::{CHANGING, CONVERSATIONS};
use crate::world::World;
use lamplight_domain::permission::Role;
use lamplight_domain::presence::ManualStatus;

impl World {
    /// Writes a message, or does something to one.
    pub(crate) fn write(&mut self, c: usize, conversation: usize) {
        let kind = match self.rng.below(10) {
            9 if conversation == CHANGING && self.profile.members => self.asks_for(),
            0..3 => self.change(c, conversation).unwrap_or(Kind::Message),
            _ => Kind::Message,
        };
        let client = &mut self.clients[c];
        client.keys += 1;
        let key = (c, client.keys);
        client.outbox.push_back(Unsent {
            conversation,
            key,
            kind,
            request: None,
        });
        self.send_outbox(c);
    }

    /// A change of the group, which the writer may have no right to.
    fn asks_for(&mut self) -> Kind {
        let user = self.rng.below(self.names.users.len());
        let roles = [Role::Member, Role::Admin, Role::Owner];
        Kind::Asked(match self.rng.below(5) {
            0..2 => GroupChange::Add(user),
            2..4 => GroupChange::Remove(user),
            _ => GroupChange::SetRole(user, roles[self.rng.below(roles.len())]),
        })
    }

    /// Something to do to one of the last messages that the client shows, which others may be
    /// changing or deleting.
    fn change(&mut self, c: usize, conversation: usize) -> Option<Kind> {
        let user = self.clients[c].user;
        let shown = self.clients[c].logs[conversation].entries.iter().rev();
        let messages = shown.filter(|entry| entry.kind == Kind::Message).take(8);
        let messages: Vec<Entry> = messages.copied().collect();
        let what = self.rng.below(10);
        let may = |entry: &&Entry| {
            !self.clients[c].deleted.contains(&(conversation, entry.seq))
                && (what >= 5 || entry.sender == user)
        };
        let open: Vec<&Entry> = messages.iter().filter(may).collect();
        if open.is_empty() {
            return None;
        }
        let of = open[self.rng.below(open.len())].seq;
        let change = match what {
            0..3 => Change::Edit {
                text: self.rng.range(1, 1_000_000),
            },
            3..5 => {
                self.clients[c].deleted.insert((conversation, of));
                Change::Delete
            }
            _ => Change::React {
                emoji: self.rng.below(EMOJIS.len()),
                added: self.rng.below(3) > 0,
            },
        };
        Some(Kind::Change { of, change })
    }

    /// Sends the first unsent message of each conversation. The next one follows its
    /// acknowledgement.
    pub(super) fn send_outbox(&mut self, c: usize) {
        if !self.clients[c].is_open {
            return;
        }
        let is_eager = self.has(Bug::OutboxOutOfOrder);
        let mut seen = [false; CONVERSATIONS.len()];
        for place in 0..self.clients[c].outbox.len() {
            let Unsent {
                conversation,
                key,
                kind,
                request,
            } = self.clients[c].outbox[place].clone();
            if std::mem::replace(&mut seen[conversation], true) && !is_eager {
                continue;
            }
            if request.is_none() {
                let request = Request::Send {
                    conversation,
                    key,
                    kind,
                };
                let number = self.ask(c, request, false);
                self.clients[c].outbox[place].request = Some(number);
            }
        }
    }

    pub(crate) fn mark_read(&mut self, c: usize, conversation: usize, seq: u64) {
        let log = &mut self.clients[c].logs[conversation];
        let seq = seq.min(log.last_seq());
        log.read = log.read.max(seq);
        let wanted = self.clients[c]
            .wanted_marks
            .entry(conversation)
            .or_default();
        *wanted = seq.max(*wanted);
        self.ask(c, Request::MarkRead { conversation, seq }, false);
    }

    pub(crate) fn choose_status(&mut self, c: usize, status: ManualStatus) {
        self.clients[c].wanted_status = Some(status);
        self.wake_client(c, false);
    }
}
