//! How a store on PostgreSQL is opened.

mod support;

use lamplight_conformance::run;
use lamplight_conformance::servers::{PostgresConfig, PostgresServer};
use lamplight_distributed::postgres::OpenError;
use lamplight_domain::emoji::Emoji;
use lamplight_domain::entry::MessageAction;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{
    ConversationId, MAX_ID_CHARS, MAX_NAME_CHARS, MessageId, Profile, UserId,
};
use lamplight_domain::message::{Content, SendKey};
use lamplight_domain::text::search_key;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::{NewEntry, Write};
use lamplight_usecases::ports::{
    Account, Accounts as _, Directory, Messages as _, ProfileSource, Range,
};
use std::time::Duration;
use support::{database_of, open, options, text};

const PING: Duration = Duration::from_secs(4);

#[test]
fn a_store_opened_again_by_unix_socket_is_the_same() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let (store, _) = open(&url).await.expect("a store");
        store.ping(PING).await.expect("a ping");
        let id = store.store_id().to_owned();
        let generation = store.generations().borrow().clone();
        assert_eq!((id.len(), generation.as_str().len()), (32, 16));
        store.close().await;
        assert!(store.ping(PING).await.is_err());
        let (store, _) = open(&server.socket_url(database_of(&url)))
            .await
            .expect("a store");
        assert_eq!(store.store_id(), id);
        assert_eq!(*store.generations().borrow(), generation);
    });
}

/// One of them migrates, the others wait for it.
#[test]
fn several_nodes_start_at_once_in_an_empty_database() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let starts = (0..6).map(|_| {
            let options = options(&url);
            tokio::spawn(support::open_with(options))
        });
        let mut found = Vec::new();
        for start in starts.collect::<Vec<_>>() {
            let (store, _) = start.await.expect("a task").expect("a store");
            let generation = store.generations().borrow().clone();
            found.push((store.store_id().to_owned(), generation));
        }
        found.dedup();
        assert_eq!(found.len(), 1, "{found:?}");
    });
}

/// Also if the server refuses everyone: its error names the user and not the password.
#[test]
fn passwords_are_checked_and_not_shown() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let name = database_of(&url);
        server.sql(
            name,
            "CREATE ROLE secret LOGIN PASSWORD 'sword/fish?#@'; GRANT ALL ON SCHEMA public TO secret",
        );
        let with = |password: &str| {
            format!(
                "postgres://secret:{password}@127.0.0.1:{}/{name}",
                server.port()
            )
        };
        open(&with("sword%2Ffish%3F%23%40")).await.expect("a store");
        let refused = open(&with("codfish")).await.err().expect("refused");
        assert!(matches!(refused, OpenError::Refused { .. }), "{refused:?}");
        let shown = format!("{refused} {refused:?}");
        assert!(
            shown.contains("secret") && !shown.contains("codfish"),
            "{shown}"
        );
        let none = format!("postgres://lamplight@127.0.0.1:{}/nowhere", server.port());
        let refused = open(&none).await.err().expect("refused").to_string();
        assert!(refused.contains("\"nowhere\" does not exist"), "{refused}");
    });
}

#[test]
fn a_database_in_another_encoding_is_refused() {
    run(async {
        let server = PostgresServer::shared();
        server.sql(
            "postgres",
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
        );
        let refused = open(&server.url("latin")).await.err().expect("refused");
        assert!(matches!(refused, OpenError::Encoding { .. }), "{refused:?}");
        assert!(refused.to_string().contains("LATIN1"));
    });
}

/// A newer version works side by side with this one unless its schema says otherwise.
#[test]
fn c15_a_newer_schema_is_refused_only_where_it_says_so() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let name = database_of(&url);
        let (store, _) = open(&url).await.expect("a store");
        store.close().await;
        let version = server.sql(name, "SELECT max(version) FROM lamplight_schema");
        let known: i32 = version.parse().expect("a number");
        server.sql(
            name,
            &format!(
                "INSERT INTO lamplight_schema VALUES ({}, {known})",
                known + 1
            ),
        );
        open(&url).await.expect("a store");
        server.sql(
            name,
            &format!("INSERT INTO lamplight_schema VALUES ({0}, {0})", known + 2),
        );
        let refused = open(&url).await.err().expect("refused");
        assert!(matches!(refused, OpenError::Newer { .. }), "{refused:?}");
    });
}

/// A store of the first schema, and nodes of that version at work beside this one.
#[test]
fn c15_a_store_of_the_first_schema_is_migrated_while_its_nodes_work() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let sql = text(server, database_of(&url));
        sql(include_str!("../migrations/0001_schema.sql"));
        sql(
            "CREATE TABLE lamplight_schema (version INTEGER PRIMARY KEY, oldest_compatible INTEGER NOT NULL,
                 applied_at TIMESTAMPTZ NOT NULL DEFAULT now());
             INSERT INTO lamplight_schema VALUES (1, 1);
             INSERT INTO people (user_id, user_folded, name, name_folded, source, created_at)
                 VALUES ('a', 'a', 'a', 'a', 0, 0), ('b', 'b', 'b', 'b', 0, 0);
             INSERT INTO conversations (conversation_id, head_seq, last_at, position, created_at, member_count)
                 VALUES ('c', 1, 0, 1, 0, 2);
             INSERT INTO members (conversation, person) VALUES (1, 1), (1, 2);
             INSERT INTO entries (conversation, seq, message_id, sender, content, dedupe_key, created_at)
                 VALUES (1, 1, 'm1', 1, 'hello', 'ck', 0);",
        );
        let (store, _) = open(&url).await.expect("a store");
        let place = ConversationId::trusted("c");
        let append = async |id: &str, sender: &str, write: Write, key: Option<&str>| {
            let new = NewEntry {
                id: MessageId::trusted(id),
                conversation: place.clone(),
                sender: UserId::trusted(sender),
                write,
                key: key.map(|key| SendKey::ClientMessageId(key.into())),
                created_at: Timestamp(1),
                editable_since: None,
            };
            let done = store.append(new, None).await.expect("an answer");
            (done.entry.seq, done.duplicate)
        };
        let change = |message: &str, action| Write::Change {
            message: MessageId::trusted(message),
            action,
        };
        let edit = MessageAction::Edit {
            content: Content::trusted("hello!"),
            mentions: Vec::new(),
        };
        let hello = || Content::trusted("hello").into();
        assert_eq!(append("m2", "a", hello(), Some("k")).await, (1, true));
        assert_eq!(
            append("m3", "a", change("m1", edit), None).await,
            (2, false)
        );
        let answer = Write::Message {
            content: Content::trusted("hi"),
            reply_to: Some(MessageId::trusted("m1")),
            mentions: vec![UserId::trusted("a")],
            attachments: Vec::new(),
        };
        assert_eq!(append("m4", "b", answer, None).await, (3, false));
        let deletion = change("m1", MessageAction::Delete);
        assert_eq!(append("m5", "a", deletion, None).await, (4, false));
        // What a node of the first version writes and reads.
        sql(
            "INSERT INTO entries (conversation, seq, message_id, sender, content, created_at) VALUES (1, 5, 'm6', 1, 'old', 2);
             UPDATE conversations SET head_seq = 5, last_at = 2, position = (SELECT max(id) FROM entries);",
        );
        let read = sql("SELECT e.seq, e.content, o.kind IS NULL FROM entries e
             LEFT JOIN other_entries o ON o.conversation = e.conversation AND o.seq = e.seq
             WHERE o.kind IS NULL ORDER BY e.seq");
        assert_eq!(read.trim(), "1||t\n3|hi|t\n5|old|t");
        let page = store
            .messages(&UserId::trusted("b"), &place, Range::Newest, 10)
            .await
            .expect("an answer")
            .expect("a member");
        let contents: Vec<&str> = page.messages.iter().map(Message::content).collect();
        assert_eq!(contents, ["", "hi", "old"]);
        assert_eq!(
            append(
                "m7",
                "b",
                change(
                    "m6",
                    MessageAction::React {
                        emoji: Emoji::trusted("👍"),
                        added: true,
                    }
                ),
                None
            )
            .await,
            (6, false)
        );
        let seen = store.summary(&UserId::trusted("b"), &place).await;
        let seen = seen.expect("an answer").expect("a conversation");
        let last = seen.last_message.map(|last| last.entry.seq);
        assert_eq!((seen.unread, last), (1, Some(5)));
    });
}

#[test]
fn tls_is_checked_as_the_mode_says() {
    run(async {
        let config = PostgresConfig {
            tls: true,
            ..PostgresConfig::default()
        };
        let (server, other) = (
            PostgresServer::start(&config),
            PostgresServer::start(&config),
        );
        server.sql("postgres", "CREATE DATABASE chat");
        let url = |host: &str, mode: &str, authority: Option<&PostgresServer>| {
            let root = authority.map_or_else(String::new, |server| {
                format!("&sslrootcert={}", server.certificate_authority().display())
            });
            let port = server.port();
            format!("postgres://lamplight@{host}:{port}/chat?sslmode={mode}{root}")
        };
        let own = Some(&server);
        for (host, mode, authority, works) in [
            ("localhost", "verify-full", own, true),
            ("127.0.0.1", "verify-full", own, false),
            ("127.0.0.1", "verify-ca", own, true),
            ("localhost", "verify-full", Some(&other), false),
            ("localhost", "verify-ca", Some(&other), false),
            ("localhost", "require", Some(&other), false),
            // The system knows no such authority.
            ("localhost", "verify-full", None, false),
            ("localhost", "require", None, true),
            ("localhost", "prefer", None, true),
            ("localhost", "disable", None, true),
        ] {
            let opened = open(&url(host, mode, authority)).await;
            let what = format!("{host} {mode}");
            if let Err(error) = &opened {
                assert!(error.to_string().contains("certificate"), "{what}: {error}");
            }
            assert_eq!(opened.is_ok(), works, "{what}");
            if let (Ok((store, _)), false) = (&opened, mode == "disable") {
                let used = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                    WHERE application_name = 'lamplight'";
                store.ping(PING).await.expect("a ping");
                assert_eq!(server.sql("chat", used), "t", "{what}");
            }
            if let Ok((store, _)) = opened {
                store.close().await;
            }
        }
        let missing = url("localhost", "verify-full", None) + "&sslrootcert=/nowhere.pem";
        let refused = open(&missing).await.err().expect("refused");
        assert!(matches!(refused, OpenError::TlsFile { .. }), "{refused:?}");
        // A server without TLS.
        let plain = PostgresServer::shared().fresh_database() + "?sslmode=require";
        assert!(open(&plain).await.is_err());
    });
}

/// PostgreSQL logs a sequence ahead in batches, and a promoted standby may have another state of it
/// than of the rows.
#[test]
fn c10_sequences_and_heads_that_are_behind_are_repaired_at_startup() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let name = database_of(&url);
        let (store, _) = open(&url).await.expect("a store");
        store.close().await;
        server.sql(
            name,
            "INSERT INTO people (id, user_id, user_folded, name, name_folded, source, created_at)
                 VALUES (40, 'a', 'a', 'a', 'a', 0, 0);
             INSERT INTO conversations (id, conversation_id, head_seq, last_at, created_at) VALUES (7, 'c', 1, 0, 0);
             INSERT INTO entries (id, conversation, seq, message_id, sender, content, created_at)
                 SELECT 100 + n, 7, n, 'm' || n, 40, 'text', 0 FROM generate_series(1, 3) n",
        );
        let (store, _) = open(&url).await.expect("a store");
        store.close().await;
        let text = text(server, name);
        assert_eq!(
            text("SELECT head_seq, position FROM conversations"),
            "3|103"
        );
        for (table, next) in [("entries", "104"), ("people", "41"), ("conversations", "8")] {
            let sql = format!("SELECT nextval(pg_get_serial_sequence('{table}', 'id'))");
            assert_eq!(text(&sql), next, "{table}");
        }
    });
}

#[test]
fn h13_the_looks_of_user_names_are_stored_at_startup() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let (store, _) = open(&url).await.expect("a store");
        let create = async |name: &str, id: &str| {
            let user = UserId::trusted(id);
            let account = Account {
                user: user.clone(),
                password_hash: String::new(),
            };
            let made = store.create(name, account, Profile::bare(user), Timestamp(0));
            made.await.expect("an answer")
        };
        assert!(create("paul", "1").await && create("ada", "2").await);
        let text = text(server, database_of(&url));
        // As a node of the version before leaves them.
        text(
            "UPDATE accounts SET name_look = ''; UPDATE properties SET value = '1' WHERE name = 'text_keys'",
        );
        store.close().await;
        let (store, _) = open(&url).await.expect("a store");
        assert_eq!(
            text("SELECT string_agg(name_look, ' ' ORDER BY name_look) FROM accounts"),
            "ada paul"
        );
        store.close().await;
    });
}

/// A copy of a database is another state of the store, and sessions in it may have ended since.
#[test]
fn c10_a_restored_copy_has_another_generation_and_no_sessions() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let name = database_of(&url);
        let (store, _) = open(&url).await.expect("a store");
        let (id, generation) = (
            store.store_id().to_owned(),
            store.generations().borrow().clone(),
        );
        store.close().await;
        server.sql(
            name,
            "INSERT INTO people (id, user_id, user_folded, name, name_folded, source, created_at)
                 VALUES (1, 'a', 'a', 'a', 'a', 0, 0);
             INSERT INTO sessions VALUES ('digest', 1, 0, 1)",
        );
        server.sql(
            "postgres",
            &format!("CREATE DATABASE copied TEMPLATE {name}"),
        );
        let (copy, _) = open(&server.url("copied")).await.expect("a store");
        assert_eq!(copy.store_id(), id);
        assert_ne!(*copy.generations().borrow(), generation);
        assert_eq!(server.sql("copied", "SELECT count(*) FROM sessions"), "0");
        let (store, _) = open(&url).await.expect("a store");
        assert_eq!(
            *store.generations().borrow(),
            generation,
            "the original stays"
        );
        assert_eq!(server.sql(name, "SELECT count(*) FROM sessions"), "1");
    });
}

/// The longest keys that a name can have, and none that a B-tree could compress well.
#[test]
fn the_longest_names_and_ids_fit_into_every_index() {
    run(async {
        let (store, _) = open(&PostgresServer::shared().fresh_database())
            .await
            .expect("a store");
        // The characters with the longest keys.
        let mut longest: Vec<(usize, char)> = ('\u{80}'..='\u{2ffff}')
            .map(|c| (search_key(&c.to_string()).len(), c))
            .collect();
        longest.sort_unstable_by(|a, b| b.cmp(a));
        let mut random: usize = 1;
        for kinds in [1, 20, 60, 100, 150, 200] {
            let name: String = (0..MAX_NAME_CHARS)
                .map(|_| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    longest[(random >> 33) % kinds].1
                })
                .collect();
            let id: String = longest
                .iter()
                .take(MAX_ID_CHARS - 3)
                .map(|(_, c)| *c)
                .collect();
            let profile = Profile {
                id: UserId::trusted(format!("{id}{kinds}")),
                name: name.as_str().into(),
                avatar_url: None,
            };
            let written = store.upsert_profile(profile, ProfileSource::Claims, Timestamp(0));
            let key = search_key(&name).len();
            assert!(
                written.await.is_ok(),
                "{kinds} characters, a key of {key} bytes"
            );
        }
        assert_eq!(
            store
                .search("", None, 10)
                .await
                .expect("a page")
                .items
                .len(),
            6
        );
    });
}

/// After a failover everyone stays signed in. A store that was recovered to an earlier time is on
/// another timeline too, but its nodes were not alive a moment ago.
#[test]
fn c10_sessions_survive_a_start_after_a_failover() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let text = text(server, database_of(&url));
        for (silent_for, sessions) in [("1 minute", "1"), ("1 day", "0")] {
            let (store, _) = open(&url).await.expect("a store");
            let generation = store.generations().borrow().clone();
            store.close().await;
            text(&format!(
                "INSERT INTO people (id, user_id, user_folded, name, name_folded, source, created_at)
                     VALUES (1, 'a', 'a', 'a', 'a', 0, 0) ON CONFLICT DO NOTHING;
                 INSERT INTO sessions VALUES ('digest', 1, 0, 1) ON CONFLICT DO NOTHING;
                 DELETE FROM nodes;
                 INSERT INTO nodes VALUES ('node', 1, NULL, now() - interval '{silent_for}', now() - interval '{silent_for}');
                 UPDATE properties SET value = '0000ABCD' || substr(value, 9) WHERE name = 'fingerprint'"
            ));
            let (store, _) = open(&url).await.expect("a store");
            assert_ne!(*store.generations().borrow(), generation, "{silent_for}");
            assert_eq!(
                text("SELECT count(*) FROM sessions"),
                sessions,
                "{silent_for}"
            );
            store.close().await;
        }
    });
}

/// Some providers hide the timeline, such as Aurora. What a running node committed still tells it
/// that the store went back, and an operator can ask for another generation after a restore.
#[test]
fn c10_a_server_that_hides_its_timeline_and_its_name_is_used() {
    run(async {
        let server = PostgresServer::shared();
        let url = server.fresh_database();
        let text = text(server, database_of(&url));
        text(
            "CREATE ROLE curtailed LOGIN; GRANT ALL ON SCHEMA public TO curtailed;
             REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC;
             REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        );
        let url = url.replace("lamplight@", "curtailed@");
        let (store, _) = open(&url).await.expect("a store");
        let generation = store.generations().borrow().clone();
        let fingerprint = text("SELECT value FROM properties WHERE name = 'fingerprint'");
        assert!(fingerprint.starts_with("- ") && fingerprint.ends_with(" -"));
        let members = ["a", "b"].map(UserId::trusted);
        let place = ConversationId::trusted("c");
        let put = store.put_conversation(&place, &members, Timestamp(0));
        put.await.expect("a conversation");
        let message = NewEntry {
            id: MessageId::trusted("m"),
            conversation: place,
            sender: members[0].clone(),
            write: Content::trusted("text").into(),
            key: None,
            created_at: Timestamp(0),
            editable_since: None,
        };
        store.append(message, None).await.expect("appended");
        store.ping(PING).await.expect("an answer");
        assert_eq!(*store.generations().borrow(), generation);
        text("TRUNCATE entries CASCADE; UPDATE conversations SET head_seq = 0");
        store.ping(PING).await.expect("an answer");
        let lost = store.generations().borrow().clone();
        assert_ne!(lost, generation, "the store lost commits of this node");
        store.close().await;

        let (store, _) = open(&url).await.expect("a store");
        assert_eq!(*store.generations().borrow(), lost);
        store.close().await;
        text("DELETE FROM properties WHERE name = 'fingerprint'");
        let (store, _) = open(&url).await.expect("a store");
        assert_ne!(*store.generations().borrow(), lost, "as an operator asked");
    });
}
