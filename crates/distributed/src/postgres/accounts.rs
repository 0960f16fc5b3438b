//! Local accounts and their sessions. Whatever changes an account locks its person, so that two
//! nodes change it one after the other.

use super::account_rows::{digests, end_all, lock_person};
use super::deleted_accounts;
use super::directory::profile_of_account;
use super::{Connection, Failure, PostgresStore, Repeat, Sql};
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
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Two registrations of one name follow each other. A clash of two names' numbers costs a wait.
const LOCK_NAME: Sql = Sql {
    text: "SELECT pg_advisory_xact_lock($1)",
    types: &[Type::INT8],
};

const NAME_EXISTS: Sql = Sql {
    text: "SELECT 1 FROM accounts WHERE name_folded = $1 OR name_look = $2",
    types: &[Type::TEXT, Type::TEXT],
};

const CREATE: Sql = Sql {
    text: "INSERT INTO accounts (name_folded, username, person, password_hash, created_at, name_search, name_look)
           VALUES ($1, $2, $3, $4, $5, $6, $7)",
    types: &[
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::TEXT,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
    ],
};

/// An exact key begins with U+0001, so that it sorts first.
const FIND: Sql = Sql {
    text: "SELECT p.user_id, a.password_hash FROM accounts a JOIN people p ON p.id = a.person
           WHERE a.name_folded IN ($1, $2) ORDER BY a.name_folded LIMIT 1",
    types: &[Type::TEXT, Type::TEXT],
};

const ACCOUNT_OF: Sql = Sql {
    text: "SELECT a.username, a.password_hash FROM accounts a JOIN people p ON p.id = a.person WHERE p.user_id = $1",
    types: &[Type::TEXT],
};

const KNOWS_NETWORK: Sql = Sql {
    text: "SELECT 1 FROM account_networks
           WHERE person = (SELECT person FROM accounts WHERE name_folded IN ($1, $2) ORDER BY name_folded LIMIT 1)
               AND network = $3 AND last_at >= $4",
    types: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8],
};

/// Not what another node deletes at this moment.
const DELETE_EXPIRED: Sql = Sql {
    text: "DELETE FROM sessions WHERE digest IN (
               SELECT digest FROM sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    types: &[Type::INT8, Type::INT8],
};

const OPEN: Sql = Sql {
    text: "INSERT INTO sessions (digest, person, created_at, expires_at) VALUES ($1, $2, $3, $4)",
    types: &[Type::TEXT, Type::INT8, Type::INT8, Type::INT8],
};

/// The newest stays, even if the clock was ahead when the others began.
const END_OLDEST: Sql = Sql {
    text: "DELETE FROM sessions WHERE digest IN (
               SELECT digest FROM sessions WHERE person = $1 AND digest <> $2 ORDER BY created_at DESC, digest OFFSET $3)
           RETURNING digest",
    types: &[Type::INT8, Type::TEXT, Type::INT8],
};

const SESSION: Sql = Sql {
    text: "SELECT p.user_id, s.expires_at FROM sessions s JOIN people p ON p.id = s.person
           WHERE s.digest = $1 AND s.expires_at > $2",
    types: &[Type::TEXT, Type::INT8],
};

const WITHOUT_SESSION: Sql = Sql {
    text: "SELECT d FROM unnest($1) AS d WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE digest = d)",
    types: &[Type::TEXT_ARRAY],
};

const END: Sql = Sql {
    text: "DELETE FROM sessions s USING people p WHERE p.id = s.person AND s.digest = $1 RETURNING p.user_id",
    types: &[Type::TEXT],
};

const SESSIONS_OF: Sql = Sql {
    text: "SELECT s.digest FROM sessions s JOIN people p ON p.id = s.person WHERE p.user_id = $1",
    types: &[Type::TEXT],
};

const END_TOKENS: Sql = Sql {
    text: "UPDATE people SET tokens_ended_at = greatest(tokens_ended_at, $2) WHERE id = $1",
    types: &[Type::INT8, Type::INT8],
};

const END_SUBSCRIPTIONS: Sql = Sql {
    text: "DELETE FROM push_subscriptions WHERE person = $1",
    types: &[Type::INT8],
};

const TOKENS_ENDED_AT: Sql = Sql {
    text: "SELECT p.tokens_ended_at FROM unnest($1) WITH ORDINALITY AS asked (id, place)
           LEFT JOIN people p ON p.user_id = asked.id ORDER BY asked.place",
    types: &[Type::TEXT_ARRAY],
};

const SET_PASSWORD: Sql = Sql {
    text: "UPDATE accounts SET password_hash = $2 WHERE person = $1",
    types: &[Type::INT8, Type::TEXT],
};

const FORGET_NETWORKS: Sql = Sql {
    text: "DELETE FROM account_networks WHERE person = $1",
    types: &[Type::INT8],
};

const ADD_NETWORK: Sql = Sql {
    text: "INSERT INTO account_networks (person, network, last_at) VALUES ($1, $2, $3)
           ON CONFLICT (person, network) DO UPDATE SET last_at = greatest(account_networks.last_at, excluded.last_at)",
    types: &[Type::INT8, Type::TEXT, Type::INT8],
};

const DELETE_OLD_NETWORKS: Sql = Sql {
    text: "DELETE FROM account_networks WHERE (person, network) IN (
               SELECT person, network FROM account_networks WHERE last_at < $1 ORDER BY last_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    types: &[Type::INT8, Type::INT8],
};

const DELETE_MORE_NETWORKS: Sql = Sql {
    text: "DELETE FROM account_networks WHERE person = $1 AND network IN (
               SELECT network FROM account_networks WHERE person = $1 ORDER BY last_at DESC OFFSET $2)",
    types: &[Type::INT8, Type::INT8],
};

#[async_trait]
impl Accounts for PostgresStore {
    async fn create(
        &self,
        username: &str,
        account: Account,
        profile: Profile,
        at: Timestamp,
    ) -> StoreResult<bool> {
        let (key, search) = (username_key(username), search_key(username));
        let look = username_look(username);
        let (account, profile, key, search, look) = (&account, &profile, &key, &search, &look);
        self.transact(Repeat::Never, |connection| async move {
            // In one order, so that two registrations cannot wait for each other.
            let mut locks = [lock_number(key), lock_number(look)];
            locks.sort_unstable();
            for number in locks {
                connection.query(&LOCK_NAME, &[&number]).await?;
            }
            if connection
                .query_opt(&NAME_EXISTS, &[key, look])
                .await?
                .is_some()
            {
                return Ok(false);
            }
            let person = profile_of_account(&connection, profile, at).await?;
            let hash = &account.password_hash;
            connection
                .execute(
                    &CREATE,
                    &[key, &username, &person, hash, &at.0, search, look],
                )
                .await?;
            Ok(true)
        })
        .await
    }

    async fn find(&self, username: &str) -> StoreResult<Option<Account>> {
        let (key, exact) = (username_key(username), exact_username_key(username));
        if key.contains('\0') {
            return Ok(None);
        }
        let Some(row) = self.row(&FIND, &[&key, &exact]).await? else {
            return Ok(None);
        };
        let read = || -> Result<Account, Failure> {
            Ok(Account {
                user: UserId::trusted(row.try_get::<_, &str>(0)?),
                password_hash: row.try_get(1)?,
            })
        };
        Ok(Some(read()?))
    }

    async fn account_of(&self, user: &UserId) -> StoreResult<Option<(String, Account)>> {
        let Some(row) = self.row(&ACCOUNT_OF, &[&user.as_str()]).await? else {
            return Ok(None);
        };
        let read = || -> Result<(String, Account), Failure> {
            let account = Account {
                user: user.clone(),
                password_hash: row.try_get(1)?,
            };
            Ok((row.try_get(0)?, account))
        };
        Ok(Some(read()?))
    }

    async fn knows_network(
        &self,
        username: &str,
        network: IpAddr,
        since: Timestamp,
    ) -> StoreResult<bool> {
        let (key, exact) = (username_key(username), exact_username_key(username));
        if key.contains('\0') {
            return Ok(false);
        }
        let network = network.to_string();
        let row = self
            .row(&KNOWS_NETWORK, &[&key, &exact, &network, &since.0])
            .await?;
        Ok(row.is_some())
    }

    async fn open_session(&self, session: NewSession) -> StoreResult<Option<Vec<String>>> {
        let session = &session;
        let opened = self.transact(Repeat::Never, |connection| async move {
            let user = session.user.as_str();
            let Some((person, hash)) = lock_person(&connection, user).await? else {
                return Ok(None);
            };
            if session.password_hash.is_some() && session.password_hash != hash {
                return Ok(Some(None));
            }
            open(&connection, person, session)
                .await
                .map(|ended| Some(Some(ended)))
        });
        opened.await?.ok_or_else(|| {
            StoreError::Internal("cannot open a session: the user is not in the directory".into())
        })
    }

    async fn session(
        &self,
        digest: &str,
        at: Timestamp,
    ) -> StoreResult<Option<(UserId, Timestamp)>> {
        let Some(row) = self.row(&SESSION, &[&digest, &at.0]).await? else {
            return Ok(None);
        };
        let read = || -> Result<(UserId, Timestamp), Failure> {
            let user = UserId::trusted(row.try_get::<_, &str>(0)?);
            Ok((user, Timestamp(row.try_get(1)?)))
        };
        Ok(Some(read()?))
    }

    async fn end_session(&self, digest: &str) -> StoreResult<Option<UserId>> {
        self.transact(Repeat::Never, |connection| async move {
            let row = connection.query_opt(&END, &[&digest]).await?;
            let user = row.map(|row| row.try_get::<_, &str>(0).map(UserId::trusted));
            Ok(user.transpose()?)
        })
        .await
    }

    async fn without_session(&self, of: &[String]) -> StoreResult<Vec<String>> {
        let rows = self.rows(&WITHOUT_SESSION, &[&of]).await?;
        Ok(digests(&rows)?)
    }

    async fn sessions_of(&self, user: &UserId) -> StoreResult<Vec<String>> {
        let rows = self.rows(&SESSIONS_OF, &[&user.as_str()]).await?;
        Ok(digests(&rows)?)
    }

    async fn end_sessions(
        &self,
        user: &UserId,
        until: Option<Timestamp>,
    ) -> StoreResult<Vec<String>> {
        let user = user.as_str();
        self.transact(Repeat::Never, |connection| async move {
            let Some((person, _)) = lock_person(&connection, user).await? else {
                return Ok(Vec::new());
            };
            end_all(&connection, person, None, until).await
        })
        .await
    }

    async fn end_tokens(&self, user: &UserId, at: Timestamp) -> StoreResult<bool> {
        let user = user.as_str();
        self.transact(Repeat::Safe, |connection| async move {
            let Some((person, _)) = lock_person(&connection, user).await? else {
                return Ok(false);
            };
            connection.execute(&END_TOKENS, &[&person, &at.0]).await?;
            connection.execute(&END_SUBSCRIPTIONS, &[&person]).await?;
            Ok(true)
        })
        .await
    }

    async fn tokens_ended_at(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>> {
        let asked: Vec<&str> = users.iter().map(UserId::as_str).collect();
        let rows = self.rows(&TOKENS_ENDED_AT, &[&asked]).await?;
        let read = |row: &Row| {
            let at: Option<i64> = row.try_get(0).map_err(Failure::from)?;
            Ok(at.map(Timestamp))
        };
        rows.iter().map(read).collect()
    }

    async fn set_password(
        &self,
        user: &UserId,
        before: &str,
        password_hash: &str,
        except: Option<&str>,
    ) -> StoreResult<Option<Vec<String>>> {
        let user = user.as_str();
        let written = self.transact(Repeat::Never, |connection| async move {
            let Some((person, Some(hash))) = lock_person(&connection, user).await? else {
                return Ok(None);
            };
            if hash != before {
                return Ok(None);
            }
            connection
                .execute(&SET_PASSWORD, &[&person, &password_hash])
                .await?;
            connection.execute(&FORGET_NETWORKS, &[&person]).await?;
            let ended = end_all(&connection, person, except, None).await?;
            Ok(Some(ended))
        });
        written.await
    }

    async fn delete(&self, deletion: NewDeletion) -> StoreResult<Option<Vec<String>>> {
        deleted_accounts::delete(self, &deletion).await
    }

    async fn claim_deletion(
        &self,
        at: Timestamp,
        until: Timestamp,
    ) -> StoreResult<Option<Deletion>> {
        deleted_accounts::claim(self, at, until).await
    }

    async fn move_deletion(
        &self,
        user: &UserId,
        position: i64,
        until: Timestamp,
    ) -> StoreResult<()> {
        deleted_accounts::advance(self, user, position, until).await
    }

    async fn settle_deletion(&self, user: &UserId) -> StoreResult<()> {
        deleted_accounts::settle(self, user).await
    }

    async fn deletion_announced(&self, user: &UserId) -> StoreResult<()> {
        deleted_accounts::announced(self, user).await
    }

    async fn finish_deletion(&self, user: &UserId) -> StoreResult<()> {
        deleted_accounts::finish(self, user).await
    }

    async fn authored(&self, user: &UserId, after: i64, entries: usize) -> StoreResult<Authored> {
        deleted_accounts::authored(self, user, after, entries).await
    }

    async fn groups_of(&self, user: &UserId, limit: usize) -> StoreResult<Vec<ConversationId>> {
        deleted_accounts::groups_of(self, user, limit).await
    }
}

/// The number of a name's lock. Its highest bit is set, which none of the store's other locks has.
fn lock_number(key: &str) -> i64 {
    let digest = Sha256::digest(key.as_bytes());
    let bytes = digest.first_chunk::<8>().copied().unwrap_or_default();
    i64::from_be_bytes(bytes) | i64::MIN
}

async fn open(
    connection: &Connection,
    person: i64,
    session: &NewSession,
) -> Result<Vec<String>, Failure> {
    let NewSession {
        digest,
        at,
        expires,
        network,
        most,
        ..
    } = session;
    let ended_before = at.0.saturating_sub(EXPIRED_SESSIONS_FOR_MS);
    connection
        .execute(&DELETE_EXPIRED, &[&ended_before, &EXPIRED_AT_ONCE])
        .await?;
    connection
        .execute(&OPEN, &[digest, &person, &at.0, &expires.0])
        .await?;
    if let Some(network) = network {
        remember_network(connection, person, *network, *at).await?;
    }
    let Some(others) = most.checked_sub(1) else {
        return Ok(Vec::new());
    };
    let others = i64::try_from(others).unwrap_or(i64::MAX);
    let ended = connection
        .query(&END_OLDEST, &[&person, digest, &others])
        .await?;
    digests(&ended)
}

/// Stores a network that signed in, and deletes a few expired ones of any account.
async fn remember_network(
    connection: &Connection,
    person: i64,
    network: IpAddr,
    at: Timestamp,
) -> Result<(), Failure> {
    connection
        .execute(&ADD_NETWORK, &[&person, &network.to_string(), &at.0])
        .await?;
    let too_old = at.0.saturating_sub(NETWORKS_FOR_MS);
    connection
        .execute(&DELETE_OLD_NETWORKS, &[&too_old, &EXPIRED_AT_ONCE])
        .await?;
    connection
        .execute(&DELETE_MORE_NETWORKS, &[&person, &NETWORKS_AT_MOST])
        .await?;
    Ok(())
}
