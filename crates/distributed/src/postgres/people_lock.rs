//! The locks of people's rows, which writes that name several people take first.

use super::codec::source_from_db;
use super::connection::{Connection, Sql};
use super::error::Failure;
use lamplight_domain::identity::UserId;
use lamplight_usecases::ports::ProfileSource;
use tokio_postgres::types::Type;

/// In the order of ids, as everything that locks several. The source is that of the row as it is once
/// it is locked.
const LOCK_PEOPLE: Sql = Sql {
    text: "SELECT user_id, source FROM people WHERE user_id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
    types: &[Type::TEXT_ARRAY],
};

/// Locks users' rows; returns those who have deleted their accounts. A transaction that reads blocks
/// between them does so afterwards, and one that adds a block, or deletes an account, waits for it.
pub(super) async fn lock_people(
    connection: &Connection,
    users: &[UserId],
) -> Result<Vec<UserId>, Failure> {
    let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
    let mut deleted = Vec::new();
    for row in connection.query(&LOCK_PEOPLE, &[&users]).await? {
        if source_from_db(row.try_get(1)?) == ProfileSource::Deleted {
            deleted.push(UserId::trusted(row.try_get::<_, &str>(0)?));
        }
    }
    Ok(deleted)
}
