//! The records of files.

use super::block_check::is_blocked;
use super::codec::{content_from_db, content_to_db, from_db, role_from_db, to_db};
use super::connection::{Connection, Sql};
use super::database::{Database, Repeat};
use super::error::Failure;
use lamplight_domain::file::{Attachment, Dimensions, FileState, StoredFile};
use lamplight_domain::identity::{ConversationId, FileId, UserId};
use lamplight_domain::permission::{Action, authorize};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{
    Advance, Claim, Claimed, DeletedFile, Examined, FileQuota, LEAST_COUNTED_BYTES, NewFile,
    NewFileError, StoreResult, UploadAudience,
};
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// The columns that [`attachment`] reads, of files `f`.
macro_rules! attachment_columns {
    () => {
        "f.id, f.name, f.type, f.size, f.width, f.height, f.thumbnail, f.blur_hash, f.duration"
    };
}
pub(super) use attachment_columns;

/// The number of [`attachment_columns`].
pub(super) const ATTACHMENT_COLUMNS: usize = 9;

const FILE: Sql = Sql {
    text: concat!(
        "SELECT ",
        attachment_columns!(),
        ", o.user_id, c.conversation_id, f.received, f.state, f.seq, f.created_at, f.changed_at,
         f.generation, f.place, f.claimed,
         EXISTS (SELECT 1 FROM blocks WHERE person = f.owner AND blocked = (SELECT id FROM people WHERE user_id = $2))
         AND NOT EXISTS (SELECT 1 FROM conversation_groups g WHERE g.conversation = f.conversation)
         AND (SELECT count(*) FROM (SELECT 1 FROM members WHERE conversation = f.conversation LIMIT 3) x) = 2
         FROM files f JOIN people o ON o.id = f.owner JOIN conversations c ON c.id = f.conversation
         WHERE f.id = $1 AND f.state < 5 AND EXISTS (SELECT 1 FROM members m
             WHERE m.conversation = f.conversation
             AND m.person = (SELECT id FROM people WHERE user_id = $2 AND source <> 3)
             AND (f.seq IS NULL OR f.seq >= m.first_seq))"
    ),
    types: &[Type::TEXT, Type::TEXT],
};

/// Locks the owner's row, so that two files at once do not both take the last of the quota.
const OWNER: Sql = Sql {
    text: concat!(
        "SELECT p.id, c.id, m.role, (SELECT ",
        is_blocked!(),
        " FROM (SELECT p.has_blocks, c.member_count, p.id AS person, c.id AS conversation) a)
           FROM people p, conversations c, members m
           WHERE p.user_id = $1 AND p.source <> 3 AND c.conversation_id = $2 AND m.conversation = c.id AND m.person = p.id
           FOR NO KEY UPDATE OF p"
    ),
    types: &[Type::TEXT, Type::TEXT],
};

const BEGUN: Sql = Sql {
    text: "SELECT coalesce(sum(greatest(size, $3)), 0)::int8 FROM files WHERE owner = $1 AND created_at > $2",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

const INSERT: Sql = Sql {
    text: "INSERT INTO files (id, owner, conversation, name, type, size, created_at, changed_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (id) DO NOTHING",
    types: &[
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
    ],
};

const CLAIM: Sql = Sql {
    text: "UPDATE files SET writer = $2, claimed = 1,
               generation = generation + CASE WHEN writer IS DISTINCT FROM $2 THEN 1 ELSE 0 END
           WHERE id = $1 AND state = 0 AND (claimed = 0 OR writer = $2 OR $3)
           RETURNING generation, received, place",
    types: &[Type::TEXT, Type::TEXT, Type::BOOL],
};

const IS_UPLOAD: Sql = Sql {
    text: "SELECT 1 FROM files WHERE id = $1 AND state = 0",
    types: &[Type::TEXT],
};

const RELEASE: Sql = Sql {
    text: "UPDATE files SET claimed = 0 WHERE id = $1 AND generation = $2",
    types: &[Type::TEXT, Type::INT8],
};

const ADVANCE: Sql = Sql {
    text: "UPDATE files SET received = $3, place = $5, changed_at = $6
           WHERE id = $1 AND received = $2 AND $3 <= size AND generation = $4 AND state = 0",
    types: &[
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::INT8,
    ],
};

const AUDIENCES: Sql = Sql {
    text: "SELECT f.id, f.state, f.writer, coalesce(o.users, '{}')
           FROM files f LEFT JOIN LATERAL (
               SELECT array_agg(p.user_id) AS users, min(m.person) AS other, count(*) AS number
               FROM members m JOIN people p ON p.id = m.person
               WHERE m.conversation = f.conversation AND m.person <> f.owner
           ) o ON EXISTS (SELECT 1 FROM members m
                   WHERE m.conversation = f.conversation AND m.person = f.owner)
               AND NOT (o.number = 1 AND NOT EXISTS (
                   SELECT 1 FROM conversation_groups g WHERE g.conversation = f.conversation) AND EXISTS (SELECT 1 FROM blocks b
                   WHERE b.person = f.owner AND b.blocked = o.other
                   OR b.person = o.other AND b.blocked = f.owner))
           WHERE f.id = ANY ($1)",
    types: &[Type::TEXT_ARRAY],
};

const EXAMINED: Sql = Sql {
    text: concat!(
        "UPDATE files SET type = $2, width = $3, height = $4, thumbnail = $5, state = $6, changed_at = $7,
               blur_hash = $8, duration = $9, silent_at = NULL, scan_at = CASE WHEN $6 = 1 THEN ",
        super::codec::now!(),
        " END
           WHERE id = $1 AND received = size AND state = 0"
    ),
    types: &[
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT2,
        Type::INT2,
        Type::INT8,
        Type::TEXT,
        Type::INT8,
    ],
};

/// The columns that a deletion sets: it erases the file's name and metadata. The sweep deletes its
/// bytes and its thumbnail.
macro_rules! blank {
    () => {
        "state = 5, name = '', type = '', width = NULL, height = NULL, blur_hash = NULL, duration = NULL"
    };
}
pub(super) use blank;

/// A deleted file counts its received bytes.
const DISCARD: Sql = Sql {
    text: concat!(
        "UPDATE files SET ",
        blank!(),
        ", size = received, changed_at = $2 WHERE id = $1 AND seq IS NULL AND state < 5"
    ),
    types: &[Type::TEXT, Type::INT8],
};

const DISCARD_UNSENT: Sql = Sql {
    text: concat!(
        "UPDATE files SET ",
        blank!(),
        ", size = received, changed_at = $2
           WHERE id IN (SELECT id FROM files WHERE seq IS NULL AND state < 5 AND changed_at < $1
               ORDER BY changed_at LIMIT $3 FOR UPDATE SKIP LOCKED)"
    ),
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

const DELETED: Sql = Sql {
    text: "SELECT id, generation, place FROM files WHERE state >= 5 AND state = 5 ORDER BY created_at LIMIT $1",
    types: &[Type::INT8],
};

const GONE: Sql = Sql {
    text: "UPDATE files SET state = 6 WHERE id = ANY ($1) AND state = 5",
    types: &[Type::TEXT_ARRAY],
};

const FORGET: Sql = Sql {
    text: "DELETE FROM files WHERE state >= 5 AND state = 6 AND created_at < $1",
    types: &[Type::INT8],
};

/// From [`attachment_columns`], the first of them at `at`.
pub(super) fn attachment(row: &Row, at: usize) -> Result<Attachment, tokio_postgres::Error> {
    let number = |at| {
        let number = row.try_get::<_, Option<i64>>(at)?;
        Ok::<_, tokio_postgres::Error>(number.and_then(|number| u32::try_from(number).ok()))
    };
    Ok(Attachment {
        id: FileId::trusted(row.try_get::<_, &str>(at)?),
        name: content_from_db(row.try_get(at + 1)?).as_ref().into(),
        media_type: row.try_get::<_, &str>(at + 2)?.into(),
        size: from_db(row.try_get(at + 3)?),
        dimensions: number(at + 4)?
            .zip(number(at + 5)?)
            .map(|(width, height)| Dimensions { width, height }),
        has_thumbnail: row.try_get::<_, i16>(at + 6)? != 0,
        blur_hash: row.try_get::<_, Option<&str>>(at + 7)?.map(Into::into),
        duration_ms: row.try_get::<_, Option<i64>>(at + 8)?.map(from_db),
    })
}

pub(super) fn stored(row: &Row) -> Result<StoredFile, tokio_postgres::Error> {
    let at = ATTACHMENT_COLUMNS;
    Ok(StoredFile {
        file: attachment(row, 0)?,
        owner: UserId::trusted(row.try_get::<_, &str>(at)?),
        conversation: ConversationId::trusted(row.try_get::<_, &str>(at + 1)?),
        received: from_db(row.try_get(at + 2)?),
        state: FileState::from_number(row.try_get::<_, i16>(at + 3)?.into()),
        message_seq: row.try_get::<_, Option<i64>>(at + 4)?.map(from_db),
        created_at: Timestamp(row.try_get(at + 5)?),
        changed_at: Timestamp(row.try_get(at + 6)?),
        generation: from_db(row.try_get(at + 7)?),
        place: row.try_get::<_, &str>(at + 8)?.into(),
        is_claimed: row.try_get::<_, i16>(at + 9)? != 0,
        is_withheld: row.try_get(at + 10)?,
    })
}

pub(crate) async fn create_file(
    database: &Database,
    file: &NewFile,
    quota: Option<FileQuota>,
) -> Result<(), NewFileError> {
    database
        .transact(Repeat::Safe, |connection| async move {
            create(&connection, file, quota).await
        })
        .await?
}

async fn create(
    connection: &Connection,
    file: &NewFile,
    quota: Option<FileQuota>,
) -> Result<Result<(), NewFileError>, Failure> {
    let (owner, conversation) = (file.owner.as_str(), file.conversation.as_str());
    let Some(row) = connection
        .query_opt(&OWNER, &[&owner, &conversation])
        .await?
    else {
        return Ok(Err(NewFileError::NotFound));
    };
    let (person, conversation): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let is_blocked: bool = row.try_get(3)?;
    if is_blocked || authorize(Some(role_from_db(row.try_get(2)?)), Action::Write).is_err() {
        return Ok(Err(NewFileError::Forbidden));
    }
    if let Some(quota) = quota {
        let least = to_db(LEAST_COUNTED_BYTES);
        let begun = connection
            .query_opt(&BEGUN, &[&person, &quota.since.0, &least])
            .await?;
        let begun = match begun {
            Some(row) => from_db(row.try_get(0)?),
            None => 0,
        };
        if begun.saturating_add(file.size.max(LEAST_COUNTED_BYTES)) > quota.bytes {
            return Ok(Err(NewFileError::OverQuota));
        }
    }
    connection
        .execute(
            &INSERT,
            &[
                &file.id.as_str(),
                &person,
                &conversation,
                &content_to_db(&file.name),
                &&*file.media_type,
                &to_db(file.size),
                &file.created_at.0,
            ],
        )
        .await?;
    Ok(Ok(()))
}

pub(crate) async fn file(
    database: &Database,
    caller: &UserId,
    id: &FileId,
) -> StoreResult<Option<StoredFile>> {
    // PostgreSQL's text has no U+0000.
    if id.as_str().contains('\u{0}') {
        return Ok(None);
    }
    let row = database
        .row(&FILE, &[&id.as_str(), &caller.as_str()])
        .await?;
    let file = row.as_ref().map(stored).transpose();
    Ok(file.map_err(Failure::from)?)
}

/// Runs a statement, and returns whether it changed a row. After a lost connection a repetition may
/// find its own change, and then returns `false`.
pub(super) async fn change(
    database: &Database,
    sql: &Sql,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> StoreResult<u64> {
    database
        .transact(Repeat::Never, |connection| async move {
            connection.execute(sql, params).await
        })
        .await
}

pub(crate) async fn claim_file(
    database: &Database,
    id: &FileId,
    run: &str,
    is_forced: bool,
) -> StoreResult<Claim> {
    let id = &id.as_str();
    // A process may repeat its claim.
    database
        .transact(Repeat::Safe, |connection| async move {
            let row = connection
                .query_opt(&CLAIM, &[id, &run, &is_forced])
                .await?;
            if let Some(row) = row {
                return Ok(Claim::Claimed(Claimed {
                    generation: from_db(row.try_get(0)?),
                    received: from_db(row.try_get(1)?),
                    place: row.try_get::<_, &str>(2)?.into(),
                }));
            }
            let is_upload = connection.query_opt(&IS_UPLOAD, &[id]).await?.is_some();
            Ok(if is_upload { Claim::Held } else { Claim::Ended })
        })
        .await
}

pub(crate) async fn release_file(
    database: &Database,
    id: &FileId,
    generation: u64,
) -> StoreResult<()> {
    let id = id.as_str();
    change(database, &RELEASE, &[&id, &to_db(generation)])
        .await
        .map(drop)
}

pub(crate) async fn advance_file(
    database: &Database,
    id: &FileId,
    step: &Advance,
    at: Timestamp,
) -> StoreResult<bool> {
    let (id, place) = (id.as_str(), &*step.place);
    let (from, to) = (to_db(step.from), to_db(step.to));
    let generation = to_db(step.generation);
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&id, &from, &to, &generation, &place, &at.0];
    Ok(change(database, &ADVANCE, params).await? > 0)
}

pub(crate) async fn file_audiences(
    database: &Database,
    ids: &[FileId],
) -> StoreResult<Vec<UploadAudience>> {
    let ids: Vec<&str> = ids.iter().map(FileId::as_str).collect();
    let rows = database.rows(&AUDIENCES, &[&ids]).await?;
    let audience = |row: &Row| {
        let others: Vec<&str> = row.try_get(3)?;
        Ok(UploadAudience {
            id: FileId::trusted(row.try_get::<_, &str>(0)?),
            others: others.into_iter().map(UserId::trusted).collect(),
            state: FileState::from_number(row.try_get::<_, i16>(1)?.into()),
            writer: row.try_get::<_, Option<&str>>(2)?.map(Into::into),
        })
    };
    let all: Result<Vec<UploadAudience>, tokio_postgres::Error> =
        rows.iter().map(audience).collect();
    Ok(all.map_err(Failure::from)?)
}

pub(crate) async fn examined_file(
    database: &Database,
    id: &FileId,
    found: &Examined,
    at: Timestamp,
) -> StoreResult<bool> {
    let width = found.dimensions.map(|of| i64::from(of.width));
    let height = found.dimensions.map(|of| i64::from(of.height));
    let changed = change(
        database,
        &EXAMINED,
        &[
            &id.as_str(),
            &&*found.media_type,
            &width,
            &height,
            &i16::from(found.has_thumbnail),
            &found.state.number(),
            &at.0,
            &found.blur_hash.as_deref(),
            &found.duration_ms.map(to_db),
        ],
    )
    .await?;
    Ok(changed > 0)
}

pub(crate) async fn discard_file(
    database: &Database,
    id: &FileId,
    at: Timestamp,
) -> StoreResult<bool> {
    Ok(change(database, &DISCARD, &[&id.as_str(), &at.0]).await? > 0)
}

pub(crate) async fn discard_unsent_files(
    database: &Database,
    before: Timestamp,
    at: Timestamp,
    limit: usize,
) -> StoreResult<usize> {
    let limit = to_db(limit as u64);
    let changed = change(database, &DISCARD_UNSENT, &[&before.0, &at.0, &limit]).await?;
    Ok(usize::try_from(changed).unwrap_or(usize::MAX))
}

pub(crate) async fn deleted_files(
    database: &Database,
    limit: usize,
) -> StoreResult<Vec<DeletedFile>> {
    let rows = database.rows(&DELETED, &[&to_db(limit as u64)]).await?;
    let deleted = |row: &Row| {
        Ok(DeletedFile {
            id: FileId::trusted(row.try_get::<_, &str>(0)?),
            generation: from_db(row.try_get(1)?),
            place: row.try_get::<_, &str>(2)?.into(),
        })
    };
    let all: Result<Vec<DeletedFile>, tokio_postgres::Error> = rows.iter().map(deleted).collect();
    Ok(all.map_err(Failure::from)?)
}

pub(crate) async fn forget_files(
    database: &Database,
    gone: &[FileId],
    began_before: Timestamp,
) -> StoreResult<()> {
    let gone: Vec<&str> = gone.iter().map(FileId::as_str).collect();
    let gone = &gone;
    let began_before = &began_before.0;
    database
        .transact(Repeat::Safe, |connection| async move {
            connection.execute(&GONE, &[gone]).await?;
            connection.execute(&FORGET, &[began_before]).await.map(drop)
        })
        .await
}

pub(crate) fn signing_key(database: &Database) -> Arc<str> {
    Arc::clone(&database.digest_key)
}
