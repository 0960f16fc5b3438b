//! One transaction as its items see it, and the writer's cache of conversations.

use super::codec::{from_db, person_row, role_from_db};
use super::history::log_head;
use lamplight_domain::conversation::Members;
use lamplight_domain::entry::LogHead;
use lamplight_domain::event::Event;
use lamplight_domain::group::is_group;
use lamplight_domain::identity::{ConversationId, UserId};
use lamplight_domain::permission::Role;
use lamplight_domain::text::search_key;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::ports::CommitPosition;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::HashMap;

/// Past this many the cache is emptied.
const KNOWN_AT_MOST: usize = 10_000;

/// A conversation as an append needs it.
#[derive(Debug)]
pub(crate) struct CachedConversation {
    pub(crate) row: i64,
    /// Ordered by id.
    pub(crate) members: Members,
    /// In the order of `members`.
    places: Box<[CachedMember]>,
    /// Whether the database has it as a group.
    is_recorded_group: bool,
    /// The highest of the members' first `seq`s.
    newest_first_seq: u64,
    /// The head of its log, including appends of this transaction.
    pub(crate) head: LogHead,
    /// When the newest entry was made, or the conversation if it has none. No later entry gets an
    /// earlier time, whatever the clock shows.
    pub(crate) last_at: Timestamp,
    /// Whether a member may have archived it.
    pub(crate) has_archived: bool,
    /// Whether it is a direct conversation with a block or a deleted account.
    pub(crate) is_blocked: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedMember {
    /// Their row in `people`.
    pub(crate) person: i64,
    pub(crate) role: Role,
    /// Where their log begins; 0 for the whole log.
    pub(crate) first_seq: u64,
}

impl CachedMember {
    /// Somebody who may be no member any more, with the whole log.
    pub(crate) fn former(person: i64) -> Self {
        Self {
            person,
            role: Role::Member,
            first_seq: 0,
        }
    }
}

impl CachedConversation {
    pub(crate) fn member(&self, user: &UserId) -> Option<CachedMember> {
        let place = self.members.binary_search(user).ok()?;
        Some(self.places[place])
    }

    /// Whether it is one of two people.
    pub(crate) fn is_direct(&self) -> bool {
        !is_group(self.is_recorded_group, self.members.len())
    }

    /// The members whose logs begin after a `seq`.
    pub(crate) fn whose_log_begins_after(&self, seq: u64) -> Members {
        if self.newest_first_seq <= seq {
            return [].into();
        }
        let both = self.members.iter().zip(&self.places);
        let late = both.filter(|(_, place)| place.first_seq > seq);
        late.map(|(user, _)| user.clone()).collect()
    }
}

pub(super) const MEMBERS: &str =
    "SELECT p.user_id, p.id, m.role, m.first_seq FROM members m JOIN people p ON p.id = m.person
     WHERE m.conversation = ?1 ORDER BY p.user_id";

/// Whether a member has archived a conversation.
pub(super) const HAS_ARCHIVED: &str =
    "SELECT 1 FROM member_settings INDEXED BY archived_conversations
     WHERE conversation = ?1 AND archived = 1";

/// Whether one of two people has blocked the other.
pub(super) const IS_BLOCKED: &str = "SELECT 1 FROM blocks WHERE person = ?1 AND blocked = ?2
     UNION ALL SELECT 1 FROM blocks WHERE person = ?2 AND blocked = ?1";

/// Whether one of two people has blocked the other, or deleted their account.
pub(super) const IS_CLOSED: &str = "SELECT 1 FROM blocks WHERE person = ?1 AND blocked = ?2
     UNION ALL SELECT 1 FROM blocks WHERE person = ?2 AND blocked = ?1
     UNION ALL SELECT 1 FROM people WHERE id IN (?1, ?2) AND source = 3";

fn is_blocked(
    conn: &Connection,
    is_recorded_group: bool,
    places: &[CachedMember],
) -> rusqlite::Result<bool> {
    if is_recorded_group {
        return Ok(false);
    }
    let [one, other] = places else {
        return Ok(false);
    };
    conn.prepare_cached(IS_CLOSED)?
        .exists([one.person, other.person])
}

/// The conversations recently written to. Only the writer changes them, so the cache is correct as
/// long as its transactions are committed; one that fails empties the cache.
#[derive(Debug, Default)]
pub(crate) struct KnownConversations(HashMap<ConversationId, CachedConversation>);

impl KnownConversations {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn load(
        conn: &Connection,
        conversation: &ConversationId,
    ) -> rusqlite::Result<Option<CachedConversation>> {
        let found = conn
            .prepare_cached(
                "SELECT id, head_seq, last_at, EXISTS (SELECT 1 FROM conversation_groups WHERE conversation = conversations.id)
                 FROM conversations WHERE conversation_id = ?1",
            )?
            .query_row([conversation.as_str()], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, i64>(2)?,
                    row.get::<_, bool>(3)?,
                ))
            })
            .optional()?;
        let Some((row, head_seq, last_at, is_recorded_group)) = found else {
            return Ok(None);
        };
        let mut members = Vec::new();
        let mut places = Vec::new();
        let mut statement = conn.prepare_cached(MEMBERS)?;
        let mut found = statement.query([row])?;
        while let Some(member) = found.next()? {
            members.push(UserId::trusted(member.get_ref(0)?.as_str()?));
            places.push(CachedMember {
                person: member.get(1)?,
                role: role_from_db(member.get(2)?),
                first_seq: from_db(member.get(3)?),
            });
        }
        let is_blocked = is_blocked(conn, is_recorded_group, &places)?;
        Ok(Some(CachedConversation {
            row,
            is_blocked,
            members: members.into(),
            newest_first_seq: places
                .iter()
                .map(|place| place.first_seq)
                .max()
                .unwrap_or(0),
            places: places.into(),
            is_recorded_group,
            head: log_head(conn, row, from_db(head_seq))?,
            last_at: Timestamp(last_at),
            has_archived: conn.prepare_cached(HAS_ARCHIVED)?.exists([row])?,
        }))
    }
}

/// The state that the items of a transaction share.
pub(crate) struct Batch<'a> {
    pub(crate) conn: &'a Connection,
    known: &'a mut KnownConversations,
    events: Vec<Event>,
    changed: Vec<(ConversationId, Members)>,
    head: Option<CommitPosition>,
    has_erased: bool,
}

/// The effects of a commit.
pub(crate) struct Committed {
    /// To be published.
    pub(crate) events: Vec<Event>,
    /// Memberships that were read or changed.
    pub(crate) memberships: Vec<(ConversationId, Members)>,
    /// The position of the last entry, if the transaction appended any.
    pub(crate) head: Option<CommitPosition>,
    /// The transaction erased what older pages in the write-ahead log still have.
    pub(crate) has_erased: bool,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(conn: &'a Connection, known: &'a mut KnownConversations) -> Self {
        Self {
            conn,
            known,
            events: Vec::new(),
            changed: Vec::new(),
            head: None,
            has_erased: false,
        }
    }

    pub(crate) fn finish(self) -> Committed {
        Committed {
            events: self.events,
            memberships: self.changed,
            head: self.head,
            has_erased: self.has_erased,
        }
    }

    /// A conversation from the cache or the database, and the connection, which is borrowed apart.
    pub(crate) fn known(
        &mut self,
        conversation: &ConversationId,
    ) -> rusqlite::Result<Option<(&'a Connection, &mut CachedConversation)>> {
        if !self.known.0.contains_key(conversation) {
            let Some(loaded) = KnownConversations::load(self.conn, conversation)? else {
                return Ok(None);
            };
            self.changed
                .push((conversation.clone(), loaded.members.clone()));
            if self.known.0.len() >= KNOWN_AT_MOST {
                self.known.0.clear();
            }
            self.known.0.insert(conversation.clone(), loaded);
        }
        let conn = self.conn;
        Ok(self
            .known
            .0
            .get_mut(conversation)
            .map(|known| (conn, known)))
    }

    /// Drops a conversation whose members changed from the cache, and records its current members.
    pub(crate) fn membership_changed(&mut self, conversation: &ConversationId, members: Members) {
        self.known.0.remove(conversation);
        self.changed.push((conversation.clone(), members));
    }

    /// Updates the cached conversations of two people after a change of their blocks.
    pub(crate) fn blocks_changed(&mut self, one: &UserId, other: &UserId) -> rusqlite::Result<()> {
        let pair = [one.min(other), one.max(other)];
        for known in self.known.0.values_mut() {
            if known.is_direct() && known.members.iter().eq(pair) {
                known.is_blocked = is_blocked(self.conn, known.is_recorded_group, &known.places)?;
            }
        }
        Ok(())
    }

    /// Updates the cached conversations of two people after a deletion of an account.
    pub(crate) fn account_deleted(&mut self, user: &UserId) -> rusqlite::Result<()> {
        for known in self.known.0.values_mut() {
            if known.is_direct() && known.member(user).is_some() {
                known.is_blocked = is_blocked(self.conn, known.is_recorded_group, &known.places)?;
            }
        }
        Ok(())
    }

    /// An entry was inserted at a position, which is higher than every one before.
    pub(crate) fn appended(&mut self, position: CommitPosition) {
        self.head = Some(position);
    }

    /// A message was erased.
    pub(crate) fn erased(&mut self) {
        self.has_erased = true;
    }

    pub(crate) fn publish(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// A user's row in `people`, made with a bare profile if there is none.
pub(crate) fn ensure_person(
    conn: &Connection,
    user: &UserId,
    at: Timestamp,
) -> rusqlite::Result<i64> {
    if let Some(row) = person_row(conn, user)? {
        return Ok(row);
    }
    let folded = search_key(user.as_str());
    conn.prepare_cached("INSERT INTO people (user_id, user_folded, name, name_folded, source, created_at) VALUES (?1, ?2, ?1, ?2, 0, ?3)")?
        .execute(params![user.as_str(), folded, at.0])?;
    Ok(conn.last_insert_rowid())
}
