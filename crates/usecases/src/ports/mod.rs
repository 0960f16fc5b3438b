//! The traits of everything outside the use cases. Every adapter of a port passes the same suite in
//! `crates/conformance`.

mod accounts;
mod blocks;
mod bus;
mod clock;
mod connections;
mod directory;
mod file_bytes;
mod files;
mod follower;
mod groups;
mod ids;
mod last_seen;
mod messages;
mod passwords;
mod presence;
mod push;
mod search;
mod shared_limits;
mod shared_sign_outs;
mod store;

pub use accounts::{Account, Accounts, Authored, Deletion, NewDeletion, NewSession};
pub use blocks::{BlockOutcome, BlockState, BlockedBy, Blocks, MOST_BLOCKERS};
pub use bus::{Attached, Attachment, BusMessage, EventBus, Subscriber, Subscription};
pub use clock::Clock;
pub use connections::{ConnectionRegistry, HiddenTicket, WatchedPresence};
pub use directory::{Directory, Person, ProfileSource, ProfileUpdate, ProfileWrite, StoredPerson};
pub use file_bytes::FileBytes;
pub use files::{
    Advance, Avatar, Claim, Claimed, DeletedFile, Examined, FileQuota, FileScan, Files, FoundFile,
    LEAST_COUNTED_BYTES, NewFile, NewFileError, SentFile, SentFiles, UploadAudience,
};
pub use follower::{CommitPosition, CommittedEntry, CommittedSeqs, LogFollower};
pub use groups::{GroupChanged, GroupError, Groups};
pub use ids::Ids;
pub use last_seen::LastSeenQueue;
pub use messages::{
    AppendError, Appended, History, ListFilter, MarkUpdate, MessagePage, Messages, MoreAround,
    PinnedPage, Range, SyncPage, SyncPosition,
};
pub use passwords::{HashError, HashFor, Passwords};
pub use presence::{PresenceState, PresenceStore};
pub use push::{
    NewSubscription, PushContent, PushCounts, PushJob, PushKey, PushNotice, PushOutcome,
    PushSender, PushStep, PushSubscription, PushSubscriptions, PushTarget, PushThen,
    SubscribeOutcome,
};
pub use search::{IndexProgress, IndexStep, MessageSearch, Search};
pub use shared_limits::{SharedLimits, SharedRule};
pub use shared_sign_outs::{Exchanged, SharedSignOuts, SignOut};
pub use store::{Page, StoreError, StoreResult};

use std::sync::Arc;

/// Every port, each with the adapter that serves it.
#[derive(Clone)]
pub struct Ports {
    pub messages: Arc<dyn Messages>,
    pub groups: Arc<dyn Groups>,
    pub search: Arc<dyn MessageSearch>,
    pub blocks: Arc<dyn Blocks>,
    pub files: Arc<dyn Files>,
    pub push: Arc<dyn PushSubscriptions>,
    pub push_sender: Arc<dyn PushSender>,
    pub directory: Arc<dyn Directory>,
    pub accounts: Arc<dyn Accounts>,
    pub passwords: Arc<dyn Passwords>,
    pub presence: Arc<dyn PresenceStore>,
    pub bus: Arc<dyn EventBus>,
    pub connections: Arc<dyn ConnectionRegistry>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    /// `None` on a node that is alone.
    pub shared_limits: Option<Arc<dyn SharedLimits>>,
    /// `None` on a node that is alone.
    pub shared_sign_outs: Option<Arc<dyn SharedSignOuts>>,
}
