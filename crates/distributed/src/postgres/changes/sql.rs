//! The statements of writes on messages, each only where a batch has such writes.
//!
//! `conversation + 0` keeps the planner from going through all entries of a conversation to find the
//! one of an id.

use super::super::connection::Sql;
use super::super::entries::{
    change_columns, change_joins, entry_columns, entry_joins, reaction_columns, reaction_joins,
};
use super::super::files::{attachment_columns, blank};
use tokio_postgres::types::Type;

/// Entries by their ids, from two parameters: the rows of their conversations, and the ids.
macro_rules! named {
    () => {
        "FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS a (conversation, id, n)
         CROSS JOIN LATERAL (SELECT * FROM entries WHERE message_id = a.id AND conversation + 0 = a.conversation OFFSET 0) e "
    };
}

const NAMED: &[Type] = &[Type::INT8_ARRAY, Type::TEXT_ARRAY];

/// Messages that a batch names, as they are now.
pub(in super::super) const TARGETS: Sql = Sql {
    text: concat!(
        "SELECT a.n, ",
        entry_columns!(),
        ", ",
        change_columns!(),
        ", k.content_seq, k.deleted_seq, k.pinned_seq ",
        named!(),
        entry_joins!(),
        change_joins!()
    ),
    types: NAMED,
};

/// The emoji on messages, each with its count, and the reactions of some people.
pub(in super::super) const REACTIONS: Sql = Sql {
    text: concat!(
        "SELECT a.n, r.emoji, count(*), array_agg(r.person) FILTER (WHERE r.person = ANY($3)),
             array_agg(r.entry_seq) FILTER (WHERE r.person = ANY($3)) ",
        named!(),
        "JOIN reactions r ON r.conversation = e.conversation AND r.seq = e.seq GROUP BY a.n, r.emoji"
    ),
    types: &[Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY],
};

/// The entries that edited messages: of each the newest ones, which may still be repeated.
pub(in super::super) const EDITS: Sql = Sql {
    text: concat!(
        "SELECT a.n, t.entry_seq, w.content, w.dedupe_key ",
        named!(),
        "CROSS JOIN LATERAL (SELECT * FROM message_edits
             WHERE conversation = e.conversation AND seq = e.seq ORDER BY entry_seq DESC LIMIT 200) t
         JOIN entries w ON w.conversation = t.conversation AND w.seq = t.entry_seq"
    ),
    types: NAMED,
};

/// Those of these conversations that are groups.
pub(in super::super) const GROUPS: Sql = Sql {
    text: "SELECT conversation FROM conversation_groups WHERE conversation = ANY($1)",
    types: &[Type::INT8_ARRAY],
};

/// Members whose logs do not begin with the first entry, and where they begin.
pub(in super::super) const NEWCOMERS: Sql = Sql {
    text: "SELECT m.conversation, p.user_id, m.first_seq FROM members m JOIN people p ON p.id = m.person
           WHERE m.conversation = ANY($1) AND m.first_seq > 1 ORDER BY m.conversation, p.user_id",
    types: &[Type::INT8_ARRAY],
};

/// The pinned messages of conversations.
pub(in super::super) const PINS: Sql = Sql {
    text: "SELECT a.id, (SELECT count(*) FROM message_changes k WHERE k.conversation = a.id AND k.pinned_seq IS NOT NULL)
           FROM unnest($1::int8[]) AS a (id)",
    types: &[Type::INT8_ARRAY],
};

/// The newest entries of conversations that are not messages.
pub(in super::super) const OTHERS: Sql = Sql {
    text: "SELECT a.id, o.seq, o.message_count, o.last_message_seq FROM unnest($1::int8[]) AS a (id)
           CROSS JOIN LATERAL (SELECT * FROM other_entries WHERE conversation = a.id ORDER BY seq DESC LIMIT 1) o",
    types: &[Type::INT8_ARRAY],
};

/// The newest messages of conversations that are not deleted, from the last ones down to the first that
/// this batch does not delete. The parameters: conversations with their last messages, and what is
/// deleted. Each step goes to the last message as of the entry before, and so past what had been deleted
/// by then: a deleted message is passed once, by the deletion of the last one after it.
pub(in super::super) const NEWEST: Sql = Sql {
    text: "SELECT a.id, s.seq FROM unnest($1::int8[], $2::int8[]) AS a (id, last)
           CROSS JOIN LATERAL (
               WITH RECURSIVE step (seq, is_deleted, is_over) AS (
                   SELECT a.last, false, false
                   UNION ALL
                   SELECT n.seq, n.is_deleted, NOT n.is_deleted AND NOT EXISTS (SELECT 1
                       FROM unnest($3::int8[], $4::int8[]) AS d (conversation, seq) WHERE d.conversation = a.id AND d.seq = n.seq)
                   FROM step t
                   CROSS JOIN LATERAL (SELECT coalesce((SELECT CASE WHEN o.seq < t.seq - 1 THEN t.seq - 1 ELSE o.last_message_seq END
                       FROM other_entries o WHERE o.conversation = a.id AND o.seq <= t.seq - 1
                       ORDER BY o.seq DESC LIMIT 1), t.seq - 1) AS seq OFFSET 0) b
                   CROSS JOIN LATERAL (SELECT b.seq, EXISTS (SELECT 1 FROM message_changes k
                       WHERE k.conversation = a.id AND k.seq = b.seq AND k.deleted_seq IS NOT NULL) AS is_deleted OFFSET 0) n
                   WHERE NOT t.is_over AND t.seq > 0)
               SELECT t.seq FROM step t WHERE t.seq > 0 AND NOT t.is_deleted) s",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// Entries by their places, as they were appended and as a person sees them now, with the digests of those that
/// are blank.
pub(in super::super) const AT: Sql = Sql {
    text: concat!(
        "SELECT a.n, ",
        entry_columns!(),
        ", ",
        change_columns!(),
        ", ",
        reaction_columns!("a.viewer"),
        ", d.digest
         FROM unnest($1::int8[], $2::int8[], $3::int8[]) WITH ORDINALITY AS a (conversation, seq, viewer, n)
         JOIN entries e ON e.conversation = a.conversation AND e.seq = a.seq",
        entry_joins!(),
        change_joins!(),
        reaction_joins!(),
        "LEFT JOIN erased_entries d ON d.conversation = e.conversation AND d.seq = e.seq"
    ),
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};

/// Moves heads as `MOVE_HEADS` does, where no message is among what is added: the conversation keeps
/// its place in lists.
pub(in super::super) const MOVE_SEQS: Sql = Sql {
    text: "UPDATE conversations c SET head_seq = u.seq, last_at = u.last_at
           FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS u (id, seq, last_at) WHERE c.id = u.id",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};

pub(in super::super) const ADD_EXTRAS: Sql = Sql {
    text: "INSERT INTO message_extras (conversation, seq, record) SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[])",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::TEXT_ARRAY],
};

/// Files that their owners may send, by their ids; locked, so that no sweep takes them. In the order
/// of their ids, as every batch locks them.
pub(in super::super) const FILES: Sql = Sql {
    text: concat!(
        "SELECT f.conversation, f.owner, ",
        attachment_columns!(),
        " FROM files f WHERE f.id = ANY ($1) AND f.state = 2 AND f.seq IS NULL ORDER BY f.id FOR NO KEY UPDATE"
    ),
    types: &[Type::TEXT_ARRAY],
};

pub(in super::super) const ATTACH: Sql = Sql {
    text: "UPDATE files f SET seq = u.seq, position = u.position
           FROM unnest($1::text[], $2::int8[], $3::int8[]) AS u (id, seq, position) WHERE f.id = u.id",
    types: &[Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};

/// The bytes of the files go by the sweep.
pub(in super::super) const DROP_FILES: Sql = Sql {
    text: concat!(
        "UPDATE files f SET ",
        blank!(),
        ", changed_at = u.at FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS u (conversation, seq, at)
           WHERE f.conversation = u.conversation AND f.seq = u.seq AND f.seq IS NOT NULL"
    ),
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};

pub(in super::super) const ADD_OTHERS: Sql = Sql {
    text: "INSERT INTO other_entries (conversation, seq, kind, message_count, last_message_seq)
           SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::int8[], $5::int8[])",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

pub(in super::super) const ADD_EDITS: Sql = Sql {
    text: "INSERT INTO message_edits (conversation, seq, entry_seq) SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[])",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};

pub(in super::super) const PUT_CHANGES: Sql = Sql {
    text: "INSERT INTO message_changes (conversation, seq, content, mentions, content_seq, edited_at,
               deleted_seq, deleted_at, pinned_seq, pinned_at)
           SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::text[], $5::int8[], $6::int8[],
               $7::int8[], $8::int8[], $9::int8[], $10::int8[])
           ON CONFLICT (conversation, seq) DO UPDATE SET content = excluded.content, mentions = excluded.mentions,
               content_seq = excluded.content_seq, edited_at = excluded.edited_at,
               deleted_seq = excluded.deleted_seq, deleted_at = excluded.deleted_at,
               pinned_seq = excluded.pinned_seq, pinned_at = excluded.pinned_at",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

pub(in super::super) const TAKE_REACTIONS: Sql = Sql {
    text: "DELETE FROM reactions r USING unnest($1::int8[], $2::int8[], $3::text[], $4::int8[]) AS u (conversation, seq, emoji, person)
           WHERE r.conversation = u.conversation AND r.seq = u.seq AND r.emoji = u.emoji AND r.person = u.person",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
    ],
};

pub(in super::super) const PUT_REACTIONS: Sql = Sql {
    text: "INSERT INTO reactions (conversation, seq, emoji, person, entry_seq)
           SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::int8[], $5::int8[])
           ON CONFLICT (conversation, seq, emoji, person) DO UPDATE SET entry_seq = excluded.entry_seq",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// Blanks the entries of messages, and the keys that have digests of their contents.
pub(in super::super) const BLANK: Sql = Sql {
    text: "UPDATE entries e SET content = '', dedupe_key = CASE WHEN e.dedupe_key LIKE 't%' THEN NULL ELSE e.dedupe_key END
           FROM unnest($1::int8[], $2::int8[]) AS u (conversation, seq)
           WHERE e.conversation = u.conversation AND e.seq = u.seq",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY],
};

/// Blanks the entries that edited messages: what their contents become.
pub(in super::super) const BLANK_EDITS: Sql = Sql {
    text: "UPDATE entries e SET content = u.content,
               dedupe_key = CASE WHEN e.dedupe_key LIKE 't%' THEN NULL ELSE e.dedupe_key END
           FROM unnest($1::int8[], $2::int8[], $3::text[]) AS u (conversation, seq, content)
           JOIN message_edits t ON t.conversation = u.conversation AND t.seq = u.seq
           WHERE e.conversation = t.conversation AND e.seq = t.entry_seq",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::TEXT_ARRAY],
};

/// Gives blanked entries keys that say nothing of their contents. A node of the version before, which
/// does not know such a key, may have let a sender use it a second time.
pub(in super::super) const PUT_KEYS: Sql = Sql {
    text: "UPDATE entries e SET dedupe_key = u.key FROM unnest($1::int8[], $2::int8[], $3::text[]) AS u (conversation, seq, key)
           WHERE e.conversation = u.conversation AND e.seq = u.seq AND NOT EXISTS (SELECT 1 FROM entries d
               WHERE d.dedupe_key = u.key AND d.conversation = e.conversation AND d.sender = e.sender OFFSET 0)",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::TEXT_ARRAY],
};

pub(in super::super) const ADD_ERASED: Sql = Sql {
    text: "INSERT INTO erased_entries (conversation, seq, digest) SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[])",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::TEXT_ARRAY],
};

/// The rows to delete with deleted messages.
pub(in super::super) const DROP_EXTRAS: Sql = Sql {
    text:
        "DELETE FROM message_extras x USING unnest($1::int8[], $2::int8[]) AS u (conversation, seq)
           WHERE x.conversation = u.conversation AND x.seq = u.seq",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY],
};

pub(in super::super) const DROP_REACTIONS: Sql = Sql {
    text: "DELETE FROM reactions r USING unnest($1::int8[], $2::int8[]) AS u (conversation, seq)
           WHERE r.conversation = u.conversation AND r.seq = u.seq",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY],
};
