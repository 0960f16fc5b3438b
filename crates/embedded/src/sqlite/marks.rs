//! Members' marks as the database has them: the rules are [`Marks`]'s. The columns of the visible
//! marks keep the names of the schema that added them, `told_…`.

use super::batch::{Batch, CachedConversation};
use super::codec::{from_db, manual_to_db, to_db};
use lamplight_domain::conversation::Members;
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::marks::{Covered, Mark, Marks, ReceiptAudience, owner_and_authors};
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::presence::ManualStatus;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::MarkUpdate;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// Moves a mark. `None` if there is no such conversation for the user.
pub(crate) fn mark(
    batch: &mut Batch<'_>,
    mark: Mark,
    user: &UserId,
    conversation: &ConversationId,
    seq: u64,
    at: Timestamp,
) -> rusqlite::Result<Option<MarkUpdate>> {
    let Some((conn, known)) = batch.known(conversation)? else {
        return Ok(None);
    };
    let Some(member) = known.member(user) else {
        return Ok(None);
    };
    if authorize(Some(member.role), Action::Mark).is_err() {
        return Ok(None);
    }
    let Some((before, is_invisible, hides_reads)) = find(conn, known.row, member.person, at)?
    else {
        return Ok(None);
    };
    let is_hidden = is_invisible || known.is_blocked;
    let after = before.advance(mark, seq, known.head.seq, is_hidden);
    if after != before {
        write(conn, known.row, member.person, after)?;
    }
    let covered = after.newly_covered(before);
    Ok(Some(MarkUpdate {
        conversation: conversation.clone(),
        receipt: after.receipt_of(user.clone(), hides_reads),
        is_visible: after.is_news(before, hides_reads),
        delivers: after.delivers(before),
        read_seq: after.read,
        moved: after.read != before.read,
        to: receivers(
            conn,
            known,
            user,
            member.person,
            covered.unwrap_or_default(),
        )?,
    }))
}

/// Moves a sender's marks to the entry they have just appended, which is the head now. Returns the
/// events to publish after it: none for an ordinary message.
pub(crate) fn sent(
    conn: &Connection,
    known: &CachedConversation,
    conversation: &ConversationId,
    user: &UserId,
    person: i64,
) -> rusqlite::Result<[Option<Event>; 2]> {
    let seq = known.head.seq;
    let before = conn
        .prepare_cached(BEFORE_SEND)?
        .query_row(params![known.row, person], marks)?;
    let after = Marks::all_at(seq);
    write(conn, known.row, person, after)?;
    let receipt = match before.covered_by_send(seq) {
        Some(_) if hides_reads(conn, person)? => None,
        Some(covered) => Some(Event::Receipt {
            conversation: conversation.clone(),
            receipt: after.receipt(user.clone()),
            delivers: before.delivers_by_send(seq),
            to: receivers(conn, known, user, person, covered)?,
        }),
        None => None,
    };
    // Otherwise the sender's other devices would count answered messages as unread.
    let changed = before
        .reads_by_send(seq)
        .then(|| Event::ConversationChanged {
            conversation: conversation.clone(),
            to: [user.clone()].into(),
        });
    Ok([receipt, changed])
}

/// Whether a person keeps from others how far they have read.
fn hides_reads(conn: &Connection, person: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT hides_reads FROM people WHERE id = ?1")?
        .query_row([person], |row| row.get(0))
}

/// Brings a member's visible marks up to the true ones in every conversation. Returns those that
/// moved.
pub(crate) fn catch_up(
    batch: &mut Batch<'_>,
    user: &UserId,
    person: i64,
    at: Timestamp,
) -> rusqlite::Result<Vec<MarkUpdate>> {
    let behind = batch
        .conn
        .prepare_cached(
            "SELECT c.conversation_id FROM members m JOIN conversations c ON c.id = m.conversation
             WHERE m.person = ?1 AND (m.told_read_seq < m.read_seq OR m.told_delivered_seq < m.delivered_seq)",
        )?
        .query_map([person], |row| Ok(ConversationId::trusted(row.get_ref(0)?.as_str()?)))?
        .collect::<rusqlite::Result<Vec<ConversationId>>>()?;
    let mut moved = Vec::with_capacity(behind.len());
    for conversation in behind {
        // To where it is already: only the visible marks move.
        moved.extend(
            mark(batch, Mark::Delivered, user, &conversation, 0, at)?
                .filter(|update| update.is_visible),
        );
    }
    Ok(moved)
}

/// The members who get a receipt.
fn receivers(
    conn: &Connection,
    known: &CachedConversation,
    user: &UserId,
    person: i64,
    covered: Covered,
) -> rusqlite::Result<Members> {
    let Covered { after, up_to } = match covered.audience(known.members.len()) {
        ReceiptAudience::Everyone => return Ok(known.members.clone()),
        ReceiptAudience::AuthorsOf(covered) => covered,
    };
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT p.user_id FROM entries e JOIN people p ON p.id = e.sender
         WHERE e.conversation = ?1 AND e.seq > ?2 AND e.seq <= ?3 AND e.sender <> ?4",
    )?;
    let authors = statement
        .query_map(
            params![known.row, to_db(after), to_db(up_to), person],
            |row| row.get(0),
        )?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let authors = authors.iter().map(String::as_str);
    Ok(owner_and_authors(user, authors, &known.members))
}

pub(super) const BEFORE_SEND: &str =
    "SELECT read_seq, delivered_seq, told_read_seq, told_delivered_seq
     FROM members WHERE conversation = ?1 AND person = ?2";

/// From the first four columns.
fn marks(row: &Row<'_>) -> rusqlite::Result<Marks> {
    let seq = |column| row.get(column).map(from_db);
    Ok(Marks {
        read: seq(0)?,
        delivered: seq(1)?,
        visible_read: seq(2)?,
        visible_delivered: seq(3)?,
    })
}

/// A member's marks, whether the member is invisible at `at`, and whether they hide how far they have
/// read. The status is read in the
/// transaction that moves the marks, so that a status and a mark take effect in the order in which
/// they were written, whether or not the member has a session.
fn find(
    conn: &Connection,
    conversation: i64,
    person: i64,
    at: Timestamp,
) -> rusqlite::Result<Option<(Marks, bool, bool)>> {
    conn.prepare_cached(
        "SELECT m.read_seq, m.delivered_seq, m.told_read_seq, m.told_delivered_seq,
                p.status = ?3 AND (p.status_until IS NULL OR p.status_until > ?4), p.hides_reads
         FROM members m JOIN people p ON p.id = m.person WHERE m.conversation = ?1 AND m.person = ?2",
    )?
    .query_row(
        params![conversation, person, manual_to_db(ManualStatus::Invisible), at.0],
        |row| Ok((marks(row)?, row.get(4)?, row.get(5)?)),
    )
    .optional()
}

pub(super) const WRITE: &str =
    "UPDATE members SET read_seq = ?3, delivered_seq = ?4, told_read_seq = ?5, told_delivered_seq = ?6
     WHERE conversation = ?1 AND person = ?2";

fn write(conn: &Connection, conversation: i64, person: i64, marks: Marks) -> rusqlite::Result<()> {
    conn.prepare_cached(WRITE)?.execute(params![
        conversation,
        person,
        to_db(marks.read),
        to_db(marks.delivered),
        to_db(marks.visible_read),
        to_db(marks.visible_delivered)
    ])?;
    Ok(())
}
