//! Bugs that can be planted, each in a seam of the simulation around the real rules. They show that
//! the checks find what they are for.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// M1: a repeated send is stored again.
    NoDedupe,
    /// M2: each node remembers client ids in its memory only.
    DedupeInMemory,
    /// M3: the node acknowledges a send before the transaction commits.
    AcknowledgedBeforeCommit,
    /// M4: `seq` comes from a sequence, which a transaction that fails does not give back.
    SeqFromSequence,
    /// M5: a client sends the next message before the one before it was acknowledged.
    OutboxOutOfOrder,
    /// M6: a client shows what follows a gap without fetching the gap.
    GapsIgnored,
    /// M9: a read mark is set, and not advanced.
    MarksSet,
    /// M10: a node delivers before the commit.
    DeliveredBeforeCommit,
    /// M10: entries left unpublished by a crash are never published.
    NoRepublisher,
    /// P12, M10: a node does not read events again that the bus lost.
    NoRepairAfterLag,
    /// M10: an entry that arrives after later ones counts as a repetition.
    LateDropped,
    /// M6: a join is answered before the node's subscription is in force.
    JoinBeforeSubscription,
    /// M12: a message for a slow reader is dropped instead of the connection.
    SlowReadersSkipped,
    /// M15: the members of a conversation are cached on the nodes.
    MembersCached,
    /// M15: `sync` answers with the whole log, whenever the member joined.
    FirstSeqIgnored,
    /// M15: newcomers get changes of earlier messages.
    PastNotHidden,
    /// M7: `sync` continues at the old position of a returning member.
    NotAnew,
    /// The last owner leaves without handing over.
    NoHandOver,
    /// Each node checks only the blocks announced to it.
    BlocksCached,
    /// A change of a message is appended without checking whether the message still exists.
    NotJudged,
    /// M9: a deleted message stays unread.
    DeletedStayUnread,
    /// P2: late writes of an incarnation that ended are accepted.
    NoFencing,
    /// P8: a second disconnect of a session is counted as another session.
    PresenceCounter,
    /// P7: changes are applied over gaps, and leaves in between are lost.
    LeavesLostOnHeal,
    /// P12: positions of buckets are never compared, so that a change that was lost at the end of a
    /// burst stays lost.
    NoComparison,
    /// P1: a dead node's sessions are never swept.
    NoSweep,
    /// P8: the sweep of a node ends all sessions of its users, on other nodes too.
    SweepByUser,
    /// P9: time follows the jumps of Redis' clock.
    ClockFollowed,
    /// P11: the status that was reported last applies, whatever its revision.
    RevisionsIgnored,
    /// P11: a session is announced again with the status that it joined with.
    OldStatusAnnounced,
    /// P7: a node whose lease ended does not announce its sessions again.
    NotAnnouncedAgain,
    /// P8: records are written without a comparison with the read state.
    NoCompareAndSet,
    /// P7: users missing in an emptied Redis leave at once.
    NoHold,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 33] = [
        Self::NoDedupe,
        Self::DedupeInMemory,
        Self::AcknowledgedBeforeCommit,
        Self::SeqFromSequence,
        Self::OutboxOutOfOrder,
        Self::GapsIgnored,
        Self::MarksSet,
        Self::DeliveredBeforeCommit,
        Self::NoRepublisher,
        Self::NoRepairAfterLag,
        Self::LateDropped,
        Self::JoinBeforeSubscription,
        Self::SlowReadersSkipped,
        Self::MembersCached,
        Self::FirstSeqIgnored,
        Self::PastNotHidden,
        Self::NotAnew,
        Self::NoHandOver,
        Self::BlocksCached,
        Self::NotJudged,
        Self::DeletedStayUnread,
        Self::NoFencing,
        Self::PresenceCounter,
        Self::LeavesLostOnHeal,
        Self::NoComparison,
        Self::NoSweep,
        Self::SweepByUser,
        Self::ClockFollowed,
        Self::RevisionsIgnored,
        Self::OldStatusAnnounced,
        Self::NotAnnouncedAgain,
        Self::NoCompareAndSet,
        Self::NoHold,
    ];
}
