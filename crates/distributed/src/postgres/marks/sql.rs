//! The statements of marks.

use super::super::block_check::is_blocked;
use super::super::connection::Sql;
use tokio_postgres::types::Type;

/// Locks memberships, and returns them with their marks.
pub(in super::super) const LOCK_MEMBERSHIPS: Sql = Sql {
    text: concat!(
        "SELECT a.n, m.conversation, m.person, m.role, m.read_seq, m.delivered_seq, m.visible_read_seq, m.visible_delivered_seq, ",
        is_blocked!(),
        " FROM (SELECT c.id AS conversation, p.id AS person, c.member_count, p.has_blocks, a.n
               FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a (conversation, member, n)
               JOIN conversations c ON c.conversation_id = a.conversation
               JOIN people p ON p.user_id = a.member ORDER BY c.id, p.id OFFSET 0) a
           CROSS JOIN LATERAL (SELECT * FROM members
               WHERE conversation = a.conversation AND person = a.person OFFSET 0 FOR NO KEY UPDATE) m"
    ),
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};

/// After the locks, so with a later snapshot.
pub(in super::super) const HEADS: Sql = Sql {
    text: "SELECT id, head_seq, members_version, member_count FROM conversations WHERE conversation_id = ANY($1)",
    types: &[Type::TEXT_ARRAY],
};

pub(in super::super) const STATUSES: Sql = Sql {
    text: "SELECT id, status, status_until, hides_reads FROM people WHERE user_id = ANY($1)",
    types: &[Type::TEXT_ARRAY],
};

pub(in super::super) const WRITE: Sql = Sql {
    text: "UPDATE members m SET read_seq = u.read, delivered_seq = u.delivered, visible_read_seq = u.visible_read,
               visible_delivered_seq = u.visible_delivered
           FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[])
               AS u (conversation, person, read, delivered, visible_read, visible_delivered)
           WHERE m.conversation = u.conversation AND m.person = u.person",
    types: &[
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// Locks all memberships of a person, so that no mark is under way.
pub(in super::super) const LOCK_ALL_OF: Sql = Sql {
    text: "SELECT conversation FROM members WHERE person = $1 ORDER BY conversation FOR NO KEY UPDATE",
    types: &[Type::INT8],
};

pub(in super::super) const BEHIND: Sql = Sql {
    text: "SELECT c.conversation_id FROM members m JOIN conversations c ON c.id = m.conversation
           WHERE m.person = $1 AND (m.visible_read_seq < m.read_seq OR m.visible_delivered_seq < m.delivered_seq)
           ORDER BY m.conversation",
    types: &[Type::INT8],
};
