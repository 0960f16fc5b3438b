//! Every statement of messages finds its rows by an index, at any size of the database.

use super::changes::sql as changes;
use super::connect::PLANNER;
use super::connection::Sql;
use super::{
    PostgresOptions, PostgresStore, append, blocks, conversations, follower, history, marks,
    members, messages_now, push_queue, queries, scans, search, search_index, sent_files, settings,
    watches,
};
use lamplight_conformance::servers::PostgresServer;
use lamplight_conformance::{Recorder, run};
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::types::Type;

const STATEMENTS: &[(&str, &Sql)] = &[
    ("lock", &append::LOCK),
    ("find", &append::FIND),
    ("write", &append::WRITE),
    ("authors", &append::AUTHORS),
    ("witness", &append::WITNESS),
    ("targets", &changes::TARGETS),
    ("reactions", &changes::REACTIONS),
    ("edits", &changes::EDITS),
    ("others", &changes::OTHERS),
    ("pins", &changes::PINS),
    ("newest", &changes::NEWEST),
    ("at", &changes::AT),
    ("move seqs", &changes::MOVE_SEQS),
    ("put changes", &changes::PUT_CHANGES),
    ("take reactions", &changes::TAKE_REACTIONS),
    ("put reactions", &changes::PUT_REACTIONS),
    ("blank", &changes::BLANK),
    ("put keys", &changes::PUT_KEYS),
    ("blank edits", &changes::BLANK_EDITS),
    ("drop extras", &changes::DROP_EXTRAS),
    ("drop reactions", &changes::DROP_REACTIONS),
    ("members", &members::MEMBERS),
    ("lock memberships", &marks::LOCK_MEMBERSHIPS),
    ("heads", &marks::HEADS),
    ("statuses", &marks::STATUSES),
    ("write marks", &marks::WRITE),
    ("lock all of", &marks::LOCK_ALL_OF),
    ("behind", &marks::BEHIND),
    ("older", &history::OLDER),
    ("newer", &history::NEWER),
    ("older messages", &messages_now::OLDER),
    ("newer messages", &messages_now::NEWER),
    ("pinned messages", &messages_now::PINNED),
    ("sent files", &sent_files::SENT),
    ("seq at", &history::SEQ_AT),
    ("missed", &history::MISSED),
    ("receipts", &history::RECEIPTS),
    ("summary", &queries::SUMMARY),
    ("own profiles", &queries::OWN_PROFILES),
    ("direct", &queries::DIRECT_SUMMARY),
    ("list", &queries::LIST),
    ("list profiles", &queries::LIST_PROFILES),
    ("shared", &queries::SHARED),
    ("count blocks", &blocks::COUNT),
    ("add block", &blocks::ADD),
    ("note blocks", &blocks::NOTE),
    ("lock theirs", &blocks::LOCK_THEIRS),
    ("lock members of theirs", &blocks::LOCK_MEMBERS),
    ("remove block", &blocks::REMOVE),
    ("blocked by", &blocks::BLOCKED_BY),
    ("between", &blocks::BETWEEN),
    ("block state", &blocks::STATE),
    ("blockers", &blocks::BLOCKERS),
    ("total unread", &queries::TOTAL_UNREAD),
    ("archived", &settings::ARCHIVED),
    ("bring back", &settings::BRING_BACK),
    ("clear archived", &settings::CLEAR),
    ("set", &settings::SET),
    ("drop settings", &settings::DROP),
    ("add", &conversations::ADD),
    ("remove", &conversations::REMOVE),
    ("fence", &follower::FENCE),
    ("read", &follower::READ),
    ("read seqs", &follower::READ_SEQS),
    ("index now", &search_index::NOW),
    ("index step", &search_index::STEP),
    ("index write", &search_index::WRITE),
    ("push step", &push_queue::STEP),
    ("push queue", &push_queue::QUEUE),
    ("push claim", &push_queue::CLAIM),
    ("move push", &push_queue::MOVE_JOB),
    ("claim scans", &scans::CLAIM),
    ("lost uploads", &watches::LOST),
    ("searched", &search::OWN),
    ("searched one", &search::ONE),
    ("searched person", &search::PERSON),
    ("hits", &search::HITS),
    ("hits in time", &search::HITS_IN_TIME),
    ("found", &search::FOUND),
];

/// They look for the memberships of one person in one conversation each.
const ONE_MEMBERSHIP: &[&str] = &[
    "find",
    "lock memberships",
    "older",
    "newer",
    "older messages",
    "newer messages",
    "pinned messages",
    "sent files",
    "seq at",
    "missed",
    "receipts",
    "summary",
    "own profiles",
    "direct",
];

/// Statements that are to use an index, and not another one that seems as good in a new database.
const INDEXES: &[(&str, &str)] = &[
    ("targets", "entries_by_id"),
    ("reactions", "entries_by_id"),
    ("edits", "entries_by_id"),
    ("pins", "pinned_messages"),
    ("pinned messages", "pinned_messages"),
    ("sent files", "sent_files"),
    ("claim scans", "files_to_scan"),
    ("lost uploads", "watched_uploads"),
    ("summary", "deleted_messages"),
    ("direct", "deleted_messages"),
    ("list", "deleted_messages"),
];

/// Three quarters of the entries are in one conversation of 500 members; one person is in all.
fn fill(entries: usize) -> String {
    format!(
        "INSERT INTO people (user_id, user_folded, name, name_folded, source, created_at, has_blocks)
             SELECT 'u' || n, 'u' || n, 'u' || n, 'u' || n, 0, 0, true FROM generate_series(1, 5000) n;
         INSERT INTO conversations (conversation_id, head_seq, last_at, position, created_at, member_count)
             SELECT 'c' || n, CASE n WHEN 1 THEN {large} ELSE {small} END, 0, n, 0, 2 FROM generate_series(1, 1000) n;
         INSERT INTO members (conversation, person)
             SELECT n, 1 FROM generate_series(1, 1000) n UNION ALL SELECT n, n + 1 FROM generate_series(2, 1000) n
             UNION ALL SELECT 1, n FROM generate_series(2, 500) n;
         INSERT INTO entries (conversation, seq, message_id, sender, content, dedupe_key, created_at)
             SELECT 1, n, 'a' || n, 1 + n % 500, 'hello', 'ca' || n, 0 FROM generate_series(1, {large}) n
             UNION ALL SELECT c, n, 'b' || c || '-' || n, 1, 'hello', 'cb' || c || '-' || n, 0
                 FROM generate_series(2, 1000) c, generate_series(1, {small}) n;
         INSERT INTO other_entries SELECT 1, 10 * n, 'edit', 9 * n, 10 * n - 1 FROM generate_series(1, {large} / 10) n;
         INSERT INTO message_changes (conversation, seq, content, deleted_seq, pinned_seq)
             SELECT 1, 10 * n - 1, 'x', CASE n % 20 WHEN 0 THEN 10 * n END, CASE WHEN n % 20 = 1 AND n < 1000 THEN 10 * n END
             FROM generate_series(1, {large} / 10) n;
         INSERT INTO message_extras SELECT 1, 10 * n - 2, '{{\"reply_to\":{{\"id\":\"a1\",\"seq\":1,\"sender\":\"u1\"}}}}'
             FROM generate_series(1, {large} / 10) n;
         INSERT INTO reactions SELECT 1, 10 * n - 3, 'x', p, 10 * n FROM generate_series(1, {large} / 10) n, generate_series(1, 3) p;
         INSERT INTO message_edits SELECT 1, 10 * n - 1, 10 * n FROM generate_series(1, {large} / 10) n;
         INSERT INTO erased_entries SELECT 1, 10 * n, 'x' FROM generate_series(1, {large} / 10) n;
         INSERT INTO member_settings SELECT 1, n, NULL, 1, 0 FROM generate_series(1, 100) n;
         INSERT INTO member_settings SELECT n, 1, NULL, n % 2, 1 FROM generate_series(2, 1000) n;
         INSERT INTO conversation_groups (conversation, history) SELECT n, n % 2 FROM generate_series(1, 1000) n;
         INSERT INTO files (id, owner, conversation, name, type, size, state, seq, created_at, changed_at)
             SELECT 'f' || n, 1, 1, 'x', CASE n % 100 WHEN 0 THEN 'audio/ogg' ELSE 'image/png' END, 1, 2, n, 0, 0
             FROM generate_series(1, {large} / 2) n;
         INSERT INTO blocks SELECT n, n + 1, 0 FROM generate_series(1, 4000) n;
         INSERT INTO sessions SELECT 's' || n, n, 0, 0 FROM generate_series(1, 5000) n;
         INSERT INTO push_keys (public_key, private_key, created_at) SELECT n, n, 0 FROM generate_series(1, 1000) n;
         INSERT INTO push_subscriptions (person, session, endpoint, p256dh, auth, content, push_key, created_at, renewed_at)
             SELECT n, 's' || n, 'https://push.example/' || n, '', '', 1, 1 + n % 1000, 0, 0 FROM generate_series(1, 5000) n;
         INSERT INTO push_queue SELECT n, 1 + n % 1000, 1, 1, n, 0 FROM generate_series(1, 5000) n;
         ANALYZE;",
        large = entries * 3 / 4,
        small = entries / 4 / 999,
    )
}

/// The first column of each index, by the index's name.
fn first_columns(server: &PostgresServer, database: &str) -> HashMap<String, String> {
    let rows = server.sql(
        database,
        "SELECT i.relname, a.attname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
         JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
         WHERE i.relnamespace = 'public'::regnamespace",
    );
    let pairs = rows.lines().filter_map(|row| row.trim().split_once('|'));
    pairs
        .map(|(index, column)| (index.into(), column.into()))
        .collect()
}

/// The scans of a plan that do not go to their rows by a condition of an index. A condition on later columns
/// than an index's first lets PostgreSQL read the whole index.
fn whole_scans<'a>(plan: &'a str, first_columns: &HashMap<String, String>) -> Vec<&'a str> {
    let lines: Vec<&str> = plan.lines().collect();
    let is_whole = |(at, line): (usize, &&str)| {
        let by_index = line.contains("Index Scan") || line.contains("Index Only Scan");
        let index = line
            .split(" using ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let first = index.and_then(|index| first_columns.get(index));
        let names_first = |condition: &str| {
            first.is_none_or(|column| {
                [" ", ",", ")"]
                    .iter()
                    .any(|end| condition.contains(&format!("({column}{end}")))
            })
        };
        let details = lines[at + 1..]
            .iter()
            .take_while(|line| !line.contains("->"));
        let details: Vec<_> = details.take(4).collect();
        let has_condition = details
            .iter()
            .any(|line| line.contains("Index Cond") && names_first(line));
        // `max(id)`: since PostgreSQL 17 without the condition that the id is not null.
        let reads_one = lines[..at]
            .last()
            .is_some_and(|parent| parent.contains("Limit "))
            && !details.iter().any(|line| line.contains("Filter"));
        let is_of_one_row = line.contains("Seq Scan on search_position");
        line.contains("Seq Scan on") && !is_of_one_row || by_index && !has_condition && !reads_one
    };
    let scans = lines.iter().enumerate().filter(|scan| is_whole(*scan));
    scans.map(|(_, line)| *line).collect()
}

/// Whether a plan looks for one membership, instead of going through all of a conversation or person.
fn finds_one_membership(plan: &str) -> bool {
    let conditions = plan.lines().filter(|line| line.contains("Index Cond"));
    let mut of_both = conditions.filter(|line| line.contains("conversation = "));
    of_both.any(|line| line.contains("person = "))
}

#[test]
fn every_statement_finds_its_rows_by_index() {
    run(async {
        let entries = std::env::var("ENTRIES").map_or(20_000, |count| count.parse().unwrap());
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let options = PostgresOptions::new(&url);
        let store = PostgresStore::open(options, Arc::new(Recorder::default()));
        let store = store.await.unwrap();
        let database = url.rsplit('/').next().unwrap();
        let plan = |sql: &Sql| {
            let types: Vec<&str> = sql.types.iter().map(Type::name).collect();
            let nulls = vec!["NULL"; types.len()].join(", ");
            let (prepare, execute) = if types.is_empty() {
                ("PREPARE q".to_owned(), "q".to_owned())
            } else {
                (
                    format!("PREPARE q ({})", types.join(", ")),
                    format!("q ({nulls})"),
                )
            };
            let text = sql.text;
            server.sql(
                database,
                &format!("{PLANNER}; {prepare} AS {text}; EXPLAIN EXECUTE {execute}"),
            )
        };
        let first_columns = first_columns(server, database);
        // Plans are made when the tables are empty, and used until statistics change.
        let mut found = Vec::new();
        for is_full in [false, true] {
            if is_full {
                server.sql(database, &fill(entries));
            }
            for (name, sql) in STATEMENTS {
                let plan = plan(sql);
                if std::env::var("PLANS").is_ok() && is_full {
                    println!("{name}\n{plan}");
                }
                if ONE_MEMBERSHIP.contains(name) && !finds_one_membership(&plan) {
                    found.push(format!("{name}, {is_full}: more than one membership"));
                }
                let mut indexes = INDEXES.iter().filter(|(of, _)| of == name);
                if indexes.any(|(_, index)| !plan.contains(&format!(" {index} "))) {
                    found.push(format!("{name}, {is_full}: another index"));
                }
                found.extend(
                    whole_scans(&plan, &first_columns)
                        .into_iter()
                        .map(|scan| format!("{name}, {is_full}: {scan}")),
                );
            }
        }
        assert!(found.is_empty(), "{found:#?}");
        store.close().await;
    });
}
