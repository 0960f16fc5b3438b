//! Local accounts and their sessions.

use super::SqliteStore;
use super::batch::person_row;
use super::directory::profile_of_account;
use super::keys::exact_key;
use async_trait::async_trait;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::text::{search_key, username_key};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::{Account, Accounts, StoreError, Stored};
use rusqlite::{OptionalExtension as _, params};

/// How many expired sessions go with each new one. More than one, so that they grow fewer.
const EXPIRED_AT_ONCE: i64 = 16;

#[async_trait]
impl Accounts for SqliteStore {
    async fn create(&self, username: &str, account: Account, profile: Profile, at: Timestamp) -> Stored<bool> {
        let (username, folded, search) = (username.to_owned(), username_key(username), search_key(username));
        let made = self.write(move |batch| {
            let conn = batch.conn;
            if conn.prepare_cached("SELECT 1 FROM accounts WHERE name_folded = ?1")?.exists([&folded])? {
                return Ok(false);
            }
            let person = profile_of_account(conn, &profile, at)?;
            conn.prepare_cached(
                "INSERT INTO accounts (name_folded, username, person, password_hash, created_at, name_search) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![folded, username, person, account.password_hash, at.0, search])?;
            Ok(true)
        });
        made.answer().await
    }

    async fn find(&self, username: &str) -> Stored<Option<Account>> {
        let (key, exact) = (username_key(username), exact_key(username));
        self.read(move |conn| {
            // An exact key begins with U+0001, so that it comes first.
            conn.prepare_cached(
                "SELECT p.user_id, a.password_hash FROM accounts a JOIN people p ON p.id = a.person
                 WHERE a.name_folded IN (?1, ?2) ORDER BY a.name_folded LIMIT 1",
            )?
            .query_row([key, exact], |row| Ok(Account { user: UserId::trusted(row.get_ref(0)?.as_str()?), password_hash: row.get(1)? }))
            .optional()
        })
        .await
    }

    async fn open_session(&self, digest: &str, user: &UserId, at: Timestamp, expires: Timestamp) -> Stored<()> {
        let (digest, user) = (digest.to_owned(), user.clone());
        let opened = self.write(move |batch| {
            let conn = batch.conn;
            let Some(person) = person_row(conn, &user)? else { return Ok(false) };
            conn.prepare_cached(
                "DELETE FROM sessions WHERE digest IN (SELECT digest FROM sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
            )?
            .execute(params![at.0, EXPIRED_AT_ONCE])?;
            conn.prepare_cached("INSERT INTO sessions (digest, person, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![digest, person, at.0, expires.0])?;
            Ok(true)
        });
        if opened.answer().await? {
            return Ok(());
        }
        Err(StoreError::Internal("a session is to be opened for someone who is not in the directory".into()))
    }

    async fn session(&self, digest: &str, at: Timestamp) -> Stored<Option<(UserId, Timestamp)>> {
        let digest = digest.to_owned();
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT p.user_id, s.expires_at FROM sessions s JOIN people p ON p.id = s.person
                 WHERE s.digest = ?1 AND s.expires_at > ?2",
            )?
            .query_row(params![digest, at.0], |row| Ok((UserId::trusted(row.get_ref(0)?.as_str()?), Timestamp(row.get(1)?))))
            .optional()
        })
        .await
    }

    async fn end_session(&self, digest: &str) -> Stored<Option<UserId>> {
        let digest = digest.to_owned();
        let ended = self.write(move |batch| {
            let conn = batch.conn;
            let user = conn
                .prepare_cached("SELECT p.user_id FROM sessions s JOIN people p ON p.id = s.person WHERE s.digest = ?1")?
                .query_row([&digest], |row| Ok(UserId::trusted(row.get_ref(0)?.as_str()?)))
                .optional()?;
            if user.is_some() {
                conn.prepare_cached("DELETE FROM sessions WHERE digest = ?1")?.execute([&digest])?;
            }
            Ok(user)
        });
        ended.answer().await
    }
}
