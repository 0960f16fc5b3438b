//! The columns that hold normalized names. A start recomputes them if they follow older rules or
//! Unicode tables than this version's; a node of an older version leaves them as they are.

use super::connection::Sql;
use super::error::{OpenError, describe};
use super::schema::MIGRATION_LOCK;
use deadpool_postgres::ClientWrapper;
use lamplight_domain::account_names::{AccountName, renewed_keys};
use lamplight_domain::text::{KEYS_VERSION, search_key, username_look};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

/// People that are read at a time.
const ROWS: i64 = 5_000;

const UPDATE_PEOPLE: &str = "UPDATE people p SET user_folded = u.user_folded, name_folded = u.name_folded
    FROM unnest($1::int8[], $2::text[], $3::text[]) AS u (id, user_folded, name_folded) WHERE p.id = u.id";

const UPDATE_SEARCH: &str = "UPDATE accounts a SET name_search = u.search
    FROM unnest($1::text[], $2::text[]) AS u (stored, search) WHERE a.name_folded = u.stored";

const UPDATE_LOOK: &str = "UPDATE accounts a SET name_look = u.look
    FROM unnest($1::text[], $2::text[]) AS u (stored, look) WHERE a.name_folded = u.stored";

const UPDATE_KEYS: &str = "UPDATE accounts a SET name_folded = u.key
    FROM unnest($1::text[], $2::text[]) AS u (stored, key) WHERE a.name_folded = u.stored";

/// Whether the columns follow older rules.
const VERSION: Sql = Sql {
    text: "SELECT coalesce((SELECT value::int8 FROM properties WHERE name = 'text_keys'), 0)",
    types: &[],
};

/// Recomputes the columns, all of them or none.
pub(super) async fn renew(client: &ClientWrapper) -> Result<(), OpenError> {
    let outcome = renew_in_transaction(client).await;
    if outcome.is_err() {
        drop(client.batch_execute("ROLLBACK").await);
    }
    outcome.map_err(|error| OpenError::Database(describe(&error)))
}

async fn version(client: &ClientWrapper) -> Result<i64, Error> {
    client.query_typed(VERSION.text, &[]).await?[0].try_get(0)
}

async fn renew_in_transaction(client: &ClientWrapper) -> Result<(), Error> {
    if version(client).await? >= KEYS_VERSION {
        return Ok(());
    }
    client
        .batch_execute(&format!(
            "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '120s'; \
             SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"
        ))
        .await?;
    // Another node may have done it meanwhile.
    if version(client).await? < KEYS_VERSION {
        let people = renew_people(client).await?;
        let accounts = renew_accounts(client).await?;
        let upsert = "INSERT INTO properties (name, value) VALUES ('text_keys', $1)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        client
            .execute_typed(upsert, &[(&KEYS_VERSION.to_string(), Type::TEXT)])
            .await?;
        if people > 0 || accounts > 0 {
            tracing::info!(
                people,
                accounts,
                "normalized stored names by this version's rules"
            );
        }
    }
    client.batch_execute("COMMIT").await
}

async fn renew_people(client: &ClientWrapper) -> Result<usize, Error> {
    let select = "SELECT id, user_id, user_folded, name, name_folded FROM people WHERE id > $1 ORDER BY id LIMIT $2";
    let (mut changed, mut after) = (0, i64::MIN);
    loop {
        let params: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
            &[(&after, Type::INT8), (&ROWS, Type::INT8)];
        let rows = client.query_typed(select, params).await?;
        let (mut ids, mut users, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            after = row.try_get(0)?;
            let (user, name) = (search_key(row.try_get(1)?), search_key(row.try_get(3)?));
            if user != row.try_get::<_, &str>(2)? || name != row.try_get::<_, &str>(4)? {
                ids.push(after);
                users.push(user);
                names.push(name);
            }
        }
        if !ids.is_empty() {
            let columns: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] = &[
                (&ids, Type::INT8_ARRAY),
                (&users, Type::TEXT_ARRAY),
                (&names, Type::TEXT_ARRAY),
            ];
            client.execute_typed(UPDATE_PEOPLE, columns).await?;
            changed += ids.len();
        }
        if rows.is_empty() {
            return Ok(changed);
        }
    }
}

async fn renew_accounts(client: &ClientWrapper) -> Result<usize, Error> {
    let select = "SELECT name_folded, username, created_at FROM accounts";
    let mut accounts = Vec::new();
    for row in client.query_typed(select, &[]).await? {
        accounts.push(AccountName {
            stored: row.try_get(0)?,
            username: row.try_get(1)?,
            created_at: row.try_get(2)?,
        });
    }
    let stored: Vec<String> = accounts.iter().map(|one| one.stored.clone()).collect();
    let searches: Vec<String> = accounts
        .iter()
        .map(|one| search_key(&one.username))
        .collect();
    update(client, UPDATE_SEARCH, &stored, &searches).await?;
    let looks: Vec<String> = accounts
        .iter()
        .map(|one| username_look(&one.username))
        .collect();
    update(client, UPDATE_LOOK, &stored, &looks).await?;
    let (changes, clashes) = renewed_keys(accounts);
    for (username, other) in clashes {
        tracing::warn!(
            username = other,
            other = username,
            "two accounts have one user name by today's rules: the first signs in with exactly this spelling only"
        );
    }
    // Via temporary keys, because another account may still have the new key.
    let passing: Vec<String> = (0..changes.len())
        .map(|place| format!("\u{2}{place}"))
        .collect();
    let (stored, keys): (Vec<String>, Vec<String>) = changes
        .into_iter()
        .map(|change| (change.stored, change.key))
        .unzip();
    update(client, UPDATE_KEYS, &stored, &passing).await?;
    update(client, UPDATE_KEYS, &passing, &keys).await?;
    Ok(keys.len())
}

async fn update(
    client: &ClientWrapper,
    sql: &str,
    stored: &Vec<String>,
    values: &Vec<String>,
) -> Result<(), Error> {
    let columns: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
        &[(stored, Type::TEXT_ARRAY), (values, Type::TEXT_ARRAY)];
    client.execute_typed(sql, columns).await.map(drop)
}
