//! Which store this is: its id, made once, and its generation, another one when the store went back
//! in time (a restored backup, a promoted standby, which may lack the last commits).
//!
//! Beside the generation stands a fingerprint of where it was made. Every new connection, and every
//! ping, compares it with the server's.

use super::connect_error::ConnectErrorKind;
use super::error::describe;
use super::schema::IDENTITY_LOCK;
use deadpool_postgres::ClientWrapper;
use lamplight_domain::identity::Generation;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::watch;
use tokio_postgres::types::Type;

/// The identity of the store, as this node knows it.
pub(super) struct Identity {
    store_id: String,
    generation: watch::Sender<Generation>,
    /// The highest `entries.id` that this node knows to be committed.
    newest: AtomicI64,
    readable: Readable,
}

/// Which parts of the fingerprint the server lets this user read. Some providers hide them.
#[derive(Clone, Copy)]
struct Readable {
    timeline: bool,
    system: bool,
}

const TIMELINE: &str = "CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END";
const SYSTEM: &str = "(SELECT system_identifier::text FROM pg_control_system())";

impl Readable {
    async fn find(client: &ClientWrapper) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            timeline: can_read(client, TIMELINE).await?,
            system: can_read(client, SYSTEM).await?,
        })
    }
}

/// Whether the server answers. Privileges do not show that: a provider's function may exist and refuse.
async fn can_read(client: &ClientWrapper, what: &str) -> Result<bool, tokio_postgres::Error> {
    match client.query_typed(&format!("SELECT {what}"), &[]).await {
        Ok(_) => Ok(true),
        Err(error) if error.as_db_error().is_some() && !client.is_closed() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Why a connection cannot be used.
pub(super) struct Problem {
    pub(super) why: String,
    pub(super) kind: ConnectErrorKind,
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        Self {
            why: describe(&error),
            kind: ConnectErrorKind::Unreachable,
        }
    }
}

/// The identity that a server reports of itself and of the store.
struct Found {
    takes_writes: bool,
    is_standby: bool,
    fingerprint: String,
    stored_fingerprint: Option<String>,
    generation: Option<String>,
    head: i64,
}

impl Identity {
    /// Reads the identity at the start, or makes it.
    pub(super) async fn open(client: &ClientWrapper) -> Result<Self, Problem> {
        let readable = Readable::find(client).await?;
        if !readable.timeline {
            tracing::info!(
                "the server hides its timeline (pg_walfile_name), so a promoted standby begins a new generation only if it \
                 lacks what this node committed; see \"PostgreSQL\" in docs/operations.md"
            );
        }
        let found = find(client, readable).await?;
        found.check_writes()?;
        let insert = "INSERT INTO properties (name, value) VALUES ('store_id', $1) ON CONFLICT (name) DO NOTHING";
        client
            .execute_typed(insert, &[(&random_hex(16), Type::TEXT)])
            .await?;
        let select = "SELECT value FROM properties WHERE name = 'store_id'";
        let store_id = client.query_typed(select, &[]).await?[0].try_get(0)?;
        let generation = found.generation.as_deref().unwrap_or_default();
        let identity = Self {
            store_id,
            generation: watch::Sender::new(Generation::trusted(generation)),
            newest: AtomicI64::new(0),
            readable,
        };
        if !found.is_where_it_was() {
            identity.renew(client, true).await?;
        }
        Ok(identity)
    }

    /// Checks that the server behind a connection takes writes and still has the same store; makes
    /// or takes over another generation if it went back in time.
    pub(super) async fn check(&self, client: &ClientWrapper) -> Result<(), Problem> {
        let newest = self.newest.load(Ordering::Acquire);
        let found = find(client, self.readable).await?;
        // Before the comparison, because a standby has another fingerprint.
        found.check_standby()?;
        if found.is_where_it_was() && found.head >= newest {
            self.adopt(found.generation.unwrap_or_default());
            return Ok(());
        }
        self.renew(client, false).await
    }

    pub(super) fn store_id(&self) -> &str {
        &self.store_id
    }

    pub(super) fn generation(&self) -> Generation {
        self.generation.borrow().clone()
    }

    pub(super) fn generations(&self) -> watch::Receiver<Generation> {
        self.generation.subscribe()
    }

    /// An entry is committed: a store whose newest entry is older went back in time.
    pub(super) fn committed(&self, id: i64) {
        self.newest.fetch_max(id, Ordering::AcqRel);
    }

    async fn renew(&self, client: &ClientWrapper, is_start: bool) -> Result<(), Problem> {
        let outcome = self.renew_in_transaction(client, is_start).await;
        if outcome.is_err() {
            drop(client.batch_execute("ROLLBACK").await);
        }
        outcome
    }

    async fn renew_in_transaction(
        &self,
        client: &ClientWrapper,
        is_start: bool,
    ) -> Result<(), Problem> {
        client
            .batch_execute(&format!(
                "BEGIN; SELECT pg_advisory_xact_lock({IDENTITY_LOCK})"
            ))
            .await?;
        // Another node may have done it meanwhile.
        let found = find(client, self.readable).await?;
        let newest = self.newest.load(Ordering::Acquire);
        let known = self.generation();
        let is_known = found.generation.as_deref() == Some(known.as_str());
        let lost = is_known && found.head < newest;
        if found.is_where_it_was() && !lost {
            client.batch_execute("COMMIT").await?;
            self.newest.store(found.head, Ordering::Release);
            self.adopt(found.generation.unwrap_or_default());
            return Ok(());
        }
        let generation = random_hex(8);
        for (name, value) in [
            ("generation", &generation),
            ("fingerprint", &found.fingerprint),
        ] {
            let upsert = "INSERT INTO properties (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            client
                .execute_typed(upsert, &[(&name, Type::TEXT), (value, Type::TEXT)])
                .await?;
        }
        let went_back = found.generation.is_some();
        // A running node knows that it lost nothing. At a start, a store whose nodes were alive a
        // moment ago is a promoted standby, and every other one may be an old copy.
        let is_copy =
            is_start && !(found.is_other_timeline_only() && has_recent_nodes(client).await?);
        if went_back && (is_copy || lost) {
            // Some of its sessions may have ended after the copy was made.
            client.batch_execute("DELETE FROM sessions").await?;
        }
        client.batch_execute("COMMIT").await?;
        self.newest.store(found.head, Ordering::Release);
        if went_back {
            let before = found.stored_fingerprint.unwrap_or_default();
            tracing::warn!(
                code = "LL-122",
                before,
                now = found.fingerprint,
                "the database went back in time, or another server took its place (a backup was restored, or a standby was promoted); \
                 clients will drop what they hold of it and fetch anew"
            );
        }
        self.adopt(generation);
        Ok(())
    }

    fn adopt(&self, generation: String) {
        self.generation.send_if_modified(|known| {
            let differs = known.as_str() != generation;
            if differs {
                *known = Generation::trusted(generation);
            }
            differs
        });
    }
}

impl Found {
    fn check_standby(&self) -> Result<(), Problem> {
        let standby = || Problem {
            why: "it is a standby".into(),
            kind: ConnectErrorKind::ReadOnly,
        };
        if self.is_standby {
            Err(standby())
        } else {
            Ok(())
        }
    }

    fn check_writes(&self) -> Result<(), Problem> {
        self.check_standby()?;
        let read_only = || Problem {
            why: "its transactions are read only: default_transaction_read_only is on".into(),
            kind: ConnectErrorKind::ReadOnly,
        };
        if self.takes_writes {
            Ok(())
        } else {
            Err(read_only())
        }
    }

    /// Whether the server is the same one as before, or a copy of all of it, on another timeline:
    /// promoted, or recovered to a point in time.
    fn is_other_timeline_only(&self) -> bool {
        let rest = |fingerprint: &str| fingerprint.split_once(' ').map(|(_, rest)| rest.to_owned());
        let stored = self.stored_fingerprint.as_deref().and_then(rest);
        stored.is_some() && stored == rest(&self.fingerprint)
    }

    /// Whether the store is where its generation was made.
    fn is_where_it_was(&self) -> bool {
        let Some(stored) = &self.stored_fingerprint else {
            return false;
        };
        // A part that was not readable then or now proves nothing.
        let mut parts = stored.split(' ').zip(self.fingerprint.split(' '));
        self.generation.is_some()
            && parts.all(|(before, now)| before == now || before == "-" || now == "-")
    }
}

async fn has_recent_nodes(client: &ClientWrapper) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM nodes WHERE started_at > now() - interval '10 minutes' OR renewed_at > now() - interval '10 minutes')";
    client.query_typed(sql, &[]).await?[0].try_get(0)
}

async fn find(client: &ClientWrapper, readable: Readable) -> Result<Found, Problem> {
    let part = |can_read, sql| if can_read { sql } else { "NULL::text" };
    let timeline = part(readable.timeline, TIMELINE);
    let system = part(readable.system, SYSTEM);
    let sql = format!(
        "SELECT current_setting('transaction_read_only') = 'off',
            pg_is_in_recovery(),
            {timeline},
            (SELECT oid::int8 FROM pg_database WHERE datname = current_database()),
            'properties'::regclass::oid::int8,
            {system},
            (SELECT value FROM properties WHERE name = 'fingerprint'),
            (SELECT value FROM properties WHERE name = 'generation'),
            (SELECT coalesce(max(id), 0) FROM entries)"
    );
    let rows = client.query_typed(&sql, &[]).await?;
    let row = &rows[0];
    let (timeline, database, table, system): (Option<String>, i64, i64, Option<String>) = (
        row.try_get(2)?,
        row.try_get(3)?,
        row.try_get(4)?,
        row.try_get(5)?,
    );
    Ok(Found {
        takes_writes: row.try_get(0)?,
        is_standby: row.try_get(1)?,
        fingerprint: format!(
            "{} {database} {table} {}",
            timeline.as_deref().unwrap_or("-"),
            system.as_deref().unwrap_or("-")
        ),
        stored_fingerprint: row.try_get(6)?,
        generation: row.try_get(7)?,
        head: row.try_get(8)?,
    })
}

fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).expect("the system has random numbers");
    random.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
