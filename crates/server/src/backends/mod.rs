//! The stores, presence and the bus: the only folder that knows which adapter serves which port.
//! The rest of the server sees the ports, and [`Component`]s for health, metrics, tasks and the stop.

mod component;
mod membership;
mod memory;
mod postgres;
mod redis;
mod registry;
mod republisher;
mod search;
mod sqlite;
pub(crate) mod urls;

pub use component::{Component, Condition};

use crate::config::{Config, Database, RedisSettings};
use lamplight_distributed::bus::RedisEventBus;
use lamplight_distributed::limits::RedisLimits;
use lamplight_distributed::membership::{JoinError, Membership, MembershipOptions};
use lamplight_distributed::postgres::{self as postgres_store, PostgresOptions, PostgresStore};
use lamplight_distributed::presence::{Feed, RedisPresence};
use lamplight_distributed::redis::{RedisClient, RedisOptions, RedisUrlError};
use lamplight_distributed::registry::NodeRegistry;
use lamplight_distributed::republisher::Republisher;
use lamplight_distributed::sign_outs::RedisSignOuts;
use lamplight_domain::identity::NodeId;
use lamplight_domain::presence::Rules;
use lamplight_domain::time::Timestamp;
use lamplight_embedded::event_bus::EmbeddedEventBus;
use lamplight_embedded::messages::{OpenError, SqliteOptions, SqliteStore};
use lamplight_embedded::presence::{EmbeddedPresence, VersionStore};
use lamplight_usecases::ports::{
    Accounts, Blocks, Clock, Directory, EventBus, Files, Groups, LogFollower, MessageSearch,
    Messages, PresenceStore, PushKey, PushSubscriptions, SharedLimits, SharedSignOuts, StoreError,
};
use membership::MembershipComponent;
use memory::MemoryPresence;
use postgres::{PostgresComponent, PostgresVersions};
use redis::{BusComponent, RedisPresenceComponent};
use registry::RegistryComponent;
use republisher::RepublisherComponent;
use search::SearchComponent;
use sqlite::SqliteComponent;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Why the backends cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The SQLite file cannot be used.
    #[error(transparent)]
    Sqlite(#[from] OpenError),
    #[error(transparent)]
    Postgres(#[from] postgres_store::OpenError),
    #[error(transparent)]
    RedisUrl(#[from] RedisUrlError),
    /// This node does not fit to others.
    #[error("{0}.")]
    Join(#[from] JoinError),
    /// Presence cannot be read.
    #[error("presence could not be read: {0}")]
    Presence(#[from] StoreError),
}

/// The ports that the settings chose adapters for.
pub struct Backends {
    pub messages: Arc<dyn Messages>,
    pub groups: Arc<dyn Groups>,
    pub search: Arc<dyn MessageSearch>,
    pub blocks: Arc<dyn Blocks>,
    pub files: Arc<dyn Files>,
    pub directory: Arc<dyn Directory>,
    pub accounts: Arc<dyn Accounts>,
    pub presence: Arc<dyn PresenceStore>,
    pub bus: Arc<dyn EventBus>,
    pub push: Arc<dyn PushSubscriptions>,
    /// The log, for what must not miss anything.
    pub follower: Arc<dyn LogFollower>,
    /// The log from which a node reads entries that the bus lost; a bus of one process loses nothing.
    pub log: Option<Arc<dyn LogFollower>>,
    pub shared_limits: Option<Arc<dyn SharedLimits>>,
    pub shared_sign_outs: Option<Arc<dyn SharedSignOuts>>,
    /// The other nodes, with Redis.
    pub registry: Option<Arc<NodeRegistry>>,
    /// Changes when another node ended, with PostgreSQL or Redis.
    pub node_ends: Option<watch::Receiver<u64>>,
    /// In the order of the start.
    pub components: Vec<Arc<dyn Component>>,
}

impl Backends {
    /// Opens what the settings name, for the node with this name that listens on this address. To be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// When a store cannot be used, or the node does not fit to the others.
    pub async fn open(
        config: &Config,
        node_id: &str,
        listen: SocketAddr,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, BackendError> {
        let redis = config
            .redis
            .as_ref()
            .map(|settings| Redis::connect(settings, node_id));
        let redis = redis.transpose()?;
        let bus: Arc<dyn EventBus> = match &redis {
            Some(redis) => Arc::new(redis.bus.clone()),
            None => Arc::new(EmbeddedEventBus::new()),
        };
        let store = Store::open(&config.database, &bus).await?;
        let mut components = vec![store.component];
        components.push(Arc::new(SearchComponent::new(
            Arc::clone(&store.search),
            Arc::clone(&store.log),
        )));
        let mut node_ends = None;
        if redis.is_some() || store.postgres.is_some() {
            let membership = Membership::join(MembershipOptions {
                node_id: node_id.to_owned(),
                store_id: store.id,
                redis: redis.as_ref().map(|redis| redis.client.clone()),
                postgres: store.postgres,
            });
            let membership = membership.await?;
            node_ends = Some(membership.ends());
            components.push(Arc::new(MembershipComponent(Arc::new(membership))));
        }
        let mut registry = None;
        if let Some(Redis { client, .. }) = &redis {
            let nodes = NodeRegistry::new(client.clone(), node_id, env!("CARGO_PKG_VERSION"));
            let nodes = registry.insert(Arc::new(nodes));
            let address = config.node_address.as_deref();
            let component =
                RegistryComponent::announce(Arc::clone(nodes), client, address, listen).await;
            components.push(Arc::new(component));
        }
        let rules = rules(config);
        let presence: Arc<dyn PresenceStore> = match &redis {
            Some(Redis {
                client,
                bus,
                limits,
            }) => {
                components.push(Arc::new(BusComponent {
                    client: client.clone(),
                    bus: bus.clone(),
                    limits: Arc::clone(limits),
                }));
                let republisher = Republisher::start(
                    node_id,
                    bus.clone(),
                    client.clone(),
                    Arc::clone(&store.log),
                    Arc::clone(&store.messages),
                    Arc::clone(clock),
                );
                components.push(Arc::new(RepublisherComponent(republisher)));
                let feed = Feed::new(client.clone(), rules, Arc::new(bus.clone()));
                let node = NodeId::trusted(node_id);
                let presence = Arc::new(RedisPresence::new(
                    Arc::clone(&feed),
                    node,
                    rules,
                    Arc::clone(clock),
                ));
                components.push(Arc::new(RedisPresenceComponent {
                    client: client.clone(),
                    presence: Arc::clone(&presence),
                    feed,
                }));
                presence
            }
            None => {
                let presence = Arc::new(EmbeddedPresence::new(
                    rules,
                    store.presence_version,
                    Arc::clone(clock),
                    Arc::clone(&bus),
                ));
                components.push(Arc::new(MemoryPresence {
                    presence: Arc::clone(&presence),
                    versions: store.versions,
                }));
                presence
            }
        };
        Ok(Self {
            messages: store.messages,
            groups: store.groups,
            search: store.search,
            blocks: store.blocks,
            files: store.files,
            directory: store.directory,
            accounts: store.accounts,
            presence,
            bus,
            push: store.push,
            follower: Arc::clone(&store.log),
            log: redis.is_some().then_some(store.log),
            registry,
            node_ends,
            shared_sign_outs: redis
                .as_ref()
                .map(|redis| Arc::new(RedisSignOuts::new(redis.client.clone())) as _),
            shared_limits: redis.map(|redis| redis.limits as _),
            components,
        })
    }
}

/// The store of messages, people and accounts.
struct Store {
    messages: Arc<dyn Messages>,
    groups: Arc<dyn Groups>,
    search: Arc<dyn MessageSearch>,
    blocks: Arc<dyn Blocks>,
    files: Arc<dyn Files>,
    directory: Arc<dyn Directory>,
    accounts: Arc<dyn Accounts>,
    push: Arc<dyn PushSubscriptions>,
    log: Arc<dyn LogFollower>,
    id: String,
    /// No version above this was used before, where presence is in memory.
    presence_version: u64,
    versions: Arc<dyn VersionStore>,
    /// The store again, if several nodes may use it.
    postgres: Option<Arc<PostgresStore>>,
    component: Arc<dyn Component>,
}

impl Store {
    async fn open(database: &Database, bus: &Arc<dyn EventBus>) -> Result<Self, BackendError> {
        match database {
            Database::Sqlite(file) => {
                let store = SqliteStore::open(SqliteOptions::new(file), Arc::clone(bus))?;
                Ok(Self {
                    messages: Arc::clone(&store) as _,
                    groups: Arc::clone(&store) as _,
                    search: Arc::clone(&store) as _,
                    blocks: Arc::clone(&store) as _,
                    files: Arc::clone(&store) as _,
                    directory: Arc::clone(&store) as _,
                    accounts: Arc::clone(&store) as _,
                    push: Arc::clone(&store) as _,
                    log: Arc::clone(&store) as _,
                    id: store.store_id().to_owned(),
                    presence_version: store.presence_version(),
                    versions: Arc::clone(&store) as _,
                    postgres: None,
                    component: Arc::new(SqliteComponent(store)),
                })
            }
            Database::Postgres(url) => {
                let options = PostgresOptions::new(url.expose());
                let store = PostgresStore::open(options, Arc::clone(bus)).await?;
                Ok(Self {
                    messages: Arc::clone(&store) as _,
                    groups: Arc::clone(&store) as _,
                    search: Arc::clone(&store) as _,
                    blocks: Arc::clone(&store) as _,
                    files: Arc::clone(&store) as _,
                    directory: Arc::clone(&store) as _,
                    accounts: Arc::clone(&store) as _,
                    push: Arc::clone(&store) as _,
                    log: Arc::clone(&store) as _,
                    id: store.store_id().to_owned(),
                    presence_version: store.presence_version().await?,
                    versions: Arc::new(PostgresVersions(Arc::clone(&store))),
                    postgres: Some(Arc::clone(&store)),
                    component: Arc::new(PostgresComponent(store)),
                })
            }
        }
    }
}

/// Empties the search index of messages; the servers of this database rebuild it.
pub(crate) async fn reindex(database: &Database) -> Result<(), BackendError> {
    match database {
        Database::Sqlite(file) if SqliteStore::is_held(file) => {
            Ok(lamplight_embedded::messages::reindex_file(file)?)
        }
        Database::Sqlite(file) => {
            let bus = Arc::new(EmbeddedEventBus::new());
            let store = SqliteStore::open(SqliteOptions::new(file), bus)?;
            let outcome = store.reindex().await;
            store.close().await;
            Ok(outcome?)
        }
        Database::Postgres(url) => {
            let options = PostgresOptions::new(url.expose());
            let bus = Arc::new(EmbeddedEventBus::new());
            let store = PostgresStore::open(options, bus).await?;
            let outcome = store.reindex().await;
            store.close().await;
            Ok(outcome?)
        }
    }
}

/// Makes `new` the key for new subscriptions for Web Push. With SQLite no server may run.
pub(crate) async fn replace_push_key(
    database: &Database,
    new: &PushKey,
    at: Timestamp,
) -> Result<(), BackendError> {
    let bus = Arc::new(EmbeddedEventBus::new());
    match database {
        Database::Sqlite(file) => {
            let store = SqliteStore::open(SqliteOptions::new(file), bus)?;
            let outcome = store.replace_push_key(new, at).await;
            store.close().await;
            Ok(outcome?)
        }
        Database::Postgres(url) => {
            let options = PostgresOptions::new(url.expose());
            let store = PostgresStore::open(options, bus).await?;
            let outcome = store.replace_push_key(new, at).await;
            store.close().await;
            Ok(outcome?)
        }
    }
}

/// The connections to Redis.
struct Redis {
    client: RedisClient,
    bus: RedisEventBus,
    limits: Arc<RedisLimits>,
}

impl Redis {
    fn connect(settings: &RedisSettings, node_id: &str) -> Result<Self, RedisUrlError> {
        let options = RedisOptions::parse(settings.url.expose())?.with_prefix(&settings.prefix)?;
        let client = RedisClient::start(options.clone());
        Ok(Self {
            bus: RedisEventBus::start(options, node_id),
            limits: Arc::new(RedisLimits::new(client.clone(), node_id)),
            client,
        })
    }
}

fn rules(config: &Config) -> Rules {
    Rules {
        grace: config.presence_grace,
        time_to_live: config.presence_ttl,
        ..Rules::default()
    }
}
