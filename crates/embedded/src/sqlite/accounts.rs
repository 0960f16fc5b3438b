//! Local accounts and their sessions.

use super::SqliteStore;
use super::account_rows::{end_all, has_password};
use super::codec::person_row;
use super::deleted_accounts;
use super::directory::profile_of_account;
use async_trait::async_trait;
use lamplight_domain::identity::{ConversationId, Profile, UserId};
use lamplight_domain::text::{exact_username_key, search_key, username_key, username_look};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::accounts::retention::{
    EXPIRED_AT_ONCE, EXPIRED_SESSIONS_FOR_MS, NETWORKS_AT_MOST, NETWORKS_FOR_MS,
};
use lamplight_usecases::ports::{
    Account, Accounts, Authored, Deletion, NewDeletion, NewSession, StoreError, StoreResult,
};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::net::IpAddr;

#[async_trait]
impl Accounts for SqliteStore {
    async fn create(
        &self,
        username: &str,
        account: Account,
        profile: Profile,
        at: Timestamp,
    ) -> StoreResult<bool> {
        let (username, folded, search, look) = (
            username.to_owned(),
            username_key(username),
            search_key(username),
            username_look(username),
        );
        let made = self.write(move |batch| {
            let conn = batch.conn;
            if conn.prepare_cached("SELECT 1 FROM accounts WHERE name_folded = ?1 OR name_look = ?2")?.exists([&folded, &look])? {
                return Ok(false);
            }
            let person = profile_of_account(conn, &profile, at)?;
            conn.prepare_cached(
                "INSERT INTO accounts (name_folded, username, person, password_hash, created_at, name_search, name_look) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![folded, username, person, account.password_hash, at.0, search, look])?;
            Ok(true)
        });
        made.answer().await
    }

    async fn find(&self, username: &str) -> StoreResult<Option<Account>> {
        let (key, exact) = (username_key(username), exact_username_key(username));
        self.read(move |conn| {
            // An exact key begins with U+0001, so that it sorts first.
            conn.prepare_cached(
                "SELECT p.user_id, a.password_hash FROM accounts a JOIN people p ON p.id = a.person
                 WHERE a.name_folded IN (?1, ?2) ORDER BY a.name_folded LIMIT 1",
            )?
            .query_row([key, exact], |row| {
                Ok(Account {
                    user: UserId::trusted(row.get_ref(0)?.as_str()?),
                    password_hash: row.get(1)?,
                })
            })
            .optional()
        })
        .await
    }

    async fn account_of(&self, user: &UserId) -> StoreResult<Option<(String, Account)>> {
        let user = user.clone();
        self.read(move |conn| {
            conn.prepare_cached("SELECT a.username, a.password_hash FROM accounts a JOIN people p ON p.id = a.person WHERE p.user_id = ?1")?
                .query_row([user.as_str()], |row| Ok((row.get(0)?, Account { user: user.clone(), password_hash: row.get(1)? })))
                .optional()
        })
        .await
    }

    async fn knows_network(
        &self,
        username: &str,
        network: IpAddr,
        since: Timestamp,
    ) -> StoreResult<bool> {
        let (key, exact) = (username_key(username), exact_username_key(username));
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT 1 FROM account_networks
                 WHERE person = (SELECT person FROM accounts WHERE name_folded IN (?1, ?2) ORDER BY name_folded LIMIT 1)
                     AND network = ?3 AND last_at >= ?4",
            )?
            .exists(params![key, exact, network.to_string(), since.0])
        })
        .await
    }

    async fn open_session(&self, session: NewSession) -> StoreResult<Option<Vec<String>>> {
        let opened = self.write(move |batch| {
            let conn = batch.conn;
            let NewSession { digest, user, at, expires, network, most, password_hash } = &session;
            let Some(person) = person_row(conn, user)? else { return Ok(None) };
            if let Some(hash) = password_hash
                && !has_password(conn, person, hash)?
            {
                return Ok(Some(None));
            }
            conn.prepare_cached(
                "DELETE FROM sessions WHERE digest IN (SELECT digest FROM sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
            )?
            .execute(params![at.0.saturating_sub(EXPIRED_SESSIONS_FOR_MS), EXPIRED_AT_ONCE])?;
            conn.prepare_cached("INSERT INTO sessions (digest, person, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![digest, person, at.0, expires.0])?;
            if let Some(network) = network {
                remember_network(conn, person, *network, *at)?;
            }
            let ended = if *most == 0 { Vec::new() } else { end_oldest(conn, person, *most, digest)? };
            Ok(Some(Some(ended)))
        });
        let ended = opened.answer().await?;
        ended.ok_or_else(|| {
            StoreError::Internal("cannot open a session: the user is not in the directory".into())
        })
    }

    async fn session(
        &self,
        digest: &str,
        at: Timestamp,
    ) -> StoreResult<Option<(UserId, Timestamp)>> {
        let digest = digest.to_owned();
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT p.user_id, s.expires_at FROM sessions s JOIN people p ON p.id = s.person
                 WHERE s.digest = ?1 AND s.expires_at > ?2",
            )?
            .query_row(params![digest, at.0], |row| {
                Ok((
                    UserId::trusted(row.get_ref(0)?.as_str()?),
                    Timestamp(row.get(1)?),
                ))
            })
            .optional()
        })
        .await
    }

    async fn end_session(&self, digest: &str) -> StoreResult<Option<UserId>> {
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

    async fn without_session(&self, digests: &[String]) -> StoreResult<Vec<String>> {
        let mut digests = digests.to_vec();
        self.read(move |conn| {
            let mut exists = conn.prepare_cached("SELECT 1 FROM sessions WHERE digest = ?1")?;
            let mut missing = Vec::new();
            for digest in digests.drain(..) {
                if !exists.exists([&digest])? {
                    missing.push(digest);
                }
            }
            Ok(missing)
        })
        .await
    }

    async fn sessions_of(&self, user: &UserId) -> StoreResult<Vec<String>> {
        let user = user.clone();
        self.read(move |conn| {
            let sql = "SELECT s.digest FROM sessions s JOIN people p ON p.id = s.person WHERE p.user_id = ?1";
            conn.prepare_cached(sql)?.query_map([user.as_str()], |row| row.get(0))?.collect()
        })
        .await
    }

    async fn end_sessions(
        &self,
        user: &UserId,
        until: Option<Timestamp>,
    ) -> StoreResult<Vec<String>> {
        let user = user.clone();
        let ended = self.write(move |batch| {
            let Some(person) = person_row(batch.conn, &user)? else {
                return Ok(Vec::new());
            };
            end_all(batch.conn, person, None, until)
        });
        ended.answer().await
    }

    async fn end_tokens(&self, user: &UserId, at: Timestamp) -> StoreResult<bool> {
        let user = user.clone();
        let ended = self.write(move |batch| {
            let conn = batch.conn;
            let Some(person) = person_row(conn, &user)? else {
                return Ok(false);
            };
            conn.prepare_cached(
                "UPDATE people SET tokens_ended_at = max(coalesce(tokens_ended_at, ?2), ?2) WHERE id = ?1",
            )?
            .execute(params![person, at.0])?;
            conn.prepare_cached("DELETE FROM push_subscriptions WHERE person = ?1")?
                .execute([person])?;
            Ok(true)
        });
        ended.answer().await
    }

    async fn tokens_ended_at(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>> {
        let users = users.to_vec();
        self.read(move |conn| {
            let mut find =
                conn.prepare_cached("SELECT tokens_ended_at FROM people WHERE user_id = ?1")?;
            let mut found = Vec::with_capacity(users.len());
            for user in &users {
                let at = find
                    .query_row([user.as_str()], |row| row.get(0))
                    .optional()?;
                found.push(at.flatten().map(Timestamp));
            }
            Ok(found)
        })
        .await
    }

    async fn set_password(
        &self,
        user: &UserId,
        before: &str,
        password_hash: &str,
        except: Option<&str>,
    ) -> StoreResult<Option<Vec<String>>> {
        let (user, before, hash, except) = (
            user.clone(),
            before.to_owned(),
            password_hash.to_owned(),
            except.map(str::to_owned),
        );
        let written = self.write(move |batch| {
            let conn = batch.conn;
            let Some(person) = person_row(conn, &user)? else {
                return Ok(None);
            };
            if !has_password(conn, person, &before)? {
                return Ok(None);
            }
            conn.prepare_cached("UPDATE accounts SET password_hash = ?2 WHERE person = ?1")?
                .execute(params![person, hash])?;
            conn.prepare_cached("DELETE FROM account_networks WHERE person = ?1")?
                .execute([person])?;
            end_all(conn, person, except.as_deref(), None).map(Some)
        });
        written.answer().await
    }

    async fn delete(&self, deletion: NewDeletion) -> StoreResult<Option<Vec<String>>> {
        let deleted = self.write(move |batch| deleted_accounts::delete(batch, &deletion));
        deleted.answer().await
    }

    async fn claim_deletion(
        &self,
        at: Timestamp,
        until: Timestamp,
    ) -> StoreResult<Option<Deletion>> {
        // Nearly always there is none; then a read is enough.
        if !self
            .read(move |conn| deleted_accounts::is_any(conn, at))
            .await?
        {
            return Ok(None);
        }
        let claimed = self.write(move |batch| deleted_accounts::claim(batch.conn, at, until));
        claimed.answer().await
    }

    async fn move_deletion(
        &self,
        user: &UserId,
        position: i64,
        until: Timestamp,
    ) -> StoreResult<()> {
        let user = user.clone();
        let moved =
            self.write(move |batch| deleted_accounts::advance(batch.conn, &user, position, until));
        moved.answer().await
    }

    /// The writer does one thing after the other.
    async fn settle_deletion(&self, _user: &UserId) -> StoreResult<()> {
        Ok(())
    }

    async fn deletion_announced(&self, user: &UserId) -> StoreResult<()> {
        let user = user.clone();
        let written = self.write(move |batch| deleted_accounts::announced(batch.conn, &user));
        written.answer().await
    }

    async fn finish_deletion(&self, user: &UserId) -> StoreResult<()> {
        let user = user.clone();
        let finished = self.write(move |batch| deleted_accounts::finish(batch.conn, &user));
        finished.answer().await
    }

    async fn authored(&self, user: &UserId, after: i64, entries: usize) -> StoreResult<Authored> {
        let user = user.clone();
        self.read(move |conn| deleted_accounts::authored(conn, &user, after, entries))
            .await
    }

    async fn groups_of(&self, user: &UserId, limit: usize) -> StoreResult<Vec<ConversationId>> {
        let user = user.clone();
        self.read(move |conn| deleted_accounts::groups_of(conn, &user, limit))
            .await
    }
}

/// Ends the oldest sessions of a user past `most`. The newest stays, even if the clock was ahead
/// when the others began.
fn end_oldest(
    conn: &Connection,
    person: i64,
    most: usize,
    newest: &str,
) -> rusqlite::Result<Vec<String>> {
    let kept = i64::try_from(most - 1).unwrap_or(i64::MAX);
    conn.prepare_cached(
        "DELETE FROM sessions WHERE digest IN (
             SELECT digest FROM sessions WHERE person = ?1 AND digest <> ?2 ORDER BY created_at DESC, digest LIMIT -1 OFFSET ?3)
         RETURNING digest",
    )?
    .query_map(params![person, newest, kept], |row| row.get(0))?
    .collect()
}

/// Stores a network that signed in, and deletes a few expired ones of any account.
fn remember_network(
    conn: &Connection,
    person: i64,
    network: IpAddr,
    at: Timestamp,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO account_networks (person, network, last_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (person, network) DO UPDATE SET last_at = max(last_at, excluded.last_at)",
    )?
    .execute(params![person, network.to_string(), at.0])?;
    conn.prepare_cached(
        "DELETE FROM account_networks WHERE (person, network) IN (
             SELECT person, network FROM account_networks WHERE last_at < ?1 ORDER BY last_at LIMIT ?2)",
    )?
    .execute(params![at.0.saturating_sub(NETWORKS_FOR_MS), EXPIRED_AT_ONCE])?;
    conn.prepare_cached(
        "DELETE FROM account_networks WHERE person = ?1 AND network IN (
             SELECT network FROM account_networks WHERE person = ?1 ORDER BY last_at DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![person, NETWORKS_AT_MOST])?;
    Ok(())
}
