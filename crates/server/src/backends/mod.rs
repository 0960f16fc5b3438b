//! The stores, presence and the bus: the only folder that knows which adapter serves which port.
//! The rest of the server sees the ports, and [`Component`]s for health, metrics, tasks and the stop.

mod component;
mod memory;
mod sqlite;
pub(crate) mod urls;

pub use component::{Component, Condition};

use crate::config::{Config, Database};
use lamplight_domain::presence::Rules;
use lamplight_embedded::event_bus::EmbeddedEventBus;
use lamplight_embedded::messages::{OpenError, SqliteOptions, SqliteStore};
use lamplight_embedded::presence::EmbeddedPresence;
use lamplight_usecases::ports::{
    Accounts, Clock, Directory, EventBus, Messages, PresenceStore, StoreError,
};
use memory::MemoryPresence;
use sqlite::SqliteComponent;
use std::sync::Arc;

/// Why the backends cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The database cannot be used.
    #[error(transparent)]
    Sqlite(#[from] OpenError),
    #[error("PostgreSQL and Redis are not built yet (LL-114)")]
    NotBuilt,
    /// Presence cannot be read.
    #[error("presence could not be read: {0}")]
    Presence(#[from] StoreError),
}

/// The ports that the settings chose adapters for.
pub struct Backends {
    pub messages: Arc<dyn Messages>,
    pub directory: Arc<dyn Directory>,
    pub accounts: Arc<dyn Accounts>,
    pub presence: Arc<dyn PresenceStore>,
    pub bus: Arc<dyn EventBus>,
    /// In the order of the start.
    pub components: Vec<Arc<dyn Component>>,
}

impl Backends {
    /// Opens what the settings name. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When a store cannot be used.
    pub async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, BackendError> {
        let (Database::Sqlite(file), None) = (&config.database, &config.redis) else {
            return Err(BackendError::NotBuilt);
        };
        let bus: Arc<dyn EventBus> = Arc::new(EmbeddedEventBus::new());
        let store = SqliteStore::open(SqliteOptions::new(file), Arc::clone(&bus))?;
        let presence = Arc::new(EmbeddedPresence::new(
            rules(config),
            store.presence_version(),
            Arc::clone(clock),
            Arc::clone(&bus),
        ));
        Ok(Self {
            messages: Arc::clone(&store) as _,
            directory: Arc::clone(&store) as _,
            accounts: Arc::clone(&store) as _,
            presence: Arc::clone(&presence) as _,
            bus,
            components: vec![
                Arc::new(SqliteComponent(Arc::clone(&store))),
                Arc::new(MemoryPresence {
                    presence,
                    versions: store,
                }),
            ],
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
