//! Members' marks: the rules are [`Marks`]'s. A mark locks its membership, and not the conversation,
//! so that marks and appends hold each other up as little as possible. Everything that locks
//! memberships does so in the order of conversations, then persons, and after the conversations it
//! locks.
//!
//! A mark reads the status after it has locked its membership, and
//! [`set_status`](lamplight_usecases::ports::Directory::set_status) locks the memberships after it
//! has written the status: whichever is later sees what the other one did.

mod sql;

pub(super) use sql::{BEHIND, HEADS, LOCK_ALL_OF, LOCK_MEMBERSHIPS, STATUSES, WRITE};

use super::append::{AUTHORS, marks};
use super::codec::{from_db, invisible_at, role_from_db, to_db};
use super::connection::{Connection, Params};
use super::database::Database;
use super::error::Failure;
use super::members::members_of;
use lamplight_domain::conversation::Members;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::marks::{Covered, Mark, Marks, ReceiptAudience, owner_and_authors};
use lamplight_domain::permission::{Action, Role, authorize};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::MarkUpdate;
use std::collections::HashMap;
use tokio::join;

/// A mark that is to be moved.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) mark: Mark,
    pub(crate) user: UserId,
    pub(crate) conversation: ConversationId,
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
}

/// A mark that was moved, or stands where it stood.
struct Moved {
    place: usize,
    conversation: i64,
    before: Marks,
    after: Marks,
    hides_reads: bool,
    audience: ReceiptAudience,
}

/// The marks that a transaction wrote before it was run again, with those that they replaced.
pub(super) type Written = HashMap<(i64, i64), (Marks, Marks)>;

struct Head {
    seq: u64,
    members_version: i64,
    member_count: usize,
}

/// A membership under its lock.
#[derive(Clone)]
struct Membership {
    conversation: i64,
    person: i64,
    role: Role,
    marks: Marks,
    /// A direct conversation with a block.
    is_blocked: bool,
}

/// The rows that a transaction has read under its locks.
struct Read {
    /// In the order of the moves, `None` for those of no member.
    memberships: Vec<Option<Membership>>,
    heads: HashMap<i64, Head>,
    /// By person: the manual status and its end, and whether they hide how far they have read.
    statuses: HashMap<i64, (i16, Option<i64>, bool)>,
}

/// Moves marks, one after the other, in a transaction of its own: two round trips. `None` for those
/// of no member.
///
/// What is written is noted in `written`: where this is run again because the outcome is unknown, a
/// committed move is still published.
pub(super) async fn advance(
    database: &Database,
    connection: &Connection,
    moves: &[Move],
    written: &mut Written,
) -> Result<Vec<Option<MarkUpdate>>, Failure> {
    let read = read(connection, moves, true).await?;
    let (moved, writes) = decide(moves, &read, written);
    *written = writes;
    let members = members(database, connection, &moved, &read.heads).await?;
    let authors = write(connection, written, &moved, &read, true).await?;
    Ok(updates(moves, &moved, &members, &authors))
}

/// Brings a person's visible marks up to the true ones in every conversation, in the running
/// transaction, which has written the status before. Returns those that moved.
pub(crate) async fn catch_up(
    database: &Database,
    connection: &Connection,
    user: &UserId,
    person: i64,
    at: Timestamp,
) -> Result<Vec<MarkUpdate>, Failure> {
    let lock = connection.prepare(&LOCK_ALL_OF).await?;
    let behind = connection.prepare(&BEHIND).await?;
    let params: Params<'_> = &[&person];
    let (locked, behind) = join!(
        connection.execute_ready(&lock, params),
        connection.query_ready(&behind, params),
    );
    locked?;
    let mut moves = Vec::new();
    for row in behind? {
        moves.push(Move {
            // To where it is already: only the visible marks move.
            mark: Mark::Delivered,
            seq: 0,
            user: user.clone(),
            conversation: ConversationId::trusted(row.try_get::<_, &str>(0)?),
            at,
        });
    }
    let mut visible = Vec::with_capacity(moves.len());
    for moves in moves.chunks(super::writer::BATCH_AT_MOST) {
        let read = read(connection, moves, false).await?;
        let (moved, writes) = decide(moves, &read, &Written::new());
        let members = members(database, connection, &moved, &read.heads).await?;
        let authors = write(connection, &writes, &moved, &read, false).await?;
        let updates = updates(moves, &moved, &members, &authors);
        visible.extend(updates.into_iter().flatten().filter(|one| one.is_visible));
    }
    Ok(visible)
}

async fn read(connection: &Connection, moves: &[Move], begins: bool) -> Result<Read, Failure> {
    let statements = [&LOCK_MEMBERSHIPS, &HEADS, &STATUSES];
    let [lock, heads, statuses] = connection.prepare_all(statements).await?;
    let conversations: Vec<&str> = moves.iter().map(|one| one.conversation.as_str()).collect();
    let users: Vec<&str> = moves.iter().map(|one| one.user.as_str()).collect();
    let begin = async {
        if begins {
            connection.begin().await?;
        }
        Ok::<(), Failure>(())
    };
    let (distinct_conversations, distinct_users) = (distinct(&conversations), distinct(&users));
    let of_lock: Params<'_> = &[&conversations, &users];
    let of_heads: Params<'_> = &[&distinct_conversations];
    let of_statuses: Params<'_> = &[&distinct_users];
    let (begun, locked, heads, statuses) = join!(
        begin,
        connection.query_ready(&lock, of_lock),
        connection.query_ready(&heads, of_heads),
        connection.query_ready(&statuses, of_statuses),
    );
    begun?;
    let mut read = Read {
        memberships: vec![None; moves.len()],
        heads: HashMap::new(),
        statuses: HashMap::new(),
    };
    for row in locked? {
        let place = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
        if let Some(found) = read.memberships.get_mut(place.wrapping_sub(1)) {
            *found = Some(Membership {
                conversation: row.try_get(1)?,
                person: row.try_get(2)?,
                role: role_from_db(row.try_get(3)?),
                marks: marks(&row, 4)?,
                is_blocked: row.try_get(8)?,
            });
        }
    }
    for row in heads? {
        let head = Head {
            seq: from_db(row.try_get(1)?),
            members_version: row.try_get(2)?,
            member_count: usize::try_from(row.try_get::<_, i32>(3)?).unwrap_or(0),
        };
        read.heads.insert(row.try_get(0)?, head);
    }
    for row in statuses? {
        let hides_reads = row.try_get::<_, i16>(3)? != 0;
        let status = (row.try_get(1)?, row.try_get(2)?, hides_reads);
        read.statuses.insert(row.try_get(0)?, status);
    }
    Ok(read)
}

/// Decides on the moves in their order: a later one builds on an earlier one. Returns what moved,
/// and what is to be written.
fn decide(moves: &[Move], read: &Read, written: &Written) -> (Vec<Moved>, Written) {
    let (mut writes, mut moved) = (Written::new(), Vec::new());
    for (place, (one, membership)) in moves.iter().zip(&read.memberships).enumerate() {
        let Some(Membership {
            conversation,
            person,
            role,
            marks,
            is_blocked,
        }) = membership
        else {
            continue;
        };
        let (Some(head), Some((status, until, hides_reads))) =
            (read.heads.get(conversation), read.statuses.get(person))
        else {
            continue;
        };
        if authorize(Some(*role), Action::Mark).is_err() {
            continue;
        }
        let key = (*conversation, *person);
        let stored = writes.get(&key).map_or(*marks, |(_, after)| *after);
        let is_hidden = *is_blocked || invisible_at(*status, *until, one.at);
        let after = stored.advance(one.mark, one.seq, head.seq, is_hidden);
        if after != stored {
            writes.entry(key).or_insert((stored, after)).1 = after;
        }
        // Changes committed by an earlier run of this transaction count as changes of this one.
        let before = match written.get(&key) {
            Some((before, wrote)) if *wrote == stored => *before,
            _ => stored,
        };
        let covered = after.newly_covered(before).unwrap_or_default();
        moved.push(Moved {
            place,
            conversation: *conversation,
            before,
            after,
            hides_reads: *hides_reads,
            audience: covered.audience(head.member_count),
        });
    }
    (moved, writes)
}

/// The members of the conversations whose members get a receipt.
async fn members(
    database: &Database,
    connection: &Connection,
    moved: &[Moved],
    heads: &HashMap<i64, Head>,
) -> Result<HashMap<i64, Members>, Failure> {
    let mut members = HashMap::with_capacity(moved.len());
    let mut missing = Vec::new();
    for one in moved.iter().filter(|one| !one.is_for_owner_alone()) {
        let row = one.conversation;
        let version = heads.get(&row).map_or(0, |head| head.members_version);
        match database.members.get(row, version) {
            Some(found) => drop(members.insert(row, found)),
            None => missing.push(row),
        }
    }
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        // They may have changed since the version was read. Then the cached version is not used again.
        for (row, found) in members_of(connection, &missing).await? {
            if let Some(head) = heads.get(&row) {
                database
                    .members
                    .put(row, head.members_version, found.clone());
            }
            members.insert(row, found);
        }
    }
    Ok(members)
}

impl Moved {
    /// The authors of the newly covered entries must be looked up.
    fn wants_authors(&self) -> Option<Covered> {
        match self.audience {
            ReceiptAudience::AuthorsOf(covered) if covered.up_to > covered.after => Some(covered),
            _ => None,
        }
    }

    fn is_for_owner_alone(&self) -> bool {
        self.audience != ReceiptAudience::Everyone && self.wants_authors().is_none()
    }
}

/// Writes the marks, and looks up the authors: by the place of the receipt among those that want
/// them, from 1.
async fn write(
    connection: &Connection,
    writes: &Written,
    moved: &[Moved],
    read: &Read,
    commits: bool,
) -> Result<HashMap<i64, Vec<String>>, Failure> {
    let mut asked: [Vec<i64>; 4] = Default::default();
    for one in moved {
        let membership = read.memberships[one.place].as_ref();
        if let (Some(covered), Some(membership)) = (one.wants_authors(), membership) {
            let person = membership.person;
            let values = [
                one.conversation,
                to_db(covered.after),
                to_db(covered.up_to),
                person,
            ];
            for (column, value) in asked.iter_mut().zip(values) {
                column.push(value);
            }
        }
    }
    let update = connection.prepare(&WRITE).await?;
    let lookup = connection.prepare(&AUTHORS).await?;
    let column = |value: fn(&Marks) -> u64| -> Vec<i64> {
        let values = writes.values();
        values.map(|(_, after)| to_db(value(after))).collect()
    };
    let conversations: Vec<i64> = writes.keys().map(|key| key.0).collect();
    let persons: Vec<i64> = writes.keys().map(|key| key.1).collect();
    let (read, delivered) = (column(|marks| marks.read), column(|marks| marks.delivered));
    let visible_read = column(|marks| marks.visible_read);
    let visible_delivered = column(|marks| marks.visible_delivered);
    let columns: Params<'_> = &[
        &conversations,
        &persons,
        &read,
        &delivered,
        &visible_read,
        &visible_delivered,
    ];
    let update = async {
        if writes.is_empty() {
            return Ok(0);
        }
        connection.execute_ready(&update, columns).await
    };
    let [of, after, up_to, owners] = &asked;
    let params: Params<'_> = &[of, after, up_to, owners];
    let lookup = async {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        connection.query_ready(&lookup, params).await
    };
    let commit = async {
        if commits {
            connection.commit().await?;
        }
        Ok::<(), Failure>(())
    };
    // `COMMIT` after a failed statement rolls back and reports success: the answers to the
    // statements before it decide.
    let (updated, found, committed) = join!(update, lookup, commit);
    updated?;
    let mut authors: HashMap<i64, Vec<String>> = HashMap::new();
    for row in found? {
        let author = row.try_get(1)?;
        authors.entry(row.try_get(0)?).or_default().push(author);
    }
    committed.map(|()| authors)
}

/// Completes what moved with those who get the receipts; in the order of the moves.
fn updates(
    moves: &[Move],
    moved: &[Moved],
    members: &HashMap<i64, Members>,
    authors: &HashMap<i64, Vec<String>>,
) -> Vec<Option<MarkUpdate>> {
    let mut updates = vec![None; moves.len()];
    let mut number = 0;
    for one in moved {
        let user = &moves[one.place].user;
        let everyone = members
            .get(&one.conversation)
            .map_or(&[][..], |found| found);
        let to = match (one.audience, one.wants_authors()) {
            (ReceiptAudience::Everyone, _) => members.get(&one.conversation).cloned(),
            (_, Some(_)) => {
                number += 1;
                let found = authors.get(&number).into_iter().flatten();
                Some(owner_and_authors(user, found.map(String::as_str), everyone))
            }
            (_, None) => None,
        };
        updates[one.place] = Some(MarkUpdate {
            conversation: moves[one.place].conversation.clone(),
            receipt: one.after.receipt_of(user.clone(), one.hides_reads),
            is_visible: one.after.is_news(one.before, one.hides_reads),
            delivers: one.after.delivers(one.before),
            read_seq: one.after.read,
            moved: one.after.read != one.before.read,
            to: to.unwrap_or_else(|| [user.clone()].into()),
        });
    }
    updates
}

fn distinct<'a>(texts: &[&'a str]) -> Vec<&'a str> {
    let mut distinct = texts.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}
