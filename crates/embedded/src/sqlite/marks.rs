//! How far each has got: what is true, which is what their own devices see, and what others are
//! told of it.

use super::batch::{Batch, CachedConversation, from_db, to_db};
use super::directory::manual_to_db;
use lamplight_domain::conversation::{Members, RECEIPT_REACH, RECEIPTS_FOR_ALL, Receipt};
use lamplight_domain::event::Event;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::presence::ManualStatus;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::MarkUpdate;
use rusqlite::{Connection, OptionalExtension as _, params};

/// A member's marks. What is told is never ahead of what is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marks {
    read: u64,
    delivered: u64,
    told_read: u64,
    told_delivered: u64,
}

/// Which mark is to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// What is read was delivered too.
    Read,
    Delivered,
}

/// Moves a mark forward, at most to the head, and tells all there is to tell, unless the member
/// hides. `None` if there is no such conversation for the user.
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
    let Some(person) = known.member(user) else {
        return Ok(None);
    };
    let Some((before, hides)) = find(conn, known.row, person, at)? else {
        return Ok(None);
    };
    let seq = seq.min(known.head.seq);
    let mut after = Marks {
        delivered: before.delivered.max(seq),
        ..before
    };
    if mark == Mark::Read {
        after.read = before.read.max(seq);
    }
    if !hides {
        (after.told_read, after.told_delivered) = (after.read, after.delivered);
    }
    if after != before {
        write(conn, known.row, person, after)?;
    }
    Ok(Some(MarkUpdate {
        conversation: conversation.clone(),
        receipt: Receipt {
            user: user.clone(),
            delivered_seq: after.told_delivered,
            read_seq: after.told_read,
        },
        is_visible: (after.told_read, after.told_delivered)
            != (before.told_read, before.told_delivered),
        read_seq: after.read,
        moved: after.read != before.read,
        to: audience(conn, known, user, person, newly_covered(before, after))?,
    }))
}

/// Moves all of a sender's marks to the entry they have just appended, told whatever their status is: the
/// message itself shows that they were there. Answers with what is to be published after it:
/// nothing, unless the send passes entries that were not known to be read, so that an ordinary
/// message is one event.
pub(crate) fn sent(
    conn: &Connection,
    known: &CachedConversation,
    conversation: &ConversationId,
    user: &UserId,
    person: i64,
) -> rusqlite::Result<[Option<Event>; 2]> {
    let seq = known.head.seq;
    let before = seq - 1;
    let (read, told_read) = conn
        .prepare_cached(
            "SELECT read_seq, told_read_seq FROM members WHERE conversation = ?1 AND person = ?2",
        )?
        .query_row(params![known.row, person], |row| {
            Ok((from_db(row.get(0)?), from_db(row.get(1)?)))
        })?;
    write(
        conn,
        known.row,
        person,
        Marks {
            read: seq,
            delivered: seq,
            told_read: seq,
            told_delivered: seq,
        },
    )?;
    let receipt = if told_read < before {
        Some(Event::Receipt {
            conversation: conversation.clone(),
            receipt: Receipt {
                user: user.clone(),
                delivered_seq: seq,
                read_seq: seq,
            },
            to: audience(conn, known, user, person, (told_read, before))?,
        })
    } else {
        None
    };
    // Their other devices count as unread what this one has answered.
    let changed = (read < before).then(|| Event::ConversationChanged {
        conversation: conversation.clone(),
        to: [user.clone()].into(),
    });
    Ok([receipt, changed])
}

/// Someone shows themselves: brings what is told of their marks up to what is true, and answers
/// with those that moved.
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
    let mut told = Vec::with_capacity(behind.len());
    for conversation in behind {
        // To where it is already: only what is told moves.
        told.extend(
            mark(batch, Mark::Delivered, user, &conversation, 0, at)?
                .filter(|marked| marked.is_visible),
        );
    }
    Ok(told)
}

/// The entries after the first and up to the second are those of which others learn something new.
fn newly_covered(before: Marks, after: Marks) -> (u64, u64) {
    let from = if after.told_read == before.told_read {
        before.told_delivered
    } else {
        before.told_read
    };
    let to = if after.told_delivered == before.told_delivered {
        after.told_read
    } else {
        after.told_delivered
    };
    (from, to)
}

/// Who is told of a member's marks: all, or where they are many the member and the authors of what
/// is newly covered.
fn audience(
    conn: &Connection,
    known: &CachedConversation,
    user: &UserId,
    person: i64,
    covered: (u64, u64),
) -> rusqlite::Result<Members> {
    if known.members.len() <= RECEIPTS_FOR_ALL {
        return Ok(known.members.clone());
    }
    let (from, to) = covered;
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT p.user_id FROM entries e JOIN people p ON p.id = e.sender
         WHERE e.conversation = ?1 AND e.seq > ?2 AND e.seq <= ?3 AND e.sender <> ?4",
    )?;
    let from = from.max(to.saturating_sub(RECEIPT_REACH));
    let mut authors = statement.query(params![known.row, to_db(from), to_db(to), person])?;
    let mut told = vec![user.clone()];
    while let Some(author) = authors.next()? {
        // Some who wrote may be members no longer.
        let author = author.get_ref(0)?.as_str()?;
        let author = known
            .members
            .binary_search_by(|member| member.as_str().cmp(author));
        told.extend(author.ok().map(|place| known.members[place].clone()));
    }
    told.sort();
    Ok(told.into())
}

/// A member's marks, and whether nobody else may see them move at `at`. The status is read in the
/// transaction that moves the marks, so that the two keep the order in which they were asked for,
/// whether or not the member has a session.
fn find(
    conn: &Connection,
    conversation: i64,
    person: i64,
    at: Timestamp,
) -> rusqlite::Result<Option<(Marks, bool)>> {
    conn.prepare_cached(
        "SELECT m.read_seq, m.delivered_seq, m.told_read_seq, m.told_delivered_seq,
                p.status = ?3 AND (p.status_until IS NULL OR p.status_until > ?4)
         FROM members m JOIN people p ON p.id = m.person WHERE m.conversation = ?1 AND m.person = ?2",
    )?
    .query_row(params![conversation, person, manual_to_db(ManualStatus::Invisible), at.0], |row| {
        let seq = |column| row.get(column).map(from_db);
        Ok((Marks { read: seq(0)?, delivered: seq(1)?, told_read: seq(2)?, told_delivered: seq(3)? }, row.get(4)?))
    })
    .optional()
}

fn write(conn: &Connection, conversation: i64, person: i64, marks: Marks) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE members SET read_seq = ?3, delivered_seq = ?4, told_read_seq = ?5, told_delivered_seq = ?6
         WHERE conversation = ?1 AND person = ?2",
    )?
    .execute(params![
        conversation,
        person,
        to_db(marks.read),
        to_db(marks.delivered),
        to_db(marks.told_read),
        to_db(marks.told_delivered)
    ])?;
    Ok(())
}
