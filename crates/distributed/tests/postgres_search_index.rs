//! The index of messages on several nodes.

mod support;

use async_trait::async_trait;
use lamplight_conformance::servers::PostgresServer;
use lamplight_conformance::{Recorder, run};
use lamplight_distributed::postgres::PostgresStore;
use lamplight_domain::fold::Message;
use lamplight_domain::identity::{ConversationId, MessageId, UserId};
use lamplight_domain::message::Content;
use lamplight_domain::search_terms::query_terms;
use lamplight_domain::time::Timestamp;
use lamplight_domain::write::NewEntry;
use lamplight_usecases::ports::{
    CommitPosition, IndexProgress, IndexStep, LogFollower, MessageSearch, Messages as _, Page,
    Search, StoreResult,
};
use lamplight_usecases::search_index::SearchIndexer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{database_of, options};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(60);

/// A store that counts the steps of its index.
struct Counted {
    store: Arc<PostgresStore>,
    steps: AtomicUsize,
}

#[async_trait]
impl MessageSearch for Counted {
    async fn search(
        &self,
        caller: &UserId,
        search: &Search,
        cursor: Option<&str>,
        limit: usize,
    ) -> StoreResult<Option<Page<Message>>> {
        self.store.search(caller, search, cursor, limit).await
    }

    async fn advance(&self, limit: usize) -> StoreResult<IndexProgress> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.store.advance(limit).await
    }

    async fn index_progress(&self) -> StoreResult<IndexProgress> {
        self.store.index_progress().await
    }

    async fn reindex(&self) -> StoreResult<()> {
        self.store.reindex().await
    }
}

struct Node {
    store: Arc<PostgresStore>,
    counted: Arc<Counted>,
    indexing: JoinHandle<()>,
}

impl Node {
    async fn start(url: &str) -> Self {
        let store = PostgresStore::open(options(url), Arc::new(Recorder::default())).await;
        let store = store.expect("a node");
        let counted = Arc::new(Counted {
            store: Arc::clone(&store),
            steps: AtomicUsize::new(0),
        });
        let (search, log): (Arc<dyn MessageSearch>, Arc<dyn LogFollower>) =
            (Arc::clone(&counted) as _, Arc::clone(&store) as _);
        let indexing = tokio::spawn(async move { SearchIndexer::default().run(search, log).await });
        Self {
            store,
            counted,
            indexing,
        }
    }

    fn steps(&self) -> usize {
        self.counted.steps.load(Ordering::Relaxed)
    }

    async fn send(&self, content: &str) {
        let entry = NewEntry {
            id: MessageId::trusted(format!("m-{content}")),
            conversation: ConversationId::trusted("c"),
            sender: UserId::trusted("a"),
            write: Content::trusted(content).into(),
            key: None,
            created_at: Timestamp(0),
            editable_since: None,
        };
        self.store.append(entry, None).await.expect("a message");
    }

    async fn is_found(&self, word: &str) -> bool {
        let search = Search {
            terms: query_terms(word),
            ..Search::default()
        };
        let caller = UserId::trusted("b");
        let found = self.store.search(&caller, &search, None, 1).await;
        let page = found.expect("found").expect("a page");
        !page.items.is_empty()
    }

    /// Sends a message and waits until the index has it.
    async fn send_and_find(&self, word: &str) {
        self.send(word).await;
        let began = Instant::now();
        while !self.is_found(word).await {
            assert!(began.elapsed() < PATIENCE, "{word} is found");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn two_nodes() -> [Node; 2] {
    let url = PostgresServer::shared().fresh_database();
    let nodes = [Node::start(&url).await, Node::start(&url).await];
    let members = ["a", "b"].map(UserId::trusted);
    let place = ConversationId::trusted("c");
    let put = nodes[0]
        .store
        .put_conversation(&place, &members, Timestamp(0));
    put.await.expect("a conversation");
    nodes
}

/// Sends messages by both nodes alternately until the index has them. Returns the node that did all steps
/// meanwhile, if one did.
async fn keeper(nodes: &[Node; 2], round: usize) -> Option<usize> {
    let before = nodes.each_ref().map(Node::steps);
    for message in 0..6 {
        let word = format!("w{round}x{message}");
        nodes[message % 2].send_and_find(&word).await;
    }
    let after = nodes.each_ref().map(Node::steps);
    (0..2).find(|node| after[1 - node] == before[1 - node])
}

/// The others only check whether it does. When it dies, one of them continues.
#[test]
fn one_node_maintains_the_index_until_it_dies() {
    run(async {
        let nodes = two_nodes().await;
        // Both try until one was outrun, and again when the keeper was slow.
        let mut kept = None;
        for round in 0..20 {
            kept = keeper(&nodes, round).await;
            if kept.is_some() {
                break;
            }
        }
        let keeper = kept.expect("one node alone keeps the index");
        let others = nodes[1 - keeper].steps();
        nodes[keeper].indexing.abort();
        nodes[1 - keeper].send_and_find("later").await;
        assert!(nodes[1 - keeper].steps() > others);
    });
}

/// As when another node moved the position between the read and the write of a step.
#[test]
fn an_indexing_step_behind_another_node_writes_nothing() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let store = PostgresStore::open(options(&url), Arc::new(Recorder::default())).await;
        let store = store.expect("a node");
        let members = ["a", "b"].map(UserId::trusted);
        let place = ConversationId::trusted("c");
        let put = store.put_conversation(&place, &members, Timestamp(0));
        put.await.expect("a conversation");
        let node = Node {
            counted: Arc::new(Counted {
                store: Arc::clone(&store),
                steps: AtomicUsize::new(0),
            }),
            store: Arc::clone(&store),
            indexing: tokio::spawn(async {}),
        };
        let mut outrun = 0;
        for round in 0..100 {
            for number in 0..20 {
                node.send(&format!("w{round}x{number}")).await;
            }
            let steps = [store.advance(1_024), store.advance(1_024)];
            let mut end = CommitPosition::default();
            for step in futures_util::future::join_all(steps).await {
                let step = step.expect("a step");
                end = end.max(step.position);
                outrun += usize::from(step.step == IndexStep::Outrun);
            }
            assert_eq!(end, store.head().await.expect("a head"));
            assert!(node.is_found(&format!("w{round}x19")).await);
            if outrun > 0 && round > 3 {
                break;
            }
        }
        assert!(outrun > 0, "two steps met");
    });
}

/// The log has gaps here, so that a hundred messages are as far apart as many millions would be.
#[test]
fn pages_continue_from_one_window_of_the_log_to_the_next() {
    run(async {
        let url = PostgresServer::shared().fresh_database();
        let store = PostgresStore::open(options(&url), Arc::new(Recorder::default())).await;
        let store = store.expect("a node");
        let members = ["a", "b"].map(UserId::trusted);
        let place = ConversationId::trusted("c");
        let put = store.put_conversation(&place, &members, Timestamp(0));
        put.await.expect("a conversation");
        let mut id = 0_i64;
        for number in 0..100_i64 {
            // From the next one to some millions further, and beyond the ranges of each size.
            id += [1, 2, 4_096, 4_095, 65_536, 70_000, 1 << 20, 20_000_000][number as usize % 8];
            PostgresServer::shared().sql(
                database_of(&url),
                &format!("SELECT setval('entries_id_seq', {id}, false)"),
            );
            let entry = NewEntry {
                id: MessageId::trusted(format!("m{number}")),
                conversation: place.clone(),
                sender: members[0].clone(),
                write: Content::trusted(format!("word n{}", 100 + number)).into(),
                key: None,
                created_at: Timestamp(0),
                editable_since: None,
            };
            store.append(entry, None).await.expect("a message");
        }
        while store.advance(1_000).await.expect("a step").is_behind {}
        let pages = async |words: &str, limit: usize| {
            let search = Search {
                terms: query_terms(words),
                ..Search::default()
            };
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let page = store.search(&members[1], &search, cursor.as_deref(), limit);
                let page = page.await.expect("an answer").expect("a page");
                found.extend(page.items.iter().map(|one| one.entry.seq));
                cursor = page.next;
                if cursor.is_none() {
                    break found;
                }
            }
        };
        let newest_first: Vec<u64> = (1..=100).rev().collect();
        for limit in [1, 7, 30, 99, 100] {
            assert_eq!(
                pages("word", limit).await,
                newest_first,
                "{limit} at a time"
            );
        }
        for seq in [1, 2, 50, 100] {
            assert_eq!(pages(&format!("n{} word", 99 + seq), 10).await, [seq]);
        }
    });
}
