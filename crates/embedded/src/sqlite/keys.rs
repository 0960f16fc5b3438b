//! The columns that hold normalized names. A start recomputes them if they follow other rules or
//! other Unicode tables than this version's.

use lamplight_domain::account_names::{AccountName, renewed_keys};
use lamplight_domain::text::{KEYS_VERSION, search_key, username_look};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

/// People that are read at a time.
const ROWS: i64 = 1_000;

/// Recomputes the columns, all of them or none.
pub(super) fn renew(conn: &mut Connection) -> rusqlite::Result<()> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let made_by = transaction
        .query_row(
            "SELECT value FROM counters WHERE name = 'text_keys'",
            [],
            |row| row.get::<_, i64>(0),
        )
        .optional()?;
    if made_by == Some(KEYS_VERSION) {
        return Ok(());
    }
    let people = renew_people(&transaction)?;
    let accounts = renew_accounts(&transaction)?;
    transaction.execute(
        "INSERT OR REPLACE INTO counters (name, value) VALUES ('text_keys', ?1)",
        [KEYS_VERSION],
    )?;
    transaction.commit()?;
    if people + accounts > 0 {
        tracing::info!(
            people,
            accounts,
            "normalized stored names by this version's rules"
        );
    }
    Ok(())
}

fn renew_people(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let mut select =
        transaction.prepare("SELECT id, user_id, user_folded, name, name_folded FROM people WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut update = transaction
        .prepare("UPDATE people SET user_folded = ?2, name_folded = ?3 WHERE id = ?1")?;
    let (mut changed, mut after) = (0, i64::MIN);
    loop {
        let mut rows = select.query(params![after, ROWS])?;
        let before = after;
        while let Some(row) = rows.next()? {
            after = row.get(0)?;
            let (user, name) = (
                search_key(row.get_ref(1)?.as_str()?),
                search_key(row.get_ref(3)?.as_str()?),
            );
            if user != row.get_ref(2)?.as_str()? || name != row.get_ref(4)?.as_str()? {
                changed += update.execute(params![after, user, name])?;
            }
        }
        if after == before {
            return Ok(changed);
        }
    }
}

fn renew_accounts(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    let mut select =
        transaction.prepare("SELECT name_folded, username, created_at FROM accounts")?;
    let found = select.query_map([], |row| {
        Ok(AccountName {
            stored: row.get(0)?,
            username: row.get(1)?,
            created_at: row.get(2)?,
        })
    })?;
    let accounts = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut search = transaction
        .prepare("UPDATE accounts SET name_search = ?2, name_look = ?3 WHERE name_folded = ?1")?;
    for account in &accounts {
        search.execute(params![
            account.stored,
            search_key(&account.username),
            username_look(&account.username)
        ])?;
    }
    let (changes, clashes) = renewed_keys(accounts);
    for (username, other) in clashes {
        tracing::warn!(
            username = other,
            other = username,
            "two accounts have one user name by today's rules: the first signs in with exactly this spelling only"
        );
    }
    // Via temporary keys, because another account may still have the new key.
    let mut update =
        transaction.prepare("UPDATE accounts SET name_folded = ?2 WHERE name_folded = ?1")?;
    let passing = |place: usize| format!("\u{2}{place}");
    for (place, change) in changes.iter().enumerate() {
        update.execute(params![change.stored, passing(place)])?;
    }
    for (place, change) in changes.iter().enumerate() {
        update.execute(params![passing(place), change.key])?;
    }
    Ok(changes.len())
}
