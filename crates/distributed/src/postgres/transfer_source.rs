//! Marks a database that is being filled from another store.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::Type;

/// The property of a store that is being filled.
pub(super) const SOURCE: &str = "transfer_source";

/// The store that a database is being filled from.
pub(super) async fn source(
    client: &ClientWrapper,
) -> Result<Option<String>, tokio_postgres::Error> {
    let sql = "SELECT value FROM properties WHERE name = $1";
    let rows = client.query_typed(sql, &[(&SOURCE, Type::TEXT)]).await?;
    rows.first().map(|row| row.try_get(0)).transpose()
}
