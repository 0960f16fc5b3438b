//! The statements of groups.

use super::super::connection::Sql;
use tokio_postgres::types::Type;

pub(super) const LOCK: Sql = Sql {
    text: "SELECT id, head_seq, last_at FROM conversations WHERE conversation_id = $1 FOR NO KEY UPDATE",
    types: &[Type::TEXT],
};

/// Whether a conversation can be changed at all.
pub(super) const ADMITTED: Sql = Sql {
    text: "SELECT 1 FROM conversations c WHERE c.conversation_id = $1 AND ($3 OR EXISTS (
               SELECT 1 FROM members WHERE conversation = c.id AND person = (SELECT id FROM people WHERE user_id = $2)))",
    types: &[Type::TEXT, Type::TEXT, Type::BOOL],
};

pub(super) const STATE: Sql = Sql {
    text: "SELECT name, avatar_url, history, details_seq FROM conversation_groups WHERE conversation = $1",
    types: &[Type::INT8],
};

/// The members, locked in the order in which marks lock them.
pub(super) const LOCK_STATE: Sql = Sql {
    text: "SELECT p.user_id, m.role, m.joined_seq, m.role_seq, m.first_seq FROM members m JOIN people p ON p.id = m.person
           WHERE m.conversation = $1 ORDER BY m.person FOR UPDATE OF m",
    types: &[Type::INT8],
};

pub(super) const PERSON: Sql = Sql {
    text: "SELECT id FROM people WHERE user_id = $1",
    types: &[Type::TEXT],
};

pub(super) const BY_CLIENT_ID: Sql = Sql {
    text: "SELECT c.conversation_id FROM conversation_groups g JOIN conversations c ON c.id = g.conversation
           WHERE g.maker = $1 AND g.client_id = $2",
    types: &[Type::INT8, Type::TEXT],
};

/// The entry that an earlier write with the same key made.
pub(super) const EARLIER: Sql = Sql {
    text: "SELECT seq FROM entries WHERE dedupe_key = $3 AND conversation = $1 AND sender = $2",
    types: &[Type::INT8, Type::INT8, Type::TEXT],
};

/// Whether an entry is there. `+ 0` as in `changes/sql.rs`.
pub(super) const WITNESS: Sql = Sql {
    text: "SELECT 1 FROM entries WHERE message_id = $2 AND conversation + 0 = $1",
    types: &[Type::INT8, Type::TEXT],
};

pub(super) const MOVE: Sql = Sql {
    text: "UPDATE conversations SET head_seq = $2, last_at = $3, position = coalesce($4, position) WHERE id = $1",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::INT8],
};

/// Adds members who have read everything up to the entry that adds them.
pub(super) const ADD_MEMBERS: Sql = Sql {
    text: "INSERT INTO members (conversation, person, read_seq, delivered_seq, visible_read_seq, visible_delivered_seq,
               joined_seq, role_seq, first_seq)
           SELECT $1, p.id, $3, $3, $3, $3, $3, $3, $4 FROM people p WHERE p.user_id = ANY($2) ORDER BY p.id",
    types: &[Type::INT8, Type::TEXT_ARRAY, Type::INT8, Type::INT8],
};

pub(super) const SET_ROLES: Sql = Sql {
    text: "UPDATE members m SET role = u.role, role_seq = $4
           FROM unnest($2::text[], $3::int2[]) AS u (user_id, role) JOIN people p ON p.user_id = u.user_id
           WHERE m.conversation = $1 AND m.person = p.id",
    types: &[Type::INT8, Type::TEXT_ARRAY, Type::INT2_ARRAY, Type::INT8],
};

pub(super) const RECORD: Sql = Sql {
    text: "INSERT INTO conversation_groups (conversation, history) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    types: &[Type::INT8, Type::INT2],
};

pub(super) const MAKE_GROUP: Sql = Sql {
    text:
        "INSERT INTO conversation_groups (conversation, name, avatar_url, history, maker, client_id)
           VALUES ($1, $2, $3, $4, $5, $6)",
    types: &[
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::INT2,
        Type::INT8,
        Type::TEXT,
    ],
};

pub(super) const SET_DETAILS: Sql = Sql {
    text: "UPDATE conversation_groups SET name = CASE WHEN $2 THEN $3 ELSE name END,
               avatar_url = CASE WHEN $4 THEN $5 ELSE avatar_url END, details_seq = $6 WHERE conversation = $1",
    types: &[
        Type::INT8,
        Type::BOOL,
        Type::TEXT,
        Type::BOOL,
        Type::TEXT,
        Type::INT8,
    ],
};

/// No row for those who are not members; the host application, without an id, sees all.
pub(super) const MEMBER_PAGE: Sql = Sql {
    text: "SELECT h.* FROM (SELECT id FROM conversations c WHERE conversation_id = $1 AND ($2 = '' OR EXISTS (
               SELECT 1 FROM members WHERE conversation = c.id AND person = (SELECT id FROM people WHERE user_id = $2)))) c
           LEFT JOIN LATERAL (SELECT p.user_id, p.name, p.avatar_url, m.role FROM members m JOIN people p ON p.id = m.person
               WHERE m.conversation = c.id AND p.user_id > $3 ORDER BY p.user_id LIMIT $4) h ON true ORDER BY h.user_id",
    types: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8],
};
