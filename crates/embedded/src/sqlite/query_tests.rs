//! Plans of the queries, and how often each runs.

use super::schema::{MIGRATIONS, migrate};
use super::{SqliteOptions, SqliteStore};
use lamplight_conformance::Recorder;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{Messages as _, Range};
use rusqlite::{Connection, OpenFlags, StatementStatus};
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(SqliteOptions::new(path), Arc::new(Recorder::default())).unwrap()
}

/// The steps of a query's plan.
fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let parameters = plan.parameter_count();
    plan.query_map(rusqlite::params_from_iter(vec![0; parameters]), |row| {
        row.get("detail")
    })
    .unwrap()
    .collect::<rusqlite::Result<_>>()
    .unwrap()
}

#[test]
fn the_lookups_of_an_append_use_indexes() {
    let mut conn = Connection::open_in_memory().unwrap();
    migrate(&mut conn, Path::new("x"), MIGRATIONS).unwrap();
    assert_eq!(
        plan(&conn, super::repeats::BY_KEY),
        [
            "SEARCH entries USING INDEX entries_by_key (dedupe_key=? AND conversation=? AND sender=?)"
        ]
    );
}

/// Whatever a log has, and however many users reacted.
#[test]
fn the_lookups_of_message_changes_use_indexes() {
    let mut conn = Connection::open_in_memory().unwrap();
    migrate(&mut conn, Path::new("x"), MIGRATIONS).unwrap();
    for (sql, step) in [
        (
            super::watches::SILENT,
            "SEARCH files USING INDEX watched_uploads (silent_at>?)",
        ),
        (
            super::sent_files::SENT,
            "SEARCH f USING INDEX sent_files (conversation=? AND <expr>=? AND seq>? AND seq<?)",
        ),
        (super::changes::TARGET, "SEARCH e USING INDEX entries_by_id"),
        (
            super::push_queue::QUEUE,
            "SEARCH s USING INDEX push_subscriptions_by_person (person=?)",
        ),
        (
            super::push_queue::QUEUE,
            "SEARCH m USING PRIMARY KEY (conversation=?)",
        ),
        (
            super::push_queue::DUE,
            "USING COVERING INDEX push_queue_by_time (due_at<?)",
        ),
        (super::changes::KINDS, "SEARCH r USING PRIMARY KEY"),
        (
            super::changes::PINS,
            "USING INDEX pinned_messages (conversation=?)",
        ),
        (super::deletions::EDITS, "USING PRIMARY KEY"),
        (super::deletions::IS_DELETED, "(conversation=? AND seq=?)"),
        (
            super::history::DELETED_AFTER,
            "USING INDEX deleted_messages (conversation=? AND seq>?)",
        ),
        (
            super::batch::HAS_ARCHIVED,
            "INDEX archived_conversations (conversation=?)",
        ),
        (
            super::queries::COUNTED,
            "SEARCH m USING INDEX members_by_person (person=?)",
        ),
        (
            super::messages_now::OLDER,
            "SEARCH e USING INDEX entries_by_seq (conversation=? AND seq=?)",
        ),
        (
            super::messages_now::OLDER,
            "SEARCH entries USING COVERING INDEX entries_by_seq (conversation=? AND seq>? AND seq<?)",
        ),
        (
            super::messages_now::NEWER,
            "SEARCH e USING INDEX entries_by_seq (conversation=? AND seq=?)",
        ),
        (
            super::messages_now::NEWER,
            "SEARCH entries USING COVERING INDEX entries_by_seq (conversation=? AND seq>?)",
        ),
        (
            super::messages_now::CHANGES,
            "USING INDEX message_changes_by_seq (conversation=? AND seq>? AND seq<?)",
        ),
        (
            super::messages_now::REACTIONS,
            "SEARCH reactions USING PRIMARY KEY (conversation=? AND seq>? AND seq<?)",
        ),
    ] {
        let steps = plan(&conn, sql);
        assert!(
            steps.iter().any(|found| found.contains(step)),
            "{sql}: {steps:?}"
        );
        assert!(
            !steps.iter().any(|step| step.starts_with("SCAN")
                && !step.contains("kinds")
                && !step.starts_with("SCAN k")),
            "{sql}: {steps:?}"
        );
    }
}

#[test]
fn the_statements_of_an_append_are_prepared_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lamplight.db");
    let mut conn = super::connection::connect(
        &path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )
    .unwrap();
    migrate(&mut conn, &path, MIGRATIONS).unwrap();
    conn.execute_batch(
        "INSERT INTO people (id, user_id, user_folded, name, name_folded, source, created_at) VALUES (1, 'a', 'a', 'A', 'a', 1, 0);
         INSERT INTO conversations (id, conversation_id, head_seq, last_at, created_at) VALUES (1, 'c', 1, 5, 5);
         INSERT INTO members (conversation, person, read_seq) VALUES (1, 1, 1);",
    )
    .unwrap();
    let statements = [
        super::repeats::BY_KEY,
        super::entries::AT,
        super::entries::entries!(
            "WHERE e.conversation = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3"
        ),
        super::history::NEAREST_OTHER,
        "SELECT id, head_seq, last_at FROM conversations WHERE conversation_id = ?1",
        super::batch::MEMBERS,
        "UPDATE conversations SET head_seq = ?2, last_at = ?3, position = ?4 WHERE id = ?1",
        super::marks::BEFORE_SEND,
        super::marks::WRITE,
        "SELECT id FROM people WHERE user_id = ?1",
    ];
    for sql in statements {
        let mut statement = conn.prepare(sql).unwrap();
        for value in 0..5 {
            for parameter in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(parameter, value).unwrap();
            }
            let mut rows = statement.raw_query();
            while rows.next().unwrap().is_some() {}
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
    }
}

/// However many messages, replies and reactions it has.
#[tokio::test]
async fn a_page_of_messages_runs_each_query_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lamplight.db");
    let store = open(&path);
    let (a, c) = (UserId::trusted("a"), ConversationId::trusted("c"));
    let members = [a.clone(), UserId::trusted("b")];
    store
        .put_conversation(&c, &members, Timestamp(0))
        .await
        .unwrap();
    let append = async |id: String, write: Write| {
        let new = NewEntry {
            id: MessageId::trusted(id),
            conversation: c.clone(),
            sender: a.clone(),
            write,
            key: None,
            created_at: Timestamp(1),
            editable_since: None,
        };
        assert!(!store.append(new, None).await.unwrap().duplicate);
    };
    for number in 0..50 {
        let message = Write::Message {
            content: Content::trusted("hello"),
            reply_to: (number > 0).then(|| MessageId::trusted("m0")),
            mentions: Vec::new(),
            attachments: Vec::new(),
        };
        append(format!("m{number}"), message).await;
        for (which, emoji) in ["👍", "❤️", "😀"].into_iter().enumerate() {
            let reaction = Write::Change {
                message: MessageId::trusted(format!("m{number}")),
                action: MessageAction::React {
                    emoji: Emoji::trusted(emoji),
                    added: true,
                },
            };
            append(format!("r{number} {which}"), reaction).await;
        }
    }
    store.close().await;

    let conn = super::connection::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let page = super::messages(&conn, &a, &c, Range::Newest, 50).unwrap();
    let page = page.unwrap();
    assert_eq!(page.messages.len(), 50);
    for message in &page.messages {
        assert_eq!(message.reactions.len(), 3);
    }
    let quoted = page.messages[49].entry.extras().unwrap();
    assert_eq!(&*quoted.reply_to.as_ref().unwrap().excerpt, "hello");
    for sql in [
        super::messages_now::OLDER,
        super::messages_now::CHANGES,
        super::messages_now::REACTIONS,
    ] {
        let statement = conn.prepare_cached(sql).unwrap();
        assert_eq!(statement.get_status(StatementStatus::Run), 1, "{sql}");
    }
}

#[test]
fn the_head_of_a_log_at_a_time_is_found_by_index() {
    let mut conn = Connection::open_in_memory().unwrap();
    migrate(&mut conn, Path::new("x"), MIGRATIONS).unwrap();
    let mut plan = conn
        .prepare(&format!(
            "EXPLAIN QUERY PLAN {}",
            super::history::NEAREST_OTHER
        ))
        .unwrap();
    let steps: Vec<String> = plan
        .query_map([0, 0], |row| row.get("detail"))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(
        steps,
        ["SEARCH other_entries USING PRIMARY KEY (conversation=? AND seq<?)"]
    );
}
