//! Who is in recent conversations, for those who ask without wanting the disk.

use lamplight_domain::conversation::Members;
use lamplight_domain::identity::ConversationId;
use parking_lot::RwLock;
use std::collections::HashMap;

/// Past this many, all are forgotten and read again as they are asked for.
const AT_MOST: usize = 20_000;

#[derive(Default)]
struct Held {
    members: HashMap<ConversationId, Members>,
    /// Grows with every change, so that what a reader saw before one is not kept after it.
    changes: u64,
}

/// Filled by reads and by the writer, corrected by the writer after each commit.
#[derive(Default)]
pub(crate) struct MembersCache(RwLock<Held>);

impl MembersCache {
    pub(crate) fn get(&self, conversation: &ConversationId) -> Option<Members> {
        self.0.read().members.get(conversation).cloned()
    }

    /// To be taken before a read whose result is to be kept.
    pub(crate) fn changes(&self) -> u64 {
        self.0.read().changes
    }

    /// Keeps what a read found, unless a membership has changed since `changes` was taken.
    pub(crate) fn keep(&self, conversation: ConversationId, members: Members, changes: u64) {
        let mut held = self.0.write();
        if held.changes == changes {
            held.put(conversation, members);
        }
    }

    /// Takes over what the writer has committed.
    pub(crate) fn committed(&self, conversation: ConversationId, members: Members) {
        let mut held = self.0.write();
        held.changes += 1;
        held.put(conversation, members);
    }
}

impl Held {
    fn put(&mut self, conversation: ConversationId, members: Members) {
        if self.members.len() >= AT_MOST {
            self.members.clear();
        }
        self.members.insert(conversation, members);
    }
}
