//! Whether a block holds in a conversation, as a column of a statement.

/// Whether the conversation of `a` is a direct conversation with a block or a deleted account; `a.person` is
/// one of the two. People without `has_blocks` need no lookup.
macro_rules! is_blocked {
    () => {
        "CASE WHEN a.has_blocks AND a.member_count = 2 THEN EXISTS (SELECT 1 FROM members o
             CROSS JOIN LATERAL (SELECT 1 FROM blocks WHERE person = o.person AND blocked = a.person
                 UNION ALL SELECT 1 FROM blocks WHERE person = a.person AND blocked = o.person
                 UNION ALL SELECT 1 FROM people WHERE id = o.person AND source = 3) b
             WHERE o.conversation = a.conversation AND NOT EXISTS (
                 SELECT 1 FROM conversation_groups WHERE conversation = a.conversation) OFFSET 0) ELSE false END"
    };
}

pub(super) use is_blocked;
