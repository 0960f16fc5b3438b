//! Messages, people and accounts in one PostgreSQL database that several nodes share.

mod account_rows;
mod accounts;
mod append;
mod avatars;
mod batch;
mod block_check;
mod blocks;
mod change_rows;
mod changes;
mod checks;
mod codec;
mod connect;
mod connect_error;
mod connection;
mod conversations;
mod database;
mod deleted_accounts;
mod directory;
mod entries;
mod error;
mod files;
mod first_profiles;
mod follower;
mod groups;
mod history;
mod hosted;
mod identity;
mod keys;
mod mark_writer;
mod marks;
mod members;
mod messages_now;
mod newest;
pub(crate) mod nodes;
mod open;
mod options;
mod outage;
mod people_lock;
mod plan;
mod planned;
mod presence_version;
mod probe;
mod push_queue;
mod push_subscriptions;
mod queries;
mod readers;
mod scans;
mod schema;
mod search;
mod search_index;
mod search_windows;
mod sent_files;
mod settings;
mod states;
#[cfg(test)]
mod tests;
mod tls;
mod transfer;
mod transfer_source;
mod url;
mod watches;
mod writer;

pub(crate) use avatars::{add_avatar, avatars, forget_avatars};
pub(crate) use blocks::{block, block_state, blocked_by, blockers_of, blocks_between, unblock};
pub(crate) use codec::{from_db, to_db};
pub(crate) use connection::{Connection, Sql};
pub(crate) use conversations::ensure_direct;
pub(crate) use database::Repeat;
pub use database::{Database, PoolUse};
pub use error::OpenError;
pub(crate) use error::{CLOSED, Failure};
pub(crate) use files::{
    advance_file, claim_file, create_file, deleted_files, discard_file, discard_unsent_files,
    examined_file, file, file_audiences, forget_files, release_file, signing_key,
};
pub(crate) use follower::{
    confirm, head as commit_head, newest, position as follower_position, read as committed_after,
    read_seqs as committed_seqs_after,
};
pub(crate) use groups::{change as change_group, make as make_group, member_page};
pub(crate) use history::{entries_after, history, seq_at, sync};
pub(crate) use hosted::put;
pub(crate) use mark_writer::MARKS_AT_ONCE;
pub(crate) use marks::Move;
pub(crate) use messages_now::{messages, pinned};
pub use options::PostgresOptions;
pub use probe::{DatabaseReport, probe};
pub(crate) use push_queue::{claim_pushes, move_push, queue_pushes};
pub(crate) use push_subscriptions::{
    end_subscription, push_counts, push_key, replace_push_key, subscribe, unsubscribe,
};
pub(crate) use queries::{
    conversation, conversations, details, direct, members, others, readers, shared_with, summary,
    total_unread,
};
pub(crate) use scans::{claim_scans, renew_scan, scan_is_over, scan_later, scanned_file};
pub(crate) use search::search;
pub(crate) use search_index::{advance as advance_index, progress as index_progress, reindex};
pub(crate) use sent_files::sent_files;
pub(crate) use settings::set_settings;
pub(crate) use watches::{lost_uploads, watch_uploads};

use first_profiles::FirstProfiles;
use lamplight_domain::identity::ConnectionId;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{AppendError, Appended, EventBus, MarkUpdate, StoreResult};
use mark_writer::MarkQueue;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::oneshot;
use writer::AppendQueue;
pub(crate) use writer::EventSender;

/// Connections that reads leave to writes: those of batches of messages and marks, and one more.
const WRITES_AT_ONCE: usize = writer::LANES + mark_writer::LANES + 1;

/// `Messages`, `Directory` and `Accounts` in one PostgreSQL database.
pub struct PostgresStore {
    database: Arc<Database>,
    appends: AppendQueue,
    marks: MarkQueue,
    first_profiles: FirstProfiles,
}

impl PostgresStore {
    /// Connects, migrates the database to this version's schema, and checks it. Events go to `bus`
    /// after their commit.
    ///
    /// # Errors
    /// When the database cannot be used; the error explains how to fix it.
    pub async fn open(
        options: PostgresOptions,
        bus: Arc<dyn EventBus>,
    ) -> Result<Arc<Self>, OpenError> {
        let opened = open::open(&options).await?;
        let database = Arc::new(Database::new(opened, &options, WRITES_AT_ONCE));
        Ok(Arc::new(Self {
            appends: AppendQueue::start(&database, bus, &options),
            marks: MarkQueue::start(&database, &options),
            first_profiles: FirstProfiles::default(),
            database,
        }))
    }

    /// The lengths of the queues, for the metrics: messages, marks, reads, and requests for a
    /// connection.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.appends.depth() + self.marks.depth() + self.database.waiting()
    }

    /// Finishes the writes that are queued, and ends all connections. Later calls fail as
    /// unavailable.
    pub async fn close(&self) {
        self.appends.close().await;
        self.marks.close().await;
        self.database.close().await;
    }

    /// Queues an append, whose place among this node's others is settled when this returns.
    pub(crate) fn queue_append(
        &self,
        message: NewEntry,
        except: Option<ConnectionId>,
    ) -> StoreResult<oneshot::Receiver<Result<Appended, AppendError>>> {
        self.appends.push(message, except)
    }

    /// Queues the deletion of a message whose author deleted their account.
    pub(crate) fn queue_erasure(
        &self,
        deletion: NewEntry,
    ) -> StoreResult<oneshot::Receiver<Result<Appended, AppendError>>> {
        self.appends.push_erasure(deletion)
    }

    /// The dependencies of work that continues without a waiting caller: the database, and the bus
    /// for events after the commit.
    pub(crate) fn detached(&self) -> (Arc<Database>, EventSender) {
        (Arc::clone(&self.database), self.appends.events())
    }

    /// Moves marks; in the order of the moves, `None` for those of no member.
    pub(crate) async fn advance(&self, moves: Vec<Move>) -> StoreResult<Vec<Option<MarkUpdate>>> {
        let moved = async { self.marks.advance(moves).await.map_err(Failure::from) };
        Ok(self.within(moved).await?)
    }
}

impl Deref for PostgresStore {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}
