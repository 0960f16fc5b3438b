//! A cache of the members of recent conversations. Another node may change them at any moment, so
//! callers read the conversation's `members_version` first, and get the members of that version or
//! none.

use super::connection::{Connection, Sql};
use super::error::Failure;
use lamplight_domain::conversation::Members;
use lamplight_domain::identity::UserId;
use parking_lot::RwLock;
use std::collections::HashMap;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Past this many members in all, the cache is emptied: some 40 MB.
const AT_MOST: usize = 500_000;

pub(super) const MEMBERS: Sql = Sql {
    text: "SELECT m.conversation, p.user_id FROM members m JOIN people p ON p.id = m.person
           WHERE m.conversation = ANY($1) ORDER BY m.conversation, p.user_id",
    types: &[Type::INT8_ARRAY],
};

#[derive(Default)]
struct Held {
    conversations: HashMap<i64, (i64, Members)>,
    members: usize,
}

#[derive(Default)]
pub(super) struct MembersCache(RwLock<Held>);

impl MembersCache {
    /// The members of a conversation's row at this version.
    pub(super) fn get(&self, conversation: i64, version: i64) -> Option<Members> {
        let held = self.0.read();
        let (found, members) = held.conversations.get(&conversation)?;
        (*found == version).then(|| members.clone())
    }

    pub(super) fn put(&self, conversation: i64, version: i64, members: Members) {
        let mut held = self.0.write();
        if held.members + members.len() > AT_MOST {
            *held = Held::default();
        }
        held.members += members.len();
        if let Some((_, before)) = held.conversations.insert(conversation, (version, members)) {
            held.members -= before.len();
        }
    }
}

/// The members of these conversations' rows, in the order of their ids.
pub(super) async fn members_of(
    connection: &Connection,
    conversations: &[i64],
) -> Result<HashMap<i64, Members>, Failure> {
    let rows = connection.query(&MEMBERS, &[&conversations]).await?;
    Ok(members_in(&rows)?)
}

/// From the rows of [`MEMBERS`].
pub(super) fn members_in(rows: &[Row]) -> Result<HashMap<i64, Members>, tokio_postgres::Error> {
    let mut lists: HashMap<i64, Vec<UserId>> = HashMap::new();
    for row in rows {
        let user = UserId::trusted(row.try_get::<_, &str>(1)?);
        lists.entry(row.try_get(0)?).or_default().push(user);
    }
    Ok(lists
        .into_iter()
        .map(|(conversation, members)| (conversation, members.into()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamplight_domain::identity::UserId;

    fn members(count: usize) -> Members {
        (0..count)
            .map(|number| UserId::trusted(number.to_string()))
            .collect()
    }

    #[test]
    fn c7_cached_members_of_another_version_are_not_used() {
        let cache = MembersCache::default();
        cache.put(1, 7, members(2));
        assert_eq!(cache.get(1, 7), Some(members(2)));
        assert_eq!(cache.get(1, 8), None);
        assert_eq!(cache.get(2, 7), None);
        cache.put(1, 8, members(3));
        assert_eq!((cache.get(1, 7), cache.get(1, 8)), (None, Some(members(3))));
        assert_eq!(cache.0.read().members, 3);
    }

    #[test]
    fn the_cache_is_bounded_by_its_members() {
        let cache = MembersCache::default();
        let crowd = members(AT_MOST / 4);
        for row in 0..10 {
            cache.put(row, 1, crowd.clone());
            assert!(cache.0.read().members <= AT_MOST);
        }
        assert!(cache.get(9, 1).is_some());
    }
}
