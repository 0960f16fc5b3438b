//! PostgreSQL passes the suites every store must pass.

mod support;

use lamplight_conformance::servers::PostgresServer;
use lamplight_conformance::{Subject, run};
use support::{database_of, fresh, open};

mod postgresql {
    use super::fresh;

    lamplight_conformance::messages_suite!(fresh);
    lamplight_conformance::directory_suite!(fresh);
    lamplight_conformance::accounts_suite!(fresh);
    lamplight_conformance::deletions_suite!(fresh);
    lamplight_conformance::follower_suite!(fresh);
    lamplight_conformance::search_suite!(fresh);
    lamplight_conformance::blocks_suite!(fresh);
    lamplight_conformance::files_suite!(fresh);
    lamplight_conformance::groups_suite!(fresh);
    lamplight_conformance::push_suite!(fresh);
    lamplight_conformance::nodes_suite!(fresh);
}

/// Appends an entry of a kind that this version does not know, as a newer version does.
fn append_other(database: &str, conversation: &str, sender: &str) {
    let sql = format!(
        "WITH locked AS (UPDATE conversations SET head_seq = head_seq + 1 WHERE conversation_id = '{conversation}'
             RETURNING id, head_seq),
         messages AS (SELECT count(*) AS count, coalesce(max(e.seq), 0) AS last FROM locked l
             JOIN entries e ON e.conversation = l.id
             LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq WHERE o.kind IS NULL),
         entry AS (INSERT INTO entries (conversation, seq, message_id, sender, content, created_at)
             SELECT l.id, l.head_seq, 'other {conversation} ' || l.head_seq, p.id, '', 0
             FROM locked l, people p WHERE p.user_id = '{sender}')
         INSERT INTO other_entries SELECT l.id, l.head_seq, 'from the future', m.count, m.last
             FROM locked l, messages m"
    );
    PostgresServer::shared().sql(database, &sql);
}

#[test]
fn m9_entries_of_other_kinds_change_neither_unread_nor_the_last_message() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let (store, events) = open(&url).await.expect("a store");
        let subject = Subject {
            store,
            events,
            keep: Box::new(()),
        };
        let append = async |_: &_, conversation: &str, sender: &str| {
            append_other(database_of(&url), conversation, sender);
        };
        lamplight_conformance::messages::other_kinds(subject, append).await;
    });
}
