//! People: profiles, manual statuses, when they were last seen.

use super::SqliteStore;
use super::codec::{from_db, manual_to_db, person_row, to_db};
use super::marks::catch_up;
use super::queries::profile;
use super::work::Durability;
use super::writer::BATCH_AT_MOST;
use async_trait::async_trait;
use lamplight_domain::identity::{Profile, UserId};
use lamplight_domain::presence::{
    ManualStatus, Privacy, PrivacyChange, SavedStatus, StatusOverride, next_version,
};
use lamplight_domain::text::search_key;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::cursor::PersonKey;
use lamplight_usecases::ports::{
    Directory, MarkUpdate, Page, Person, ProfileSource, ProfileUpdate, ProfileWrite, StoreError,
    StoreResult, StoredPerson,
};
use lamplight_usecases::weight::{self, ANSWER_BYTES};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

#[async_trait]
impl Directory for SqliteStore {
    async fn person(&self, user: &UserId) -> StoreResult<Option<Person>> {
        let user = user.clone();
        self.read(move |conn| Ok(find(conn, &user)?.map(|held| held.person)))
            .await
    }

    async fn unknown(&self, users: &[UserId]) -> StoreResult<Vec<UserId>> {
        let users = users.to_vec();
        self.read(move |conn| {
            let mut unknown = Vec::new();
            let mut known =
                conn.prepare_cached("SELECT 1 FROM people WHERE user_id = ?1 AND source <> 3")?;
            for user in users {
                if !known.exists([user.as_str()])? {
                    unknown.push(user);
                }
            }
            Ok(unknown)
        })
        .await
    }

    async fn upsert_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        self.write_if_newer(
            ProfileUpdate {
                profile,
                source,
                issued_at: None,
            },
            at,
        )
        .await
    }

    async fn upsert_claims(
        &self,
        profile: Profile,
        issued_at: Timestamp,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        self.write_if_newer(
            ProfileUpdate {
                profile,
                source: ProfileSource::Claims,
                issued_at: Some(issued_at),
            },
            at,
        )
        .await
    }

    async fn set_status(
        &self,
        user: &UserId,
        chosen: StatusOverride,
        at: Timestamp,
    ) -> StoreResult<(SavedStatus, Vec<MarkUpdate>)> {
        let user = user.clone();
        let is_invisible = chosen.clone().at(at).status == ManualStatus::Invisible;
        let written = self.write(move |batch| {
            let Some(person) = person_row(batch.conn, &user)? else { return Ok(None) };
            let (privacy, revision) = privacy_of(batch.conn, &user)?;
            let revision = next_version(revision, at);
            batch
                .conn
                .prepare_cached(
                    "UPDATE people SET status = ?2, status_text = ?3, status_until = ?4, status_revision = ?5 WHERE id = ?1 AND source <> 3",
                )?
                .execute(params![
                    person,
                    manual_to_db(chosen.status),
                    chosen.text.as_deref(),
                    chosen.until.map(|until| until.0),
                    to_db(revision)
                ])?;
            let marks = if is_invisible { Vec::new() } else { catch_up(batch, &user, person, at)? };
            let chosen = chosen.clone();
            Ok(Some((SavedStatus { chosen, revision, privacy }, marks)))
        });
        let saved = written.answer().await?;
        saved.ok_or_else(|| {
            StoreError::Internal("cannot save a status: the user is not in the directory".into())
        })
    }

    async fn privacy_of(&self, users: &[UserId]) -> StoreResult<Vec<(Privacy, u64)>> {
        let users = users.to_vec();
        self.read(move |conn| users.iter().map(|user| privacy_of(conn, user)).collect())
            .await
    }

    async fn set_privacy(
        &self,
        user: &UserId,
        change: PrivacyChange,
        at: Timestamp,
    ) -> StoreResult<SavedStatus> {
        let user = user.clone();
        let written = self.write(move |batch| {
            let conn = batch.conn;
            let Some(held) = find(conn, &user)? else {
                return Ok(None);
            };
            let before = held.person.status;
            let privacy = before.privacy.changed(change);
            if privacy == before.privacy {
                return Ok(Some(before));
            }
            let revision = next_version(before.revision, at);
            conn.prepare_cached(
                "UPDATE people SET hides_last_seen = ?2, hides_reads = ?3, status_revision = ?4,
                     last_seen = iif(?2, NULL, last_seen) WHERE user_id = ?1 AND source <> 3",
            )?
            .execute(params![
                user.as_str(),
                privacy.hides_last_seen,
                privacy.hides_reads,
                to_db(revision)
            ])?;
            Ok(Some(SavedStatus {
                revision,
                privacy,
                ..before
            }))
        });
        written.answer().await?.ok_or_else(|| {
            StoreError::Internal("cannot save settings: the user is not in the directory".into())
        })
    }

    async fn seen(&self, users: Vec<(UserId, Timestamp)>) -> StoreResult<()> {
        // In parts, so that sends can run between them.
        for part in users.chunks(BATCH_AT_MOST) {
            let part = part.to_vec();
            let written = self.write(move |batch| {
                let mut statement = batch.conn.prepare_cached(
                    "UPDATE people SET last_seen = ?2 WHERE user_id = ?1 AND last_seen IS NOT ?2 AND source <> 3 AND hides_last_seen = 0",
                )?;
                for (user, at) in &part {
                    let before = last_seen(batch.conn, user)?;
                    statement.execute(params![
                        user.as_str(),
                        before.map_or(*at, |before| before.advance_to(*at)).0
                    ])?;
                }
                Ok(())
            });
            written.answer().await?;
        }
        Ok(())
    }

    async fn last_seen(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>> {
        let users = users.to_vec();
        self.read(move |conn| users.iter().map(|user| last_seen(conn, user)).collect())
            .await
    }

    async fn search(
        &self,
        query: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        let after = cursor.map(PersonKey::read).transpose()?;
        let query = search_key(query);
        self.read(move |conn| search(conn, &query, after, limit))
            .await
    }
}

/// A user's privacy settings, and their revision.
fn privacy_of(conn: &Connection, user: &UserId) -> rusqlite::Result<(Privacy, u64)> {
    let found = conn
        .prepare_cached(
            "SELECT hides_last_seen, hides_reads, status_revision FROM people WHERE user_id = ?1",
        )?
        .query_row([user.as_str()], |row| {
            let privacy = Privacy {
                hides_last_seen: row.get(0)?,
                hides_reads: row.get(1)?,
            };
            Ok((privacy, from_db(row.get(2)?)))
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn last_seen(conn: &Connection, user: &UserId) -> rusqlite::Result<Option<Timestamp>> {
    let mut statement = conn.prepare_cached("SELECT last_seen FROM people WHERE user_id = ?1")?;
    let seen = statement
        .query_row([user.as_str()], |row| row.get::<_, Option<i64>>(0))
        .optional()?;
    Ok(seen.flatten().map(Timestamp))
}

/// A first profile need not be synced to the disk before its user is online: after a power loss,
/// the user's next join or request writes it again. Profiles from the host application are synced,
/// because they are not repeated.
fn durability(update: &ProfileUpdate, known: Option<&StoredPerson>) -> Durability {
    if known.is_none() && update.source != ProfileSource::Host {
        Durability::Deferred
    } else {
        Durability::Synced
    }
}

impl SqliteStore {
    async fn write_if_newer(
        &self,
        update: ProfileUpdate,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        // Nearly always nothing changes; then a read is enough.
        let asked = update.profile.id.clone();
        let known = self.read(move |conn| find(conn, &asked)).await?;
        let durability = durability(&update, known.as_ref());
        if let Some(held) = known
            && !update.is_news(&held)
        {
            return Ok((held.person, ProfileWrite::Unchanged));
        }
        let written = self.write_as(durability, move |batch| {
            let conn = batch.conn;
            let before = find(conn, &update.profile.id)?;
            if let Some(held) = &before
                && !update.is_news(held)
            {
                return Ok(Some((held.person.clone(), ProfileWrite::Unchanged)));
            }
            write_profile(conn, &update.profile, update.source, update.issued_at, at)?;
            let done = match before {
                None => ProfileWrite::Made,
                Some(held) if held.person.profile != update.profile => ProfileWrite::Changed,
                Some(_) => ProfileWrite::Unchanged,
            };
            Ok(find(conn, &update.profile.id)?.map(|held| (held.person, done)))
        });
        written
            .answer()
            .await?
            .ok_or_else(|| StoreError::Internal("a profile was written and is not there".into()))
    }
}

/// Writes a profile, replacing an existing one.
fn write_profile(
    conn: &Connection,
    profile: &Profile,
    source: ProfileSource,
    issued_at: Option<Timestamp>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO people (user_id, user_folded, name, name_folded, avatar_url, source, created_at, claims_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (user_id) DO UPDATE SET
             name = excluded.name, name_folded = excluded.name_folded, avatar_url = excluded.avatar_url, source = excluded.source,
             claims_at = excluded.claims_at",
    )?
    .execute(params![
        profile.id.as_str(),
        search_key(profile.id.as_str()),
        &*profile.name,
        search_key(&profile.name),
        profile.avatar_url.as_deref(),
        source_to_db(source),
        at.0,
        issued_at.map(|issued_at| issued_at.0)
    ])?;
    Ok(())
}

fn find(conn: &Connection, user: &UserId) -> rusqlite::Result<Option<StoredPerson>> {
    conn.prepare_cached(
        "SELECT user_id, name, avatar_url, status, status_text, status_until, last_seen, source, claims_at, status_revision,
             hides_last_seen, hides_reads
         FROM people WHERE user_id = ?1",
    )?
    .query_row([user.as_str()], held)
    .optional()
}

fn held(row: &Row<'_>) -> rusqlite::Result<StoredPerson> {
    let chosen = StatusOverride {
        status: manual_from_db(row.get(3)?),
        text: row.get_ref(4)?.as_str_or_null()?.map(Into::into),
        until: row.get::<_, Option<i64>>(5)?.map(Timestamp),
    };
    let last_seen = row.get::<_, Option<i64>>(6)?.map(Timestamp);
    Ok(StoredPerson {
        person: Person {
            profile: profile(row, 0)?,
            status: SavedStatus {
                chosen,
                revision: from_db(row.get(9)?),
                privacy: Privacy {
                    hides_last_seen: row.get(10)?,
                    hides_reads: row.get(11)?,
                },
            },
            last_seen,
        },
        source: source_from_db(row.get(7)?),
        claims_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
    })
}

/// `instr` and not `LIKE`, so that `%` and `_` stand for themselves. Accounts are also found by
/// their user name. Deleted ones, which have no name, are not found; `source` is not in the index.
fn search(
    conn: &Connection,
    folded: &str,
    after: Option<PersonKey>,
    limit: usize,
) -> rusqlite::Result<Page<Profile>> {
    let after = after.unwrap_or(PersonKey {
        name_folded: String::new(),
        user: String::new(),
    });
    let wanted = to_db(limit as u64).saturating_add(1);
    let mut statement = conn.prepare_cached(
        "SELECT user_id, name, avatar_url, name_folded FROM people
         WHERE (name_folded, user_id) > (?2, ?3) AND (name_folded <> '' OR source <> 3) AND (?1 = '' OR instr(name_folded, ?1) > 0 OR instr(user_folded, ?1) > 0
             OR EXISTS (SELECT 1 FROM accounts a WHERE a.person = people.id AND instr(a.name_search, ?1) > 0))
         ORDER BY name_folded, user_id LIMIT ?4",
    )?;
    let found = statement.query_map(
        params![folded, after.name_folded, after.user, wanted],
        |row| {
            let profile = profile(row, 0)?;
            let key = PersonKey {
                name_folded: row.get(3)?,
                user: profile.id.as_str().to_owned(),
            };
            Ok((profile, key))
        },
    )?;
    let mut found = found.collect::<rusqlite::Result<Vec<(Profile, PersonKey)>>>()?;
    let kept = found
        .len()
        .min(limit)
        .min(weight::fitting(&found, ANSWER_BYTES, |(profile, _)| {
            weight::member(profile)
        }));
    let has_more = found.len() > kept;
    found.truncate(kept);
    let next = found
        .last()
        .filter(|_| has_more)
        .map(|(_, key)| key.write());
    Ok(Page {
        items: found.into_iter().map(|(profile, _)| profile).collect(),
        next,
    })
}

/// Makes the profile of a new account, or takes over an existing one.
pub(super) fn profile_of_account(
    conn: &Connection,
    profile: &Profile,
    at: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    write_profile(conn, profile, ProfileSource::Claims, None, at)?;
    person_row(conn, &profile.id)
}

fn manual_from_db(status: i64) -> ManualStatus {
    match status {
        1 => ManualStatus::Away,
        2 => ManualStatus::Busy,
        3 => ManualStatus::Invisible,
        _ => ManualStatus::Online,
    }
}

fn source_to_db(source: ProfileSource) -> i64 {
    match source {
        ProfileSource::Nobody => 0,
        ProfileSource::Claims => 1,
        ProfileSource::Host => 2,
        ProfileSource::Deleted => 3,
    }
}

fn source_from_db(source: i64) -> ProfileSource {
    match source {
        0 => ProfileSource::Nobody,
        1 => ProfileSource::Claims,
        3 => ProfileSource::Deleted,
        _ => ProfileSource::Host,
    }
}
