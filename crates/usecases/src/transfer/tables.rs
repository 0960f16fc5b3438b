//! The tables that a transfer copies, with their columns.

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Number(i64),
    Text(String),
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Number,
    /// A number of a few values, which PostgreSQL keeps in two bytes.
    Small,
    Text,
    /// The content of an entry or of an edit, which may have a U+0000.
    Content,
}

/// A column of both stores.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    /// Its name in SQLite, where an older schema gave it another one.
    pub sqlite: &'static str,
    pub kind: Kind,
}

/// A table of both stores.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    /// The first `key` columns are its key, which orders its rows.
    pub key: usize,
    pub columns: &'static [Column],
}

/// A row, in the order of its table's columns.
pub type Row = Vec<Value>;

const fn column(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        sqlite: name,
        kind,
    }
}

const fn number(name: &'static str) -> Column {
    column(name, Kind::Number)
}

const fn small(name: &'static str) -> Column {
    column(name, Kind::Small)
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

const fn renamed(name: &'static str, sqlite: &'static str) -> Column {
    Column {
        name,
        sqlite,
        kind: Kind::Number,
    }
}

/// All tables that are moved, each after those that it refers to. Keys of names are moved as they
/// are, because both stores have made them by this version's rules when they were opened.
pub const TABLES: &[Table] = &[
    Table {
        name: "people",
        key: 1,
        columns: &[
            number("id"),
            text("user_id"),
            text("user_folded"),
            text("name"),
            text("name_folded"),
            text("avatar_url"),
            small("source"),
            number("claims_at"),
            small("status"),
            text("status_text"),
            number("status_until"),
            number("status_revision"),
            number("last_seen"),
            small("hides_last_seen"),
            small("hides_reads"),
            number("tokens_ended_at"),
            number("created_at"),
        ],
    },
    Table {
        name: "blocks",
        key: 2,
        columns: &[number("person"), number("blocked"), number("created_at")],
    },
    Table {
        name: "accounts",
        key: 1,
        columns: &[
            text("name_folded"),
            text("username"),
            text("name_search"),
            text("name_look"),
            number("person"),
            text("password_hash"),
            number("created_at"),
        ],
    },
    Table {
        name: "account_networks",
        key: 2,
        columns: &[number("person"), text("network"), number("last_at")],
    },
    Table {
        name: "sessions",
        key: 1,
        columns: &[
            text("digest"),
            number("person"),
            number("created_at"),
            number("expires_at"),
        ],
    },
    Table {
        name: "account_deletions",
        key: 1,
        columns: &[
            number("person"),
            small("erases_messages"),
            number("position"),
            number("created_at"),
        ],
    },
    Table {
        name: "conversations",
        key: 1,
        columns: &[
            number("id"),
            text("conversation_id"),
            text("direct_key"),
            number("head_seq"),
            number("last_at"),
            number("position"),
            number("created_at"),
        ],
    },
    Table {
        name: "members",
        key: 2,
        columns: &[
            number("conversation"),
            number("person"),
            number("read_seq"),
            number("delivered_seq"),
            renamed("visible_read_seq", "told_read_seq"),
            renamed("visible_delivered_seq", "told_delivered_seq"),
            small("role"),
            number("first_seq"),
            number("joined_seq"),
            number("role_seq"),
        ],
    },
    Table {
        name: "conversation_groups",
        key: 1,
        columns: &[
            number("conversation"),
            text("name"),
            text("avatar_url"),
            small("history"),
            number("details_seq"),
            number("maker"),
            text("client_id"),
        ],
    },
    Table {
        name: "member_settings",
        key: 2,
        columns: &[
            number("conversation"),
            number("person"),
            number("muted_until"),
            small("archived"),
            small("pinned"),
        ],
    },
    Table {
        name: "entries",
        key: 1,
        columns: &[
            number("id"),
            number("conversation"),
            number("seq"),
            text("message_id"),
            number("sender"),
            column("content", Kind::Content),
            text("dedupe_key"),
            number("created_at"),
        ],
    },
    Table {
        name: "other_entries",
        key: 2,
        columns: &[
            number("conversation"),
            number("seq"),
            text("kind"),
            number("message_count"),
            number("last_message_seq"),
        ],
    },
    Table {
        name: "message_extras",
        key: 2,
        columns: &[number("conversation"), number("seq"), text("record")],
    },
    Table {
        name: "message_changes",
        key: 2,
        columns: &[
            number("conversation"),
            number("seq"),
            column("content", Kind::Content),
            text("mentions"),
            number("content_seq"),
            number("edited_at"),
            number("deleted_seq"),
            number("deleted_at"),
            number("pinned_seq"),
            number("pinned_at"),
        ],
    },
    Table {
        name: "reactions",
        key: 4,
        columns: &[
            number("conversation"),
            number("seq"),
            text("emoji"),
            number("person"),
            number("entry_seq"),
        ],
    },
    Table {
        name: "message_edits",
        key: 3,
        columns: &[number("conversation"), number("seq"), number("entry_seq")],
    },
    Table {
        name: "erased_entries",
        key: 2,
        columns: &[number("conversation"), number("seq"), text("digest")],
    },
    Table {
        name: "files",
        key: 1,
        columns: &[
            text("id"),
            number("owner"),
            number("conversation"),
            column("name", Kind::Content),
            text("type"),
            number("size"),
            number("received"),
            small("state"),
            number("width"),
            number("height"),
            small("thumbnail"),
            number("seq"),
            small("position"),
            number("created_at"),
            number("changed_at"),
            text("blur_hash"),
            number("duration"),
            number("scan_at"),
            number("scan_failures"),
            number("generation"),
            text("place"),
        ],
    },
    Table {
        name: "avatars",
        key: 1,
        columns: &[
            text("id"),
            number("person"),
            number("conversation"),
            number("created_at"),
        ],
    },
    Table {
        name: "push_keys",
        key: 1,
        columns: &[
            number("id"),
            text("public_key"),
            text("private_key"),
            number("created_at"),
        ],
    },
    Table {
        name: "push_subscriptions",
        key: 1,
        columns: &[
            number("id"),
            number("person"),
            text("session"),
            text("endpoint"),
            text("p256dh"),
            text("auth"),
            small("content"),
            number("push_key"),
            number("created_at"),
            number("renewed_at"),
            number("failures"),
            number("retry_at"),
        ],
    },
    Table {
        name: "push_queue",
        key: 2,
        columns: &[
            number("subscription"),
            number("conversation"),
            number("from_seq"),
            number("to_seq"),
            number("due_at"),
        ],
    },
    Table {
        name: "follower_positions",
        key: 1,
        columns: &[text("name"), number("position")],
    },
];

impl Table {
    /// The key in a row.
    #[must_use]
    pub fn key_of<'a>(&self, row: &'a [Value]) -> &'a [Value] {
        &row[..self.key]
    }
}
