//! Reads of entries as they were appended, and of what became of messages since.

use super::codec::{content_from_db, from_db};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::{Entry, EntryKind, Extras};
use lamplight_domain::fold::{Message, REACTION_USERS, Reactions, group_reactions};
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::{Content, EXCERPT_DEPENDS_ON, client_message_id, excerpt};
use lamplight_domain::time::Timestamp;
use lamplight_usecases::record;
use serde::Deserialize;
use std::borrow::Cow;
use tokio_postgres::Row;

type RowResult<T> = Result<T, tokio_postgres::Error>;

/// The columns that [`entry`] reads, of entries `e` with [`entry_joins`].
macro_rules! entry_columns {
    () => {
        "e.message_id, e.seq, p.user_id, e.content, e.dedupe_key, e.created_at, o.kind, x.record, q.content AS quoted"
    };
}

/// The joins that [`entry_columns`] needs besides entries `e`. The beginning of a quoted message is
/// enough: twice [`EXCERPT_DEPENDS_ON`], since escapes have two characters.
macro_rules! entry_joins {
    () => {
        " LEFT JOIN people p ON p.id = e.sender
          LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq
          LEFT JOIN message_extras x ON x.conversation = e.conversation AND x.seq = e.seq
          LEFT JOIN LATERAL (SELECT left(coalesce(k.content, w.content), 2000) AS content FROM entries w
              LEFT JOIN message_changes k ON k.conversation = w.conversation AND k.seq = w.seq
              WHERE w.conversation = e.conversation AND w.seq = (x.record::json #> '{reply_to,seq}')::text::int8 OFFSET 0
          ) q ON true "
    };
}

/// The columns that [`changed`] reads, of changes `k`.
macro_rules! change_columns {
    () => {
        "k.content, k.mentions, k.edited_at, k.deleted_at, k.pinned_at"
    };
}

/// The changes `k` of entries `e`.
macro_rules! change_joins {
    () => {
        " LEFT JOIN message_changes k ON k.conversation = e.conversation AND k.seq = e.seq "
    };
}

/// The columns that [`reacted`] reads. Where a message has more than 40 reactions, the last one has
/// each emoji with its count, whether one is of the person `$viewer`, and the first users: to count them
/// by the primary key and to read the first by an index is less than to read them all.
macro_rules! reaction_columns {
    ($viewer:literal) => {
        concat!(
            "r.users, CASE WHEN r.total > 40 THEN (
                 SELECT json_agg(json_build_array(z.emoji, z.count, z.is_mine, f.users) ORDER BY f.began)::text
                 FROM (SELECT z.emoji, count(*) AS count, bool_or(z.person = ",
            $viewer,
            ") AS is_mine FROM reactions z WHERE z.conversation = e.conversation AND z.seq = e.seq GROUP BY z.emoji) z
                 CROSS JOIN LATERAL (SELECT min(f.entry_seq) AS began, json_agg(u.user_id ORDER BY f.entry_seq) AS users
                     FROM (SELECT person, entry_seq FROM reactions
                         WHERE conversation = e.conversation AND seq = e.seq AND emoji = z.emoji ORDER BY entry_seq LIMIT 20) f
                     JOIN people u ON u.id = f.person) f) END AS many_reactions"
        )
    };
}

/// The reactions `r` on entries `e`, in the order in which they were added: all, or any 41. As one text,
/// with separators that neither an emoji nor an id has: two arrays cost their reader more.
macro_rules! reaction_joins {
    () => {
        " LEFT JOIN LATERAL (SELECT string_agg(r.emoji || E'\\x1f' || u.user_id, E'\\x1e' ORDER BY r.entry_seq) AS users, count(*) AS total
              FROM (SELECT * FROM reactions WHERE conversation = e.conversation AND seq = e.seq LIMIT 41) r
              JOIN people u ON u.id = r.person
          ) r ON true "
    };
}

const _: () = assert!(REACTION_USERS == 20, "the statements say so too");

pub(crate) use {
    change_columns, change_joins, entry_columns, entry_joins, reaction_columns, reaction_joins,
};

const _: () = assert!(EXCERPT_DEPENDS_ON == 1_000, "the statements say so too");

/// The number of [`entry_columns`].
pub(super) const ENTRY_COLUMNS: usize = 9;
/// The number of [`change_columns`].
pub(super) const CHANGE_COLUMNS: usize = 5;
/// The number of [`reaction_columns`].
pub(super) const REACTION_COLUMNS: usize = 2;

/// An entry from [`entry_columns`], the first of them at `at`; `None` where an outer join found
/// none.
pub(super) fn entry(
    row: &Row,
    at: usize,
    conversation: &ConversationId,
) -> RowResult<Option<Entry>> {
    let Some(id) = row.try_get::<_, Option<&str>>(at)? else {
        return Ok(None);
    };
    let content = content_from_db(row.try_get(at + 3)?);
    Ok(Some(Entry {
        id: MessageId::trusted(id),
        conversation: conversation.clone(),
        seq: from_db(row.try_get(at + 1)?),
        sender: UserId::trusted(row.try_get::<_, &str>(at + 2)?),
        kind: match row.try_get::<_, Option<&str>>(at + 6)? {
            None => EntryKind::Message {
                content: Content::trusted(content),
                extras: extras(row, at + 7)?,
            },
            Some(kind) => record::read_change(kind, &content),
        },
        client_message_id: row
            .try_get::<_, Option<&str>>(at + 4)?
            .and_then(client_message_id),
        created_at: Timestamp(row.try_get(at + 5)?),
    }))
}

/// The parts of a message besides its content: from its record, and from the content of the message
/// that it answers.
fn extras(row: &Row, at: usize) -> RowResult<Option<Box<Extras>>> {
    let Some(record) = row.try_get::<_, Option<&str>>(at)? else {
        return Ok(None);
    };
    let mut extras = record::read_extras(record);
    if let Some(quote) = &mut extras.reply_to {
        let quoted = row.try_get::<_, Option<&str>>(at + 1)?.unwrap_or_default();
        quote.excerpt = excerpt(&Content::trusted(content_from_db(quoted)));
    }
    Ok(extras.boxed())
}

/// A message with its edits, its deletion and its pin, from [`change_columns`], the first of them at
/// `at`. Where an edited message has no content there, its entry has it.
pub(super) fn changed(row: &Row, at: usize, entry: Entry) -> RowResult<Message> {
    let time = |at| Ok(row.try_get::<_, Option<i64>>(at)?.map(Timestamp));
    let mut message = Message::from(entry);
    if let Some(edited_at) = time(at + 2)? {
        let content = match row.try_get::<_, Option<&str>>(at)? {
            Some(content) => Content::trusted(content_from_db(content)),
            None => Content::trusted(message.content()),
        };
        let mentions = row.try_get::<_, Option<&str>>(at + 1)?;
        let mentions = mentions.map(record::read_mentions).unwrap_or_default();
        message.edit(content, mentions, edited_at);
    }
    message.pinned_at = time(at + 4)?;
    if let Some(deleted_at) = time(at + 3)? {
        message.delete(deleted_at);
    }
    Ok(message)
}

/// Adds the reactions on a message, from [`reaction_columns`], the first of them at `at`.
pub(super) fn reacted(
    row: &Row,
    at: usize,
    message: &mut Message,
    viewer: &UserId,
) -> RowResult<()> {
    let Some(users) = row.try_get::<_, Option<&str>>(at)? else {
        return Ok(());
    };
    if let Some(many) = row.try_get::<_, Option<&str>>(at + 1)? {
        // The query has made it.
        let kinds: Vec<KindRecord<'_>> = serde_json::from_str(many).unwrap_or_default();
        message.reactions = kinds.into_iter().map(Reactions::from).collect();
    } else {
        let each = users
            .split('\u{1e}')
            .filter_map(|one| one.split_once('\u{1f}'));
        message.reactions = group_reactions(each, viewer);
    }
    Ok(())
}

/// The reactions with one emoji, from the last of [`reaction_columns`]: the emoji, the count, whether one
/// is the viewer's, the first users.
#[derive(Deserialize)]
struct KindRecord<'a>(
    #[serde(borrow)] Cow<'a, str>,
    u64,
    bool,
    #[serde(borrow)] Vec<Cow<'a, str>>,
);

impl From<KindRecord<'_>> for Reactions {
    fn from(KindRecord(emoji, count, is_mine, users): KindRecord<'_>) -> Self {
        let users = users.iter().map(|user| UserId::trusted(&**user));
        Self {
            emoji: Emoji::trusted(&*emoji),
            count,
            is_mine,
            users: users.collect(),
        }
    }
}
