//! Messages between the parts of the simulation.

use crate::database::{Appended, Person, Receipt, SyncPage};
use crate::entry::{ClientMessageId, Entry, GroupChange, Kind};
use crate::groups::Receivers;
use crate::redis::{Committed, Ended, Poll, Read, Write};
use lamplight_domain::group::Readers;
use lamplight_domain::presence::{
    BucketPosition, FeedMessage, LoadedBucket, ManualStatus, NodeIndex, SavedStatus, Status,
};
use std::rc::Rc;

/// A place in the history of a bucket.
pub(crate) type Position = BucketPosition<u64>;

/// A connection. Its session in the presence store has the same number.
pub(crate) type ConnectionNumber = u64;

/// A client's request to a node.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Join,
    /// For each conversation the newest `seq` that the client has.
    Sync(Vec<(usize, u64)>),
    Send {
        conversation: usize,
        key: ClientMessageId,
        kind: Kind,
    },
    MarkRead {
        conversation: usize,
        seq: u64,
    },
    SetStatus(ManualStatus),
    SignOut,
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Done,
    Synced(Vec<(usize, Option<SyncPage>)>),
    Acknowledged(Entry),
    NotFound,
    Unavailable,
}

/// How a user is shown.
pub(crate) type Shown = (usize, u64, Option<Status>);

#[derive(Clone, Debug)]
pub(crate) enum ToClient {
    Reply(u64, Reply),
    Entry(Entry),
    /// A member's visible read mark.
    Receipt {
        conversation: usize,
        user: usize,
        read: u64,
    },
    /// The user's own read mark.
    OwnMark {
        conversation: usize,
        read: u64,
    },
    /// A conversation looks different.
    Changed,
    /// Everyone who is shown as online.
    Snapshot(Vec<Shown>),
    /// The states of the users that the client watches.
    Watched(Vec<Shown>),
    Changes(Vec<Shown>),
    Closed,
}

/// An event between nodes.
#[derive(Clone, Debug)]
pub(crate) enum BusEvent {
    Appended {
        entry: Entry,
        receivers: Receivers,
        except: Option<ConnectionNumber>,
    },
    Receipt(Receipt),
    /// A conversation looks different to these members.
    Changed(Rc<[usize]>),
    /// An entry was announced: for the republisher.
    Summary {
        conversation: usize,
        seq: u64,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum ToNode {
    /// `connection` is `None` over HTTP.
    Request {
        client: usize,
        connection: Option<ConnectionNumber>,
        number: u64,
        request: Request,
    },
    Opened {
        client: usize,
        connection: ConnectionNumber,
    },
    Closed(ConnectionNumber),
    FromRedis(u64, RedisReply),
    FromDatabase(u64, DatabaseReply),
    Bus(Rc<BusEvent>),
    Presence(Box<FeedMessage<u64>>),
    Timer(Timer),
    /// The connection to Redis was lost at a time, and is back.
    RedisBack {
        lost_at: u64,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Timer {
    Poll(usize),
    Renew,
    Sweep,
    Flush,
    /// Entries that wait, and users that an emptied store lost.
    PassTime,
    Follow,
    Acquire,
    /// For a planted bug.
    Subscribe(usize),
    /// A call to Redis or the database was not answered in time.
    Deadline(u64),
}

#[derive(Clone, Debug)]
pub(crate) enum RedisCommand {
    Read(usize, NodeIndex),
    Commit(Box<Write>, NodeIndex),
    Allow(usize, NodeIndex),
    Refuse(usize, usize, NodeIndex),
    Poll(usize, NodeIndex),
    Snapshot(usize),
    Acquire,
    Renew(NodeIndex),
    Sweep,
    Closed(NodeIndex),
    Elect,
    Subscribe(usize),
    Unsubscribe(usize),
    Publish(Rc<BusEvent>),
}

#[derive(Clone, Debug)]
pub(crate) enum RedisReply {
    Done,
    /// `None` if fenced.
    Read(Option<Box<Read>>),
    Committed(Box<Committed>),
    Users(Vec<usize>),
    Poll(Poll),
    Snapshot(LoadedBucket<u64>),
    Acquired(NodeIndex, Option<Ended>),
    Renewed(bool),
    Swept(Vec<Ended>),
    Elected(bool),
}

#[derive(Clone, Debug)]
pub(crate) enum DatabaseCall {
    Append {
        sender: usize,
        conversation: usize,
        key: ClientMessageId,
        kind: Kind,
        keyed: bool,
    },
    MarkRead {
        user: usize,
        conversation: usize,
        seq: u64,
    },
    Sync {
        user: usize,
        have: Vec<(usize, u64)>,
    },
    SetStatus {
        user: usize,
        status: ManualStatus,
    },
    Person(usize),
    /// By the host application.
    ChangeGroup(GroupChange),
    SetBlock {
        by: usize,
        of: usize,
        is_blocked: bool,
    },
    /// The entries after a position of the order of commits, `None` for how far the republisher got.
    ReadLog(Option<usize>),
    /// The entries of a conversation from one `seq` to before another.
    ReadGap(usize, std::ops::Range<u64>),
    Confirm(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum DatabaseReply {
    Done,
    /// The transaction rolled back.
    Failed,
    NotFound,
    Appended(Appended),
    Marked(Receipt),
    Synced(Vec<(usize, Option<SyncPage>)>),
    /// The saved status, and the marks that others see from now on.
    Status(SavedStatus, Vec<Receipt>),
    Person(Person),
    /// The entries, and the position after them.
    Log(Vec<LogEntry>, usize),
}

/// An entry that is read from the log.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    pub(crate) entry: Entry,
    pub(crate) receivers: Receivers,
    /// The members when it was read.
    pub(crate) readers: Rc<Readers>,
}
