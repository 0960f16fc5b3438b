//! A cache of the members of recent conversations, for reads that should not touch the disk.

use lamplight_domain::conversation::Members;
use lamplight_domain::identity::ConversationId;
use parking_lot::RwLock;
use std::collections::HashMap;

/// Past this many conversations the cache is emptied.
const AT_MOST: usize = 20_000;

#[derive(Default)]
struct Held {
    members: HashMap<ConversationId, Members>,
    /// Grows with every change, so that a read from before a change is not cached after it.
    changes: u64,
}

/// Filled by reads and by the writer; the writer updates it after each commit.
#[derive(Default)]
pub(crate) struct MembersCache(RwLock<Held>);

impl MembersCache {
    pub(crate) fn get(&self, conversation: &ConversationId) -> Option<Members> {
        self.0.read().members.get(conversation).cloned()
    }

    /// To be called before a read whose result is cached.
    pub(crate) fn changes(&self) -> u64 {
        self.0.read().changes
    }

    /// Caches the result of a read, unless a membership changed since `changes` was called.
    pub(crate) fn keep(&self, conversation: ConversationId, members: Members, changes: u64) {
        let mut held = self.0.write();
        if held.changes == changes {
            held.put(conversation, members);
        }
    }

    /// Caches memberships that the writer has committed.
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
