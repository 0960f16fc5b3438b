//! Statements that several account commands share.

use super::{Connection, Failure, Sql};
use lamplight_domain::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

const LOCK_PERSON: Sql = Sql {
    text: "SELECT id FROM people WHERE user_id = $1 FOR NO KEY UPDATE",
    types: &[Type::TEXT],
};

/// After the lock, so with a later snapshot.
const HASH: Sql = Sql {
    text: "SELECT password_hash FROM accounts WHERE person = $1",
    types: &[Type::INT8],
};

const END_ALL: Sql = Sql {
    text:
        "DELETE FROM sessions WHERE person = $1 AND digest IS DISTINCT FROM $2 AND created_at <= $3
           RETURNING digest",
    types: &[Type::INT8, Type::TEXT, Type::INT8],
};

/// The person's row and the hash of the account's password, if there is one.
pub(super) async fn lock_person(
    connection: &Connection,
    user: &str,
) -> Result<Option<(i64, Option<String>)>, Failure> {
    let Some(row) = connection.query_opt(&LOCK_PERSON, &[&user]).await? else {
        return Ok(None);
    };
    let person: i64 = row.try_get(0)?;
    let hash = connection.query_opt(&HASH, &[&person]).await?;
    let hash = hash.map(|row| row.try_get(0)).transpose()?;
    Ok(Some((person, hash)))
}

/// Ends the sessions of a user, but not `except` nor sessions opened after `until`; returns their
/// digests.
pub(super) async fn end_all(
    connection: &Connection,
    person: i64,
    except: Option<&str>,
    until: Option<Timestamp>,
) -> Result<Vec<String>, Failure> {
    let until = until.map_or(i64::MAX, |until| until.0);
    let ended = connection
        .query(&END_ALL, &[&person, &except, &until])
        .await?;
    digests(&ended)
}

pub(super) fn digests(rows: &[Row]) -> Result<Vec<String>, Failure> {
    let digests = rows.iter().map(|row| row.try_get(0));
    Ok(digests.collect::<Result<_, _>>()?)
}
