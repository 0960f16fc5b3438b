//! The rows that a batch's writes on messages write besides their entries.

use super::changes::sql::{
    ADD_EDITS, ADD_ERASED, ADD_EXTRAS, ADD_OTHERS, ATTACH, BLANK, BLANK_EDITS, DROP_EXTRAS,
    DROP_FILES, DROP_REACTIONS, MOVE_SEQS, PUT_CHANGES, PUT_KEYS, PUT_REACTIONS, TAKE_REACTIONS,
};
use super::codec::{content_to_db, to_db};
use super::connection::Sql;
use super::settings::{BRING_BACK, CLEAR};
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::LogHead;
use lamplight_domain::identity::{FileId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_usecases::record;
use std::collections::HashMap;
use tokio_postgres::types::ToSql;

/// A column, as a parameter.
pub(super) type Column = Box<dyn ToSql + Sync + Send>;
/// A statement with its parameters.
pub(super) type Statement = (&'static Sql, Vec<Column>);

/// The changes of a message, as in its row.
pub(super) struct NowRow {
    pub(super) conversation: i64,
    pub(super) seq: i64,
    /// The last edit.
    pub(super) edit: Option<((u64, Timestamp), Content, Vec<UserId>)>,
    pub(super) deleted: Option<(u64, Timestamp)>,
    pub(super) pinned: Option<(u64, Timestamp)>,
}

/// Most batches have none.
#[derive(Default)]
pub(super) struct ChangeRows {
    /// The heads of conversations to which no message is added: row, `seq`, time.
    pub(super) heads: Vec<(i64, i64, i64)>,
    /// Conversation, `seq`, record.
    pub(super) extras: Vec<(i64, i64, String)>,
    /// Files that messages bring: id, and `seq` of the message.
    pub(super) files: Vec<(FileId, i64, i64)>,
    /// Entries that are not messages, each with the head of its log.
    pub(super) others: Vec<(i64, &'static str, LogHead)>,
    /// Conversation, message, entry.
    pub(super) edits: Vec<(i64, i64, i64)>,
    /// By conversation, message, emoji and person: the entry that added it, `None` if it is taken
    /// back.
    pub(super) reactions: HashMap<(i64, i64, Emoji, i64), Option<i64>>,
    pub(super) now: Vec<NowRow>,
    /// Deleted messages: conversation, `seq`, what the contents of their edits become, and when.
    pub(super) deleted: Vec<(i64, i64, String, Timestamp)>,
    /// Blanked entries: conversation, `seq`, the digest of what made it.
    pub(super) erased: Vec<(i64, i64, String)>,
    /// Members for whom a message took a conversation out of the archive: conversation, person.
    pub(super) brought_back: Vec<(i64, i64)>,
    /// Conversations that no member has archived any more.
    pub(super) unarchived: Vec<i64>,
    /// The keys of blanked entries that had digests of their contents.
    pub(super) keys: Vec<(i64, i64, String)>,
}

/// Columns of rows.
macro_rules! columns {
    ($rows:expr, $($value:expr),+) => {
        vec![$(Box::new($rows.iter().map($value).collect::<Vec<_>>()) as Column),+]
    };
}

impl ChangeRows {
    /// The statements that write them, in the order in which they are to run.
    pub(super) fn statements(&self) -> Vec<Statement> {
        let mut all: Vec<Statement> = Vec::new();
        let mut add = |is_needed: bool, sql: &'static Sql, columns: &dyn Fn() -> Vec<Column>| {
            if is_needed {
                all.push((sql, columns()));
            }
        };
        let heads = &self.heads;
        add(!heads.is_empty(), &MOVE_SEQS, &|| {
            columns!(heads, |row| row.0, |row| row.1, |row| row.2)
        });
        let extras = &self.extras;
        add(!extras.is_empty(), &ADD_EXTRAS, &|| {
            columns!(extras, |row| row.0, |row| row.1, |row| row.2.clone())
        });
        let files = &self.files;
        add(!files.is_empty(), &ATTACH, &|| {
            columns!(files, |row| row.0.as_str().to_owned(), |row| row.1, |row| {
                row.2
            })
        });
        let others = &self.others;
        add(!others.is_empty(), &ADD_OTHERS, &|| {
            columns!(
                others,
                |row| row.0,
                |row| to_db(row.2.seq),
                |row| row.1,
                |row| to_db(row.2.message_count),
                |row| to_db(row.2.last_message_seq)
            )
        });
        let edits = &self.edits;
        add(!edits.is_empty(), &ADD_EDITS, &|| {
            columns!(edits, |row| row.0, |row| row.1, |row| row.2)
        });
        let deleted = &self.deleted;
        for sql in [&BLANK, &DROP_EXTRAS, &DROP_REACTIONS] {
            add(!deleted.is_empty(), sql, &|| {
                columns!(deleted, |row| row.0, |row| row.1)
            });
        }
        add(!deleted.is_empty(), &DROP_FILES, &|| {
            columns!(deleted, |row| row.0, |row| row.1, |row| row.3.0)
        });
        let erased = &self.erased;
        add(!deleted.is_empty(), &BLANK_EDITS, &|| {
            columns!(deleted, |row| row.0, |row| row.1, |row| row.2.clone())
        });
        let keys = &self.keys;
        add(!keys.is_empty(), &PUT_KEYS, &|| {
            columns!(keys, |row| row.0, |row| row.1, |row| row.2.clone())
        });
        add(!erased.is_empty(), &ADD_ERASED, &|| {
            columns!(erased, |row| row.0, |row| row.1, |row| row.2.clone())
        });
        let emoji = |key: &(i64, i64, Emoji, i64)| key.2.as_str().to_owned();
        let taken = self.reactions.iter().filter(|(_, added)| added.is_none());
        let taken: Vec<_> = taken.map(|(key, _)| key).collect();
        add(!taken.is_empty(), &TAKE_REACTIONS, &|| {
            columns!(taken, |key| key.0, |key| key.1, |key| emoji(key), |key| key
                .3)
        });
        let put = self.reactions.iter();
        let put: Vec<_> = put
            .filter_map(|(key, added)| Some((key, (*added)?)))
            .collect();
        add(!put.is_empty(), &PUT_REACTIONS, &|| {
            columns!(
                put,
                |(key, _)| key.0,
                |(key, _)| key.1,
                |(key, _)| emoji(key),
                |(key, _)| key.3,
                |(_, seq)| *seq
            )
        });
        let back = &self.brought_back;
        add(!back.is_empty(), &BRING_BACK, &|| {
            columns!(back, |row| row.0, |row| row.1)
        });
        let unarchived = &self.unarchived;
        add(!unarchived.is_empty(), &CLEAR, &|| {
            columns!(unarchived, |row| *row)
        });
        add(!self.now.is_empty(), &PUT_CHANGES, &|| now(&self.now));
        all
    }
}

fn now(rows: &[NowRow]) -> Vec<Column> {
    let seq = |of: Option<(u64, Timestamp)>| of.map(|(seq, _)| to_db(seq));
    let time = |of: Option<(u64, Timestamp)>| of.map(|(_, at)| at.0);
    let edited = |row: &NowRow| row.edit.as_ref().map(|(edited, _, _)| *edited);
    let content = |row: &NowRow| {
        let edit = row.edit.as_ref();
        edit.map(|(_, content, _)| content_to_db(content.as_str()).into_owned())
    };
    let mentions = |row: &NowRow| {
        let edit = row.edit.as_ref();
        edit.map(|(_, _, mentions)| record::write_mentions(mentions))
    };
    columns!(
        rows,
        |row| row.conversation,
        |row| row.seq,
        content,
        mentions,
        |row| seq(edited(row)),
        |row| time(edited(row)),
        |row| seq(row.deleted),
        |row| time(row.deleted),
        |row| seq(row.pinned),
        |row| time(row.pinned)
    )
}
