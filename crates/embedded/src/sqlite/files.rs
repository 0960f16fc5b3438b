//! The records of files.

use super::batch::{Batch, IS_CLOSED};
use super::codec::{from_db, to_db};
use super::deleted_accounts::has_deleted_account;
use lamplight_domain::file::{Attachment, Dimensions, FileState, StoredFile};
use lamplight_domain::identity::{ConversationId, FileId, UserId};
use lamplight_domain::message_rules::WriteRefused;
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    Advance, Claim, Claimed, DeletedFile, Examined, FileQuota, LEAST_COUNTED_BYTES, NewFile,
    NewFileError, UploadAudience,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::sync::Arc;

/// The columns that [`attachment`] reads.
macro_rules! attachment_columns {
    () => {
        "f.id, f.name, f.type, f.size, f.width, f.height, f.thumbnail, f.blur_hash, f.duration"
    };
}

pub(super) use attachment_columns;

/// The number of [`attachment_columns`].
pub(super) const ATTACHMENT_COLUMNS: usize = 9;

pub(super) const FILE: &str = concat!(
    "SELECT ",
    attachment_columns!(),
    ", o.user_id, c.conversation_id, f.received, f.state, f.seq, f.created_at, f.changed_at,
     f.generation, f.place, f.claimed,
     EXISTS (SELECT 1 FROM blocks WHERE person = f.owner AND blocked = me.id)
     AND NOT EXISTS (SELECT 1 FROM conversation_groups g WHERE g.conversation = f.conversation)
     AND (SELECT count(*) FROM (SELECT 1 FROM members WHERE conversation = f.conversation LIMIT 3)) = 2
     FROM files f JOIN people o ON o.id = f.owner JOIN conversations c ON c.id = f.conversation
     JOIN people me ON me.user_id = ?2 AND me.source <> 3
     JOIN members m ON m.conversation = f.conversation AND m.person = me.id
     WHERE f.id = ?1 AND f.state < 5 AND (f.seq IS NULL OR f.seq >= m.first_seq)"
);
pub(super) const ANY_FILE: &str = concat!(
    "SELECT ",
    attachment_columns!(),
    ", o.user_id, c.conversation_id, f.received, f.state, f.seq, f.created_at, f.changed_at,
     f.generation, f.place, f.claimed, 0
     FROM files f JOIN people o ON o.id = f.owner JOIN conversations c ON c.id = f.conversation
     WHERE f.id = ?1"
);
pub(super) const BEGUN: &str =
    "SELECT coalesce(sum(max(size, ?3)), 0) FROM files INDEXED BY files_of_owners
     WHERE owner = ?1 AND created_at > ?2";
pub(super) const UNSENT: &str = "SELECT id FROM files INDEXED BY unsent_files
     WHERE seq IS NULL AND state < 5 AND changed_at < ?1 ORDER BY changed_at LIMIT ?2";
pub(super) const DELETED: &str = "SELECT id, generation, place FROM files INDEXED BY deleted_files
     WHERE state >= 5 AND state = 5 ORDER BY created_at LIMIT ?1";
/// The columns that a deletion sets: it erases the file's name and metadata. The sweep deletes its
/// bytes and its thumbnail.
macro_rules! blank {
    () => {
        "state = 5, name = '', type = '', width = NULL, height = NULL, blur_hash = NULL, duration = NULL"
    };
}

pub(super) const OF_MESSAGE: &str = concat!(
    "UPDATE files INDEXED BY files_of_messages SET ",
    blank!(),
    ", changed_at = ?3 WHERE conversation = ?1 AND seq = ?2 AND seq IS NOT NULL"
);
/// A deleted file counts its received bytes.
const DISCARD: &str = concat!(
    "UPDATE files SET ",
    blank!(),
    ", size = received, changed_at = ?2 WHERE id = ?1 AND seq IS NULL AND state < 5"
);
const READY: &str = concat!(
    "SELECT ",
    attachment_columns!(),
    " FROM files f WHERE f.id = ?1 AND f.conversation = ?2 AND f.owner = ?3 AND f.state = 2 AND f.seq IS NULL"
);

pub(crate) fn create_file(
    batch: &mut Batch<'_>,
    file: &NewFile,
    quota: Option<FileQuota>,
) -> rusqlite::Result<Result<(), NewFileError>> {
    let Some((conn, known)) = batch.known(&file.conversation)? else {
        return Ok(Err(NewFileError::NotFound));
    };
    let Some(member) = known.member(&file.owner) else {
        return Ok(Err(NewFileError::NotFound));
    };
    if has_deleted_account(conn, &file.owner)? {
        return Ok(Err(NewFileError::NotFound));
    }
    if known.is_blocked || authorize(Some(member.role), Action::Write).is_err() {
        return Ok(Err(NewFileError::Forbidden));
    }
    if let Some(quota) = quota {
        let least = to_db(LEAST_COUNTED_BYTES);
        let begun: i64 = conn
            .prepare_cached(BEGUN)?
            .query_row(params![member.person, quota.since.0, least], |row| {
                row.get(0)
            })?;
        let counted = file.size.max(LEAST_COUNTED_BYTES);
        if from_db(begun).saturating_add(counted) > quota.bytes {
            return Ok(Err(NewFileError::OverQuota));
        }
    }
    conn.prepare_cached(
        "INSERT INTO files (id, owner, conversation, name, type, size, created_at, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
    )?
    .execute(params![
        file.id.as_str(),
        member.person,
        known.row,
        file.name,
        file.media_type,
        to_db(file.size),
        file.created_at.0
    ])?;
    Ok(Ok(()))
}

/// From the first columns of a row.
pub(super) fn attachment(row: &Row<'_>) -> rusqlite::Result<Attachment> {
    let number = |at| row.get::<_, Option<u32>>(at);
    Ok(Attachment {
        id: FileId::trusted(row.get_ref(0)?.as_str()?),
        name: row.get_ref(1)?.as_str()?.into(),
        media_type: row.get_ref(2)?.as_str()?.into(),
        size: from_db(row.get(3)?),
        dimensions: number(4)?
            .zip(number(5)?)
            .map(|(width, height)| Dimensions { width, height }),
        has_thumbnail: row.get(6)?,
        blur_hash: row.get::<_, Option<Box<str>>>(7)?.map(Into::into),
        duration_ms: row.get::<_, Option<i64>>(8)?.map(from_db),
    })
}

pub(crate) fn file(
    conn: &Connection,
    caller: &UserId,
    id: &FileId,
) -> rusqlite::Result<Option<StoredFile>> {
    conn.prepare_cached(FILE)?
        .query_row(params![id.as_str(), caller.as_str()], stored)
        .optional()
}

/// A file, without authorization.
pub(super) fn stored_file(conn: &Connection, id: &FileId) -> rusqlite::Result<Option<StoredFile>> {
    conn.prepare_cached(ANY_FILE)?
        .query_row([id.as_str()], stored)
        .optional()
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredFile> {
    Ok(StoredFile {
        file: attachment(row)?,
        owner: UserId::trusted(row.get_ref(9)?.as_str()?),
        conversation: ConversationId::trusted(row.get_ref(10)?.as_str()?),
        received: from_db(row.get(11)?),
        state: FileState::from_number(row.get(12)?),
        message_seq: row.get::<_, Option<i64>>(13)?.map(from_db),
        created_at: Timestamp(row.get(14)?),
        changed_at: Timestamp(row.get(15)?),
        generation: from_db(row.get(16)?),
        place: row.get_ref(17)?.as_str()?.into(),
        is_claimed: row.get(18)?,
        is_withheld: row.get(19)?,
    })
}

pub(crate) fn claim_file(
    conn: &Connection,
    id: &FileId,
    run: &str,
    is_forced: bool,
) -> rusqlite::Result<Claim> {
    let claimed = conn
        .prepare_cached(
            "UPDATE files SET generation = generation + (writer IS NOT ?2), writer = ?2, claimed = 1
             WHERE id = ?1 AND state = 0 AND (claimed = 0 OR writer = ?2 OR ?3)
             RETURNING generation, received, place",
        )?
        .query_row(params![id.as_str(), run, is_forced], |row| {
            Ok(Claim::Claimed(Claimed {
                generation: from_db(row.get(0)?),
                received: from_db(row.get(1)?),
                place: row.get_ref(2)?.as_str()?.into(),
            }))
        })
        .optional()?;
    if let Some(claimed) = claimed {
        return Ok(claimed);
    }
    let is_upload = conn
        .prepare_cached("SELECT 1 FROM files WHERE id = ?1 AND state = 0")?
        .exists([id.as_str()])?;
    Ok(if is_upload { Claim::Held } else { Claim::Ended })
}

pub(crate) fn release_file(
    conn: &Connection,
    id: &FileId,
    generation: u64,
) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE files SET claimed = 0 WHERE id = ?1 AND generation = ?2")?
        .execute(params![id.as_str(), to_db(generation)])?;
    Ok(())
}

pub(crate) fn advance_file(
    conn: &Connection,
    id: &FileId,
    step: &Advance,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let changed = conn
        .prepare_cached(
            "UPDATE files SET received = ?3, place = ?5, changed_at = ?6
             WHERE id = ?1 AND received = ?2 AND ?3 <= size AND generation = ?4 AND state = 0",
        )?
        .execute(params![
            id.as_str(),
            to_db(step.from),
            to_db(step.to),
            to_db(step.generation),
            step.place,
            at.0
        ])?;
    Ok(changed > 0)
}

pub(crate) fn file_audiences(
    conn: &Connection,
    ids: &[FileId],
) -> rusqlite::Result<Vec<UploadAudience>> {
    let mut upload = conn.prepare_cached(
        "SELECT f.conversation, f.owner, f.state, f.writer, EXISTS (SELECT 1 FROM members m
             WHERE m.conversation = f.conversation AND m.person = f.owner),
             EXISTS (SELECT 1 FROM conversation_groups g WHERE g.conversation = f.conversation)
         FROM files f WHERE f.id = ?1",
    )?;
    let mut members = conn.prepare_cached(
        "SELECT p.id, p.user_id FROM members m JOIN people p ON p.id = m.person
         WHERE m.conversation = ?1 AND m.person <> ?2",
    )?;
    let mut is_blocked = conn.prepare_cached(IS_CLOSED)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let row = upload
            .query_row([id.as_str()], |row| {
                let writer: Option<String> = row.get(3)?;
                let numbers: (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let flags: (bool, bool) = (row.get(4)?, row.get(5)?);
                Ok((numbers, writer, flags))
            })
            .optional()?;
        let Some(((conversation, owner, state), writer, (is_member, is_group))) = row else {
            continue;
        };
        let mut others: Vec<(i64, UserId)> = Vec::new();
        if is_member {
            others = members
                .query_map([conversation, owner], |row| {
                    Ok((row.get(0)?, UserId::trusted(row.get_ref(1)?.as_str()?)))
                })?
                .collect::<rusqlite::Result<_>>()?;
        }
        // In groups nothing is hidden, also in one that has shrunk to two.
        if let [(other, _)] = others.as_slice()
            && !is_group
            && is_blocked.exists([owner, *other])?
        {
            others.clear();
        }
        found.push(UploadAudience {
            id: id.clone(),
            others: others.into_iter().map(|(_, user)| user).collect(),
            state: FileState::from_number(state),
            writer: writer.map(Into::into),
        });
    }
    Ok(found)
}

pub(crate) fn examined_file(
    conn: &Connection,
    id: &FileId,
    found: &Examined,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let changed = conn
        .prepare_cached(concat!(
            "UPDATE files SET type = ?2, width = ?3, height = ?4, thumbnail = ?5, state = ?6, changed_at = ?7,
                 blur_hash = ?8, duration = ?9, silent_at = NULL, scan_at = CASE WHEN ?6 = 1 THEN ",
            super::codec::now!(),
            " END WHERE id = ?1 AND received = size AND state = 0"
        ))?
        .execute(params![
            id.as_str(),
            found.media_type,
            found.dimensions.map(|of| of.width),
            found.dimensions.map(|of| of.height),
            found.has_thumbnail,
            found.state.number(),
            at.0,
            found.blur_hash,
            found.duration_ms.map(to_db)
        ])?;
    Ok(changed > 0)
}

pub(crate) fn discard_file(
    conn: &Connection,
    id: &FileId,
    at: Timestamp,
) -> rusqlite::Result<bool> {
    let changed = conn
        .prepare_cached(DISCARD)?
        .execute(params![id.as_str(), at.0])?;
    Ok(changed > 0)
}

pub(crate) fn discard_unsent_files(
    conn: &Connection,
    before: Timestamp,
    at: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let unsent: Vec<FileId> = conn
        .prepare_cached(UNSENT)?
        .query_map(params![before.0, to_db(limit as u64)], |row| {
            Ok(FileId::trusted(row.get_ref(0)?.as_str()?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for id in &unsent {
        discard_file(conn, id, at)?;
    }
    Ok(unsent.len())
}

pub(crate) fn deleted_files(conn: &Connection, limit: usize) -> rusqlite::Result<Vec<DeletedFile>> {
    conn.prepare_cached(DELETED)?
        .query_map(params![to_db(limit as u64)], |row| {
            Ok(DeletedFile {
                id: FileId::trusted(row.get_ref(0)?.as_str()?),
                generation: from_db(row.get(1)?),
                place: row.get_ref(2)?.as_str()?.into(),
            })
        })?
        .collect()
}

pub(crate) fn forget_files(
    conn: &Connection,
    gone: &[FileId],
    began_before: Timestamp,
) -> rusqlite::Result<()> {
    let mut mark = conn.prepare_cached("UPDATE files SET state = 6 WHERE id = ?1 AND state = 5")?;
    for id in gone {
        mark.execute([id.as_str()])?;
    }
    conn.prepare_cached(
        "DELETE FROM files INDEXED BY deleted_files WHERE state >= 5 AND state = 6 AND created_at < ?1",
    )?
    .execute([began_before.0])?;
    Ok(())
}

/// The files of a message, if its sender may send them.
pub(super) fn attachments(
    conn: &Connection,
    row: i64,
    person: i64,
    wanted: &[FileId],
) -> rusqlite::Result<Result<Vec<Attachment>, WriteRefused>> {
    let mut found = Vec::with_capacity(wanted.len());
    for id in wanted {
        let file = conn
            .prepare_cached(READY)?
            .query_row(params![id.as_str(), row, person], attachment)
            .optional()?;
        match file {
            Some(file) => found.push(file),
            None => return Ok(Err(WriteRefused::UnknownFile)),
        }
    }
    Ok(Ok(found))
}

/// Gives files to the message at a `seq`, in its order.
pub(super) fn attach(conn: &Connection, seq: u64, files: &[Attachment]) -> rusqlite::Result<()> {
    for (position, file) in (0_i64..).zip(files) {
        conn.prepare_cached("UPDATE files SET seq = ?2, position = ?3 WHERE id = ?1")?
            .execute(params![file.id.as_str(), to_db(seq), position])?;
    }
    Ok(())
}

/// Deletes the files of a message.
pub(super) fn delete_of_message(
    conn: &Connection,
    row: i64,
    seq: u64,
    at: Timestamp,
) -> rusqlite::Result<()> {
    conn.prepare_cached(OF_MESSAGE)?
        .execute(params![row, to_db(seq), at.0])?;
    Ok(())
}

pub(crate) fn signing_key(conn: &Connection) -> rusqlite::Result<Arc<str>> {
    conn.prepare_cached("SELECT value FROM properties WHERE name = 'digest_key'")?
        .query_row([], |row| Ok(row.get_ref(0)?.as_str()?.into()))
}
