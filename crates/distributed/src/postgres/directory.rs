//! People: profiles, manual statuses, when they were last seen.

mod sql;

use super::codec::{manual_from_db, source_from_db, source_to_db};
use super::first_profiles::First;
use super::marks::catch_up;
use super::{Connection, Failure, PostgresStore, Repeat, Sql, from_db, to_db};
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
use sql::{
    FIND, INSERT, KNOWN, LAST_SEEN, LOCK, LOCK_LAST_SEEN, PRIVACY, SEARCH, SET_LAST_SEEN,
    SET_PRIVACY, SET_STATUS, UPSERT,
};
use std::collections::{HashMap, HashSet};
use tokio_postgres::Row;

/// Users whose times are written in one transaction.
const SEEN_AT_ONCE: usize = 1_000;

#[async_trait]
impl Directory for PostgresStore {
    async fn person(&self, user: &UserId) -> StoreResult<Option<Person>> {
        let stored = self.find_person(user).await?;
        if stored.is_none() {
            self.first_profiles.note_unknown(user);
        }
        Ok(stored.map(|stored| stored.person))
    }

    async fn unknown(&self, users: &[UserId]) -> StoreResult<Vec<UserId>> {
        let asked: Vec<&str> = users.iter().map(UserId::as_str).collect();
        let rows = self.rows(&KNOWN, &[&asked]).await?;
        let mut known = HashSet::with_capacity(rows.len());
        for row in &rows {
            known.insert(row.try_get::<_, &str>(0).map_err(Failure::from)?);
        }
        let is_unknown = |user: &&UserId| !known.contains(user.as_str());
        Ok(users.iter().filter(is_unknown).cloned().collect())
    }

    async fn upsert_profile(
        &self,
        profile: Profile,
        source: ProfileSource,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        let update = ProfileUpdate {
            profile,
            source,
            issued_at: None,
        };
        self.write_if_newer(&update, at).await
    }

    async fn upsert_claims(
        &self,
        profile: Profile,
        issued_at: Timestamp,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        let update = ProfileUpdate {
            profile,
            source: ProfileSource::Claims,
            issued_at: Some(issued_at),
        };
        self.write_if_newer(&update, at).await
    }

    async fn set_status(
        &self,
        user: &UserId,
        chosen: StatusOverride,
        at: Timestamp,
    ) -> StoreResult<(SavedStatus, Vec<MarkUpdate>)> {
        let is_invisible = chosen.clone().at(at).status == ManualStatus::Invisible;
        let chosen = &chosen;
        // Not repeated if the outcome is unknown: a repetition would not return the moved marks.
        let saved = self.transact(Repeat::Never, |connection| async move {
            let Some(row) = connection.query_opt(&LOCK, &[&user.as_str()]).await? else {
                return Ok(None);
            };
            let person: i64 = row.try_get(10)?;
            let before = stored_person(&row)?.person.status;
            let revision = next_version(before.revision, at);
            connection
                .execute(
                    &SET_STATUS,
                    &[
                        &person,
                        &manual_to_db(chosen.status),
                        &chosen.text.as_deref(),
                        &chosen.until.map(|until| until.0),
                        &to_db(revision),
                    ],
                )
                .await?;
            let saved = SavedStatus {
                chosen: chosen.clone(),
                revision,
                privacy: before.privacy,
            };
            let marks = if is_invisible {
                Vec::new()
            } else {
                Box::pin(catch_up(self, &connection, user, person, at)).await?
            };
            Ok(Some((saved, marks)))
        });
        saved.await?.ok_or_else(|| {
            StoreError::Internal("cannot save a status: the user is not in the directory".into())
        })
    }

    async fn privacy_of(&self, users: &[UserId]) -> StoreResult<Vec<(Privacy, u64)>> {
        let asked: Vec<&str> = users.iter().map(UserId::as_str).collect();
        let rows = self.rows(&PRIVACY, &[&asked]).await?;
        let mut found: HashMap<&str, (Privacy, u64)> = HashMap::with_capacity(rows.len());
        for row in &rows {
            let user = row.try_get(0).map_err(Failure::from)?;
            let revision: i64 = row.try_get(3).map_err(Failure::from)?;
            let privacy = privacy(row, 1).map_err(Failure::from)?;
            found.insert(user, (privacy, from_db(revision)));
        }
        let of = |user: &&str| found.get(user).copied().unwrap_or_default();
        Ok(asked.iter().map(of).collect())
    }

    async fn set_privacy(
        &self,
        user: &UserId,
        change: PrivacyChange,
        at: Timestamp,
    ) -> StoreResult<SavedStatus> {
        let saved = self.transact(Repeat::Safe, |connection| async move {
            let Some(row) = connection.query_opt(&LOCK, &[&user.as_str()]).await? else {
                return Ok(None);
            };
            let person: i64 = row.try_get(10)?;
            let before = stored_person(&row)?.person.status;
            let privacy = before.privacy.changed(change);
            if privacy == before.privacy {
                return Ok(Some(before));
            }
            let revision = next_version(before.revision, at);
            connection
                .execute(
                    &SET_PRIVACY,
                    &[
                        &person,
                        &i16::from(privacy.hides_last_seen),
                        &i16::from(privacy.hides_reads),
                        &to_db(revision),
                    ],
                )
                .await?;
            Ok(Some(SavedStatus {
                revision,
                privacy,
                ..before
            }))
        });
        saved.await?.ok_or_else(|| {
            StoreError::Internal("cannot save settings: the user is not in the directory".into())
        })
    }

    async fn seen(&self, users: Vec<(UserId, Timestamp)>) -> StoreResult<()> {
        for part in users.chunks(SEEN_AT_ONCE) {
            // A second run moves nothing that the first one moved.
            self.transact(Repeat::Safe, |connection| async move {
                advance_last_seen(&connection, part).await
            })
            .await?;
        }
        Ok(())
    }

    async fn last_seen(&self, users: &[UserId]) -> StoreResult<Vec<Option<Timestamp>>> {
        let asked: Vec<&str> = users.iter().map(UserId::as_str).collect();
        let rows = self.rows(&LAST_SEEN, &[&asked]).await?;
        let mut times: HashMap<&str, Timestamp> = HashMap::with_capacity(rows.len());
        for row in &rows {
            let at: Option<i64> = row.try_get(1).map_err(Failure::from)?;
            if let Some(at) = at {
                let user = row.try_get(0).map_err(Failure::from)?;
                times.insert(user, Timestamp(at));
            }
        }
        Ok(asked.iter().map(|user| times.get(user).copied()).collect())
    }

    async fn search(
        &self,
        query: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Page<Profile>> {
        let after = cursor.map(PersonKey::read).transpose()?;
        let after = after.unwrap_or(PersonKey {
            name_folded: String::new(),
            user: String::new(),
        });
        // PostgreSQL's text has no U+0000, and no name has one.
        let query = search_key(query);
        let texts = [&query, &after.name_folded, &after.user];
        if texts.iter().any(|text| text.contains('\0')) {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let wanted = to_db(limit as u64).saturating_add(1);
        let rows = self
            .rows(&SEARCH, &[&query, &after.name_folded, &after.user, &wanted])
            .await?;
        Ok(page(&rows, limit)?)
    }
}

impl PostgresStore {
    async fn find_person(&self, user: &UserId) -> StoreResult<Option<StoredPerson>> {
        let row = self.row(&FIND, &[&user.as_str()]).await?;
        Ok(row.as_ref().map(stored_person).transpose()?)
    }

    async fn write_if_newer(
        &self,
        update: &ProfileUpdate,
        at: Timestamp,
    ) -> StoreResult<(Person, ProfileWrite)> {
        // Nearly always nothing changes; then a read is enough. It need not be repeated for a new user.
        let is_unknown = self.first_profiles.take_unknown(&update.profile.id);
        let known = match is_unknown {
            true => None,
            false => self.find_person(&update.profile.id).await?,
        };
        match known {
            Some(stored) if !update.is_news(&stored) => {
                return Ok((stored.person, ProfileWrite::Unchanged));
            }
            Some(_) => {}
            None => {
                let first = self
                    .first_profiles
                    .write(&self.database, update.clone(), at);
                if first.await? == First::Made {
                    return Ok((new_person(update), ProfileWrite::Made));
                }
            }
        }
        self.transact(Repeat::Never, |connection| async move {
            write_profile(&connection, update, at).await
        })
        .await
    }
}

fn new_person(update: &ProfileUpdate) -> Person {
    Person {
        profile: update.profile.clone(),
        status: SavedStatus::default(),
        last_seen: None,
    }
}

/// Writes a changed profile to a person whom another node may create at the same time.
async fn write_profile(
    connection: &Connection,
    update: &ProfileUpdate,
    at: Timestamp,
) -> Result<(Person, ProfileWrite), Failure> {
    let id = update.profile.id.as_str();
    let mut before = connection.query_opt(&LOCK, &[&id]).await?;
    if before.is_none() {
        let made = write(connection, &INSERT, update, at).await?;
        if made.is_some() {
            return Ok((new_person(update), ProfileWrite::Made));
        }
        before = connection.query_opt(&LOCK, &[&id]).await?;
    }
    let row = before.ok_or_else(|| {
        StoreError::Internal("a person exists and is not there: people are never deleted".into())
    })?;
    let stored = stored_person(&row)?;
    if !update.is_news(&stored) {
        return Ok((stored.person, ProfileWrite::Unchanged));
    }
    write(connection, &UPSERT, update, at).await?;
    let done = if stored.person.profile == update.profile {
        ProfileWrite::Unchanged
    } else {
        ProfileWrite::Changed
    };
    let person = Person {
        profile: update.profile.clone(),
        ..stored.person
    };
    Ok((person, done))
}

/// Runs [`INSERT`] or [`UPSERT`]; returns the person's row.
async fn write(
    connection: &Connection,
    sql: &Sql,
    update: &ProfileUpdate,
    at: Timestamp,
) -> Result<Option<i64>, Failure> {
    let ProfileUpdate {
        profile,
        source,
        issued_at,
    } = update;
    let row = connection
        .query_opt(
            sql,
            &[
                &profile.id.as_str(),
                &search_key(profile.id.as_str()),
                &&*profile.name,
                &search_key(&profile.name),
                &profile.avatar_url.as_deref(),
                &source_to_db(*source),
                &issued_at.map(|issued_at| issued_at.0),
                &at.0,
            ],
        )
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Makes the profile of a new account, or takes over an existing one; returns the person's row.
pub(super) async fn profile_of_account(
    connection: &Connection,
    profile: &Profile,
    at: Timestamp,
) -> Result<i64, Failure> {
    let update = ProfileUpdate {
        profile: profile.clone(),
        source: ProfileSource::Claims,
        issued_at: None,
    };
    let person = write(connection, &UPSERT, &update, at).await?;
    person.ok_or_else(|| StoreError::Internal("an upsert returned no row".into()).into())
}

async fn advance_last_seen(
    connection: &Connection,
    users: &[(UserId, Timestamp)],
) -> Result<(), Failure> {
    let asked: Vec<&str> = users.iter().map(|(user, _)| user.as_str()).collect();
    let rows = connection.query(&LOCK_LAST_SEEN, &[&asked]).await?;
    let mut times: HashMap<&str, (i64, Option<Timestamp>)> = HashMap::with_capacity(rows.len());
    for row in &rows {
        let at: Option<i64> = row.try_get(1)?;
        times.insert(row.try_get(0)?, (row.try_get(2)?, at.map(Timestamp)));
    }
    for (user, at) in users {
        if let Some((_, last)) = times.get_mut(user.as_str()) {
            *last = Some(last.map_or(*at, |last| last.advance_to(*at)));
        }
    }
    let (ids, times): (Vec<i64>, Vec<Option<i64>>) = times
        .into_values()
        .map(|(id, at)| (id, at.map(|at| at.0)))
        .unzip();
    connection.execute(&SET_LAST_SEEN, &[&ids, &times]).await?;
    Ok(())
}

fn page(rows: &[Row], limit: usize) -> Result<Page<Profile>, Failure> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let profile = profile(row)?;
        let key = PersonKey {
            name_folded: row.try_get(3)?,
            user: profile.id.as_str().to_owned(),
        };
        found.push((profile, key));
    }
    let fitting = weight::fitting(&found, ANSWER_BYTES, |(profile, _)| weight::member(profile));
    let count = found.len().min(limit).min(fitting);
    let has_more = found.len() > count;
    found.truncate(count);
    let last = found.last().filter(|_| has_more);
    let next = last.map(|(_, key)| key.write());
    Ok(Page {
        items: found.into_iter().map(|(profile, _)| profile).collect(),
        next,
    })
}

/// From the first three columns: id, name, avatar.
fn profile(row: &Row) -> Result<Profile, tokio_postgres::Error> {
    Ok(Profile {
        id: UserId::trusted(row.try_get::<_, &str>(0)?),
        name: row.try_get::<_, &str>(1)?.into(),
        avatar_url: row.try_get::<_, Option<&str>>(2)?.map(Into::into),
    })
}

/// From two columns, the first of them at `at`.
fn privacy(row: &Row, at: usize) -> Result<Privacy, tokio_postgres::Error> {
    Ok(Privacy {
        hides_last_seen: row.try_get::<_, i16>(at)? != 0,
        hides_reads: row.try_get::<_, i16>(at + 1)? != 0,
    })
}

fn stored_person(row: &Row) -> Result<StoredPerson, Failure> {
    let time = |column: usize| -> Result<Option<Timestamp>, tokio_postgres::Error> {
        Ok(row.try_get::<_, Option<i64>>(column)?.map(Timestamp))
    };
    let chosen = StatusOverride {
        status: manual_from_db(row.try_get(3)?),
        text: row.try_get::<_, Option<&str>>(4)?.map(Into::into),
        until: time(5)?,
    };
    Ok(StoredPerson {
        person: Person {
            profile: profile(row)?,
            status: SavedStatus {
                chosen,
                revision: from_db(row.try_get(9)?),
                privacy: privacy(row, 11)?,
            },
            last_seen: time(6)?,
        },
        source: source_from_db(row.try_get(7)?),
        claims_at: time(8)?,
    })
}

pub(super) fn manual_to_db(status: ManualStatus) -> i16 {
    match status {
        ManualStatus::Online => 0,
        ManualStatus::Away => 1,
        ManualStatus::Busy => 2,
        ManualStatus::Invisible => 3,
    }
}
