//! Following the logs of all conversations in the order of their commits.

use super::store::StoreResult;
use async_trait::async_trait;
use lamplight_domain::entry::Entry;
use lamplight_domain::identity::ConversationId;
use lamplight_domain::time::Timestamp;
use std::ops::RangeInclusive;

/// A place in the order of commits. Positions grow; they need not be consecutive, and they belong
/// to one generation of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitPosition(pub u64);

/// An entry as a follower reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedEntry {
    pub position: CommitPosition,
    pub entry: Entry,
}

/// Consecutive entries of one conversation, without their content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedSeqs {
    pub conversation: ConversationId,
    pub seqs: RangeInclusive<u64>,
    /// The position of the last of them.
    pub position: CommitPosition,
    /// When the newest of them was made.
    pub created_at: Timestamp,
}

/// Reads the entries of all conversations from a named, durable position, for consumers that must
/// not miss an entry over a crash (other nodes, webhooks, push, search). The event bus only wakes a
/// follower sooner.
///
/// A follower reads a page, handles it, confirms the position of its last entry, and reads on from
/// there. After a crash it reads again what it had not confirmed: every entry at least once, and
/// the entries of a conversation in the order of `seq`.
///
/// An entry becomes readable only once no entry with a lower position can still be committed, so
/// that a position never passes an entry.
#[async_trait]
pub trait LogFollower: Send + Sync + 'static {
    /// The position that was confirmed last under a name, `None` if there is none yet: a new
    /// follower begins at [`LogFollower::head`] or, to read everything, at the default position,
    /// and confirms that first.
    async fn position(&self, name: &str) -> StoreResult<Option<CommitPosition>>;

    /// The position of the newest entry that is readable.
    async fn head(&self) -> StoreResult<CommitPosition>;

    /// The readable entries after a position, in the order of positions: at most `limit`, and no
    /// more than [`ANSWER_BYTES`](crate::weight::ANSWER_BYTES) but at least one, if there is one.
    async fn read(&self, after: CommitPosition, limit: usize) -> StoreResult<Vec<CommittedEntry>>;

    /// Which entries are readable after a position: those of [`LogFollower::read`], at most `limit`,
    /// for a reader that needs few of them. They are a whole page in any order: the next one begins
    /// at the highest position.
    async fn read_seqs(
        &self,
        after: CommitPosition,
        limit: usize,
    ) -> StoreResult<Vec<CommittedSeqs>> {
        let mut page: Vec<CommittedSeqs> = Vec::new();
        for CommittedEntry { position, entry } in self.read(after, limit).await? {
            let follows = |one: &&mut CommittedSeqs| {
                one.conversation == entry.conversation && one.seqs.end() + 1 == entry.seq
            };
            if let Some(one) = page.iter_mut().rev().find(follows) {
                one.seqs = *one.seqs.start()..=entry.seq;
                one.position = position;
                one.created_at = one.created_at.max(entry.created_at);
            } else {
                page.push(CommittedSeqs {
                    conversation: entry.conversation,
                    seqs: entry.seq..=entry.seq,
                    position,
                    created_at: entry.created_at,
                });
            }
        }
        Ok(page)
    }

    /// Stores the position up to which a named follower has handled all entries. Durable once it
    /// resolves. The stored position never decreases.
    async fn confirm(&self, name: &str, up_to: CommitPosition) -> StoreResult<()>;

    /// Resolves as soon as entries after a position may be readable. It can miss a commit, and
    /// resolves for none that failed, so a follower also reads again now and then.
    async fn changed(&self, after: CommitPosition);
}
