//! The reads of a batch of appends, under the locks of its conversations. `plan.rs` decides on its
//! writes; `batch.rs` has the transaction.
//!
//! | round trip | statements |
//! |---|---|
//! | first | `BEGIN`, [`LOCK`], [`FIND`], [`DRAW`] |
//! | only for members that are not cached | `MEMBERS` (`members.rs`) |
//! | only for the messages of deleted accounts | [`PEOPLE`] |
//! | only where a member may have archived a conversation | `ARCHIVED` (`settings.rs`) |
//! | only for writes on messages, and for repetitions | those that `states.rs` reads by |
//! | only where a last message is deleted | `NEWEST` (`changes/sql.rs`) |
//! | last | [`WRITE`], for writes on messages those of `change_rows.rs`, where an answer needs it `AT` (`changes/sql.rs`), where a receipt needs it [`AUTHORS`], `COMMIT` |
//!
//! Conversations are locked in the order of their ids, and memberships after them in theirs, so no
//! two batches wait for each other. Only the holder of its conversation's lock numbers an entry,
//! adds or removes a member, or looks for a duplicate.

use super::block_check::is_blocked;
use super::codec::{from_db, role_from_db};
use super::connection::{Connection, Sql};
use super::error::Failure;
use lamplight_domain::conversation::Members;
use lamplight_domain::identity::{ConnectionId, UserId};
use lamplight_domain::marks::Marks;
use lamplight_domain::member_settings::MemberSettings;
use lamplight_domain::permission::Role;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Locks the conversations. `FOR NO KEY UPDATE` lets foreign keys refer to them meanwhile.
pub(super) const LOCK: Sql = Sql {
    text: "SELECT id, conversation_id, head_seq, last_at, members_version, has_archived FROM conversations
           WHERE conversation_id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
    types: &[Type::TEXT_ARRAY],
};

/// The sender of each append, if a member, and the entry that an earlier send with the same key
/// made. A statement of its own: one that waits for a lock has the snapshot of before. Locks the
/// memberships, since marks move without the conversation's lock.
///
/// `OFFSET 0`, here and elsewhere, keeps the planner from going through all members of a conversation,
/// or all conversations of a person, to find one membership, and through the whole index of the keys to find
/// one entry: in a new database that seems to cost as little.
///
/// The lock is in a query of its own beside the others, here and in `marks.rs`: PostgreSQL 18.1 drops rows
/// when it waited for a lock and looks at a join with a subquery once more.
pub(super) const FIND: Sql = Sql {
    text: concat!(
        "SELECT a.n, m.person, m.role, m.read_seq, m.delivered_seq, m.visible_read_seq, m.visible_delivered_seq, e.seq, ",
        is_blocked!(),
        ", m.first_seq, a.hides_reads FROM (SELECT c.id AS conversation, p.id AS person, c.member_count, p.has_blocks, p.hides_reads,
                   a.key, a.erased_key, a.n
               FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS a (conversation, sender, key, erased_key, n)
               JOIN conversations c ON c.conversation_id = a.conversation
               JOIN people p ON p.user_id = a.sender ORDER BY c.id, p.id OFFSET 0) a
           CROSS JOIN LATERAL (SELECT * FROM members
               WHERE conversation = a.conversation AND person = a.person OFFSET 0 FOR NO KEY UPDATE) m
           LEFT JOIN LATERAL (SELECT * FROM entries
               WHERE dedupe_key = ANY(ARRAY[a.key, a.erased_key]) AND conversation = a.conversation AND sender = a.person OFFSET 0) e ON true"
    ),
    types: &[
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
    ],
};

/// The rows of the senders of erasures.
const PEOPLE: Sql = Sql {
    text: "SELECT user_id, id FROM people WHERE user_id = ANY($1)",
    types: &[Type::TEXT_ARRAY],
};

/// Draws ids for entries. After the locks, so that ids and `seq`s have one order in a conversation,
/// and a follower knows when no lower id can still be committed (docs/decisions/0023).
pub(super) const DRAW: Sql = Sql {
    text: "SELECT nextval('entries_id_seq') FROM generate_series(1, $1)",
    types: &[Type::INT8],
};

pub(super) const INSERT: Sql = Sql {
    text: "INSERT INTO entries (id, conversation, seq, message_id, sender, content, dedupe_key, created_at)
           SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::text[], $5::int8[], $6::text[], $7::text[], $8::int8[])",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// [`INSERT`], and moves the heads of the conversations and the marks of the senders: one statement,
/// since each costs the node and PostgreSQL a message, its answer, and a plan to run.
pub(super) const WRITE: Sql = Sql {
    text: "WITH inserted AS (
               INSERT INTO entries (id, conversation, seq, message_id, sender, content, dedupe_key, created_at)
               SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::text[], $5::int8[], $6::text[], $7::text[], $8::int8[])),
           moved AS (
               UPDATE conversations c SET head_seq = u.seq, last_at = u.last_at, position = u.position
               FROM unnest($9::int8[], $10::int8[], $11::int8[], $12::int8[]) AS u (id, seq, last_at, position) WHERE c.id = u.id)
           UPDATE members m SET read_seq = u.seq, delivered_seq = u.seq, visible_read_seq = u.seq, visible_delivered_seq = u.seq
           FROM unnest($13::int8[], $14::int8[], $15::int8[]) AS u (conversation, person, seq)
           WHERE m.conversation = u.conversation AND m.person = u.person",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// The authors of the entries that a receipt newly covers, without its owner.
pub(super) const AUTHORS: Sql = Sql {
    text: "SELECT DISTINCT a.n, p.user_id
           FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[]) WITH ORDINALITY AS a (conversation, after, up_to, person, n)
           JOIN entries e ON e.conversation = a.conversation AND e.seq > a.after AND e.seq <= a.up_to AND e.sender <> a.person
           JOIN people p ON p.id = e.sender",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// Whether an entry exists, by which a batch whose `COMMIT` got no answer finds the outcome of
/// it.
pub(super) const WITNESS: Sql = Sql {
    text: "SELECT 1 FROM entries WHERE conversation = $1 AND seq = $2 AND message_id = $3",
    types: &[Type::INT8, Type::INT8, Type::TEXT],
};

pub(super) struct Append {
    pub(super) message: NewEntry,
    pub(super) except: Option<ConnectionId>,
    /// The sender deleted their account, and may be no member.
    pub(super) is_erasure: bool,
    /// As the column has it.
    pub(super) key: Option<String>,
    /// As the column has it once the entry is erased, where that differs.
    pub(super) erased_key: Option<String>,
}

impl Append {
    pub(super) fn new(message: NewEntry, except: Option<ConnectionId>, digest_key: &str) -> Self {
        let key = message
            .key
            .as_ref()
            .map(|key| message.write.dedupe_key(key));
        let erased_key = key
            .as_deref()
            .and_then(|key| message.write.erased_dedupe_key(key, digest_key.as_bytes()));
        Self {
            message,
            except,
            is_erasure: false,
            key,
            erased_key,
        }
    }

    /// The deletion of a message whose author deleted their account.
    pub(super) fn erasure(message: NewEntry, digest_key: &str) -> Self {
        Self {
            is_erasure: true,
            ..Self::new(message, None, digest_key)
        }
    }
}

/// The parameters of [`LOCK`] and [`FIND`].
pub(super) struct Asked<'a> {
    pub(super) distinct: Vec<&'a str>,
    pub(super) conversations: Vec<&'a str>,
    pub(super) senders: Vec<&'a str>,
    pub(super) keys: Vec<Option<&'a str>>,
    pub(super) erased_keys: Vec<Option<&'a str>>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(batch: &'a [Append]) -> Self {
        let conversations: Vec<&str> = batch
            .iter()
            .map(|append| append.message.conversation.as_str())
            .collect();
        let mut distinct = conversations.clone();
        distinct.sort_unstable();
        distinct.dedup();
        Self {
            distinct,
            conversations,
            senders: batch
                .iter()
                .map(|append| append.message.sender.as_str())
                .collect(),
            keys: batch.iter().map(|append| append.key.as_deref()).collect(),
            erased_keys: batch
                .iter()
                .map(|append| append.erased_key.as_deref())
                .collect(),
        }
    }
}

/// A member who has archived a conversation.
pub(super) struct Archived {
    pub(super) person: i64,
    pub(super) user: UserId,
    pub(super) settings: MemberSettings,
}

/// A conversation under its lock.
pub(super) struct Locked {
    pub(super) row: i64,
    pub(super) version: i64,
    pub(super) members: Members,
    pub(super) head_seq: u64,
    pub(super) last_at: Timestamp,
    /// Whether this batch adds entries.
    pub(super) is_moved: bool,
    /// The id of the newest message that this batch adds.
    pub(super) position: Option<i64>,
    /// Whether a member may have archived it.
    pub(super) has_archived: bool,
    /// The members who have archived it, filled in where there may be one.
    pub(super) archived: Vec<Archived>,
}

impl Locked {
    /// From a row of [`LOCK`]: its conversation, and the rest. The members are filled in later.
    pub(super) fn read(row: &Row) -> Result<(String, Self), tokio_postgres::Error> {
        let locked = Self {
            row: row.try_get(0)?,
            version: row.try_get(4)?,
            members: Arc::from([]),
            head_seq: from_db(row.try_get(2)?),
            last_at: Timestamp(row.try_get(3)?),
            is_moved: false,
            position: None,
            has_archived: row.try_get(5)?,
            archived: Vec::new(),
        };
        Ok((row.try_get(1)?, locked))
    }
}

/// The row of [`FIND`] for an append.
pub(super) struct Found {
    pub(super) person: i64,
    pub(super) role: Role,
    pub(super) marks: Marks,
    /// The entry that an earlier write under the same key made.
    pub(super) earlier: Option<u64>,
    /// Whether it is a direct conversation with a block or a deleted account.
    pub(super) is_blocked: bool,
    /// Where the sender's log begins.
    pub(super) first_seq: u64,
    /// The sender keeps from others how far they have read.
    pub(super) hides_reads: bool,
}

impl Found {
    /// Somebody who may be no member any more, with the whole log.
    fn former(person: i64) -> Self {
        Self {
            person,
            role: Role::Member,
            marks: Marks::default(),
            earlier: None,
            is_blocked: false,
            first_seq: 0,
            hides_reads: false,
        }
    }

    /// Fills in the senders of erasures, members or not: one more round trip where there are any.
    pub(super) async fn fill_former(
        connection: &Connection,
        batch: &[Append],
        found: &mut [Option<Self>],
    ) -> Result<(), Failure> {
        let erasures = batch.iter().filter(|append| append.is_erasure);
        let senders: Vec<&str> = erasures.map(|one| one.message.sender.as_str()).collect();
        if senders.is_empty() {
            return Ok(());
        }
        let mut rows: HashMap<String, i64> = HashMap::new();
        for row in connection.query(&PEOPLE, &[&senders]).await? {
            rows.insert(row.try_get(0)?, row.try_get(1)?);
        }
        for (append, found) in batch.iter().zip(found) {
            if append.is_erasure {
                let person = rows.get(append.message.sender.as_str());
                *found = person.copied().map(Self::former);
            }
        }
        Ok(())
    }

    /// From the rows of [`FIND`], in the order of the batch.
    pub(super) fn read(
        rows: &[Row],
        batch: &[Append],
    ) -> Result<Vec<Option<Self>>, tokio_postgres::Error> {
        let mut all: Vec<Option<Self>> = Vec::new();
        all.resize_with(batch.len(), || None);
        for row in rows {
            let place = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
            if let Some(found) = all.get_mut(place.wrapping_sub(1)) {
                *found = Some(Self {
                    person: row.try_get(1)?,
                    role: role_from_db(row.try_get(2)?),
                    marks: marks(row, 3)?,
                    earlier: row.try_get::<_, Option<i64>>(7)?.map(from_db),
                    is_blocked: row.try_get(8)?,
                    first_seq: from_db(row.try_get(9)?),
                    hides_reads: row.try_get::<_, i16>(10)? != 0,
                });
            }
        }
        Ok(all)
    }
}

/// Four columns, the first of them at `at`.
pub(super) fn marks(row: &Row, at: usize) -> Result<Marks, tokio_postgres::Error> {
    Ok(Marks {
        read: from_db(row.try_get(at)?),
        delivered: from_db(row.try_get(at + 1)?),
        visible_read: from_db(row.try_get(at + 2)?),
        visible_delivered: from_db(row.try_get(at + 3)?),
    })
}
