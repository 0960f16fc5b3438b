//! The checks at startup after a failover or a restore: a sequence can be behind the numbers that
//! it has assigned, because PostgreSQL logs it ahead in batches, and a partial restore can leave a
//! head behind its entries.

use super::error::{OpenError, describe};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::types::Type;

/// The newest entries whose conversations are checked: what a failover can have torn apart.
const NEWEST: i64 = 20_000;

/// Repairs sequences and heads that are behind, with a line in the log. Returns the highest `entries.id`.
pub(super) async fn heads_and_sequences(client: &ClientWrapper) -> Result<i64, OpenError> {
    let outcome = check(client).await;
    if outcome.is_err() {
        drop(client.batch_execute("ROLLBACK").await);
    }
    outcome.map_err(|error| OpenError::Database(describe(&error)))
}

async fn check(client: &ClientWrapper) -> Result<i64, tokio_postgres::Error> {
    client
        .batch_execute("BEGIN; SET LOCAL statement_timeout = '60s'")
        .await?;
    for table in ["entries", "conversations", "people"] {
        let sql = format!(
            "SELECT setval(s.name, t.newest), t.newest
             FROM (SELECT pg_get_serial_sequence('{table}', 'id')::regclass AS name) s,
                  (SELECT max(id) AS newest FROM {table}) t
             WHERE t.newest > coalesce(pg_sequence_last_value(s.name), 0)"
        );
        if let Some(row) = client.query_typed(&sql, &[]).await?.first() {
            let newest: i64 = row.try_get(1)?;
            tracing::error!(
                code = "LL-128",
                newest,
                "the sequence of {table}.id was behind its rows (a failover or a restore) and was corrected"
            );
        }
    }
    let sql = "UPDATE conversations c SET head_seq = e.seq, position = greatest(c.position, e.id)
        FROM (SELECT conversation, max(seq) AS seq, max(id) AS id
              FROM (SELECT conversation, seq, id FROM entries ORDER BY id DESC LIMIT $1) newest
              GROUP BY conversation) e
        WHERE c.id = e.conversation AND c.head_seq < e.seq
        RETURNING c.conversation_id";
    for row in client.query_typed(sql, &[(&NEWEST, Type::INT8)]).await? {
        let conversation: String = row.try_get(0)?;
        tracing::error!(
            code = "LL-128",
            conversation,
            "the head of a conversation was behind its entries and was corrected"
        );
    }
    let rows = client
        .query_typed("SELECT coalesce(max(id), 0) FROM entries", &[])
        .await?;
    let head = rows[0].try_get(0)?;
    client.batch_execute("COMMIT").await?;
    Ok(head)
}
